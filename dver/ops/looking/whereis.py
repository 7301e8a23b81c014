"""Where the content of some data is: here, in the link cache, in which remotes."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import field, replace
from typing import TYPE_CHECKING, Literal

from dver.base.dataclass import dataclass
from dver.base.errors import (
    ConfigError,
    CorruptError,
    DverError,
    MissingContentError,
    RemoteError,
    SystemFailure,
)
from dver.base.oid import Oid, format_oid, parse_oid
from dver.base.reporter import Reporter
from dver.config.remotes import find_remote, list_remotes
from dver.formats import pack
from dver.formats.pack import LIST_KINDS
from dver.formats.segment import Place
from dver.formats.tree import DIRECTORY, EXECUTABLE, FILE, Entry, Tree
from dver.ops.targets.kinds import KindWord, kind_word
from dver.ops.targets.remembered import remembered
from dver.ops.targets.scope import Scope
from dver.ops.targets.sources import RemoteBehind
from dver.ops.targets.versions import entry_at, locate, typed_path, version_at
from dver.store import walk
from dver.store.store import Store
from dver.store.tombstones import explain

if TYPE_CHECKING:
    from dver.repo import Repo

PlaceState = Literal["complete", "partial", "absent", "unknown"]


@dataclass(frozen=True, slots=True)
class WhereisOptions:
    """What to look for: a path (as for ``get``) or an oid, with or without ``blake3:``.

    ``rev`` None reads the pointers in the work tree. ``check`` asks the remotes now instead of
    answering from what was last seen of them. ``remotes`` restricts to those names.
    """

    what: str
    rev: str | None = None
    check: bool = False
    remotes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What one place has of the content.

    ``present`` of ``objects`` distinct objects and ``present_bytes`` of ``bytes`` bytes are
    there. ``unknown`` means that nothing can be said, and ``problem`` why. ``checked`` says
    that the place itself was asked just now.
    """

    name: str
    role: Literal["store", "links", "remote"]
    description: str
    state: PlaceState
    present: int = 0
    objects: int = 0
    present_bytes: int = 0
    bytes: int = 0
    checked: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class WhereisResult:
    """The content that was asked for, and every place.

    ``path`` is None for a bare oid; ``kind`` and ``size`` are None when nothing here tells them.
    ``purged`` tells when, by whom and why it was purged, None if it was not, as far as is known.
    """

    path: str | None
    oid: str
    kind: KindWord | None
    size: int | None
    places: tuple[Whereabouts, ...]
    purged: str | None = None

    @property
    def found(self) -> bool:
        """Whether at least one place has all of it."""
        return any(place.state == "complete" for place in self.places)


@dataclass(slots=True)
class _Needs:
    """The distinct objects that some content consists of, with their sizes as files (bytes).

    Directories count as objects of no size. ``whole`` is False when a directory's listing could
    not be read, so that there is more than what is known.
    """

    top: Oid
    sizes: dict[Oid, int] = field(default_factory=dict)
    files: dict[tuple[Oid, bool], int] = field(default_factory=dict)
    whole: bool = True


class _Forgiving:
    """A tree source for which a remote that fails is one that does not have it."""

    def __init__(self, source: walk.TreeSource) -> None:
        self._source = source

    def read_tree(self, oid: Oid) -> Tree:
        """Return a tree. Raises MissingContentError, whatever the reason."""
        try:
            return self._source.read_tree(oid)
        except (RemoteError, SystemFailure, ConfigError) as error:
            raise MissingContentError(error.message) from error


def whereis(repo: Repo, options: WhereisOptions, reporter: Reporter) -> WhereisResult:
    """Tell where the content of a path or an oid is, and how much of it.

    Without ``check`` nothing is asked over the network: remotes answer from what this clone last
    saw of them. With it a remote that fails is an unknown place, not an error. Raises
    NotFoundError for a path that is not tracked.
    """
    with reporter.task("Looking", unit="objects") as task, RemoteBehind(repo) as behind:
        source: walk.TreeSource = _Forgiving(behind) if options.check else repo.store
        path, oid, entry = _what(repo, options, source)
        needs = _needs(oid, entry, source)
        places = [_local(repo, needs), _links(repo, needs)]
        task.advance(len(needs.sizes))
        for name in options.remotes or [one.name for one in list_remotes(repo.config)]:
            places.append(_remote(repo, name, needs, check=options.check))
            task.advance(len(needs.sizes))
    return WhereisResult(
        path,
        format_oid(oid),
        None if entry is None else kind_word(entry.kind),
        None if entry is None else entry.size,
        tuple(places),
        explain(repo.store.local_directory(), oid),
    )


def _what(
    repo: Repo, options: WhereisOptions, source: walk.TreeSource
) -> tuple[str | None, Oid, Entry | None]:
    with suppress(ValueError):
        oid = parse_oid(options.what)
        return None, oid, _entry_of(repo, oid)
    path = typed_path(repo, options.what)
    version = version_at(repo, options.rev, Scope([path]))
    entry = entry_at(repo, version, locate(repo, version, path), source)
    return repo.display(path), entry.oid, entry


def _entry_of(repo: Repo, oid: Oid) -> Entry | None:
    """Return what the local store knows of a bare oid."""
    place = repo.store.place(oid)
    with suppress(CorruptError, MissingContentError):
        if place is not None and place.kind in (pack.TREE, pack.TREE_LIST):
            return Entry(DIRECTORY, b"", repo.store.read_tree(oid).size, oid)
        if place is not None:
            return Entry(FILE, b"", repo.store.size(oid), oid)
    return None


def _needs(oid: Oid, entry: Entry | None, source: walk.TreeSource) -> _Needs:
    needs = _Needs(oid)
    if entry is None or entry.kind != DIRECTORY:
        needs.sizes[oid] = 0 if entry is None else entry.size
        needs.whole = entry is not None
        if entry is not None:
            needs.files[oid, entry.kind == EXECUTABLE] = entry.size
        return needs

    def miss(lost: Oid) -> None:
        needs.sizes[lost] = 0
        needs.whole = False

    for tree_oid, tree in walk.distinct(source, [oid], missing=miss):
        needs.sizes[tree_oid] = 0
        for i, kind in enumerate(tree.kinds):
            if kind != DIRECTORY:
                needs.sizes[tree.oid(i)] = tree.sizes[i]
            if kind in (FILE, EXECUTABLE):
                needs.files[tree.oid(i), kind == EXECUTABLE] = tree.sizes[i]
    return needs


def _count(needs: _Needs, has: Callable[[Oid], bool], place: Whereabouts) -> Whereabouts:
    """Fill in how much of the content a place has."""
    present = [oid for oid in needs.sizes if has(oid)]
    state: PlaceState = "partial" if present else "absent"
    problem = None
    if len(present) == len(needs.sizes):
        state = "complete" if needs.whole else "unknown"
        problem = None if needs.whole else "what it consists of is not known here"
    return replace(
        place,
        state=state,
        present=len(present),
        objects=len(needs.sizes),
        present_bytes=sum(needs.sizes[oid] for oid in present),
        bytes=sum(needs.sizes.values()),
        problem=problem,
    )


def _local(repo: Repo, needs: _Needs) -> Whereabouts:
    store = repo.store
    place = Whereabouts("local", "store", store.local_directory(), "absent", checked=True)
    return _count(needs, store.is_complete, place)


def _links(repo: Repo, needs: _Needs) -> Whereabouts:
    from dver.workspace.links import LinkCache

    cache = LinkCache(repo.store.local_directory())
    present = [
        size
        for (oid, executable), size in needs.files.items()
        if cache.find(oid, size, executable=executable) is not None
    ]
    state: PlaceState = "partial" if present else "absent"
    if present and len(present) == len(needs.files) and needs.whole:
        state = "complete"
    return Whereabouts(
        name="links",
        role="links",
        description=os.fsdecode(cache.directory),
        state=state,
        present=len(present),
        objects=len(needs.files),
        present_bytes=sum(present),
        bytes=sum(needs.files.values()),
        checked=True,
    )


def _remote(repo: Repo, name: str, needs: _Needs, *, check: bool) -> Whereabouts:
    place = Whereabouts(name, "remote", find_remote(repo.config, name).location, "unknown")
    if check:
        try:
            return _ask(repo, name, needs, place)
        except DverError as error:
            return replace(place, problem=error.message)
    view = remembered(repo, name)
    if not view.known:
        return replace(place, problem="it was never asked; --check asks it")
    found = _count(needs, view.__contains__, place)
    if found.state != "complete" and view.keeps(needs.top):
        found = replace(found, state="complete", problem=None)
        found = replace(found, present=found.objects, present_bytes=found.bytes)
    return found


def _ask(repo: Repo, name: str, needs: _Needs, place: Whereabouts) -> Whereabouts:
    """Ask a remote now; an object counts if its pack is there in full size."""
    from dver.transfer.reader import reader
    from dver.transfer.remote import lost_packs

    remote = repo.open_remote(name, write=False)
    try:
        place = replace(place, checked=True)
        store = reader(remote)
        if store is None:
            return _count(needs, lambda _: False, place)
        remote.refresh_roots()
        lost = lost_packs(remote.index.packs(), remote.list_packs())
        found = {oid for oid, at in remote.locate(needs.sizes) if _is_there(store, oid, at, lost)}
        return _count(needs, found.__contains__, place)
    finally:
        remote.close()


def _is_there(store: Store, oid: Oid, place: Place, lost: frozenset[bytes]) -> bool:
    if place.kind not in LIST_KINDS:
        return place.pack not in lost
    try:
        return all(part.pack not in lost for _, part in store.parts(oid))
    except (CorruptError, MissingContentError):
        return False
