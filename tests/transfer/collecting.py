"""What tests of garbage collection share: a clock to move, a collection as a command runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from dver.base import clock
from dver.base.clock import Clock
from dver.base.reporter import SILENT, Reporter
from dver.formats.notice import Unused
from dver.formats.root import RootObject
from dver.storage.base import Storage
from dver.store import layout
from dver.transfer.gc.collect import Collected, Kept, Policy, collect
from tests.transfer.world import Clone, many, noise

DAY = 86400
GRACE = 14 * DAY


class Moved(Clock):
    """The machine's clock, and that of a bucket in memory, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def now_ns(self) -> int:
        return int(self.seconds * 1e9)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def time() -> Iterator[Moved]:
    """Install a clock that stands still until it is moved."""
    mine = Moved()
    previous = clock.install(mine)
    yield mine
    clock.install(previous)


class Stern(Reporter):
    """Takes a warning for a failure."""

    def warn(self, message: str, *, hint: str | None = None) -> None:
        raise AssertionError(message)


def gc(
    clone: Clone, *, grace: int = GRACE, policy: Policy | None = None, **options: bool
) -> Collected:
    """Collect garbage, as a command does."""
    return collect(
        clone.store, clone.remote(), grace=grace, policy=policy, reporter=SILENT, **options
    )


def keys(bucket: Storage, prefix: str = "") -> list[str]:
    """Return the keys in a bucket, sorted."""
    return sorted(entry.key for entry in bucket.list(prefix))


def forget_roots(bucket: Storage) -> None:
    """Leave what a push leaves that died before its root."""
    for key in keys(bucket, "roots/"):
        bucket.delete(key)


def dropping(*sessions: str) -> Policy:
    """Return a policy that drops these roots, or all if none are given."""

    def policy(roots, ages):
        return {one: Kept(()) for one in roots if not sessions or one in sessions}

    return policy


class AtRequest:
    """A hook that does something before the request of that number, once."""

    def __init__(self, number: int, action: Callable[[], object]) -> None:
        self._left = number
        self._action = action

    @property
    def reached(self) -> bool:
        """Whether there were so many requests."""
        return self._left < 0

    def __call__(self, verb: str, key: str) -> None:
        self._left -= 1
        if self._left == -1:
            self._action()


@pytest.fixture
def garbage(alice: Clone, bucket: Storage) -> list[str]:
    """Packs of a push that died before its root; returns their keys."""
    alice.push(alice.add("dead", many(40, seed=3)))
    found = keys(bucket, "packs/")
    forget_roots(bucket)
    return found


def trashed(bucket: Storage) -> list[str]:
    return [key for key in keys(bucket, "trash/") if not key.endswith(layout.RETIRED)]


def packs_of(unused: tuple[Unused, ...]) -> list[str]:
    return sorted(layout.pack_key(one.name) for one in unused)


def mixed(alice: Clone, bucket: Storage) -> RootObject:
    """Make the remote need a small part of one pack; return that part."""
    small = alice.add("small", noise(1, 2000))
    with alice.store.writer() as writer:
        large = [writer.add(noise(number, 9000)) for number in range(20, 30)]
        small_again = writer.add(noise(2, 2000))
        writer.commit()
    objects = [RootObject(f"l{n}", "file", oid, 9000) for n, oid in enumerate(large)]
    part = RootObject("part", "file", small_again, 2000)
    pushed = alice.push(part, small, *objects)
    session = str(pushed.session)
    gc(alice, policy=lambda roots, ages: {session: Kept((part, small))})
    return part
