"""Merging two versions of a directory by their common ancestor, file by file.

It is what git does with directories of text, one level less: files are taken whole. What only one
side changed is taken from it. What both changed in the same way is taken once. A file that both
changed in different ways is a conflict, and so is one that one side changed and the other removed.
Directories that a side left as they were are never read, so that the time grows with what changed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError, RefusedError
from dver.base.oid import OID_SIZE, Oid, oid_of
from dver.base.quoting import show
from dver.formats import names
from dver.formats import tree as trees
from dver.formats.tree import DIRECTORY, EMPTY, EXECUTABLE, FILE, Entry, Tree
from dver.store.treediff import unequal
from dver.store.walk import Budget, TreeSource, join

#: What to put where both sides changed a file: their own side's, or both beside each other.
Choice = Literal["ours", "theirs", "both"]

OURS, THEIRS = b"~ours", b"~theirs"
_REGULAR = (FILE, EXECUTABLE)


@dataclass(frozen=True, slots=True)
class Conflict:
    """One path that both sides changed, in different ways; None where it is not there."""

    path: bytes
    base: Entry | None
    ours: Entry | None
    theirs: Entry | None


@dataclass(frozen=True, slots=True)
class MergedTree:
    """The outcome: the directory's tree, bytes and files, and what was chosen where.

    ``trees`` are the directories that neither side has, as bytes, children before parents.
    """

    oid: Oid
    size: int
    files: int
    trees: Mapping[Oid, bytes]
    conflicts: tuple[Conflict, ...]


def merge_trees(
    source: TreeSource,
    base: Oid | None,
    ours: Oid,
    theirs: Oid,
    *,
    choice: Choice = "ours",
    prefix: bytes = b"",
) -> MergedTree:
    """Merge two directories; ``base`` None means that they have no common ancestor.

    Conflicts are settled by ``choice`` and told. With "both" the two versions of NAME become
    NAME~ours and NAME~theirs; where one of them is a directory it keeps the name, and where one
    side removed it the other stays as it is. Raises MissingContentError at the first directory
    that is needed and not there, RefusedError for a name that becomes too long.
    """
    merger = _Merger(source, choice)
    found = merger.directory(base, ours, theirs, prefix, 0)
    return MergedTree(found.oid, found.size, found.files, merger.trees, tuple(merger.conflicts))


def same(one: Entry | None, other: Entry | None) -> bool:
    """Tell whether two entries, either of which may be absent, stand for the same content."""
    if one is None or other is None:
        return one is other
    return one.oid == other.oid and one.kind == other.kind


def merge_leaves(base: Entry | None, ours: Entry | None, theirs: Entry | None) -> Entry | None:
    """Return a file of which one side changed the content and the other the mode, else None."""
    if base is None or ours is None or theirs is None:
        if ours is None or theirs is None or ours.oid != theirs.oid:
            return None
        both = {ours.kind, theirs.kind}
        return replace(ours, kind=EXECUTABLE) if both == set(_REGULAR) else None
    if any(one.kind not in _REGULAR for one in (base, ours, theirs)):
        return None
    if base.oid not in (ours.oid, theirs.oid) and ours.oid != theirs.oid:
        return None
    content = theirs if ours.oid == base.oid else ours
    return replace(content, kind=theirs.kind if ours.kind == base.kind else ours.kind)


@dataclass(frozen=True, slots=True)
class _Directory:
    oid: Oid
    size: int
    files: int
    is_empty: bool


class _Merger:
    def __init__(self, source: TreeSource, choice: Choice) -> None:
        self._source = source
        self._choice = choice
        self._budget = Budget()
        self.trees: dict[Oid, bytes] = {}
        self.conflicts: list[Conflict] = []

    def directory(
        self, base: Oid | None, ours: Oid | None, theirs: Oid | None, path: bytes, depth: int
    ) -> _Directory:
        """Merge one directory; None where a side does not have it."""
        old, left, right = (self._read(oid, depth) for oid in (base, ours, theirs))
        edits: dict[bytes, Entry | None] = {}
        files = left.files
        for before, their in unequal(old, right):
            # One of the two is there.
            name = before.name if before is not None else their.name  # type: ignore[union-attr]
            our = left.find(name)
            for place, entry, count in self._entry(path, name, before, our, their, depth):
                if place != name:
                    free = self._free(place, left, right, edits, path)
                    edits[free] = None if entry is None else replace(entry, name=free)
                    files += count
                elif not same(entry, our):
                    edits[name] = entry
                    files += count - self._count(our)
        if not edits:
            oid = ours if ours is not None else trees.EMPTY_OID
            return _Directory(oid, left.size, left.files, not left.names)
        tree = _edited(left, edits, files)
        data = trees.encode(tree)
        oid = oid_of(data)
        self.trees[oid] = data
        return _Directory(oid, tree.size, tree.files, not tree.names)

    def _entry(
        self,
        path: bytes,
        name: bytes,
        base: Entry | None,
        ours: Entry | None,
        theirs: Entry | None,
        depth: int,
    ) -> Iterator[tuple[bytes, Entry | None, int]]:
        """Yield (name, entry, its number of files) of what takes the place of a name."""
        if same(ours, theirs) or same(base, ours):
            yield name, theirs, self._count(theirs)
            return
        if same(base, theirs):
            yield name, ours, self._count(ours)
            return
        if _mergeable(base, ours, theirs):
            b, o, t = (_directory_oid(one) for one in (base, ours, theirs))
            found = self.directory(b, o, t, join(path, name), depth + 1)
            if found.is_empty and (ours is None or theirs is None):
                yield name, None, 0
            else:
                yield name, Entry(DIRECTORY, name, found.size, found.oid), found.files
            return
        merged = merge_leaves(base, ours, theirs)
        if merged is not None:
            yield name, merged, 1
            return
        self.conflicts.append(Conflict(join(path, name), base, ours, theirs))
        yield from self._settle(name, ours, theirs)

    def _settle(
        self, name: bytes, ours: Entry | None, theirs: Entry | None
    ) -> Iterator[tuple[bytes, Entry | None, int]]:
        if self._choice != "both":
            chosen = ours if self._choice == "ours" else theirs
            yield name, chosen, self._count(chosen)
            return
        if ours is None or theirs is None:
            left = ours if theirs is None else theirs
            yield name, left, self._count(left)
            return
        keeps = next((one for one in (ours, theirs) if one.kind == DIRECTORY), None)
        yield name, keeps, self._count(keeps)
        for one, suffix in ((ours, OURS), (theirs, THEIRS)):
            if one is not keeps:
                yield name + suffix, one, self._count(one)

    def _free(
        self,
        wanted: bytes,
        ours: Tree,
        theirs: Tree,
        edits: Mapping[bytes, Entry | None],
        path: bytes,
    ) -> bytes:
        """Return a name like ``wanted`` that neither side uses in the directory."""
        name, number = wanted, 1
        while ours.find(name) or theirs.find(name) or name in edits:
            number += 1
            name = b"%b~%d" % (wanted, number)
        if names.problem(name) is not None:
            raise RefusedError(
                f"both versions of {show(join(path, wanted))} cannot be kept under names of their"
                f" own: {names.problem(name)}",
                hint="choose a side with --ours or --theirs, or give the file a shorter name",
            )
        return name

    def _read(self, oid: Oid | None, depth: int) -> Tree:
        if oid is None:
            return EMPTY
        tree = self._source.read_tree(oid)
        self._budget.spend(tree, depth)
        return tree

    def _count(self, entry: Entry | None) -> int:
        """Return the number of files that an entry stands for."""
        if entry is None:
            return 0
        if entry.kind != DIRECTORY:
            return 1
        if entry.oid in self.trees:
            return trees.totals(self.trees[entry.oid])[1]
        return self._source.read_tree(entry.oid).files


def _mergeable(base: Entry | None, ours: Entry | None, theirs: Entry | None) -> bool:
    """Tell whether a name stands for directories that can be gone into."""
    if ours is not None and theirs is not None:
        return ours.kind == DIRECTORY and theirs.kind == DIRECTORY
    left = ours or theirs
    return left is not None and left.kind == DIRECTORY and _directory_oid(base) is not None


def _directory_oid(entry: Entry | None) -> Oid | None:
    return entry.oid if entry is not None and entry.kind == DIRECTORY else None


def _edited(tree: Tree, edits: Mapping[bytes, Entry | None], files: int) -> Tree:
    """Return a tree with some entries replaced, added and taken out."""
    kinds, sizes, oids = bytearray(), array("Q"), bytearray()
    kept: list[bytes] = []
    start = 0

    def take(end: int) -> None:
        kept.extend(tree.names[start:end])
        kinds.extend(tree.kinds[start:end])
        sizes.extend(tree.sizes[start:end])
        oids.extend(tree.oids[start * OID_SIZE : end * OID_SIZE])

    for name in sorted(edits):
        at = bisect_left(tree.names, name, start)
        take(at)
        start = at + (at < len(tree.names) and tree.names[at] == name)
        entry = edits[name]
        if entry is not None:
            kept.append(name)
            kinds.append(entry.kind)
            sizes.append(entry.size)
            oids.extend(entry.oid)
    take(len(tree.names))
    if files < 0:
        raise FormatError("a tree has fewer files than it says")
    return Tree(bytes(kinds), sizes, bytes(oids), kept, sum(sizes), files)
