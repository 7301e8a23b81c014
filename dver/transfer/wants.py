"""Going down through directories, here and in a remote, to the files that are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import field

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, FormatError, MissingContentError
from dver.base.oid import Oid, split_oids
from dver.formats import tree as trees
from dver.formats.segment import columns
from dver.formats.tree import DIRECTORY, MAX_DEPTH, Tree
from dver.store.store import Store
from dver.store.walk import Budget
from dver.transfer.closure import Reason, solid_rows
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
    that cannot be had, and what was ``purged`` and must not be brought.
    """

    local: Store
    fetcher: TreeFetcher
    failed: dict[Oid, Reason]
    purged: AbstractSet[Oid] = frozenset()
    files: dict[Oid, int] = field(default_factory=dict)
    #: Each size once, as an object; a million of them take 32 MB.
    _sizes: dict[int, int] = field(default_factory=dict)

    def run(self, wants: Iterable[Want]) -> None:
        """Go down from all of these. Raises FormatError for trees no directory ever had."""
        level: _Level = {}
        for want in wants:
            if want.kind == "tree":
                level[want.oid, want.inside] = None
            else:
                self.files[want.oid] = want.size
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
        self._leave_out_what_is_here()

    def _read(self, level: _Level) -> Iterator[tuple[Tree, tuple[bytes, ...]]]:
        absent = dict.fromkeys(oid for oid, _ in level if not self.local.has(oid))
        for oid in absent.keys() & self.purged:
            self.failed[oid] = "purged"
            del absent[oid]
            for key in [key for key in level if key[0] == oid]:
                del level[key]
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
                    self.files[entry.oid] = entry.size
            return
        oids = list(split_oids(tree.oids))
        sizes = map(self._sizes.setdefault, tree.sizes, tree.sizes)
        if DIRECTORY not in tree.kinds:
            self.files.update(zip(oids, sizes, strict=True))
            return
        for oid, size, kind in zip(oids, sizes, tree.kinds, strict=True):
            if kind == DIRECTORY:
                below[oid, ()] = None
            else:
                self.files[oid] = size

    def _leave_out_what_is_here(self) -> None:
        """Go over the local index once for all files, not once for each."""
        absent: set[bytes] = set(self.files)
        lists: set[bytes] = set()
        index = self.local.index
        for segment in index.segments:
            for rows in segment.among(absent):
                found = columns(rows)
                solid = solid_rows(segment, found, index.lost_packs)
                absent.difference_update(map(found.oids.__getitem__, solid))
                lists.update(absent.intersection(found.oids))
        absent.difference_update([oid for oid in lists if self.local.is_complete(Oid(oid))])
        if len(absent) < len(self.files):
            self.files = {oid: size for oid, size in self.files.items() if oid in absent}
        for oid in self.files.keys() & self.purged:
            self.failed[oid] = "purged"
            del self.files[oid]
