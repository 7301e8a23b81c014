"""How much room data takes: as files, and in the store after dedup and compression."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError, MissingContentError, UsageError
from dver.base.fsio import explained
from dver.base.oid import Oid
from dver.base.reporter import Reporter, Task
from dver.formats.pack import LIST_KINDS
from dver.formats.tree import DIRECTORY, Entry
from dver.git.history import history
from dver.git.pointers import data_path, read_blobs
from dver.ops.targets.scope import Scope
from dver.ops.targets.sources import RemoteBehind
from dver.ops.targets.versions import decode_pointer, no_such_path, typed_path, version_at
from dver.store import walk
from dver.store.store import Store
from dver.workspace.building import entry_of

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class DuOptions:
    """What to measure.

    ``paths`` restrict to targets and paths inside them; none means every target. ``rev`` None
    reads the pointers in the work tree; ``all`` sums over every version that any ref reaches.
    ``depth`` is how many levels below each path to list by themselves.
    """

    paths: tuple[str, ...] = ()
    rev: str | None = None
    all: bool = False
    depth: int = 0


@dataclass(frozen=True, slots=True)
class DuEntry:
    """One target or directory. All sizes are in bytes.

    ``size`` is what its files add up to (over all versions with ``all``), ``unique`` what its
    distinct contents add up to, ``stored`` what they take in the local store. What two entries
    share counts in both. ``missing`` counts contents that are not in the local store, which
    ``stored`` then lacks.
    """

    path: str
    kind: Literal["file", "directory"]
    size: int
    files: int
    unique: int
    stored: int
    versions: int = 1
    missing: int = 0


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """What the local store takes on disk, in bytes, whoever it belongs to."""

    path: str
    packs: int
    pack_bytes: int
    index_bytes: int
    link_bytes: int
    other_bytes: int

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return self.pack_bytes + self.index_bytes + self.link_bytes + self.other_bytes


@dataclass(frozen=True, slots=True)
class DuResult:
    """The entries, largest first; ``total`` counts what they share once."""

    rev: str | None
    entries: tuple[DuEntry, ...]
    total: DuEntry
    store: StoreUsage


def du(repo: Repo, options: DuOptions, reporter: Reporter) -> DuResult:
    """Measure targets, parts of them, and the local store.

    Raises NotFoundError for a path that nothing tracked is at. What is not in the local store is
    counted as missing, and nothing is fetched.
    """
    if options.all and options.rev is not None:
        raise UsageError("all versions or one revision can be measured, not both at once")
    scope = Scope([typed_path(repo, path) for path in options.paths])
    counts: dict[Oid, int] = {}
    contents = dict(_selected(repo, options, scope, counts, reporter))
    for path in scope.unmatched():
        raise no_such_path(repo, version_at(repo, options.rev), path)
    total = _Measure(repo.store)
    entries: list[DuEntry] = []
    with reporter.task("Measuring", unit="files") as task:
        whole = DuEntry("", "directory", 0, 0, 0, 0, 0, 0)
        for path, versions in contents.items():
            rows = list(_rows(repo, path, versions, counts, options.depth, task))
            entries += rows
            whole = replace(
                whole,
                size=whole.size + rows[0].size,
                files=whole.files + rows[0].files,
                versions=max(whole.versions, rows[0].versions),
            )
            if len(contents) > 1:
                total.add_all(versions, Task())
    whole = replace(entries[0], path="") if len(contents) == 1 else total.fill(whole)
    entries.sort(key=lambda entry: (-entry.size, entry.path))
    return DuResult(options.rev, tuple(entries), whole, _store_usage(repo.store))


def _selected(
    repo: Repo, options: DuOptions, scope: Scope, counts: dict[Oid, int], reporter: Reporter
) -> Iterator[tuple[bytes, list[Entry]]]:
    """Yield what is to be measured: a path, and the distinct entries it has in the versions.

    ``counts`` is filled with the numbers of files that pointers tell of their trees.
    """
    with RemoteBehind(repo) as source:
        for target, versions in sorted(_targets(repo, options, scope, counts, reporter).items()):
            parts = scope.inside(target)
            if parts == ():
                yield target, versions
            for part in parts or ():
                found = [
                    entry
                    for version in versions
                    if version.kind == DIRECTORY and (entry := walk.find(source, version.oid, part))
                ]
                if found:
                    path = walk.join(target, part)
                    scope.matched([path])
                    yield path, list({entry.oid: entry for entry in found}.values())


def _targets(
    repo: Repo, options: DuOptions, scope: Scope, counts: dict[Oid, int], reporter: Reporter
) -> dict[bytes, list[Entry]]:
    """Return the distinct contents of every target that the scope may select, by path."""
    found: dict[bytes, dict[Oid, Entry]] = {}
    for path, pointer in version_at(repo, options.rev, scope).pointers.items():
        found.setdefault(path, {})[pointer.oid] = entry_of(pointer)
        counts[pointer.oid] = pointer.files
    if options.all:
        revisions = ["--all"] if repo.git.head() is None else ["--all", "HEAD"]
        under = scope.paths or (b"",)
        changes = [
            (change.path, change.blob)
            for change in history(repo.git, revisions, under, ancestors=True)
            if change.blob is not None
        ]
        blobs = read_blobs(repo.git, (blob for _, blob in changes))
        for at, blob in changes:
            try:
                pointer = decode_pointer(repo, at, blobs[blob], " in history")
            except FormatError as error:
                reporter.warn(f"left out: {error.message}")
                continue
            found.setdefault(data_path(at), {})[pointer.oid] = entry_of(pointer)
            counts[pointer.oid] = pointer.files
    return {path: list(versions.values()) for path, versions in found.items()}


def _rows(
    repo: Repo,
    path: bytes,
    versions: Sequence[Entry],
    counts: Mapping[Oid, int],
    depth: int,
    task: Task,
) -> Iterator[DuEntry]:
    """Yield the row of a path, then those of the directories below it down to a depth."""
    measure = _Measure(repo.store)
    measure.add_all(versions, task)
    is_directory = any(entry.kind == DIRECTORY for entry in versions)
    yield measure.fill(
        DuEntry(
            path=repo.display(path),
            kind="directory" if is_directory else "file",
            size=sum(entry.size for entry in versions),
            files=sum(_files(repo.store, entry, counts) for entry in versions),
            unique=0,
            stored=0,
            versions=len(versions),
        )
    )
    if depth == 0:
        return
    below: dict[bytes, dict[Oid, Entry]] = {}
    for entry in versions:
        if entry.kind == DIRECTORY and repo.store.is_complete(entry.oid):
            for child in repo.store.read_tree(entry.oid):
                if child.kind == DIRECTORY:
                    below.setdefault(child.name, {})[child.oid] = child
    for name, children in sorted(below.items()):
        inner = walk.join(path, name)
        yield from _rows(repo, inner, list(children.values()), counts, depth - 1, task)


def _files(store: Store, entry: Entry, counts: Mapping[Oid, int]) -> int:
    if entry.kind != DIRECTORY:
        return 1
    if entry.oid in counts:
        return counts[entry.oid]
    try:
        return store.read_tree(entry.oid).files
    except MissingContentError:
        return 0


class _Measure:
    """What some contents take together, each counted once."""

    def __init__(self, store: Store) -> None:
        self.unique = self.stored = self.missing = 0
        self._store = store
        self._contents: set[Oid] = set()
        self._chunks: set[Oid] = set()
        self._trees: set[Oid] = set()

    def add_all(self, entries: Sequence[Entry], task: Task) -> None:
        """Count entries, with all that is below directories."""
        tops = [entry.oid for entry in entries if entry.kind == DIRECTORY]
        for entry in entries:
            if entry.kind != DIRECTORY:
                self._add(entry.oid, entry.size)
                task.advance()
        for oid, tree in walk.distinct(self._store, tops, seen=self._trees, missing=self._miss):
            self._add_stored(oid)
            for i, kind in enumerate(tree.kinds):
                if kind != DIRECTORY:
                    self._add(tree.oid(i), tree.sizes[i])
            task.advance(len(tree))

    def fill(self, row: DuEntry) -> DuEntry:
        """Return a row with what was counted."""
        return replace(row, unique=self.unique, stored=self.stored, missing=self.missing)

    def _miss(self, _oid: Oid) -> None:
        self.missing += 1

    def _add(self, oid: Oid, size: int) -> None:
        if oid not in self._contents:
            self._contents.add(oid)
            self.unique += size
            self._add_stored(oid)

    def _add_stored(self, oid: Oid) -> None:
        place = self._store.place(oid)
        if place is None:
            self.missing += 1
        elif place.kind not in LIST_KINDS:
            # A small file may be a chunk of a larger one as well.
            self.stored += 0 if oid in self._chunks else place.stored
        else:
            try:
                for part, where in self._store.parts(oid):
                    if part not in self._chunks:
                        self._chunks.add(part)
                        known = part in self._contents and part != oid
                        self.stored += 0 if known else where.stored
            except MissingContentError:
                self.missing += 1


def _store_usage(store: Store) -> StoreUsage:
    """Add up the files of the local store, as they are on disk."""
    directory = store.local_directory()
    packs = 0
    sums = dict.fromkeys(("packs", "index", "links", "other"), 0)
    with explained("read", directory):
        for where, _, names in os.walk(directory):
            top = os.path.relpath(where, directory).split(os.sep)[0]
            part = top if top in sums else "other"
            if top in _NOT_THE_STORE:
                continue
            for name in names:
                size = os.lstat(os.path.join(where, name)).st_size
                sums[part] += size
                packs += part == "packs"
    return StoreUsage(directory, packs, sums["packs"], sums["index"], sums["links"], sums["other"])


#: What stands in the same directory when the store is where it is by default.
_NOT_THE_STORE = frozenset({"stat", "remotes"})
