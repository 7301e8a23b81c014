"""The names of things inside a store, the same in a local store and in a remote."""

from __future__ import annotations

import os

PACKS = "packs/"
INDEX = "index/"
ROOTS = "roots/"
#: What collections of garbage write, and pushes without a segment; in remotes only.
CONDEMNED = "condemned/"
INTENTS = "intents/"
TRASH = "trash/"
DOOMED = ".doomed"
SWEPT = ".swept"
RETIRED = ".retired"
#: What a purge leaves under trash/.
PURGED = ".purged"
#: A file of a local store that says that versions in use may have lost parts of theirs.
HOLES = "holes"
#: The objects that a purge is taking away, one after another, until all are gone.
PURGING = "purging"
_ZEROS = "0" * 8


def pack_key(name: bytes) -> str:
    """Return the key of a pack by its 32-byte name."""
    text = name.hex()
    return f"{PACKS}{text[:2]}/{text}"


def segment_key(name: bytes) -> str:
    """Return the key of an index segment by its 32-byte name."""
    return INDEX + name.hex()


def root_key(session: str) -> str:
    """Return the key of a root record by its session."""
    return ROOTS + session


def intent_key(session: str) -> str:
    """Return the key by which a push without a segment announces itself."""
    return INTENTS + session


def condemned_key(session: str, end: str = "") -> str:
    """Return the key of a collection's notice, or of its record that ends in DOOMED or SWEPT."""
    return CONDEMNED + session + end


def trash_key(session: str) -> str:
    """Return the key of a dropped root by its session."""
    return TRASH + session


def purged_key(purge: str) -> str:
    """Return the key of the word of a purge by its id."""
    return TRASH + purge + PURGED


def void_key(session: str, collection: str) -> str:
    """Return the key by which a collection declares the session of a push void."""
    return f"{ROOTS}{session}.{collection}"


def new_session(*, collection: bool = False) -> str:
    """Return a random session. Those of collections begin with eight zeros, and no others do."""
    while True:
        text = os.urandom(16).hex()
        if collection:
            return _ZEROS + text[len(_ZEROS) :]
        if not is_collection(text):
            return text


def is_collection(session: str) -> bool:
    """Tell a collection's session from one of a push."""
    return session.startswith(_ZEROS)


def is_session(text: str) -> bool:
    """Tell whether a text names a session: 32 hex digits."""
    return len(text) == 32 and all(char in "0123456789abcdef" for char in text)


def name_of(key: str) -> bytes | None:
    """Return the 32-byte name at the end of a pack's or segment's key, or None for another file."""
    text = key.rpartition("/")[2]
    if len(text) != 64:
        return None
    try:
        name = bytes.fromhex(text)
    except ValueError:
        return None
    return name if name.hex() == text else None
