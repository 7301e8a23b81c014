"""Walking lineage: from an object up to what made it, or down to what was made with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, NamedTuple

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, MissingContentError
from dver.base.oid import Oid
from dver.formats.kinds import DIRECTORY
from dver.lineage.index import path_of

if TYPE_CHECKING:
    from dver.lineage.index import LineageIndex
    from dver.store.walk import TreeSource

#: No walk takes in more records than this.
MAX_RECORDS = 100_000


class ObjectNode(NamedTuple):
    """Some content: its oid, the paths that records give it, its kind and size in bytes."""

    oid: Oid
    kind: str
    size: int
    paths: tuple[str, ...]


class Edge(NamedTuple):
    """An object is an input (``role`` as recorded) or an output of a record."""

    oid: Oid
    record: Oid
    output: bool
    role: str
    path: str


@dataclass(slots=True)
class Graph:
    """What a walk found: the objects, the records, and how they hang together.

    ``start`` are the objects that the walk began with; ``records`` have their numbers in the index.
    ``inside`` tells of which directory an object is a part, where only that is known. ``cut`` is
    true if there was more.
    """

    start: list[Oid] = field(default_factory=list)
    objects: dict[Oid, ObjectNode] = field(default_factory=dict)
    records: dict[Oid, int] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    inside: dict[Oid, list[Oid]] = field(default_factory=dict)
    cut: bool = False


class Walker:
    """Walks the records of an index. ``trees`` is where directories can be read from."""

    def __init__(self, index: LineageIndex, trees: TreeSource) -> None:
        self._index = index
        self._trees = trees
        self._inside: dict[Oid, list[Oid]] | None = None

    def up(self, start: Iterable[Oid], depth: int | None = None) -> Graph:
        """Return what made some objects, what that was made of, and so on.

        ``depth`` bounds how many records lie one behind the other.
        """
        return self._walk(Graph(list(start)), depth, down=False)

    def down(self, start: Iterable[Oid], depth: int | None = None) -> Graph:
        """Return what was made with some objects, or with directories that hold them."""
        return self._walk(Graph(list(start)), depth, down=True)

    def from_record(self, record_id: Oid, depth: int | None, *, down: bool) -> Graph:
        """Walk from one record: down from its outputs, or up from its inputs."""
        graph = Graph()
        num = self._index.number(record_id)
        if num is not None:
            graph.start = list(self._add(graph, {record_id: num}, outputs=down))
        return self._walk(graph, depth, down=down)

    def _walk(self, graph: Graph, depth: int | None, *, down: bool) -> Graph:
        """Go on from the start, one level of records after the other."""
        frontier = list(dict.fromkeys(graph.start))
        seen = set(frontier)
        level = 0
        while frontier:
            new: dict[Oid, int] = {}
            for one, num in self._records_of(graph, frontier, level, down=down):
                if one in graph.records or one in new:
                    continue
                full = len(graph.records) + len(new) >= MAX_RECORDS
                if full or (depth is not None and level >= depth):
                    graph.cut = True
                    break
                new[one] = num
            found = self._add(graph, new, outputs=down)
            frontier = [oid for oid in found if oid not in seen]
            seen.update(frontier)
            level += 1
        return graph

    def _records_of(
        self, graph: Graph, oids: Sequence[Oid], level: int, *, down: bool
    ) -> Iterator[tuple[Oid, int]]:
        """Yield the records that come next from some objects, in their order."""
        related = self._index.related(oids, made=not down)
        for oid in oids:
            records = related.get(oid, {})
            yield from records.items()
            if down or (level == 0 and not records):
                # It may be known only as a part of something larger.
                trees = self._directories_with(graph, oid)
                if trees:
                    for some in self._index.related(trees, made=not down).values():
                        yield from some.items()

    def _add(self, graph: Graph, records: dict[Oid, int], *, outputs: bool) -> dict[Oid, None]:
        """Take records in; return the objects that the walk goes on with."""
        graph.records.update(records)
        rows = self._index.edges(list(records.values()))
        onward: dict[Oid, None] = {}
        objects, edges = graph.objects, graph.edges
        for record_id, num in records.items():
            for _, made, oid, role, kept, kind, size in rows[num]:
                path = kept if isinstance(kept, str) else path_of(kept)
                edges.append(Edge(oid, record_id, made == 1, role, path))
                old = objects.get(oid)
                if old is None:
                    objects[oid] = ObjectNode(oid, kind, size, (path,))
                elif path not in old.paths:
                    objects[oid] = old._replace(paths=(*old.paths, path))
                if (made == 1) == outputs:
                    onward[oid] = None
        return onward

    def _directories_with(self, graph: Graph, oid: Oid) -> list[Oid]:
        """Return the directories among all inputs and outputs that hold an object somewhere."""
        found = [one for one in self._holders(graph).get(oid, ()) if one != oid]
        if found:
            graph.inside[oid] = found
        return found

    def _holders(self, graph: Graph) -> dict[Oid, list[Oid]]:
        """Return for each object that records name in which recorded directories it lies.

        Found out once, by going through all directories as far as they are here.
        """
        if self._inside is None:
            self._inside = {}
            trees = self._index.trees()
            if not trees:
                return self._inside
            known = self._index.objects() | set(graph.start)
            parts: dict[Oid, frozenset[Oid]] = {}
            for tree in trees:
                for oid in self._parts(tree, known, parts):
                    self._inside.setdefault(oid, []).append(tree)
        return self._inside

    def _parts(
        self, tree: Oid, known: set[Oid], parts: dict[Oid, frozenset[Oid]]
    ) -> frozenset[Oid]:
        """Return those of the known objects that lie in a directory at any depth."""
        if tree in parts:
            return parts[tree]
        parts[tree] = frozenset()
        try:
            listed = self._trees.read_tree(tree)
        except (MissingContentError, CorruptError):
            return parts[tree]
        oids = [listed.oid(i) for i in range(len(listed))]
        found = known.intersection(oids)
        for i, kind in enumerate(listed.kinds):
            if kind == DIRECTORY:
                found |= self._parts(oids[i], known, parts)
        parts[tree] = frozenset(found)
        return parts[tree]
