"""What can be reached from some objects: a bit per index row, so millions cost megabytes.

An object in two segments is marked where the index finds it first; the other copy stays unmarked,
which is what lets garbage collection drop duplicates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dver.base.errors import CorruptError, MissingContentError
from dver.base.oid import Oid
from dver.formats.tree import DIRECTORY, MAX_DEPTH
from dver.store.index import Segment
from dver.store.store import LIST_KINDS, Store


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
    """Which rows of a store's index were reached."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.segments: list[Segment] = list(store.index.segments)
        self._bits = {one.name: bytearray(len(one)) for one in self.segments}
        self._trees: set[Oid] = set()
        self.count = 0

    @classmethod
    def everything(cls, store: Store) -> Marks:
        """Return marks on every object of a store, each at one of its places."""
        marks = cls(store)
        for number, one in enumerate(marks.segments):
            bits = marks._bits[one.name]
            earlier = marks.segments[:number]
            for at, oid in enumerate(one.oids()):
                if not any(marks._row(oid, other) >= 0 for other in earlier):
                    bits[at] = marks._row(oid, one) >= 0
                    marks.count += bits[at]
        return marks

    def _row(self, oid: Oid, segment: Segment) -> int:
        """Return the number of an object's row in a segment, or -1; a lost pack's rows are none."""
        at = segment.ordinal(oid)
        if at >= 0 and self.store.index.lost_packs:
            place = segment.find(oid)
            if place is None or place.pack in self.store.index.lost_packs:
                return -1
        return at

    def __contains__(self, oid: Oid) -> bool:
        return any(
            (at := self._row(oid, one)) >= 0 and self._bits[one.name][at] for one in self.segments
        )

    def bits(self, segment: Segment) -> bytearray:
        """Return one byte per row of a segment, 1 where it was reached."""
        return self._bits[segment.name]

    def mark(self, oid: Oid, kind: str) -> Iterator[Unreachable]:
        """Mark a file's content (``kind`` "file") or a whole directory ("tree").

        Yields what could not be reached and goes on with the rest. Trees that were marked before
        are not walked again.
        """
        stack = [(oid, b"", 0)] if kind == "tree" else []
        if kind != "tree":
            yield from self._object(oid, b"")
        while stack:
            tree_oid, path, depth = stack.pop()
            if tree_oid in self._trees:
                continue
            self._trees.add(tree_oid)
            try:
                if depth > MAX_DEPTH:
                    raise CorruptError(f"directories nest deeper than {MAX_DEPTH}")
                found = self.store.read_tree(tree_oid)
            except (CorruptError, MissingContentError) as error:
                yield Unreachable(tree_oid, path, error)
                continue
            yield from self._object(tree_oid, path)
            prefix = path + b"/" if path else b""
            for i, name in enumerate(found.names):
                if found.kinds[i] == DIRECTORY:
                    stack.append((found.oid(i), prefix + name, depth + 1))
                else:
                    yield from self._object(found.oid(i), prefix + name)

    def mark_all(self, objects: Iterable[tuple[Oid, str]]) -> Iterator[Unreachable]:
        """Mark many (oid, kind)."""
        for oid, kind in objects:
            yield from self.mark(oid, kind)

    def _object(self, oid: Oid, path: bytes) -> Iterator[Unreachable]:
        for one in self.segments:
            at = self._row(oid, one)
            if at >= 0:
                break
        else:
            error = MissingContentError(f"the object {oid.hex()} is not in the store")
            yield Unreachable(oid, path, error)
            return
        bits = self._bits[one.name]
        if bits[at]:
            return
        bits[at] = 1
        self.count += 1
        place = one.find(oid)
        if place is None or place.kind not in LIST_KINDS:
            return
        try:
            for part, _ in self.store.parts(oid):
                self._mark_part(part)
        except (CorruptError, MissingContentError) as error:
            yield Unreachable(oid, path, error)

    def _mark_part(self, oid: Oid) -> None:
        for one in self.segments:
            at = self._row(oid, one)
            if at >= 0:
                bits = self._bits[one.name]
                self.count += not bits[at]
                bits[at] = 1
                return
