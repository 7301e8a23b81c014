"""Take content out of everything that can be reached, for good: "this must go everywhere"."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dver.base import clock, fsio
from dver.base.clearing import clear_away
from dver.base.dataclass import dataclass
from dver.base.errors import DverError, NotFoundError, RemoteError, UsageError
from dver.base.oid import Oid, format_oid, parse_oid
from dver.base.reporter import Reporter
from dver.config.remotes import find_remote, list_remotes
from dver.formats import purged as notes
from dver.formats.purged import Purged, PurgedObject
from dver.git.repository import Git
from dver.lineage.actor import who
from dver.ops.upkeep.contentnamed import Named, named_content
from dver.ops.upkeep.gc import all_repositories, mark_versions
from dver.ops.upkeep.references import Referring, referring
from dver.store import gc as collection
from dver.store import removal
from dver.store.mark import Marks
from dver.store.tombstones import (
    forget_tombstone,
    keep_tombstones,
    note_holes,
    read_tombstones,
)
from dver.transfer import memory
from dver.workspace.links import LinkCache

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.transfer.gc.purge import PurgedRemote


@dataclass(frozen=True, slots=True)
class PurgeOptions:
    """What to purge: oids, or paths at ``revisions`` or, with ``all_versions``, in all of history.

    ``remotes`` names the remotes, none for all that are configured. ``reason`` is told to whoever
    misses the content. ``dry_run`` only says what would be done. ``lift`` takes the word of earlier
    purges back instead, so that the content may be added again.
    """

    what: tuple[str, ...]
    revisions: tuple[str, ...] = ()
    all_versions: bool = False
    remotes: tuple[str, ...] = ()
    reason: str = ""
    dry_run: bool = False
    lift: bool = False


@dataclass(frozen=True, slots=True)
class PurgedContent:
    """One file or directory that was named; ``size`` in bytes, None if nothing here tells it."""

    oid: str
    kind: str
    size: int | None
    path: str | None


@dataclass(frozen=True, slots=True)
class PurgedHere:
    """What went from this machine, or would. ``bytes`` of packs and files are free then.

    ``objects`` counts files and directories that the store had; ``shared`` are named objects that
    stay, since their bytes are a part of something else. ``links`` are files of the link cache
    and ``left_links`` those of them that stay, since somebody edited them. ``strays`` counts
    leftovers of crashes, repairs and transfers that held any of it. ``workspace`` are paths in
    this working tree that still hold it: they are yours.
    """

    objects: int
    shared: tuple[str, ...]
    packs_deleted: int
    packs_rewritten: int
    links: int
    left_links: tuple[str, ...]
    strays: int
    bytes: int
    workspace: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PurgedThere:
    """What went from one remote, or would. ``problem`` says why it could not be done.

    ``objects`` counts the named objects that were there, ``roots`` the pushes that name one
    directly; ``shared`` are as in PurgedHere. ``refused`` are keys that the remote would not
    delete, ``kept_versions`` keys of which it keeps an old version, ``left`` objects that are still
    there, and ``set_aside`` files in its quarantine in which none of it was found.
    """

    remote: str
    description: str
    objects: int = 0
    roots: int = 0
    shared: tuple[str, ...] = ()
    packs_deleted: int = 0
    packs_rewritten: int = 0
    bytes: int = 0
    refused: tuple[str, ...] = ()
    kept_versions: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left there that could be seen."""
        return not (self.problem or self.refused or self.kept_versions or self.left)


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What a purge did, or would do.

    ``id`` names the word that was left of it, None after a dry run. ``lifted`` are earlier purges
    that were taken back. ``here`` is None if only those were.
    """

    dry_run: bool
    id: str | None
    objects: tuple[PurgedContent, ...]
    referring: Referring
    here: PurgedHere | None
    remotes: tuple[PurgedThere, ...]
    lifted: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or the code of a remote in which something is left."""
        return 0 if all(one.is_clean for one in self.remotes) else RemoteError.exit_code


def purge(repo: Repo, options: PurgeOptions, reporter: Reporter) -> PurgeResult:
    """Remove named content from the store, its caches, and remotes, whoever refers to it.

    Nothing that something else needs goes with it. What cannot be reached is told. Word of the
    purge stays, here and in each remote: whoever misses the content is told so, and no push or
    fetch brings it back. Remotes that fail are told, and do not stop the rest.

    Raises NotFoundError, with nothing changed, for an oid that nothing here or there knows.
    """
    repo.require_init()
    if not options.what:
        raise UsageError("nothing to purge was named", hint="dver purge PATH|OID...")
    for name in options.remotes:
        find_remote(repo.config, name)
    if options.lift:
        return _lift(repo, options, reporter)
    with reporter.task("Looking", unit="objects"):
        named = named_content(repo, options.what, options.revisions, every=options.all_versions)
        with repo.store.hold():
            others = all_repositories(repo)[1:]
        found = referring(repo, repo.store, [one.oid for one in named], others)
    unknown = [one for one in named if not _is_known(repo, one, others)]
    if unknown:
        _refuse_unheard_of(repo, options, unknown, reporter)
    purged = _word(repo, named, options.reason)
    # From now on nothing that runs here sends or brings any of it.
    if not options.dry_run:
        keep_tombstones(repo.store.local_directory(), [purged])
    remotes = tuple(
        _purge_there(repo, name, purged, dry_run=options.dry_run, reporter=reporter)
        for name in options.remotes or [one.name for one in list_remotes(repo.config)]
    )
    here = _purge_here(repo, named, dry_run=options.dry_run, reporter=reporter)
    here = replace(here, workspace=_in_workspace(repo, found))
    return PurgeResult(
        options.dry_run,
        None if options.dry_run else purged.id,
        tuple(PurgedContent(format_oid(o.oid), o.kind, o.size, o.path) for o in named),
        found,
        here,
        remotes,
    )


def _is_known(repo: Repo, one: Named, others: Sequence[Git]) -> bool:
    """Say whether anything here knows of some content: a path, the store, or word of a purge."""
    if one.path is not None or repo.store.has(one.oid):
        return True
    if one.oid in read_tombstones(repo.store.local_directory()):
        return True
    return bool(referring(repo, repo.store, [one.oid], others).references)


def _refuse_unheard_of(
    repo: Repo, options: PurgeOptions, named: Sequence[Named], reporter: Reporter
) -> None:
    """Raise NotFoundError for oids that are nowhere: the word of a slip would stay for good.

    Where a remote cannot be asked, they may be there.
    """
    purged = Purged("0" * 32, 0, "", "", tuple(PurgedObject(one.oid, one.kind) for one in named))
    here = _purge_here(repo, named, dry_run=True, reporter=reporter)
    if here.objects or here.links or here.strays:
        return
    for name in options.remotes or [one.name for one in list_remotes(repo.config)]:
        there = _purge_there(repo, name, purged, dry_run=True, reporter=reporter)
        if there.problem or there.objects or there.packs_deleted or there.packs_rewritten:
            return
    oids = " ".join(format_oid(one.oid) for one in named)
    raise NotFoundError(
        f"nothing was purged: {oids} is nowhere, neither here nor in a remote",
        hint="'dver whereis PATH' tells the oid of a file",
    )


def _word(repo: Repo, named: Iterable[Named], reason: str) -> Purged:
    """Return the word of this purge: that of an earlier one, if it named just the same.

    One that names more will not do: that would go from all remotes as well, and it may be word that
    a remote made up.
    """
    objects = tuple(sorted({PurgedObject(one.oid, one.kind) for one in named}))
    known = read_tombstones(repo.store.local_directory())
    why = notes.clean_text(reason)
    for earlier in known.purges.values():
        if set(earlier.objects) == set(objects) and why in ("", earlier.why):
            return earlier
    actor = who(repo.git, repo.environ)
    name = notes.clean_text(actor.name or actor.user)
    return Purged(os.urandom(16).hex(), clock.now_ns() // 1_000_000_000, name, why, objects)


def _in_workspace(repo: Repo, found: Referring) -> tuple[str, ...]:
    paths = [
        path
        for one in found.references
        if one.what == "workspace"
        for path in (one.inside or (one.path,))
    ]
    return tuple(path for path in paths if os.path.lexists(repo.cwd / path))


# -- here --------------------------------------------------------------------------------------


def _purge_here(
    repo: Repo, named: Sequence[Named], *, dry_run: bool, reporter: Reporter
) -> PurgedHere:
    store = repo.store
    top = store.local_directory()
    wanted = [(one.oid, one.kind) for one in named]
    oids = frozenset(one.oid for one in named)
    with store.hold(exclusive=True, timeout=60.0):
        store.refresh()
        live = Marks(store, without=oids)
        with reporter.task("Marking", unit="objects") as task:
            mark_versions(live, all_repositories(repo), task)
        collection.require_index(store, live)
        chosen = removal.choose(store, wanted, live)
        dead = chosen.dead | (oids - chosen.shared)
        wanted_gone = dead | removal.begun(top)
        marks, todo = removal.plan(store, dead, strays=wanted_gone)
        strays = {os.path.dirname(path) for path in removal.spooled_with(store, wanted_gone)}
        strays.update(removal.set_aside_with(store, wanted_gone))
        size = todo.freed_bytes + sum(map(_size, strays))
        cache = LinkCache(top)
        links, left = 0, []
        for oid in sorted(chosen.objects | (oids - chosen.shared)):
            for file, length, gone in cache.drop(oid, dry_run=dry_run):
                links += gone
                size += length if gone else 0
                if not gone:
                    left.append(os.fsdecode(file))
        if not dry_run:
            note_holes(top)
            removal.begin(top, wanted_gone)
            collection.sweep(store, marks, todo)
            for path in strays:
                _remove(path)
            removal.end(top)
    return PurgedHere(
        objects=len(chosen.objects),
        shared=tuple(format_oid(oid) for oid in sorted(chosen.shared)),
        packs_deleted=len(todo.delete),
        packs_rewritten=len(todo.rewrite),
        links=links,
        left_links=tuple(left),
        strays=len(strays) + len(todo.orphans),
        bytes=size,
        workspace=(),
    )


def _size(path: str) -> int:
    if not os.path.isdir(path):
        return os.lstat(path).st_size
    return sum(os.lstat(os.path.join(path, name)).st_size for name in os.listdir(path))


def _remove(path: str) -> None:
    if os.path.isdir(path):
        with fsio.explained("remove", path):
            fsio.step("unlink")
            clear_away(path)
    else:
        fsio.remove(path)


# -- in a remote -------------------------------------------------------------------------------


def _purge_there(
    repo: Repo, name: str, purged: Purged, *, dry_run: bool, reporter: Reporter
) -> PurgedThere:
    from dver.transfer.gc.purge import purge_remote

    told = PurgedThere(name, find_remote(repo.config, name).location)
    try:
        remote = repo.open_remote(name, write=not dry_run, reporter=reporter)
        told = replace(told, description=remote.storage.description)
        done = purge_remote(repo.store, remote, purged, dry_run=dry_run, reporter=reporter)
        memory.forget_seen(remote.cache, [one.oid for one in purged.objects])
    except DverError as error:
        return replace(told, problem=error.message)
    return _told(told, done)


def _told(told: PurgedThere, done: PurgedRemote) -> PurgedThere:
    return replace(
        told,
        objects=len(done.objects),
        roots=done.roots,
        shared=_texts(done.shared),
        packs_deleted=done.deleted,
        packs_rewritten=done.rewritten,
        bytes=done.bytes,
        refused=tuple(done.refused),
        kept_versions=tuple(done.kept_versions),
        left=_texts(done.left),
        set_aside=done.set_aside,
        problem=None if not done.reason else done.reason,
    )


def _texts(oids: Iterable[Oid]) -> tuple[str, ...]:
    return tuple(format_oid(oid) for oid in sorted(oids))


# -- taking it back ----------------------------------------------------------------------------


def _lift(repo: Repo, options: PurgeOptions, reporter: Reporter) -> PurgeResult:
    """Take back the word of the purges that named some oids, here and in remotes."""
    from dver.transfer.gc.purge import lift_word

    top = repo.store.local_directory()
    oids = []
    for word in options.what:
        try:
            oids.append(parse_oid(word))
        except ValueError as error:
            raise UsageError(f"{word!r} is no oid", hint="--lift takes the oids") from error
    known = read_tombstones(top)
    remotes, opened = [], []
    for name in options.remotes or [one.name for one in list_remotes(repo.config)]:
        told = PurgedThere(name, find_remote(repo.config, name).location)
        try:
            remote = repo.open_remote(name, write=not options.dry_run, reporter=reporter)
            known = known.with_others(remote.purged(anew=True))
            opened.append((told, remote))
        except DverError as error:
            remotes.append(replace(told, problem=error.message))
    # All of them: an older one would go on to keep the content away.
    wanted = set(oids)
    chosen = {
        one.id: one
        for one in known.purges.values()
        if not wanted.isdisjoint(named.oid for named in one.objects)
    }
    if not chosen:
        raise NotFoundError("no purge that is known here named any of these")
    for told, remote in opened:
        try:
            for purge_id in chosen if not options.dry_run else ():
                lift_word(remote, purge_id)
            remotes.append(told)
        except DverError as error:
            remotes.append(replace(told, problem=error.message))
    for purge_id in chosen if not options.dry_run else ():
        forget_tombstone(top, purge_id)
    content = [
        PurgedContent(format_oid(named.oid), named.kind, None, None)
        for one in chosen.values()
        for named in one.objects
    ]
    none = Referring((), ())
    return PurgeResult(
        options.dry_run, None, tuple(content), none, None, tuple(remotes), tuple(chosen)
    )
