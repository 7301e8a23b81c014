"""The tree: the manifest of one directory, canonical bytes, one tree per directory (Merkle).

Page: ``docs/format/tree.md``. The layout is by column, so that a directory of a million entries is
taken apart by a handful of slices instead of a million small parses::

    0   8   magic "DVERTREE"
    8   4   version, 1
    12  4   n, the number of entries
    16  8   size, the bytes of all files in this tree and below
    24  8   files, the files and symlinks in this tree and below
    32  8   length of the names column
    40  n   kinds, one ASCII byte each: f file, x executable file, l symlink, d directory
    ..  8n  sizes: bytes of a file, of a symlink's target text, of all files below a directory
    ..  32n oids: of the content, of the symlink's target text, of the directory's own tree
    ..      names, each ended by NUL, in ascending byte order

All integers are unsigned and little-endian. There is exactly one encoding for a directory.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.base.oid import OID_SIZE, Oid, oid_of
from dver.formats import kinds as codes
from dver.formats.names import check_names

MAGIC = b"DVERTREE"
_HEADER = struct.Struct("<8sIIQQQ")
_KINDS = frozenset(b"fxld")
MAX_ENTRIES = 50_000_000
_MAX_TOTAL = (1 << 63) - 1
#: How deep trees may nest; deeper ones are refused on add and on every walk.
MAX_DEPTH = 256

FILE, EXECUTABLE = codes.FILE, codes.EXECUTABLE
SYMLINK, DIRECTORY = codes.SYMLINK, codes.DIRECTORY


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a tree: ``kind`` is one of FILE, EXECUTABLE, SYMLINK, DIRECTORY."""

    kind: int
    name: bytes
    size: int
    oid: Oid


@dataclass(frozen=True, slots=True)
class Tree:
    """One directory's entries, by column; entry i is the i-th of each.

    ``kinds`` is n bytes, ``sizes`` an array of n 64-bit integers, ``oids`` 32 n bytes, ``names`` n
    byte strings in ascending order. ``size`` and ``files`` count everything below as well.
    """

    kinds: bytes
    sizes: array[int]
    oids: bytes
    names: list[bytes]
    size: int
    files: int

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Entry]:
        for i in range(len(self.names)):
            yield self.entry(i)

    def entry(self, i: int) -> Entry:
        """Return the i-th entry."""
        return Entry(self.kinds[i], self.names[i], self.sizes[i], self.oid(i))

    def oid(self, i: int) -> Oid:
        """Return the oid of the i-th entry."""
        return Oid(self.oids[i * OID_SIZE : (i + 1) * OID_SIZE])

    def find(self, name: bytes) -> Entry | None:
        """Return the entry of that name, or None."""
        i = bisect_left(self.names, name)
        if i < len(self.names) and self.names[i] == name:
            return self.entry(i)
        return None


def encode(tree: Tree) -> bytes:
    """Return the canonical bytes. The caller guarantees sorted, valid, distinct names."""
    names = b"\0".join(tree.names) + b"\0" if tree.names else b""
    header = _HEADER.pack(MAGIC, 1, len(tree.names), tree.size, tree.files, len(names))
    return b"".join((header, tree.kinds, _little(tree.sizes), tree.oids, names))


def build(entries: list[Entry], files_below: int) -> Tree:
    """Make a tree of entries in any order.

    ``files_below`` is the number of files and symlinks inside the directories among them.
    """
    entries = sorted(entries, key=lambda entry: entry.name)
    own = sum(1 for entry in entries if entry.kind != DIRECTORY)
    return Tree(
        bytes(entry.kind for entry in entries),
        array("Q", [entry.size for entry in entries]),
        b"".join(entry.oid for entry in entries),
        [entry.name for entry in entries],
        sum(entry.size for entry in entries),
        own + files_below,
    )


def decode(data: bytes) -> Tree:
    """Parse and check a tree. Raises FormatError for anything but canonical bytes."""
    if len(data) < _HEADER.size:
        raise FormatError("a tree is shorter than its header")
    magic, version, count, size, files, names_length = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise FormatError("a tree does not begin with its magic")
    if version != 1:
        raise FormatError(
            f"a tree has format version {version} and this dver reads version 1",
            hint="upgrade dver",
        )
    if count > MAX_ENTRIES or len(data) != _HEADER.size + count * (1 + 8 + OID_SIZE) + names_length:
        raise FormatError("a tree's length does not agree with its header")
    at = _HEADER.size
    kinds = data[at : at + count]
    at += count
    sizes: array[int] = array("Q")
    sizes.frombytes(data[at : at + 8 * count])
    if sys.byteorder == "big":
        sizes.byteswap()
    at += 8 * count
    oids = data[at : at + OID_SIZE * count]
    names = _names(data[at + OID_SIZE * count :], count)
    if not _KINDS.issuperset(kinds):
        raise FormatError("a tree has an entry of unknown kind")
    if sum(sizes) != size or max(size, files) > _MAX_TOTAL:
        raise FormatError("a tree's size is not the sum of its entries, or out of bounds")
    own = count - kinds.count(DIRECTORY)
    if files < own or (files > own and own == count):
        raise FormatError("a tree's number of files does not fit its entries")
    return Tree(kinds, sizes, oids, names, size, files)


def totals(data: bytes) -> tuple[int, int]:
    """Return the bytes and the number of files that a tree's header claims, and check no more."""
    if len(data) < _HEADER.size or not data.startswith(MAGIC):
        raise FormatError("a tree does not begin with its header")
    _, _, _, size, files, _ = _HEADER.unpack_from(data)
    return size, files


def _names(block: bytes, count: int) -> list[bytes]:
    if count == 0:
        if block:
            raise FormatError("a tree has names without entries")
        return []
    if block[-1:] != b"\0":
        raise FormatError("a tree's last name is not ended")
    names = block[:-1].split(b"\0")
    if len(names) != count:
        raise FormatError("a tree has more or fewer names than entries")
    check_names(block)
    if any(map(bytes.__ge__, names, names[1:])):
        raise FormatError("a tree's names are not in ascending order")
    return names


def _little(values: array[int]) -> bytes:
    if sys.byteorder == "big":
        values = array("Q", values)
        values.byteswap()
    return values.tobytes()


#: The tree of an empty directory, its bytes and its oid.
EMPTY = Tree(b"", array("Q"), b"", [], 0, 0)
EMPTY_BYTES = encode(EMPTY)
EMPTY_OID = oid_of(EMPTY_BYTES)
