"""Pushing: what the remote lacks, sent in packs, then made visible, then made to stay."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, MissingContentError, RemoteError
from dver.base.oid import Oid
from dver.base.reporter import Reporter
from dver.formats import pack, storeinfo
from dver.formats.pack import LIST_KINDS
from dver.formats.storeinfo import StoreInfo
from dver.store.store import Store
from dver.store.tombstones import Tombstones
from dver.store.walk import Layered
from dver.transfer.closure import Closure, Lost, Offer, Presence, Reason
from dver.transfer.purges import learn
from dver.transfer.ranges import Wanted
from dver.transfer.remote import Remote, lost_packs
from dver.transfer.session import Session
from dver.transfer.spool import Spool
from dver.transfer.trace import trace
from dver.transfer.uploads import (
    Upload,
    choose,
    copy_frames,
    spooled_uploads,
    whole_uploads,
)
from dver.transfer.watch import Overtaken

#: How often a push begins anew because a collection of garbage came between.
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did, or with ``dry_run`` would have done.

    ``session`` names the root that was written, None if none was. ``objects`` counts the files,
    links and directories that the remote did not have. ``lost`` is what required offers lack, and
    ``skipped`` what the others do; no root names anything that is not complete. ``withheld`` is
    here and needed by required offers, and was not sent, since somebody purged it.
    """

    session: str | None
    objects: int
    packs: int
    bytes: int
    requests: int
    lost: tuple[Lost, ...] = ()
    skipped: tuple[Lost, ...] = ()
    withheld: tuple[Oid, ...] = ()


def push(
    local: Store,
    remote: Remote,
    offers: Sequence[Offer],
    *,
    commits: Sequence[str],
    repo_id: str,
    dry_run: bool = False,
    damaged: frozenset[bytes] | None = None,
    reporter: Reporter,
) -> Pushed:
    """Make what is offered complete in a remote.

    ``commits`` are those whose pointers the required offers satisfy; the root names them unless
    something is lost. When this returns without ``lost``, every required offer is in the remote
    with all it needs, was verified before it was sent, and is named by a root. Any failure of
    the remote raises RemoteError and leaves at most garbage there. With ``damaged``, those packs
    count as not there, and nothing is believed because a root says so.
    """
    with local.hold():
        done = Pushed(None, 0, 0, 0, 0)
        strangers = overtaken = 0
        while strangers < 2 and overtaken < ATTEMPTS:
            work = _Push(local, remote, offers, reporter, damaged)
            work.look(anew=overtaken > 0)
            if dry_run:
                return work.foretell()
            # Each step from here on looks for what it wrote.
            remote.storage.leave_checks_to_caller()
            if not work.is_same_store():
                strangers += 1
                reporter.warn(
                    f"{remote.description} is not the store that it was: it was emptied, or"
                    " replaced by another; what is here is sent again"
                )
                continue
            try:
                return _sum(done, work.carry_out(commits, repo_id))
            except Overtaken:
                overtaken += 1
                done = _sum(done, work.so_far())
                reporter.note(f"garbage was collected in {remote.name} meanwhile; looking again")
    if overtaken == ATTEMPTS:
        raise RemoteError(
            f"garbage was collected in {remote.description} {overtaken} times while this was"
            " pushed, so it is not known to be complete there",
            hint="run the same command again",
        )
    raise RemoteError(
        f"{remote.description} changes its identity while it is being read",
        hint="check whether several stores answer under its URL",
    )


def _sum(before: Pushed, last: Pushed) -> Pushed:
    """Return what several attempts did together."""
    return replace(
        last,
        objects=before.objects + last.objects,
        packs=before.packs + last.packs,
        bytes=before.bytes + last.bytes,
    )


class _Push:
    """One push: ``look`` at the remote, then ``carry_out``."""

    #: What was purged, None until somebody has looked.
    _purges: Tombstones | None = None
    #: Packs by whose names nothing may be sent.
    _taken: frozenset[bytes] = frozenset()

    def __init__(
        self,
        local: Store,
        remote: Remote,
        offers: Sequence[Offer],
        reporter: Reporter,
        damaged: frozenset[bytes] | None = None,
    ) -> None:
        self._local = local
        self._remote = remote
        self._damaged = damaged
        self._offers = list(dict.fromkeys(offers))
        self._reporter = reporter
        self._session = Session(remote, reporter, remote.jobs)
        self._lost: dict[int, list[Lost]] = {}  # by the offer's position
        self._withheld: set[Oid] = set()
        self._holed: set[Oid] = set()
        self._listed: dict[bytes, int] = {}
        self._lost_packs: frozenset[bytes] = frozenset()
        self._kept: set[Oid] = set()
        self._problems: list[str] = []
        self._info: StoreInfo | None = None
        self._info_is_fresh = False
        self._objects = 0

    # looking

    def look(self, *, anew: bool) -> None:
        """Read what the remote has now: roots first, then notices, the index, and the packs.

        With ``anew`` nothing counts that was read before.
        """
        remote, watch = self._remote, self._session.watch
        self._info_is_fresh = remote.info is None
        if not (self._info_is_fresh and remote.is_new_directory()):
            remote.look_around(anew=anew)
        self._info = remote.info or remote.read_format()
        if self._info is None:
            watch.begin_with_nothing()
            if remote.is_new_directory():
                return
        if anew or not remote.has_fresh_roots:
            remote.refresh_roots()
        # Where it takes a request, notices are read only if something is likely to be written.
        if self._info is not None and (anew or remote.knows_notices() or not self._is_named()):
            watch.begin()
            self._look_for_purges(anew=anew)
        remote.refresh_index(whole=True)
        listed = remote.list_packs()
        for name in self._damaged or ():
            listed.pop(name, None)
        self._listed = {name: size for name, size in listed.items() if name not in watch.doomed}
        watch.rely(self._listed)
        lost = lost_packs(remote.index.packs(), listed)
        self._lost_packs = lost | watch.doomed
        gone = watch.swept_packs() if lost or watch.doomed else frozenset()
        self._session.avoid(watch.doomed, lost | gone)
        if self._damaged is not None:
            return
        lost -= gone
        self._problems = list(remote.damaged_roots)
        bad_segments = remote.index.lost | remote.index.damaged
        if lost or bad_segments:
            self._problems.append(
                f"{remote.description} has lost {len(lost)} packs and"
                f" {len(bad_segments)} index segments, or they are damaged; what is here of"
                " their content is sent again"
            )
            return
        if not watch.doomed.isdisjoint(listed.keys() & remote.index.packs().keys()):
            # What a root needs may lie in packs that a collection deletes, if the root goes too.
            return
        # A root whose object no segment has must have lost its segment, unnoticed by this clone.
        presence = Presence(remote.index.segments(), frozenset())
        self._kept = {oid for oid in remote.kept() if oid in presence}

    def _look_for_purges(self, *, anew: bool) -> None:
        """Take note of what was purged, here or there: it is not sent."""
        there = self._remote.purged(anew=anew)
        self._purges = learn(self._local, there, self._remote.name, self._reporter)
        index = self._local.index
        # A pack sent whole would bring it along.
        self._taken = frozenset(place.pack for oid in self._purged for place in index.copies(oid))

    def _is_named(self) -> bool:
        named = self._remote.kept()
        return all(offer.object.oid in named for offer in self._offers)

    def warn(self) -> None:
        """Tell what is wrong with the remote. Another store under its URL is told otherwise."""
        for problem in self._problems:
            self._reporter.warn(
                problem, hint=f"run 'dver fsck -r {self._remote.name}' to see what else is"
            )

    def has_nothing_to_do(self) -> bool:
        """Say whether roots name everything already, so that nothing will be written."""
        left = [offer for offer in self._offers if offer.object.oid not in self._kept]
        if not left:
            return True
        purged = [offer for offer in left if offer.object.oid in self._purged]
        self._withheld.update(offer.object.oid for offer in purged if offer.required)
        return len(purged) == len(left)

    def is_same_store(self) -> bool:
        """Say whether the remote is still the one that was looked at.

        That is asked even when there is nothing to write: whoever clones will ask it first.
        """
        if not self._info_is_fresh:
            now = self._remote.read_format()
            return now is not None and now == self._info
        if self._info is None:
            if self._remote.roots or self._remote.index.names or self._listed:
                raise RemoteError(
                    f"{self._remote.description} holds packs, segments or roots, but no"
                    f" {storeinfo.KEY}",
                    hint="it was damaged: restore that file from a copy, or use an empty location",
                )
            self._info = self._remote.initialise(self._local.info.chunker)
        return True

    def foretell(self) -> Pushed:
        """Say what would be sent."""
        self.warn()
        closure = self._close_over(())
        choice = choose(self._local, closure.wanted, self._listed, self._unsendable)
        return self._result(None, closure.objects, choice.packs, choice.size)

    @property
    def _purged(self) -> Tombstones:
        """What is not to be sent, asked for at the latest when something is missing there."""
        if self._purges is None:
            self._look_for_purges(anew=False)
        return self._purges or Tombstones()

    @property
    def _unsendable(self) -> frozenset[bytes]:
        return self._session.watch.doomed | self._taken

    def _close_over(self, spooled: Sequence[Upload]) -> Closure:
        """Find what is to be sent, apart from what the spool has."""
        remote = self._remote
        known = frozenset(oid for upload in spooled for oid in pack.oids_of(upload.rows))
        closure = Closure(
            self._local,
            remote.store(),
            Presence(remote.index.segments(), self._lost_packs, known),
            kept=self._kept,
            bases={path: oid for path, oid in remote.bases().items() if oid in self._kept},
            where=(self._local.storage.description, remote.description),
            purged=self._purged,
        )
        label = f"Comparing with {remote.name}"
        with self._reporter.task(label, unit="objects", total=len(self._offers)) as task:
            for number, offer in enumerate(self._offers):
                lost = closure.add(offer)
                if lost:
                    self._lost[number] = lost
                task.advance()
        self._withheld |= closure.withheld
        self._holed |= closure.holed
        return closure

    # writing

    def carry_out(self, commits: Sequence[str], repo_id: str) -> Pushed:
        """Send what is missing, then write the segments, then the root."""
        self.warn()
        if self.has_nothing_to_do():
            return self._result(None, 0, 0, 0)
        session = self._session
        with Spool(self._local.local_directory(), f"{self._remote.name}/push", session.id) as spool:
            left = self._left_over(spool)
            closure = self._close_over(left)
            self._objects, wanted = closure.objects, closure.wanted
            del closure  # it holds every oid it saw, and segments need the memory
            damaged = self._send(spool, left, wanted)
            del wanted
            session.publish_index()
            if damaged:
                self._trace(damaged)
            root = self._commit(commits, repo_id)
        self._remote.index.forget_lost()
        return replace(self.so_far(), session=root)

    def so_far(self) -> Pushed:
        """Say what was done, whether or not it led to a root."""
        session = self._session
        return self._result(None, self._objects, session.sent_packs, session.sent_bytes)

    def _left_over(self, spool: Spool) -> list[Upload]:
        """Return the useful packs that an interrupted push left in the spool."""
        presence = Presence(self._remote.index.segments(), self._lost_packs)
        useful = []
        doomed = self._session.watch.doomed
        for upload in spooled_uploads(spool, self._listed):
            oids = set(pack.oids_of(upload.rows))
            is_clean = upload.name not in doomed and oids.isdisjoint(self._purged)
            if is_clean and any(oid not in presence for oid in oids):
                useful.append(upload)
            else:
                spool.drop(upload.name)
        return useful

    def _send(self, spool: Spool, left: list[Upload], wanted: Wanted) -> dict[Oid, Reason]:
        """Send packs, and return the frames that cannot be sent."""
        choice = choose(self._local, wanted, self._listed, self._unsendable)
        ready = [*left, *whole_uploads(self._local, choice.arrived + choice.whole, wanted)]
        damaged: dict[Oid, Reason] = {}
        if not choice.copied.packs:
            self._session.foresee(ready)
        for upload in self._send_packs(spool, ready, sum(one.size for one in ready), wanted):
            frames = wanted.packs.get(upload.name)
            if upload.spooled or frames is None:
                damaged.update(dict.fromkeys(pack.oids_of(upload.rows), "damaged"))
            else:
                # The pack is not what its name says: its sound frames go out one by one.
                choice.copied.packs[upload.name] = frames
        copies = copy_frames(self._local, choice.copied, spool, damaged)
        for upload in self._send_packs(spool, copies, choice.copied.size):
            damaged.update(dict.fromkeys(pack.oids_of(upload.rows), "damaged"))
        return damaged

    def _send_packs(
        self, spool: Spool, uploads: Iterable[Upload], total: int, wanted: Wanted | None = None
    ) -> list[Upload]:
        """Send packs that are not there yet, and return those that are not sound.

        What was sent is no longer ``wanted``.
        """
        bad = []
        for upload, sound in self._session.send(uploads, self._listed, total):
            if not sound:
                bad.append(upload)
                continue
            if wanted is not None:
                wanted.packs.pop(upload.name, None)
            if upload.spooled and upload.path:
                spool.keep_rows(upload.name, upload.size, upload.rows)
        return bad

    def _trace(self, damaged: Mapping[Oid, Reason]) -> None:
        """Find the offers that need what turned out to be damaged here."""
        source = Layered([self._local, self._remote.store()])

        def is_bad(oid: Oid) -> bool:
            if oid in damaged:
                return True
            place = self._local.place(oid)
            if place is None or place.kind not in LIST_KINDS:
                return False
            try:
                return any(part in damaged for part, _ in self._local.parts(oid))
            except (MissingContentError, CorruptError):
                return True

        where = (self._local.storage.description,)
        for number, offer in enumerate(self._offers):
            one = offer.object
            if one.oid in self._kept or number in self._lost:
                continue
            found = trace(source, one.kind, one.oid, os.fsencode(one.path), is_bad)
            lost = [
                Lost(os.fsdecode(path), oid, damaged.get(oid, "damaged"), where, offer.commit)
                for path, oid in found
            ]
            if lost:
                self._lost[number] = lost

    def _commit(self, commits: Sequence[str], repo_id: str) -> str | None:
        """Write the root, if there is anything that no root names yet."""
        # What a sound root names is complete by now, even if that was not believed.
        named = self._kept if self._damaged is None else self._remote.kept()
        objects = {
            offer.object
            for number, offer in enumerate(self._offers)
            if number not in self._lost
            and offer.object.oid not in named
            and offer.object.oid not in self._purged
            # Whoever says that the word of a purge was wrong pushes these again, and whole.
            and offer.object.oid not in self._holed
        }
        if not objects:
            return None
        if self._withheld or any(self._offers[number].required for number in self._lost):
            commits = ()
        self._session.look_again()
        return self._session.commit(repo_id, commits, objects).session

    def _result(self, session: str | None, objects: int, packs: int, size: int) -> Pushed:
        required = [n for n in self._lost if self._offers[n].required]
        others = [n for n in self._lost if not self._offers[n].required]
        return Pushed(
            session,
            objects,
            packs,
            size,
            self._remote.storage.requests,
            tuple(lost for number in required for lost in self._lost[number]),
            tuple(lost for number in others for lost in self._lost[number][:1]),
            tuple(sorted(oid for oid in self._withheld if self._local.has(oid))),
        )
