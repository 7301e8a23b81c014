"""The proofs: which chunk lists were seen to make up the objects they are stored under.

Page: ``docs/format/proofs.md``. A file of a local store, one for each user. It says nothing about
what is stored: "the chunks that this list names, in its order, have this hash together" is true for
ever or never, wherever they lie. Each entry stands for itself, so that a torn or damaged one takes
no other with it::

    header   16 bytes  magic "DVERPROF", version 1 (2), reserved 0 (6)
    entries  72 n      oid of the object (32), name of its top list's bytes (32), XXH3 of these
                       two (8)

All integers are unsigned and little-endian.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable

from dver.base.oid import checksum

MAGIC = b"DVERPROF"
HEADER = struct.Struct("<8sH6s").pack(MAGIC, 1, bytes(6))
ENTRY = struct.Struct("<64sQ")


def encode_entry(oid: bytes, name: bytes) -> bytes:
    """Return the entry of an object and of the name of its top list's bytes."""
    both = oid + name
    return ENTRY.pack(both, checksum(both))


def entries(data: bytes) -> bytes:
    """Return the entries of a file, joined; none if it is not such a file. Each is unchecked."""
    if not data.startswith(HEADER):
        return b""
    whole = (len(data) - len(HEADER)) // ENTRY.size
    return data[len(HEADER) : len(HEADER) + whole * ENTRY.size]


def is_whole(size: int) -> bool:
    """Say whether a file of that length ends where an entry does."""
    return size >= len(HEADER) and (size - len(HEADER)) % ENTRY.size == 0


def sound(joined: bytes) -> list[bytes]:
    """Return those of joined entries that match their checksums, each once, in order."""
    size = ENTRY.size
    found = dict.fromkeys(joined[at : at + size] for at in range(0, len(joined), size))
    return [entry for entry in found if entry == encode_entry(entry[:32], entry[32:64])]


def encode(found: Iterable[bytes]) -> bytes:
    """Return a file of some entries."""
    return HEADER + b"".join(found)


class Proofs:
    """Entries that can be looked for, at 16 bytes for each beside their own."""

    def __init__(self, joined: bytes = b"") -> None:
        self._joined = joined
        words = array("Q")
        words.frombytes(joined)
        self._firsts = words[:: ENTRY.size // 8]
        order = sorted(range(len(self._firsts)), key=self._firsts.__getitem__)
        self._order = array("Q", order)

    def hold(self, oid: bytes, name: bytes) -> bool:
        """Say whether there is a sound entry of this object and this name of a list."""
        wanted = encode_entry(oid, name)
        first = int.from_bytes(wanted[:8], sys.byteorder)
        at = bisect_left(self._order, first, key=self._firsts.__getitem__)
        while at < len(self._order) and self._firsts[self._order[at]] == first:
            start = self._order[at] * ENTRY.size
            if self._joined[start : start + ENTRY.size] == wanted:
                return True
            at += 1
        return False
