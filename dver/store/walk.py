"""Going through trees: every directory, one path, or each distinct tree once.

Trees come from anything that has ``read_tree``: a store, several stores one behind the other, or
trees that are only in memory yet. A tree names its children by hash, so it cannot contain itself;
what a hostile tree can do is to nest very deeply, or to name one child so often that the paths
explode. Both have limits here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from dver.base.errors import FormatError, MissingContentError
from dver.base.oid import Oid
from dver.formats import tree as trees
from dver.formats.tree import DIRECTORY, MAX_DEPTH, Entry, Tree

#: No walk goes over more entries than this, counting each path on its own ...
MAX_WALK = 200_000_000
#: ... and over no more directories: a few trees that name each other twice make 2^40 of them.
MAX_DIRECTORIES = 3_000_000


class TreeSource(Protocol):
    """Whatever trees can be read from, a store for instance."""

    def read_tree(self, oid: Oid) -> Tree:
        """Return a tree, verified. Raises MissingContentError if it is not there."""


class Layered:
    """Several sources as one: each tree comes from the first that has it."""

    def __init__(self, sources: Sequence[TreeSource]) -> None:
        self._sources = sources

    def read_tree(self, oid: Oid) -> Tree:
        """Return a tree from the first source that has it; the last one's error if none has."""
        for source in self._sources[:-1]:
            try:
                return source.read_tree(oid)
            except MissingContentError:
                continue
        return self._sources[-1].read_tree(oid)


class EncodedTrees:
    """Trees as bytes that are in memory only, for instance of a workspace that was just scanned."""

    def __init__(self, encoded: Mapping[Oid, bytes]) -> None:
        self._encoded = encoded

    def read_tree(self, oid: Oid) -> Tree:
        """Return a tree. Raises MissingContentError if it is not among those given."""
        try:
            data = self._encoded[oid]
        except KeyError:
            raise MissingContentError(f"the tree {oid.hex()} is not in memory") from None
        return trees.decode(data)


class Budget:
    """How many entries one piece of work may still go over, all trees together."""

    def __init__(self, entries: int = MAX_WALK) -> None:
        self._left = entries
        self._directories = MAX_DIRECTORIES

    def spend(self, tree: Tree, depth: int) -> None:
        """Count a tree at a depth. Raises FormatError when there are too many or it is too deep."""
        self._left -= len(tree) + 1
        self._directories -= 1
        if self._left < 0 or self._directories < 0 or tree.files > MAX_WALK:
            raise FormatError("a tree has more entries below it than any real directory")
        if depth > MAX_DEPTH:
            raise FormatError(f"a tree nests deeper than {MAX_DEPTH} levels")


def join(directory: bytes, name: bytes) -> bytes:
    """Return the path of a name in a directory, where b"" is the top."""
    return b"%b/%b" % (directory, name) if directory else name


def walk(
    source: TreeSource, oid: Oid, *, prefix: bytes = b"", budget: Budget | None = None
) -> Iterator[tuple[bytes, Oid, Tree]]:
    """Yield (path, oid, tree) of a directory and of all below it, parents before children.

    Paths begin with ``prefix``, the path of the top; siblings come in order of their names.
    Raises MissingContentError at the first tree that is not there and FormatError for one that
    is not what its parent says.
    """
    budget = budget or Budget()
    stack: list[tuple[bytes, Oid, int, int | None]] = [(prefix, oid, 0, None)]
    while stack:
        path, oid, depth, size = stack.pop()
        tree = source.read_tree(oid)
        budget.spend(tree, depth)
        if size is not None and tree.size != size:
            raise FormatError(f"the tree {oid.hex()} is not of the size that its parent says")
        yield path, oid, tree
        stack.extend(
            (join(path, tree.names[i]), tree.oid(i), depth + 1, tree.sizes[i])
            for i in reversed(directories(tree))
        )


def directories(tree: Tree) -> list[int]:
    """Return the positions of a tree's directories, ascending."""
    positions = []
    at = tree.kinds.find(DIRECTORY)
    while at >= 0:
        positions.append(at)
        at = tree.kinds.find(DIRECTORY, at + 1)
    return positions


def find(source: TreeSource, oid: Oid, path: bytes) -> Entry | None:
    """Return the entry at a non-empty path below a directory, or None if there is none."""
    parts = path.split(b"/")
    if len(parts) > MAX_DEPTH:
        return None
    entry: Entry | None = None
    for part in parts:
        if entry is not None and entry.kind != DIRECTORY:
            return None
        entry = source.read_tree(oid if entry is None else entry.oid).find(part)
        if entry is None:
            return None
    return entry


def distinct(
    source: TreeSource,
    roots: Iterable[Oid],
    *,
    seen: set[Oid] | None = None,
    missing: Callable[[Oid], None] | None = None,
) -> Iterator[tuple[Oid, Tree]]:
    """Yield each distinct tree that the roots reach, once, whatever its paths.

    ``seen`` holds trees to leave out, with all below them, and grows by those yielded. A tree that
    is not there is told to ``missing``; without that it raises MissingContentError.
    """
    seen = set() if seen is None else seen
    stack = [(oid, 0) for oid in reversed(list(roots))]
    while stack:
        oid, depth = stack.pop()
        if oid in seen:
            continue
        seen.add(oid)
        if depth > MAX_DEPTH:
            raise FormatError(f"a tree nests deeper than {MAX_DEPTH} levels")
        try:
            tree = source.read_tree(oid)
        except MissingContentError:
            if missing is None:
                raise
            missing(oid)
            continue
        yield oid, tree
        stack.extend((tree.oid(i), depth + 1) for i in reversed(directories(tree)))
