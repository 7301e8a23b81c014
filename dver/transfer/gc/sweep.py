"""Deleting packs of a remote while others push: say it, look for pushes, look again, delete.

Docs: ``docs/format/remote.md``, section "Collecting garbage"; ``docs/design/gc.md`` says why this
order, and ``tests/model`` explores what happens in any other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import field

from dver.base.dataclass import dataclass
from dver.base.errors import (
    CorruptError,
    DverError,
    RefusedError,
    RemoteError,
    SystemFailure,
)
from dver.formats import notice
from dver.formats.notice import Kind, Notice, Unused
from dver.store import layout
from dver.store.store import Store
from dver.transfer.gc.reach import Hole, Reach
from dver.transfer.gc.rows import replace_segments
from dver.transfer.gc.survey import Survey, announced, present_roots, survey
from dver.transfer.gc.trash import put_and_check, put_segment
from dver.transfer.remote import Remote, lost_packs
from dver.transfer.workers import each


@dataclass(slots=True)
class Swept:
    """What was deleted. ``refused`` are keys that could not be, and ``reason`` why the first.

    ``spared`` are packs that turned out to be needed, ``voided`` the sessions of pushes that had
    to begin anew or had died.
    """

    deleted: tuple[Unused, ...] = ()
    refused: list[str] = field(default_factory=list)
    reason: str = ""
    spared: frozenset[bytes] = frozenset()
    voided: frozenset[str] = frozenset()
    segments: int = 0


def cannot_tell(remote: Remote, holes: Sequence[Hole]) -> CorruptError:
    """Return the error for a remote that lacks what its roots need."""
    first = holes[0]
    return CorruptError(
        f"nothing was removed, since {remote.description} lacks what its roots need:"
        f" {first.error.message}",
        paths=sorted({one.object.path for one in holes}),
        hint=f"run 'dver push --all -r {remote.name}' where the content is, then this again;"
        " --force drops nothing of that kind",
    )


def require_places(remote: Remote, used: frozenset[bytes], seen: Survey) -> None:
    """Raise RefusedError if something that is needed lies only where another one may delete it.

    That one may know another place for it, which is not to be seen here, and count on that.
    """
    if not used.isdisjoint(seen.others):
        raise RefusedError(
            f"another collection is under way in {remote.description}, or has died there, and it"
            " may delete packs in which something lies that is needed",
            hint="try again when it has ended; if it never does, --rewrite copies what is needed",
        )


class Sweep:
    """One collection's deletions, under its own session."""

    def __init__(self, remote: Remote, local: Store, own: str, now: int) -> None:
        self._remote = remote
        self._local = local
        self._own = own
        self._now = now
        self._done = Swept()

    def run(self, first: Survey, doomed: Sequence[Unused], expired: frozenset[str]) -> Swept:
        """Delete those of some packs that turn out to be needed by nobody.

        ``first`` is the survey by which they were chosen, and ``expired`` what of the trash keeps
        nothing any more. Whatever goes wrong before it is said what was swept leaves
        everything as it was; after that the notices stay, and the next collection goes on.
        """
        self._say("doomed", layout.DOOMED, doomed)
        try:
            second, settled = self._look_again()
            second.trash = {s: one for s, one in second.trash.items() if s not in expired}
            gone = self._not_needed(first, second, doomed)
        except BaseException:
            with contextlib.suppress(DverError):
                self._remote.storage.delete(layout.condemned_key(self._own, layout.DOOMED))
            raise
        self._done.spared = frozenset(one.name for one in doomed) - {one.name for one in gone}
        if gone:
            self._say("swept", layout.SWEPT, gone)
            self._reindex(second, settled, frozenset(one.name for one in gone))
        refused = set(self._delete([layout.pack_key(one.name) for one in gone]))
        self._done.deleted = tuple(one for one in gone if layout.pack_key(one.name) not in refused)
        self._delete([layout.condemned_key(self._own, layout.DOOMED)])
        return self._done

    def _say(self, kind: Kind, end: str, packs: Sequence[Unused]) -> None:
        data = notice.encode(Notice(kind, self._own, self._now, tuple(sorted(packs))))
        put_and_check(self._remote, layout.condemned_key(self._own, end), data)

    # looking for pushes

    def _look_again(self) -> tuple[Survey, frozenset[bytes]]:
        """Declare open pushes void, then read everything once more.

        Returns what there is now, and the segments whose pushes are settled.
        """
        sessions, names = announced(self._remote)
        open_ = sorted(sessions - present_roots(self._remote))
        data = notice.encode(Notice("void", self._own, self._now))
        keys = [layout.void_key(session, self._own) for session in open_]
        for _ in each(self._remote.jobs, keys, lambda key: self._remote.storage.put(key, data)):
            pass
        second = survey(self._remote, self._own)
        back = [session for session in open_ if session in second.roots]
        self._done.voided = frozenset(open_).difference(back)
        self._delete([layout.void_key(session, self._own) for session in back])
        return second, names

    def _not_needed(self, first: Survey, second: Survey, doomed: Sequence[Unused]) -> list[Unused]:
        """Return those of the doomed packs that are there and that nothing needs now."""
        there = [one for one in doomed if one.name in second.packs]
        same = (
            first.roots.keys() == second.roots.keys()
            and first.trash.keys() >= second.trash.keys()
            and first.others >= second.others
            and {one.name for one in first.segments} == {one.name for one in second.segments}
            and first.packs.items() <= second.packs.items()
        )
        if same:
            return there
        reach = Reach(
            self._remote,
            self._local,
            second.segments,
            second.packs,
            others=second.others,
            unused=frozenset(one.name for one in doomed),
        )
        holes = reach.add(
            root for session, root in second.roots.items() if session not in second.void
        )
        if holes:
            raise cannot_tell(self._remote, holes)
        reach.add(root for session, root in second.roots.items() if session in second.void)
        reach.add(one.root for one in second.trash.values())
        used = reach.used_packs()
        require_places(self._remote, used, second)
        return [one for one in there if one.name not in used]

    # taking it out of the index

    def _reindex(self, second: Survey, settled: frozenset[bytes], gone: frozenset[bytes]) -> None:
        """Write segments without these packs, then delete those that they replace."""
        remote = self._remote
        named = {name: size for one in second.segments for name, size in one.packs}
        # Somebody who merged segments meanwhile may have named what others deleted before.
        gone |= second.notices.swept_packs() - second.packs.keys()
        obsolete = second.names - {one.name for one in second.segments}
        made = replace_segments(
            second.segments,
            gone,
            (second.others, lost_packs(named, second.packs)),
            obsolete,
            bytes.fromhex(self._own),
        )
        for data in made.segments:
            put_segment(remote, data)
        old = (obsolete | set(made.replaced)) & settled
        self._done.segments = len(old)
        self._delete([layout.segment_key(name) for name in sorted(old)])

    def _delete(self, keys: Iterable[str]) -> list[str]:
        """Delete keys, and return those that could not be."""

        def delete(key: str) -> str:
            try:
                self._remote.storage.delete(key)
            except (RemoteError, SystemFailure) as error:
                return error.message
            return ""

        refused = []
        for key, reason in each(self._remote.jobs, keys, delete):
            if reason:
                refused.append(key)
                self._done.reason = self._done.reason or reason
        self._done.refused += refused
        return refused
