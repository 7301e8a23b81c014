"""Taking named objects out of a remote to which others push meanwhile.

It is a collection of garbage to which the named objects count as needed by nobody, whatever roots
say, and which looks at nothing but the packs that have any of them: what is needed of these is
copied, then they are deleted, with the same notices in the same order. Word of it stays there, so
that pushes leave the objects out and nobody takes the hole for damage.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import field

from dver.base import clock
from dver.base.dataclass import dataclass
from dver.base.errors import RemoteError
from dver.base.oid import OID_SIZE, Oid
from dver.base.reporter import Reporter
from dver.formats import pack
from dver.formats import purged as purged_format
from dver.formats.notice import Unused
from dver.formats.purged import Purged, PurgedObject
from dver.formats.root import Root, RootObject
from dver.formats.segment import ROW
from dver.store import layout
from dver.store.index import Index
from dver.store.store import Store
from dver.transfer.gc.leftovers import in_unindexed, parts_here, remove_set_aside
from dver.transfer.gc.moment import ask_time
from dver.transfer.gc.reach import Reach
from dver.transfer.gc.repack import repack
from dver.transfer.gc.survey import Survey, look_anew, survey
from dver.transfer.gc.sweep import Sweep, cannot_tell, require_places
from dver.transfer.gc.trash import put_and_check
from dver.transfer.remote import Remote
from dver.transfer.workers import each

#: How often it is looked for again what pushes brought back meanwhile.
_ROUNDS = 4


@dataclass(slots=True)
class PurgedRemote:
    """What was taken out of a remote, or would be. Sizes are in bytes.

    ``objects`` are those of the named ones that were there; ``shared`` those of them that stay
    since they are a part of something else. ``deleted`` and ``rewritten`` count packs. ``refused``
    are keys that could not be deleted, ``kept_versions`` those that were, and of which the storage
    keeps an old version; ``reason`` says why. ``left`` are objects that are still
    there for any other cause. ``set_aside`` are files that stay in its quarantine: in them none of
    it was found, unless they are ``refused`` too.
    """

    objects: frozenset[Oid] = frozenset()
    shared: frozenset[Oid] = frozenset()
    roots: int = 0
    deleted: int = 0
    rewritten: int = 0
    bytes: int = 0
    refused: list[str] = field(default_factory=list)
    reason: str = ""
    kept_versions: list[str] = field(default_factory=list)
    left: frozenset[Oid] = frozenset()
    set_aside: tuple[str, ...] = ()


def write_word(remote: Remote, purged: Purged) -> None:
    """Leave word of a purge, so that no push from now on brings the objects back."""
    put_and_check(remote, layout.purged_key(purged.id), purged_format.encode(purged))
    remote.purged(anew=True)


def lift_word(remote: Remote, purge: str) -> None:
    """Take the word of a purge back."""
    remote.storage.delete(layout.purged_key(purge))
    remote.forget_listing()


def purge_remote(
    local: Store, remote: Remote, purged: Purged, *, dry_run: bool, reporter: Reporter
) -> PurgedRemote:
    """Take what a purge names out of a remote, and leave word of it.

    Raises RefusedError or CorruptError, with nothing removed, if nothing can be deleted there or
    what others need cannot be told. Word was left all the same.
    """
    remote.forget_listing()
    path = remote.storage.local_path(layout.PACKS.rstrip("/"))
    if path is not None and remote.info is not None and not os.path.lexists(path):
        raise RemoteError(
            f"{remote.description} is not there: its disk is not mounted, or it was removed",
            hint="run the same command again once it is back",
        )
    if remote.read_format() is None:
        return PurgedRemote()
    if not dry_run:
        write_word(remote, purged)
    with local.hold():
        return _Purge(local, remote, purged, reporter).run(dry_run=dry_run)


class _Purge:
    def __init__(self, local: Store, remote: Remote, purged: Purged, reporter: Reporter) -> None:
        self._local = local
        self._remote = remote
        self._named = purged.objects
        self._oids = frozenset(one.oid for one in purged.objects)
        self._reporter = reporter
        self._own = layout.new_session(collection=True)
        self._done = PurgedRemote()
        # Also what was named by an index once, and is not any more.
        self._dead: set[bytes] = set()

    def run(self, *, dry_run: bool) -> PurgedRemote:
        done = self._done
        for number in range(1 if dry_run else _ROUNDS):
            with self._reporter.task(f"Reading {self._remote.name}", unit="objects"):
                seen = survey(self._remote, self._own)
                doomed, reach = self._look(seen, first=not number)
            if not doomed:
                break
            if dry_run:
                used = reach.used_packs()
                done.rewritten = len(doomed & used)
                done.deleted = len(doomed - used)
                done.bytes = sum(seen.packs[name] for name in doomed)
                break
            # Each round needs a session of its own: its notices stay.
            self._own = layout.new_session(collection=True)
            self._carry_out(seen, doomed, reach)
            if done.refused:
                break
        if not dry_run:
            done.left = self._still_there() - done.shared
            done.refused += remove_set_aside(self._remote.storage, self._dead - done.shared)
        done.set_aside = tuple(
            sorted(entry.key for entry in self._remote.storage.list("quarantine/"))
        )
        return done

    def _look(self, seen: Survey, *, first: bool) -> tuple[frozenset[bytes], Reach]:
        """Return the packs that have anything that goes, and what is needed."""
        reach = self._reach(seen)
        every = self._remote.purged().keys() | self._oids
        whole = Reach(
            self._remote, self._local, seen.segments, seen.packs, without=every - self._oids
        )
        # The oids alone would not do: what only a named directory leads to goes with it.
        index = Index(seen.segments)
        whole.add([_root_of(_as_stored(index, self._named))])
        dead: set[bytes] = set()
        for one in whole.marks.segments:
            ours, others = whole.marks.bits(one), reach.marks.bits(one)
            for at, row in enumerate(one.rows()):
                if ours[at] and not others[at]:
                    dead.add(row[:OID_SIZE])
        named = {name for name, _ in _places(index, dead)} & seen.packs.keys()
        self._dead |= dead | self._oids | parts_here(self._local, self._named, index)
        unindexed = in_unindexed(self._remote, index, seen, self._dead)
        if first:
            here = frozenset(oid for oid in self._oids if oid in index)
            self._done.shared = here - frozenset(map(Oid, dead))
            self._done.objects = here
            self._done.roots = sum(
                any(one.oid in self._oids for one in root.objects) for root in seen.roots.values()
            )
        return frozenset(named | unindexed), reach

    def _reach(self, seen: Survey, unused: frozenset[bytes] = frozenset()) -> Reach:
        """Return what roots and trash need but for what is purged, now and before."""
        reach = Reach(
            self._remote,
            self._local,
            seen.segments,
            seen.packs,
            others=seen.others,
            unused=unused,
            without=self._remote.purged().keys() | self._oids,
        )
        holes = reach.add(root for s, root in seen.roots.items() if s not in seen.void)
        if holes:
            raise cannot_tell(self._remote, holes)
        reach.add(root for session, root in seen.roots.items() if session in seen.void)
        reach.add(one.root for one in seen.trash.values())
        return reach

    def _carry_out(self, seen: Survey, doomed: frozenset[bytes], reach: Reach) -> None:
        remote, done = self._remote, self._done
        now = ask_time(remote, self._own)
        copied = repack(
            self._local,
            remote,
            reach,
            seen.others,
            self._reporter,
            packs=doomed & reach.used_packs(),
        )
        if copied:
            look_anew(remote, seen, self._own)
            reach = self._reach(seen, doomed)
        used = reach.used_packs()
        require_places(remote, used, seen)
        condemned = [
            Unused(name, seen.packs[name], now)
            for name in sorted(doomed - used)
            if name in seen.packs
        ]
        if not condemned:
            return
        with self._reporter.task(f"Cleaning {remote.name}", unit="objects"):
            swept = Sweep(remote, self._local, self._own, now).run(seen, condemned, frozenset())
        self._forget_versions(one.name for one in swept.deleted)
        gone = {one.name for one in swept.deleted}
        done.rewritten += len(gone & copied)
        done.deleted += len(gone - copied)
        done.bytes += sum(one.size for one in swept.deleted)
        done.refused += swept.refused
        done.reason = done.reason or swept.reason

    def _forget_versions(self, packs: Iterable[bytes]) -> None:
        """Let the storage forget what it keeps of deleted packs; note what it will not."""
        done, storage = self._done, self._remote.storage

        def forget(key: str) -> Sequence[str]:
            try:
                return storage.delete_old_versions(key)
            except RemoteError as error:
                return (error.message,)

        for key, refused in each(self._remote.jobs, map(layout.pack_key, packs), forget):
            if refused:
                done.kept_versions.append(key)
                done.reason = done.reason or refused[0]

    def _still_there(self) -> frozenset[Oid]:
        """Return the named objects that lie in any pack that is there."""
        remote = self._remote
        remote.forget_listing()
        remote.refresh_index(whole=True)
        listed = remote.list_packs()
        index = Index(remote.index.segments())
        return frozenset(Oid(oid) for name, oid in _places(index, self._oids) if name in listed)


def _places(index: Index, oids: Iterable[bytes]) -> Iterable[tuple[bytes, bytes]]:
    """Yield (pack, oid) for every place that segments give for some objects."""
    wanted = frozenset(oids)
    for one in index.segments if wanted else ():
        for block in one.among(wanted):
            for at in range(0, len(block), ROW.size):
                oid = block[at : at + OID_SIZE]
                number = int.from_bytes(block[at + OID_SIZE : at + OID_SIZE + 4], "little")
                yield one.packs[number][0], oid


def _as_stored(index: Index, named: Iterable[PurgedObject]) -> Iterable[PurgedObject]:
    """Yield objects with the kind that they have there: by an oid alone nobody can tell it."""
    for one in named:
        place = index.find(one.oid)
        is_tree = place is not None and place.kind in (pack.TREE, pack.TREE_LIST)
        yield PurgedObject(one.oid, "tree") if is_tree else one


def _root_of(named: Iterable[PurgedObject]) -> Root:
    objects = tuple(RootObject("", one.kind, one.oid, 0) for one in named)
    return Root("0" * 32, clock.utc_text(), "", (), objects)
