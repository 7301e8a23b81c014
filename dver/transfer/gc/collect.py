"""One collection of garbage in a remote, from the first look to the last notice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from dver.base import clock
from dver.base.dataclass import dataclass
from dver.base.errors import (
    MissingContentError,
    RefusedError,
    RemoteError,
    SystemFailure,
)
from dver.base.reporter import Reporter
from dver.formats import notice
from dver.formats.notice import Notice, Unused
from dver.formats.root import Root, RootObject
from dver.store import layout
from dver.store.store import Store
from dver.transfer.gc.moment import MAX_SKEW, ask_time
from dver.transfer.gc.reach import Reach
from dver.transfer.gc.repack import repack
from dver.transfer.gc.survey import Survey, Trashed, look_anew, require_roots, survey
from dver.transfer.gc.sweep import Sweep, Swept, cannot_tell, require_places
from dver.transfer.gc.trash import drop, reissue, retire
from dver.transfer.remote import Remote

#: What somebody tried out is left alone for so long (seconds).
_TRIAL = 86400


@dataclass(frozen=True, slots=True)
class Kept:
    """What retention leaves of a root: which objects, and which of its commits they satisfy."""

    objects: tuple[RootObject, ...]
    commits: tuple[str, ...] = ()


#: From roots and their ages (seconds) to what is left of those that are not needed as a whole.
Policy = Callable[[Mapping[str, Root], Mapping[str, float]], Mapping[str, Kept]]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A root that went to the trash. ``kept`` objects of it are in a new root now."""

    root: Root
    kept: int
    why: str


@dataclass(slots=True)
class Collected:
    """What a collection did, or with a dry run would do.

    ``unused`` are packs that nothing needs and that stay for the grace; ``swept`` what was
    deleted, or would be. ``waste`` is how many bytes of the packs that are needed are not;
    ``rewritten`` counts those whose needed content was copied.
    """

    unused: tuple[Unused, ...]
    swept: Swept
    dropped: tuple[Dropped, ...]
    expired: tuple[str, ...]
    settled: tuple[str, ...]
    unindexed: frozenset[bytes]
    now: int
    roots: int
    packs: int
    bytes: int
    waste: int
    rewritten: int = 0


def collect(
    local: Store,
    remote: Remote,
    *,
    grace: int,
    policy: Policy | None = None,
    rewrite: bool = False,
    dry_run: bool = False,
    force: bool = False,
    reporter: Reporter,
) -> Collected:
    """Collect garbage in a remote. ``grace`` is in seconds.

    With ``rewrite`` what is needed of packs that are mostly garbage is copied into new ones first.
    Raises RefusedError or CorruptError, with nothing removed, if what is needed cannot be told.
    """
    with local.hold():
        work = _Collection(local, remote, grace, dry_run=dry_run, reporter=reporter)
        work.newest, work.force = require_roots(remote, force=force), force
        return work.run(policy, rewrite=rewrite)


class _Collection:
    def __init__(
        self, local: Store, remote: Remote, grace: int, *, dry_run: bool, reporter: Reporter
    ) -> None:
        self._local = local
        self._remote = remote
        self._grace = grace
        self._dry_run = dry_run
        self._reporter = reporter
        self._own = layout.new_session(collection=True)
        self._refused: list[tuple[str, str]] = []
        self.newest = 0.0
        self.force = False
        remote.forget_listing()
        remote.read_format()
        remote.require_format()
        self._now = clock.now_ns() // 1_000_000_000 if dry_run else ask_time(remote, self._own)

    def run(self, policy: Policy | None, *, rewrite: bool) -> Collected:
        """Look, drop what retention drops, and delete what was unused for the grace."""
        remote, reporter = self._remote, self._reporter
        with reporter.task(f"Reading {remote.name}", unit="objects") as task:
            seen = survey(remote, self._own)
            expired = {
                session: one
                for session, one in sorted(seen.trash.items())
                if one.moment + self._grace <= self._now or session in seen.roots
            }
            if not self._dry_run and not self.force:
                self._require_time(seen)
            dropped = self._retain(seen, policy) if policy is not None else ()
            for one in dropped:
                expired.pop(one.root.session, None)
            reach = self._reach(seen, expired)
            task.advance(reach.marks.count)
        copied: frozenset[bytes] = frozenset()
        if rewrite and not self._dry_run:
            copied = repack(self._local, remote, reach, seen.others, reporter)
        if copied:
            look_anew(self._remote, seen, self._own)
            reach = self._reach(seen, expired, copied)
        used = reach.used_packs()
        require_places(remote, used, seen)
        unused = self._unused(seen, used, expired, copied)
        condemned = [one for one in unused if one.since + self._grace <= self._now]
        settled = self._settle(seen)
        swept = Swept(deleted=tuple(condemned))
        if not self._dry_run:
            if condemned:
                with reporter.task(f"Cleaning {remote.name}", unit="objects"):
                    swept = Sweep(remote, self._local, self._own, self._now).run(
                        seen, condemned, frozenset(expired)
                    )
            self._close(seen, expired, swept, unused)
            swept.refused += [key for key, _ in self._refused]
            swept.reason = swept.reason or next((reason for _, reason in self._refused), "")
        deleted = {one.name for one in swept.deleted}
        named = {name for one in seen.segments for name, _ in one.packs}
        return Collected(
            unused=tuple(one for one in unused if one.name not in deleted),
            swept=swept,
            dropped=dropped,
            expired=tuple(expired),
            settled=settled,
            unindexed=frozenset(one.name for one in unused if one.name not in named),
            now=self._now,
            roots=len(seen.roots),
            packs=len(seen.packs) - len(deleted),
            bytes=sum(size for name, size in seen.packs.items() if name not in deleted),
            waste=reach.waste(),
            rewritten=len(copied),
        )

    def _require_time(self, seen: Survey) -> None:
        """Raise RefusedError if the storage's clock went back: ages would mean nothing."""
        before = seen.notices.newest()
        moments = [self.newest, *(one.moment for one in seen.trash.values())]
        if before is not None:
            moments.append(before.moment)
        if max(moments) > self._now + MAX_SKEW:
            raise RefusedError(
                f"the clock of {self._remote.description} went back by"
                f" {max(moments) - self._now:.0f} seconds, so nothing says how old things are",
                hint="set the clock; if it is right now, --force goes on",
            )

    # roots

    def _retain(self, seen: Survey, policy: Policy) -> tuple[Dropped, ...]:
        """Move roots that are not needed to the trash, and note it in the survey."""
        entries = self._remote.storage.list(layout.ROOTS)
        ages = {
            entry.key.removeprefix(layout.ROOTS): self._now
            - (self._now if entry.modified is None else entry.modified)
            for entry in entries
        }
        valid = {s: root for s, root in seen.roots.items() if s not in seen.void and s in ages}
        chosen = policy(valid, ages)
        if chosen and not self._dry_run:
            retire(self._remote, seen, {s: one.objects for s, one in chosen.items()}, self._own)
        dropped = []
        for session, kept in sorted(chosen.items()):
            root = seen.roots[session]
            if not self._dry_run:
                if kept.objects:
                    new = reissue(
                        self._local,
                        self._remote,
                        root,
                        kept.objects,
                        kept.commits,
                        self._reporter,
                    )
                    seen.roots[new.session] = new
                if self._is_refused(drop(self._remote, root, self._own, self._now), session):
                    continue
            dropped.append(Dropped(root, len(kept.objects), "retention"))
        if dropped and not self._dry_run:
            look_anew(self._remote, seen, self._own)
        return tuple(dropped)

    def _is_refused(self, reason: str, session: str) -> bool:
        """Note that a root could not be deleted, if there is a reason why."""
        if reason:
            self._refused.append((layout.root_key(session), reason))
        return bool(reason)

    def _settle(self, seen: Survey) -> tuple[str, ...]:
        """Push roots again that a collection declared void and that are complete all the same.

        Only old ones: whoever wrote a new one may be about to see that it is void.
        """
        entries = {
            entry.key.removeprefix(layout.ROOTS): entry
            for entry in (self._remote.storage.list(layout.ROOTS) if seen.void else ())
        }
        old = [
            session
            for session in sorted(seen.void)
            if session in entries
            and (entries[session].modified or self._now) + self._grace <= self._now
        ]
        for session in () if self._dry_run else old:
            root = seen.roots[session]
            try:
                reissue(self._local, self._remote, root, root.objects, root.commits, self._reporter)
            except MissingContentError as error:
                self._reporter.warn(f"{error.message}: it goes to the trash")
                self._is_refused(drop(self._remote, root, self._own, self._now), session)
                continue
            with contextlib.suppress(RemoteError, SystemFailure):
                self._remote.storage.delete(layout.root_key(session))
        return tuple(old)

    # packs

    def _reach(
        self, seen: Survey, expired: Iterable[str], copied: frozenset[bytes] = frozenset()
    ) -> Reach:
        before = seen.notices.newest()
        known = frozenset(one.name for one in before.packs) if before is not None else frozenset()
        reach = self._new_reach(seen, known | copied)
        holes = reach.add(root for s, root in seen.roots.items() if s not in seen.void)
        if holes:
            raise cannot_tell(self._remote, holes)
        reach.add(root for session, root in seen.roots.items() if session in seen.void)
        gone = set(expired)
        reach.add(one.root for session, one in seen.trash.items() if session not in gone)
        return reach

    def _new_reach(self, seen: Survey, unused: frozenset[bytes]) -> Reach:
        return Reach(
            self._remote,
            self._local,
            seen.segments,
            seen.packs,
            others=seen.others,
            unused=unused,
        )

    def _unused(
        self,
        seen: Survey,
        used: frozenset[bytes],
        expired: Mapping[str, Trashed],
        copied: frozenset[bytes],
    ) -> tuple[Unused, ...]:
        """Return the packs that nothing needs, and since when that is so.

        What only a dropped root needed was not needed any more when that went to the trash; what
        was ``copied`` was needed until now. What is too much for one notice waits for the next
        collection.
        """
        before = seen.notices.newest()
        since = dict.fromkeys(copied, self._now)
        for pack in before.packs if before is not None else ():
            since.setdefault(pack.name, min(pack.since, self._now))
        for one in expired.values():
            reach = self._new_reach(seen, frozenset())
            reach.add([one.root])
            for name in reach.used_packs():
                since.setdefault(name, one.moment)
        unused = (
            Unused(name, size, since.get(name, self._now))
            for name, size in sorted(seen.packs.items())
            if name not in used
        )
        return tuple(islice(unused, notice.MAX_PACKS))

    # what is left behind

    def _close(
        self, seen: Survey, expired: Iterable[str], swept: Swept, unused: Iterable[Unused]
    ) -> None:
        """Write what is unused now, and remove notices that tell nothing any more."""
        storage = self._remote.storage
        settled = {one.name for one in swept.deleted} | swept.spared
        rest = tuple(one for one in unused if one.name not in settled)
        old = [layout.condemned_key(session) for session in seen.notices.condemned]
        if rest or old:
            data = notice.encode(Notice("condemned", self._own, self._now, rest))
            # Another collection may remove it at once, for its own.
            storage.put(layout.condemned_key(self._own), data)
        old += [layout.trash_key(session) for session in expired]
        if swept.deleted:
            ended = seen.notices.swept.keys() - seen.notices.doomed.keys()
            old += [layout.condemned_key(session, layout.SWEPT) for session in ended]
        announced = {
            entry.key.removeprefix(layout.INTENTS) for entry in storage.list(layout.INTENTS)
        }
        # Those of pushes that were declared void may go: their voids stay.
        ended_pushes = (seen.roots.keys() - seen.void) | swept.voided
        old += [layout.intent_key(session) for session in announced & ended_pushes]
        old += [
            entry.key
            for entry in storage.list("tmp/")
            if entry.modified is not None and entry.modified + _TRIAL <= self._now
        ]
        for key in old:
            with contextlib.suppress(RemoteError, SystemFailure):
                storage.delete(key)
