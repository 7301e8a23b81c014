"""Trying again what failed in passing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from dver.base import clock
from dver.base.dataclass import dataclass
from dver.base.errors import AlreadyExists, ObjectNotFound, TransientError
from dver.base.reporter import SILENT, Reporter
from dver.storage.base import Entry, Storage
from dver.storage.wrappers import Wrapper

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Policy:
    """How long to go on: at most ``attempts`` tries, begun within ``total`` seconds.

    Before try n+1 there is a pause of random length, up to ``first`` times 2**(n-1) seconds but
    never above ``longest``, so that many clients do not come back at the same moment; and never
    below what the server asked for.
    """

    attempts: int = 9
    first: float = 0.2
    longest: float = 20.0
    total: float = 120.0

    def pause(self, tries: int) -> float:
        """Return how long to wait after so many tries."""
        most = min(self.longest, self.first * 2.0 ** min(tries - 1, 30))
        return random.uniform(0.0, most)  # noqa: S311  jitter, not a secret


class Retrying(Wrapper):
    """Repeats calls that end in TransientError; anything else passes at once.

    A conditional create whose answer was lost may find its own bytes on the second try. So what
    is there is compared then: writers that need to know who won put something of their own into
    the bytes, as roots do.
    """

    def __init__(
        self, inner: Storage, policy: Policy | None = None, reporter: Reporter = SILENT
    ) -> None:
        super().__init__(inner)
        self.policy = policy or Policy()
        self._reporter = reporter

    def _call(self, call: Callable[[int], _T]) -> _T:
        policy = self.policy
        began = clock.monotonic()
        tries = 1
        while True:
            try:
                return call(tries)
            except TransientError as error:
                pause = max(policy.pause(tries), error.retry_after or 0.0)
                spent = clock.monotonic() - began
                if tries >= policy.attempts or spent + pause > policy.total:
                    if tries == 1:
                        raise
                    raise TransientError(
                        f"{error.message}; gave up after {tries} attempts in {spent:.0f} s",
                        hint=error.hint,
                        paths=error.paths,
                        retry_after=error.retry_after,
                    ) from error
                if pause >= 1.0:
                    self._reporter.note(f"{error.message}; trying again in {pause:.0f} s")
            clock.sleep(pause)
            tries += 1

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Read, repeatedly if need be."""
        return self._call(lambda _: self.inner.get(key, start, length))

    def put(self, key: str, data: bytes | memoryview, *, if_absent: bool = False) -> None:
        """Write, repeatedly if need be."""

        def put(tries: int) -> None:
            try:
                self.inner.put(key, data, if_absent=if_absent)
            except AlreadyExists:
                if tries == 1 or not self._holds(key, data):
                    raise

        self._call(put)

    def _holds(self, key: str, data: bytes | memoryview) -> bool:
        try:
            return self.inner.get(key) == bytes(data)
        except ObjectNotFound:
            return False

    def head(self, key: str) -> Entry | None:
        """Look up, repeatedly if need be."""
        return self._call(lambda _: self.inner.head(key))

    def list(self, prefix: str) -> Iterator[Entry]:
        """List; a failure half-way begins a new listing, of which each key is given once."""
        yield from self._call(lambda _: [*self.inner.list(prefix)])

    def list_short(self) -> Sequence[Entry] | None:
        """List, repeatedly if need be."""
        return self._call(lambda _: self.inner.list_short())

    def delete(self, key: str) -> None:
        """Remove, repeatedly if need be."""
        self._call(lambda _: self.inner.delete(key))

    def delete_old_versions(self, key: str) -> Sequence[str]:
        """Remove for good, repeatedly if need be."""
        return self._call(lambda _: self.inner.delete_old_versions(key))

    def put_file(self, key: str, path: Path) -> None:
        """Write, repeatedly if need be."""
        self._call(lambda _: self.inner.put_file(key, path))

    def get_file(self, key: str, path: Path) -> int:
        """Read; every try begins the file anew."""
        return self._call(lambda _: self.inner.get_file(key, path))

    def try_conditional_create(self, key: str) -> bool:
        """Try, repeatedly if need be."""
        return self._call(lambda _: self.inner.try_conditional_create(key))
