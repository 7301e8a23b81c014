"""Going down through directories, here and in a remote, to the files that are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from dver.base.errors import CorruptError, FormatError, MissingContentError
from dver.base.oid import Oid
from dver.formats import tree as trees
from dver.formats.tree import DIRECTORY, MAX_DEPTH, Tree
from dver.store.store import Store
from dver.store.walk import Budget
from dver.transfer.closure import LISTS, Reason
from dver.transfer.trace import heads

_Level = dict[tuple[Oid, tuple[bytes, ...]], None]


@dataclass(frozen=True, slots=True)
class Want:
    """One file or directory that is wanted here.

    ``size`` is what its pointer promises (bytes). ``inside`` restricts a directory to some paths
    below it; () is all of it. ``path`` and ``commit`` say where it was named, for messages.
    """

    kind: str
    oid: Oid
    size: int
    path: str
    inside: tuple[bytes, ...] = ()
    commit: str = ""


class TreeFetcher:
    """Where trees that are not here come from."""

    def fetch_trees(self, oids: Iterable[Oid], failed: dict[Oid, Reason]) -> Mapping[Oid, bytes]:
        """Return the verified bytes of those trees that can be had; ``failed`` gets the others."""
        raise NotImplementedError


@dataclass(slots=True)
class Descent:
    """Walks down from what is wanted, level by level, so that each level is one round of requests.

    ``files`` collects the wanted files that are not here, with their sizes; ``failed`` the trees
    that cannot be had.
    """

    local: Store
    fetcher: TreeFetcher
    failed: dict[Oid, Reason]
    files: dict[Oid, int] = field(default_factory=dict)

    def run(self, wants: Iterable[Want]) -> None:
        """Go down from all of these. Raises FormatError for trees no directory ever had."""
        level: _Level = {}
        for want in wants:
            if want.kind == "tree":
                level[want.oid, want.inside] = None
            else:
                self._want_file(want.oid, want.size)
        budget = Budget()
        seen: set[tuple[Oid, tuple[bytes, ...]]] = set()
        depth = 0
        while level:
            below: _Level = {}
            for tree, inside in self._read(level):
                budget.spend(tree, depth)
                self._sort(tree, inside, below)
            seen.update(level)
            level = {key: None for key in below if key not in seen}
            depth += 1
            if depth > MAX_DEPTH + 1:
                raise FormatError(f"a tree nests deeper than {MAX_DEPTH} levels")

    def _read(self, level: _Level) -> Iterator[tuple[Tree, tuple[bytes, ...]]]:
        absent = dict.fromkeys(oid for oid, _ in level if not self.local.has(oid))
        fetched = self.fetcher.fetch_trees(absent, self.failed) if absent else {}
        for oid, inside in level:
            try:
                data = fetched[oid] if oid in absent else self.local.read(oid)
                yield trees.decode(data), inside
            except (KeyError, MissingContentError):
                self.failed.setdefault(oid, "missing")
            except CorruptError:
                self.failed.setdefault(oid, "damaged")

    def _sort(self, tree: Tree, inside: tuple[bytes, ...], below: _Level) -> None:
        """Note a tree's wanted files, and its wanted directories for the next level."""
        names = heads(inside)
        if names:
            for name, rest in names.items():
                entry = tree.find(name)
                if entry is None:
                    continue
                if entry.kind == DIRECTORY:
                    below[entry.oid, rest] = None
                elif not rest:
                    self._want_file(entry.oid, entry.size)
            return
        oids, sizes, kinds = tree.oids, tree.sizes, tree.kinds
        for i, kind in enumerate(kinds):
            oid = Oid(oids[32 * i : 32 * i + 32])
            if kind == DIRECTORY:
                below[oid, ()] = None
            else:
                self._want_file(oid, sizes[i])

    def _want_file(self, oid: Oid, size: int) -> None:
        if oid in self.files:
            return
        place = self.local.place(oid)
        if place is None or (place.kind in LISTS and not self.local.is_complete(oid)):
            self.files[oid] = size
