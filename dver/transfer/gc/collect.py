"""One collection of garbage in a remote, from the first look to the last notice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from dver.base import clock
from dver.base.errors import DverError, MissingContentError, RefusedError, RemoteError
from dver.base.reporter import Reporter
from dver.formats import notice
from dver.formats.notice import Notice, Unused
from dver.formats.root import Root, RootObject
from dver.store import layout
from dver.store.store import Store
from dver.transfer.gc.reach import Reach
from dver.transfer.gc.survey import Survey, require_roots, survey
from dver.transfer.gc.sweep import Sweep, Swept, cannot_tell
from dver.transfer.gc.trash import drop, reissue
from dver.transfer.remote import Remote

#: By so much the storage's clock may differ from this machine's (seconds).
MAX_SKEW = 300
_PROBE = "tmp/gc-"
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
    deleted, or would be. ``waste`` is how many bytes of the packs that are needed are not.
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


def collect(
    local: Store,
    remote: Remote,
    *,
    grace: int,
    policy: Policy | None = None,
    dry_run: bool = False,
    force: bool = False,
    reporter: Reporter,
) -> Collected:
    """Collect garbage in a remote. ``grace`` is in seconds.

    Raises RefusedError or CorruptError, with nothing removed, if what is needed cannot be told.
    """
    with local.hold():
        work = _Collection(local, remote, grace, dry_run=dry_run, reporter=reporter)
        require_roots(remote, force=force)
        return work.run(policy)


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
        remote.forget_listing()
        remote.read_format()
        remote.require_format()
        self._now = clock.now_ns() // 1_000_000_000 if dry_run else self._ask_time()

    def _ask_time(self) -> int:
        """Return what time it is where the remote is; see that things can be deleted there."""
        storage = self._remote.storage
        key = _PROBE + self._own
        own = clock.now_ns() / 1e9
        storage.put(key, b"")
        entry = storage.head(key)
        if entry is None:
            raise RemoteError(
                f"{self._remote.description} said it stored {key}, and does not have it",
                hint="check its URL and endpoint with 'dver remote check'",
            )
        try:
            storage.delete(key)
        except DverError as error:
            raise RefusedError(
                f"nothing can be deleted in {self._remote.description}: {error.message}",
                hint="whoever collects garbage needs the right to delete",
            ) from error
        there = own if entry.modified is None else entry.modified
        if abs(there - own) > MAX_SKEW:
            raise RefusedError(
                f"the clock of {self._remote.description} differs from this machine's by"
                f" {abs(there - own):.0f} seconds, so nothing says how old things are",
                hint="set the clock that is wrong",
            )
        return int(there)

    def run(self, policy: Policy | None) -> Collected:
        """Look, drop what retention drops, and delete what was unused for the grace."""
        remote, reporter = self._remote, self._reporter
        with reporter.task(f"Reading {remote.name}", unit="objects") as task:
            seen = survey(remote, self._own)
            expired = tuple(
                session
                for session, one in sorted(seen.trash.items())
                if one.moment + self._grace <= self._now or session in seen.roots
            )
            dropped = self._retain(seen, policy) if policy is not None else ()
            reach = self._reach(seen, expired)
            used = reach.used_packs()
            task.advance(reach.marks.count)
        unused = self._unused(seen, used, expired)
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
        deleted = {one.name for one in swept.deleted}
        named = {name for one in seen.segments for name, _ in one.packs}
        return Collected(
            unused=tuple(one for one in unused if one.name not in deleted),
            swept=swept,
            dropped=dropped,
            expired=expired,
            settled=settled,
            unindexed=frozenset(one.name for one in unused if one.name not in named),
            now=self._now,
            roots=len(seen.roots),
            packs=len(seen.packs) - len(deleted),
            bytes=sum(size for name, size in seen.packs.items() if name not in deleted),
            waste=reach.waste(),
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
        dropped = []
        for session, kept in sorted(policy(valid, ages).items()):
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
                drop(self._remote, root, self._own, self._now)
            dropped.append(Dropped(root, len(kept.objects), "retention"))
        if dropped and not self._dry_run:
            fresh = survey(self._remote, self._own)
            for name in ("roots", "void", "trash", "segments", "names", "packs", "others"):
                setattr(seen, name, getattr(fresh, name))
        return tuple(dropped)

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
                drop(self._remote, root, self._own, self._now)
                continue
            self._remote.storage.delete(layout.root_key(session))
        return tuple(old)

    # packs

    def _reach(self, seen: Survey, expired: Iterable[str]) -> Reach:
        before = seen.notices.newest()
        known = frozenset(one.name for one in before.packs) if before is not None else frozenset()
        reach = self._new_reach(seen, known)
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
        self, seen: Survey, used: frozenset[bytes], expired: Iterable[str]
    ) -> tuple[Unused, ...]:
        """Return the packs that nothing needs, and since when that is so.

        What only a dropped root needed was not needed any more when that went to the trash.
        """
        before = seen.notices.newest()
        since = {one.name: one.since for one in before.packs} if before is not None else {}
        for session in expired:
            reach = self._new_reach(seen, frozenset())
            reach.add([seen.trash[session].root])
            for name in reach.used_packs():
                since.setdefault(name, seen.trash[session].moment)
        return tuple(
            Unused(name, size, min(since.get(name, self._now), self._now))
            for name, size in sorted(seen.packs.items())
            if name not in used
        )

    # what is left behind

    def _close(
        self, seen: Survey, expired: Iterable[str], swept: Swept, unused: Iterable[Unused]
    ) -> None:
        """Write what is unused now, and remove notices that tell nothing any more."""
        storage = self._remote.storage
        deleted = {one.name for one in swept.deleted}
        rest = tuple(one for one in unused if one.name not in deleted)
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
        old += [layout.intent_key(session) for session in announced & seen.roots.keys() - seen.void]
        old += [
            entry.key
            for entry in storage.list("tmp/")
            if entry.modified is not None and entry.modified + _TRIAL <= self._now
        ]
        for key in old:
            with contextlib.suppress(RemoteError):
                storage.delete(key)
