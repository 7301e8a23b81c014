"""Noticing that a collection of garbage came between what a push saw and its root.

Docs: ``docs/design/gc.md``. A push looks twice, and announces itself in between; a collection says
what it is about to delete before it looks for pushes. Whatever the order, one sees the other.
"""

from __future__ import annotations

from collections.abc import Iterable

from dver.base.errors import ObjectNotFound, RemoteError
from dver.transfer.notices import Notices
from dver.transfer.remote import Remote

#: So often the notices are listed again because one was withdrawn meanwhile.
_LOOKS = 5


class Overtaken(Exception):
    """A collection came between. The push has not happened, and may begin anew."""


class Watch:
    """What one push relies on.

    ``doomed`` are the packs that a collection may be deleting, or has: they count as not there,
    and nothing is sent by their names. So whoever misses one of those that were deleted knows
    that nobody needs it.
    """

    def __init__(self, remote: Remote) -> None:
        self.doomed: frozenset[bytes] = frozenset()
        self._remote = remote
        self._seen: set[bytes] = set()
        self._swept: frozenset[str] | None = None
        self._gone: frozenset[bytes] = frozenset()

    def begin(self) -> None:
        """Look for the first time. What is relied on must be listed after this."""
        for _ in range(_LOOKS):
            notices = self._remote.list_notices()
            try:
                gone = notices.swept_packs()
                self.doomed = notices.doomed_packs() | gone
            except ObjectNotFound:
                # It has ended since: another listing tells what it deleted, and what lists
                # follow tell what is left.
                self._remote.forget_listing()
                continue
            self._swept, self._gone = frozenset(notices.swept), gone
            return
        raise RemoteError(
            f"the notices of collections in {self._remote.description} are listed, and not there",
            hint="run the same command again",
        )

    def begin_with_nothing(self) -> None:
        """Take note that there is nothing yet that could be relied on."""
        self._swept = frozenset()

    def rely(self, packs: Iterable[bytes]) -> None:
        """Take note of packs whose content need not be sent, or was."""
        self._seen.update(packs)

    def swept_packs(self) -> frozenset[bytes]:
        """Return packs that were deleted since nobody needed them, as far as is remembered."""
        if self._swept is None:
            return self._remote.list_notices().swept_packs()
        return self._gone

    def check(self) -> None:
        """Look again, after the push was announced. Raises Overtaken if a collection came between.

        A collection that has ended left word of it; one that has not names what it may delete.
        """
        notices = self._remote.list_notices()
        self._remote.forget_listing()
        if not self._is_as_before(notices):
            raise Overtaken

    def _is_as_before(self, notices: Notices) -> bool:
        if not notices.swept.keys() <= (self._swept or frozenset()):
            return False
        try:
            return self._seen.isdisjoint(notices.doomed_packs())
        except ObjectNotFound:
            return False
