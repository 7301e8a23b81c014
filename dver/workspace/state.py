"""What is there now: the state of one file, and of one directory by column."""

from __future__ import annotations

import os
import stat
import sys
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import TYPE_CHECKING, NamedTuple

from dver.base.dataclass import dataclass
from dver.base.oid import OID_SIZE, Oid
from dver.base.osat import stat_fields
from dver.formats.kinds import DIRECTORY, EXECUTABLE, FILE, SYMLINK
from dver.formats.statindex import NO_OID, STAT_FIELDS, Buffer, KnownDir

if TYPE_CHECKING:
    from dver.formats.tree import Tree

Row = tuple[int, ...]
MODE, INODE, SIZE, MTIME, CTIME = range(STAT_FIELDS)

#: Directories are compared by what is in them, so their own row says only what they are.
DIR_ROW = (stat.S_IFDIR, 0, 0, 0, 0)
_MASK = (1 << 64) - 1


def stat_row(result: os.stat_result) -> Row:
    """Return a stat result as five unsigned 64-bit integers; times before 1970 wrap around."""
    row: Row = stat_fields(result)
    return row if min(row) >= 0 else tuple(value & _MASK for value in row)


def kind_of_mode(mode: int) -> int:
    """Return the entry kind for a file mode, or 0 for what cannot be tracked."""
    if stat.S_ISREG(mode):
        return EXECUTABLE if mode & stat.S_IXUSR else FILE
    if stat.S_ISDIR(mode):
        return DIRECTORY
    return SYMLINK if stat.S_ISLNK(mode) else 0


def describe_mode(mode: int) -> str:
    """Return a word for a kind of file, for messages."""
    for test, word in (
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISLNK, "a symbolic link"),
    ):
        if test(mode):
            return word
    return "a regular file" if stat.S_ISREG(mode) else "of an unknown kind"


def little(values: array[int]) -> bytes:
    """Return integers as little-endian bytes."""
    if sys.byteorder == "big":
        values = array("Q", values)
        values.byteswap()
    return values.tobytes()


def little_view(values: array[int]) -> Buffer:
    """Return integers as little-endian bytes, which are the integers themselves if they can be."""
    return little(values) if sys.byteorder == "big" else memoryview(values).cast("B")


def from_little(data: Buffer) -> array[int]:
    """Return the integers of little-endian bytes."""
    values: array[int] = array("Q")
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


@dataclass(slots=True)
class FileState:
    """One file or symlink: ``row`` as :func:`stat_row`; ``oid`` is None until it is known."""

    kind: int
    size: int
    row: Row
    oid: Oid | None = None


@dataclass(slots=True)
class DirState:
    """One directory by column; entry i is the i-th of each column.

    ``path`` is relative to the target, b"" for itself. ``names`` ascend. ``kinds`` are those of
    a tree. ``oids`` holds 32 bytes per entry, zeros while unknown; ``stats`` five integers per
    entry, ``sizes`` bytes. ``tree`` is the oid of the directory's tree once it is known, and only
    then ``size`` and ``files`` count all below. ``ignore`` stands for the ignore rules in force.

    A directory in which nothing changed only refers to what is ``remembered`` of it. Whoever asks
    for more than its kinds gets columns, made in that moment, and ``remembered`` is None from then
    on: of a million files that are as they were nothing is in memory twice.
    """

    path: bytes
    names: list[bytes]
    kinds: bytearray
    sizes: array[int]
    oids: bytearray
    stats: array[int]
    tree: Oid | None = None
    size: int = 0
    files: int = 0
    ignore: int = 0
    remembered: KnownDir | None = field(default=None, compare=False, repr=False)

    @classmethod
    def empty(cls, path: bytes) -> DirState:
        """Return a directory without entries."""
        return cls(path, [], bytearray(), array("Q"), bytearray(), array("Q"))

    @classmethod
    def as_remembered(cls, known: KnownDir) -> DirState:
        """Return a directory in which nothing changed."""
        state = cls.__new__(cls)
        state.path, state.ignore, state.remembered = known.path, known.ignore, known
        state.tree = None if known.tree == NO_OID else known.tree
        state.size, state.files = (known.size, known.files) if state.tree is not None else (0, 0)
        return state

    def __getattr__(self, name: str) -> object:
        # Python comes here for slots that are empty, which only as_remembered leaves.
        known = self.remembered
        if known is None or name not in ("names", "kinds", "sizes", "oids", "stats"):
            raise AttributeError(f"a directory has no {name}")
        self.kinds = bytearray(known.kinds)
        if name != "kinds":
            self.names = bytes(known.names).split(b"\0")[:-1]
            self.sizes, self.stats = from_little(known.sizes), from_little(known.stats)
            self.oids = bytearray(known.oids)
            self.remembered = None
        return object.__getattribute__(self, name)

    def oid(self, i: int) -> Oid:
        """Return the oid of the i-th entry, NO_OID while it is unknown."""
        return Oid(bytes(self.oids[i * OID_SIZE : (i + 1) * OID_SIZE]))

    def set_oid(self, i: int, oid: Oid) -> None:
        """Set the oid of the i-th entry."""
        self.oids[i * OID_SIZE : (i + 1) * OID_SIZE] = oid

    def row(self, i: int) -> Row:
        """Return the stat row of the i-th entry."""
        return tuple(self.stats[i * STAT_FIELDS : (i + 1) * STAT_FIELDS])

    def set_row(self, i: int, row: Iterable[int]) -> None:
        """Set the stat row of the i-th entry."""
        self.stats[i * STAT_FIELDS : (i + 1) * STAT_FIELDS] = array("Q", row)

    def unknown(self) -> Iterator[int]:
        """Yield the positions of files and symlinks whose content is not known."""
        if self.tree is not None:
            return
        at = self.oids.find(NO_OID)
        while at >= 0:
            i, inside = divmod(at, OID_SIZE)
            if not inside and self.kinds[i] != DIRECTORY:
                yield i
            at = self.oids.find(NO_OID, at + OID_SIZE - inside)

    def unknown_runs(self) -> Iterator[tuple[int, int]]:
        """Yield (first, one past the last) of neighbours among those that ``unknown`` yields."""
        if self.tree is None and self.names and DIRECTORY not in self.kinds and not any(self.oids):
            yield 0, len(self.names)
            return
        first = end = -1
        for i in self.unknown():
            if i != end:
                if end >= 0:
                    yield first, end
                first = i
            end = i + 1
        if end >= 0:
            yield first, end

    def remove(self, positions: Iterable[int]) -> None:
        """Take entries out."""
        for i in sorted(positions, reverse=True):
            del self.names[i], self.kinds[i], self.sizes[i]
            del self.oids[i * OID_SIZE : (i + 1) * OID_SIZE]
            del self.stats[i * STAT_FIELDS : (i + 1) * STAT_FIELDS]
        self.tree = None

    def as_tree(self) -> Tree:
        """Return the columns as a tree whose total of files counts this directory alone."""
        from dver.formats.tree import Tree

        return Tree(
            bytes(self.kinds),
            self.sizes,
            bytes(self.oids),
            self.names,
            sum(self.sizes),
            len(self.names) - self.kinds.count(DIRECTORY),
        )


class Problem(NamedTuple):
    """A path that cannot be tracked, and why."""

    path: bytes
    reason: str
    hint: str | None = None


@dataclass(slots=True)
class Scan:
    """A directory as it was found: ``dirs`` hold parents before children.

    ``root`` is the absolute path of the target and ``start`` the path inside it where the scan
    began. ``problems`` are paths left out by a lenient scan; ``leftovers`` temporary files of a
    checkout that was killed, as paths relative to the target.
    """

    root: bytes
    start: bytes = b""
    dirs: list[DirState] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    leftovers: list[bytes] = field(default_factory=list)

    @property
    def top(self) -> DirState:
        """The directory that the scan began with."""
        return self.dirs[0]

    def unknown_runs(self) -> Iterator[tuple[int, int, int]]:
        """Yield (directory, first, one past the last) of neighbours that must be read."""
        for d, state in enumerate(self.dirs):
            for first, end in state.unknown_runs():
                yield d, first, end

    def unknown(self) -> Iterator[tuple[int, int]]:
        """Yield (directory, entry) of files and symlinks whose content must be read."""
        for d, state in enumerate(self.dirs):
            for i in state.unknown():
                yield d, i
