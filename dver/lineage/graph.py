"""Walking lineage: from an object up to what made it, or down to what was made with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dver.base.errors import CorruptError, MissingContentError
from dver.base.oid import Oid
from dver.formats.kinds import DIRECTORY
from dver.formats.record import Item, Record

if TYPE_CHECKING:
    from dver.lineage.index import LineageIndex
    from dver.store.walk import TreeSource

#: No walk takes in more records than this.
MAX_RECORDS = 100_000


@dataclass(frozen=True, slots=True)
class ObjectNode:
    """Some content: its oid, the paths that records give it, its kind and size in bytes."""

    oid: Oid
    kind: str
    size: int
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """An object is an input (``role`` as recorded) or an output of a record."""

    oid: Oid
    record: Oid
    output: bool
    role: str
    path: str


@dataclass(slots=True)
class Graph:
    """What a walk found: the objects, the records, and how they hang together.

    ``start`` are the objects that the walk began with. ``inside`` tells of which directory an
    object is a part, where only that is known. ``cut`` is true if there was more.
    """

    start: list[Oid] = field(default_factory=list)
    objects: dict[Oid, ObjectNode] = field(default_factory=dict)
    records: dict[Oid, Record] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    inside: dict[Oid, list[Oid]] = field(default_factory=dict)
    cut: bool = False

    def take_in(self, item: Item) -> None:
        """Add an object, or a further path of one."""
        old = self.objects.get(item.oid)
        paths = () if old is None else old.paths
        if item.path not in paths:
            paths = (*paths, item.path)
        self.objects[item.oid] = ObjectNode(item.oid, item.kind, item.size, paths)


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
        graph.start = [item.oid for item in self._add(graph, record_id, outputs=down)]
        return self._walk(graph, depth, down=down)

    def _walk(self, graph: Graph, depth: int | None, *, down: bool) -> Graph:
        queue = deque((oid, 0) for oid in graph.start)
        seen = set(graph.start)
        while queue:
            oid, level = queue.popleft()
            ask = self._index.users if down else self._index.makers
            records = ask(oid)
            if down or (level == 0 and not records):
                # It may be known only as a part of something larger.
                records += [one for tree in self._directories_with(graph, oid) for one in ask(tree)]
            for one in records:
                if one in graph.records:
                    continue
                if len(graph.records) >= MAX_RECORDS or (depth is not None and level >= depth):
                    graph.cut = True
                    break
                for item in self._add(graph, one, outputs=down):
                    if item.oid not in seen:
                        seen.add(item.oid)
                        queue.append((item.oid, level + 1))
        return graph

    def _add(self, graph: Graph, record_id: Oid, *, outputs: bool) -> tuple[Item, ...]:
        """Take a record in; return what the walk goes on with."""
        value = self._index.record(record_id)
        if value is None:
            return ()
        graph.records[record_id] = value
        for output, items in ((False, value.inputs), (True, value.outputs)):
            for item in items:
                graph.take_in(item)
                graph.edges.append(Edge(item.oid, record_id, output, item.role, item.path))
        return value.outputs if outputs else value.inputs

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
            known = self._index.objects() | set(graph.start)
            parts: dict[Oid, frozenset[Oid]] = {}
            for tree in self._index.trees():
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
