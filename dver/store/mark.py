"""What can be reached from some objects: a bit per index row, so millions cost megabytes.

An object in two segments is marked where the index finds it first; the other copy stays unmarked,
which is what lets garbage collection drop duplicates.
"""

from __future__ import annotations

import operator
from collections.abc import Container, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import compress

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, MissingContentError
from dver.base.oid import OID_SIZE, Oid, split_oids
from dver.formats import pack
from dver.formats.segment import ROW, oids_of
from dver.formats.tree import DIRECTORY, MAX_DEPTH, Tree
from dver.store.index import Segment, are_all
from dver.store.store import Store

_TOP_KINDS = frozenset(pack.TOP_KINDS)
_LIST_KINDS = frozenset(pack.LIST_KINDS)
#: Where a row has the kind.
_KIND_AT = OID_SIZE + 16
#: Objects are marked in batches of at least so many, and of so large a part of the index that
#: going over all of it for each batch takes no more than so many passes.
_MANY = 1 << 19
_PASSES = 8


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Something that should have been reached and could not be.

    ``path`` is below the object that the walk began at, b"" for itself. ``error`` says whether it
    is missing or damaged.
    """

    oid: Oid
    path: bytes
    error: CorruptError | MissingContentError


class Marks:
    """Which rows of a store's index were reached.

    ``choices`` are sets of packs, each within the one before it: an object is marked where it lies
    outside of the first, if it does, else outside of the second, and so on. By default it is where
    the index finds it. Files and trees of ``without`` are left out, and all that only they lead to.
    """

    def __init__(
        self,
        store: Store,
        choices: Sequence[frozenset[bytes]] | None = None,
        *,
        without: AbstractSet[Oid] = frozenset(),
    ) -> None:
        self.store = store
        self._without: AbstractSet[bytes] = without
        self._choices = (store.index.lost_packs,) if choices is None else tuple(choices)
        self.segments: list[Segment] = list(store.index.segments)
        self._bits = {one.name: bytearray(len(one)) for one in self.segments}
        self._trees: set[Oid] = set()
        self.count = 0
        #: What should have been reached, and is not there.
        self.missing: set[Oid] = set()

    @classmethod
    def everything(cls, store: Store) -> Marks:
        """Return marks on every object of a store, each at one of its places."""
        marks = cls(store)
        if len(marks.segments) == 1 and not store.index.lost_packs:
            (one,) = marks.segments
            marks._bits[one.name] = bytearray(b"\1") * len(one)
            marks.count = len(one)
            return marks
        for one in marks.segments:
            for _, block in one.blocks():
                marks._set(set(oids_of(block)))
        return marks

    def __contains__(self, oid: Oid) -> bool:
        return any(
            (at := one.ordinal(oid)) >= 0 and self._bits[one.name][at] for one in self.segments
        )

    def unmark(self, oids: AbstractSet[bytes]) -> frozenset[bytes]:
        """Take marks off objects, wherever they lie; return the packs that have any of them."""
        packs: set[bytes] = set()
        for one in self.segments:
            bits = self._bits[one.name]
            for first, flags, block in one.hits(oids):
                for number in compress(range(len(flags)), flags):
                    at = number * ROW.size + OID_SIZE
                    packs.add(one.packs[int.from_bytes(block[at : at + 4], "little")][0])
                    self.count -= bits[first + number]
                    bits[first + number] = 0
        return frozenset(packs)

    def bits(self, segment: Segment) -> bytearray:
        """Return one byte per row of a segment, 1 where it was reached."""
        return self._bits[segment.name]

    def mark(self, oid: Oid, kind: str) -> Iterator[Unreachable]:
        """Mark a file's content (``kind`` "file") or a whole directory ("tree").

        Yields what could not be reached and goes on with the rest. Trees that were marked before
        are not walked again.
        """
        batch = _Batch()
        if kind != "tree":
            if oid in self._without:
                return
            batch.files.add(oid)
            yield from self._resolve(batch)
            return
        limit = max(_MANY, sum(map(len, self.segments)) // _PASSES)
        stack = [(oid, b"", 0)]
        while stack:
            tree_oid, path, depth = stack.pop()
            if tree_oid in self._trees or tree_oid in self._without:
                continue
            self._trees.add(tree_oid)
            try:
                if depth > MAX_DEPTH:
                    raise CorruptError(f"directories nest deeper than {MAX_DEPTH}")
                found = self.store.read_tree(tree_oid)
            except (CorruptError, MissingContentError) as error:
                yield self._unreachable(tree_oid, path, error)
                continue
            batch.add(tree_oid, path, found)
            if DIRECTORY in found.kinds:
                prefix = path + b"/" if path else b""
                stack += [
                    (entry.oid, prefix + entry.name, depth + 1)
                    for entry in found
                    if entry.kind == DIRECTORY
                ]
            if len(batch.files) >= limit:
                yield from self._resolve(batch)
                batch = _Batch()
        yield from self._resolve(batch)

    def _resolve(self, batch: _Batch) -> Iterator[Unreachable]:
        """Mark what a batch names, with the parts of what is stored in chunks."""
        batch.files -= self._without
        missing, lists, _ = self._set(batch.files)
        self.store.expect(lists)
        broken: dict[Oid, CorruptError | MissingContentError] = {
            Oid(oid): MissingContentError(f"the object {oid.hex()} is not in the store")
            for oid in missing
        }
        chunks: set[bytes] = set()
        waiting: list[Oid] = []
        for oid in lists:
            waiting.append(oid)
            below: set[bytes] = set()
            try:
                self.store.gather(oid, below, chunks)
            except (CorruptError, MissingContentError) as error:
                broken[oid] = error
            self._set(below)
            if len(chunks) >= _MANY:
                broken.update(self._settle(chunks, waiting))
                chunks, waiting = set(), []
        broken.update(self._settle(chunks, waiting))
        if broken:
            for oid, path in batch.paths(self.store, broken):
                yield self._unreachable(oid, path, broken[oid])

    def _unreachable(
        self, oid: Oid, path: bytes, error: CorruptError | MissingContentError
    ) -> Unreachable:
        if isinstance(error, MissingContentError):
            self.missing.add(oid)
        return Unreachable(oid, path, error)

    def _settle(
        self, chunks: set[bytes], lists: Sequence[Oid]
    ) -> Iterator[tuple[Oid, CorruptError | MissingContentError]]:
        """Mark the chunks of some objects; if not all are as they should be, say which ones."""
        missing, _, odd = self._set(chunks)
        for oid in lists if missing or odd else ():
            try:
                for _ in self.store.parts(oid):
                    pass
            except (CorruptError, MissingContentError) as error:
                yield oid, error

    def _set(self, oids: set[bytes]) -> tuple[set[bytes], list[Oid], bool]:
        """Mark objects, each where the index has it first.

        Returns those that are nowhere, those marked now that are stored in chunks, and whether any
        of all is a chunk list.
        """
        left = oids
        lists: list[Oid] = []
        odd = False
        for one, avoided in ((one, avoided) for avoided in self._choices for one in self.segments):
            if not left:
                break
            bits = self._bits[one.name]
            lost = [
                number.to_bytes(4, "little")
                for number, (name, _) in enumerate(one.packs)
                if name in avoided
            ]
            found: list[bytes] = []
            for first, flags, block in one.hits(left):
                hits = _without(flags, block, lost) if lost else flags
                found += compress(oids_of(block), hits)
                old = bits[first : first + len(hits)]
                new = bytes(map(operator.or_, hits, old)) if any(old) else hits
                bits[first : first + len(hits)] = new
                self.count += new.count(1) - old.count(1)
                kinds = block[_KIND_AT :: ROW.size]
                if not _LIST_KINDS.isdisjoint(kinds):
                    odd = odd or not _LIST_KINDS.isdisjoint(compress(kinds, hits))
                    lists += [
                        oid
                        for oid, kind, hit, was in zip(
                            oids_of(block), kinds, hits, old, strict=True
                        )
                        if hit and not was and kind in _TOP_KINDS
                    ]
            if are_all(found, left):
                left = set()
            elif found:
                left = left.difference(found)
        return left, lists, odd


def _without(flags: bytes, block: bytes, lost: Sequence[bytes]) -> bytes:
    """Take back the flags of rows that lie in some packs, given by their ordinals."""
    at = OID_SIZE
    return bytes(
        flag and block[row + at : row + at + 4] not in lost
        for row, flag in zip(range(0, len(block), ROW.size), flags, strict=True)
    )


class _Batch:
    """Some trees, and what they name but directories.

    The paths of what is missing are looked for only when something is.
    """

    def __init__(self) -> None:
        self.files: set[bytes] = set()
        self._trees: list[tuple[Oid, bytes]] = []

    def add(self, oid: Oid, path: bytes, tree: Tree) -> None:
        """Add a tree that was found at a path."""
        self._trees.append((oid, path))
        self.files.add(oid)
        oids = split_oids(tree.oids)
        if DIRECTORY not in tree.kinds:
            self.files.update(oids)
            return
        entries = zip(oids, tree.kinds, strict=True)
        self.files.update(oid for oid, kind in entries if kind != DIRECTORY)

    def paths(self, store: Store, wanted: Container[Oid]) -> Iterator[tuple[Oid, bytes]]:
        """Yield each of the objects that is wanted, with a path of it."""
        if not self._trees:
            for oid in self.files:
                yield Oid(oid), b""
        for tree_oid, path in self._trees:
            if tree_oid in wanted:
                yield tree_oid, path
            prefix = path + b"/" if path else b""
            for entry in store.read_tree(tree_oid):
                if entry.kind != DIRECTORY and entry.oid in wanted:
                    yield entry.oid, prefix + entry.name
