"""Free local room: drop content of which enough other copies were found just now."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import DverError, NotFoundError, RefusedError, UsageError
from dver.base.oid import Oid, format_oid, parse_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.config.remotes import find_remote, list_remotes, require_trusted
from dver.git.pointers import data_path, in_workspace
from dver.git.repository import Git
from dver.ops.upkeep.contentnamed import Named, named_content
from dver.ops.upkeep.gc import all_repositories, mark_versions, working_trees
from dver.ops.upkeep.references import referring
from dver.store import gc as collection
from dver.store import removal, walk
from dver.store.affected import Affected
from dver.store.mark import Marks
from dver.store.removal import Removal
from dver.store.store import Store
from dver.store.tombstones import note_holes
from dver.workspace.links import LinkCache

if TYPE_CHECKING:
    from dver.repo import Repo

#: So many paths that lack copies are told.
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class DropOptions:
    """What to drop: paths or oids, at ``revisions`` or, with ``all_versions``, in all of history.

    ``copies`` is how many remotes must have each object, None for the setting ``core.copies``;
    ``remotes`` are those that are asked, none for all. ``verify`` reads the copies instead of
    only looking whether they are there. ``force`` drops whatever is found.
    """

    what: tuple[str, ...]
    revisions: tuple[str, ...] = ()
    all_versions: bool = False
    copies: int | None = None
    remotes: tuple[str, ...] = ()
    verify: bool = False
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class DroppedContent:
    """One version that was named; ``size`` in bytes, None if nothing here tells it."""

    oid: str
    kind: str
    size: int | None
    path: str | None


@dataclass(frozen=True, slots=True)
class CopyPlace:
    """What one remote has of the objects that go: ``found`` of them, ``damaged`` were read in vain.

    ``problem`` says why it was not asked, or could not tell.
    """

    remote: str
    description: str
    found: int = 0
    damaged: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class LackingCopies:
    """A path with too few copies, and the remotes that have it."""

    path: str
    oid: str
    remotes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DropResult:
    """What was dropped, or would be. ``bytes`` of packs and cached files are free then.

    ``objects`` counts files that went; what other versions need of the named ones stays, and so do
    the listings of directories. ``lacking`` are paths with fewer copies than ``copies``: some of
    them, if they are many; ``lacking_objects`` counts all. Such are dropped only by force, and if
    other paths have the same content, told in ``shared``, only if these were named too.
    """

    dry_run: bool
    content: tuple[DroppedContent, ...]
    objects: int
    copies: int
    verified: bool
    places: tuple[CopyPlace, ...]
    lacking: tuple[LackingCopies, ...]
    lacking_objects: int
    shared: tuple[str, ...]
    packs_deleted: int
    packs_rewritten: int
    links: int
    bytes: int


def drop(repo: Repo, options: DropOptions, reporter: Reporter) -> DropResult:
    """Remove versions from the local store, and nothing that any other version needs.

    Each object that goes must be in enough remotes, which are asked now. What other repositories
    that share the store refer to stays. The workspace is not touched, and ``dver fetch`` brings
    the content back.

    Raises RefusedError, with nothing removed, if there are too few copies and no ``force``, or
    if force would take the content of paths along that were not named.
    """
    repo.require_init()
    if not options.what:
        raise UsageError("nothing to drop was named", hint="dver drop PATH...")
    if options.copies is not None and options.copies < 1:
        raise UsageError("at least one copy is needed", hint="--force drops it without any")
    copies = options.copies or repo.config.number("core.copies") or 1
    for name in options.remotes:
        find_remote(repo.config, name)
    with reporter.task("Looking", unit="objects"):
        named = named_content(repo, options.what, options.revisions, every=options.all_versions)
        with repo.store.hold():
            repo.store.refresh()
            chosen = _choose(repo, named, all_repositories(repo), reporter)
    if not any(repo.store.has(one.oid) for one in named):
        raise NotFoundError(
            "nothing of that is in the local store", hint="'dver whereis PATH' tells where it is"
        )
    places, found = _ask(repo, options, chosen.objects, reporter)
    few = {oid for oid in chosen.objects if len(found.get(oid, ())) < copies}
    lacking = _paths(repo, named, few, found)
    if few and not options.force and not options.dry_run:
        raise _refusal(copies, places, few, lacking)
    shared = _shared(repo, options, named, few)
    if shared and not options.dry_run:
        raise _refusal_of_shared(shared, named)
    todo, links, size = _remove(repo, named, chosen, options, reporter)
    return DropResult(
        options.dry_run,
        tuple(DroppedContent(format_oid(o.oid), o.kind, o.size, o.path) for o in named),
        len(chosen.objects),
        copies,
        options.verify,
        places,
        lacking,
        len(few),
        shared,
        len(todo.delete),
        len(todo.rewrite),
        links,
        todo.freed_bytes + size,
    )


def _choose(repo: Repo, named: Sequence[Named], gits: Sequence[Git], reporter: Reporter) -> Removal:
    """Find what only the named versions need, as far as any repository here refers to it."""
    store = repo.store
    own = Marks(store, without=frozenset(one.oid for one in named))
    # The remotes of other repositories are not ours to judge.
    others = Marks(store)
    with reporter.task("Marking", unit="objects") as task:
        mark_versions(own, gits[:1], task)
        mark_versions(others, gits[1:], task)
    collection.require_index(store, own)
    wanted = [(one.oid, one.kind) for one in named]
    return removal.choose(store, wanted, own, others, _listings(store, named))


def _listings(store: Store, named: Sequence[Named]) -> Marks:
    """Return marks on the listings of the named directories: they are short, and tell what was."""
    marks = Marks(store)
    tops = [one.oid for one in named if one.kind == "tree"]
    for oid, _ in walk.distinct(store, tops, missing=lambda _: None):
        for _ in marks.mark(oid, "file"):
            pass
    return marks


def _ask(
    repo: Repo, options: DropOptions, oids: AbstractSet[Oid], reporter: Reporter
) -> tuple[tuple[CopyPlace, ...], Mapping[Oid, Sequence[str]]]:
    """Ask remotes for copies; return what each said, and by object which of them have it."""
    from dver.transfer.copies import copies_in

    told: list[CopyPlace] = []
    found: dict[Oid, list[str]] = {}
    stores: dict[str, str] = {}
    for name in options.remotes or [one.name for one in list_remotes(repo.config)]:
        location = find_remote(repo.config, name).location
        try:
            # What data is not given to is not trusted to keep it either.
            require_trusted(repo.config, find_remote(repo.config, name))
            remote = repo.open_remote(name, write=False, reporter=reporter)
            there = copies_in(repo.store, remote, oids, read=options.verify, reporter=reporter)
        except DverError as error:
            told.append(CopyPlace(name, location, problem=error.message))
            continue
        first = stores.setdefault(there.store_id, name) if there.store_id else name
        if first != name:
            told.append(CopyPlace(name, location, problem=f"it is the same store as {first}"))
            continue
        for oid in there.found:
            found.setdefault(oid, []).append(name)
        told.append(CopyPlace(name, location, len(there.found), len(there.damaged)))
    return tuple(told), found


def _paths(
    repo: Repo, named: Sequence[Named], few: AbstractSet[Oid], found: Mapping[Oid, Sequence[str]]
) -> tuple[LackingCopies, ...]:
    """Return paths of objects with too few copies, as far as they are shown."""
    told: list[LackingCopies] = []
    for oid in sorted(few)[:_SHOWN]:
        tracer = Affected(repo.store, [[oid]], shown=1)
        for one in named:
            harm = tracer.of(one.oid, one.kind).get(0)
            if harm is not None:
                top = one.path or format_oid(one.oid)
                inside = os.fsdecode(harm.paths[0])
                path = f"{top}/{inside}" if inside else top
                told.append(LackingCopies(path, format_oid(oid), tuple(found.get(oid, ()))))
                break
    return tuple(sorted(told, key=lambda one: one.path))


def _refusal(
    copies: int,
    places: Sequence[CopyPlace],
    few: AbstractSet[Oid],
    lacking: Sequence[LackingCopies],
) -> RefusedError:
    lines = [
        f"{show(one.path)}: {'only in ' + ', '.join(one.remotes) if one.remotes else 'no copy'}"
        for one in lacking
    ]
    lines += [f"{one.remote} was not counted: {one.problem}" for one in places if one.problem]
    number = "1 object has" if len(few) == 1 else f"{len(few):,} objects have"
    wanted = "no other copy that was found" if copies == 1 else f"fewer than {copies} other copies"
    return RefusedError(
        f"nothing was dropped: {number} {wanted}",
        hint="'dver push --all' makes copies; --force drops it all the same",
        paths=lines,
    )


def _shared(
    repo: Repo, options: DropOptions, named: Sequence[Named], few: AbstractSet[Oid]
) -> tuple[str, ...]:
    """Return paths that were not named and have any of some objects that are about to go.

    They were named if a path at or above them was. Whoever names content by its oid means it
    wherever it is.
    """
    tops, oids = [], set()
    for word in options.what:
        try:
            oids.add(parse_oid(word))
        except ValueError:
            tops.append(repo.display(repo.locate(word)))
    trees = [one.oid for one in named if one.kind == "tree" and one.oid in oids]
    for oid, tree in walk.distinct(repo.store, trees, missing=lambda _: None):
        oids.add(oid)
        oids.update(tree.oid(at) for at in range(len(tree)))
    asked = [oid for oid in sorted(few) if oid not in oids]
    if not asked:
        return ()

    def is_named(path: str) -> bool:
        return any(path == top or path.startswith(top + "/") or top in ("", ".") for top in tops)

    found: dict[str, None] = {}
    for one in referring(repo, repo.store, asked).references:
        if one.what in ("workspace", "commit") and not is_named(one.path):
            inside = [path for path in one.inside if not is_named(path)]
            # Those that are not told may have been named or not.
            found.update(
                dict.fromkeys(inside or ([one.path] if one.more or not one.inside else []))
            )
    return tuple(sorted(found))


def _refusal_of_shared(shared: Sequence[str], named: Sequence[Named]) -> RefusedError:
    more = len(shared) - _SHOWN
    paths = [show(path) for path in shared[:_SHOWN]]
    number = "another path has" if len(shared) == 1 else f"{len(shared)} other paths have"
    what = " ".join(format_oid(one.oid) for one in named[:3])
    return RefusedError(
        f"nothing was dropped: {number} the same content, and too few other copies of it",
        hint=f"name them too, or the content wherever it is: 'dver drop --force {what}'"
        + (" and so on" if len(named) > 3 else ""),
        paths=[*paths, f"and {more:,} more"] if more > 0 else paths,
    )


def _remove(
    repo: Repo, named: Sequence[Named], checked: Removal, options: DropOptions, reporter: Reporter
) -> tuple[collection.Plan, int, int]:
    store = repo.store
    with store.hold(exclusive=True, timeout=60.0):
        store.refresh()
        gits = all_repositories(repo)
        chosen = _choose(repo, named, gits, reporter)
        if not chosen.objects <= checked.objects and not options.force:
            raise RefusedError(
                "nothing was dropped: what is needed has changed meanwhile",
                hint="run the same command again",
            )
        marks, todo = removal.plan(store, chosen.dead)
        links = size = 0
        for path, length in _unused_links(store, gits, chosen.objects):
            links += 1
            size += length
            if not options.dry_run:
                fsio.remove(path)
        if not options.dry_run:
            note_holes(store.local_directory())
            collection.sweep(store, marks, todo)
    return todo, links, size


def _unused_links(
    store: Store, gits: Sequence[Git], oids: AbstractSet[Oid]
) -> Iterator[tuple[bytes, int]]:
    """Yield (path, size in bytes) of files in the link cache that no workspace is made of."""
    cache = LinkCache(store.local_directory())
    found = {
        path: size
        for oid in oids
        for path, size, gone in cache.drop(oid, only_unused=True, dry_run=True)
        if gone
    }
    if found:
        for git in gits:
            for tree in working_trees(git):
                for target in _symlinks(tree):
                    found.pop(target, None)
    yield from found.items()


def _symlinks(git: Git) -> Iterator[bytes]:
    """Yield what the symlinks in the tracked data of a working tree lead to."""
    root = os.fsencode(git.root)
    for file in in_workspace(git):
        top = os.path.join(root, data_path(file.path))
        if os.path.islink(top):
            yield os.readlink(top)
        for where, below, names in os.walk(top):
            for name in (*below, *names):
                path = os.path.join(where, name)
                if os.path.islink(path):
                    yield os.readlink(path)
