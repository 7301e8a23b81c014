"""Object ids and checksums: BLAKE3 against people, XXH3 against accidents.

An oid is the 32 raw bytes of BLAKE3-256 over the content alone, so that ``b3sum FILE`` prints the
same 64 hex digits. Its text form, in pointers and on screen, is ``blake3:<64 lower-case hex>``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import chain
from typing import NewType

import blake3 as _blake3
import xxhash as _xxhash

Oid = NewType("Oid", bytes)

OID_SIZE = 32
PREFIX = "blake3:"
#: BLAKE3's context string for the names of chunk lists.
LIST_CONTEXT = "dver 2026-11 chunk list"
_DIGITS = frozenset("0123456789abcdef")

#: Incremental hasher; feed it with ``update`` and call :func:`finish`. It releases the GIL.
Hasher = _blake3.blake3
#: ``checksum(data)`` is the unsigned 64-bit XXH3 of some bytes (https://xxhash.com, seed 0).
checksum = _xxhash.xxh3_64_intdigest
#: The same, incrementally: ``update`` and ``intdigest``.
Checksummer = _xxhash.xxh3_64


def oid_of(data: bytes | bytearray | memoryview) -> Oid:
    """Return the oid of some bytes held in memory."""
    return Oid(_blake3.blake3(data).digest())


def list_name_of(data: bytes | bytearray | memoryview) -> Oid:
    """Return the name of a chunk list below the top: BLAKE3 in its key derivation mode.

    The separate mode keeps lists and contents apart: no file can have the name of a list, even
    one whose bytes are a list's.
    """
    return Oid(_blake3.blake3(data, derive_key_context=LIST_CONTEXT).digest())


def finish(hasher: _blake3.blake3) -> Oid:
    """Return the oid of everything that was fed to a hasher."""
    return Oid(hasher.digest())


def format_oid(oid: Oid) -> str:
    """Return the text form, ``blake3:<64 hex>``."""
    return PREFIX + oid.hex()


def parse_oid(text: str) -> Oid:
    """Return the oid for its text form, or for the bare 64 hex digits.

    Raises ValueError for anything else, upper case included: one oid has one spelling.
    """
    digits = text.removeprefix(PREFIX)
    if len(digits) != 2 * OID_SIZE or not _DIGITS.issuperset(digits):
        raise ValueError(f"not an oid: {text[:80]!r} (expected blake3:<64 hex digits>)")
    return Oid(bytes.fromhex(digits))


def short_oid(oid: Oid) -> str:
    """Return the ten hex digits that people see; never parsed back."""
    return oid.hex()[:10]


_ONE = struct.Struct(f"{OID_SIZE}s")


def split_oids(joined: bytes | bytearray | memoryview) -> Iterator[Oid]:
    """Yield the oids that were joined to these bytes, of which a torn last one is left out."""
    whole = len(joined) - len(joined) % OID_SIZE
    return chain.from_iterable(_ONE.iter_unpack(memoryview(joined)[:whole]))


#: The oid of no bytes at all, which empty files share.
EMPTY = oid_of(b"")
