"""Collecting garbage in a remote: what goes, what stays, and what is said about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dver.base import clock
from dver.base.clock import Clock
from dver.base.reporter import SILENT
from dver.storage.base import Storage
from dver.storage.memory import MemoryStorage
from dver.store import layout
from dver.transfer.gc.collect import Collected, Kept, Policy, collect
from tests.transfer.world import Clone, many, noise

DAY = 86400
GRACE = 14 * DAY


class Moved(Clock):
    """The machine's clock, and the bucket's, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def now_ns(self) -> int:
        return int(self.seconds * 1e9)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture(autouse=True)
def time() -> Iterator[Moved]:
    mine = Moved()
    previous = clock.install(mine)
    yield mine
    clock.install(previous)


def gc(
    clone: Clone, *, grace: int = GRACE, policy: Policy | None = None, **options: bool
) -> Collected:
    return collect(
        clone.store, clone.remote(), grace=grace, policy=policy, reporter=SILENT, **options
    )


def keys(bucket: Storage, prefix: str = "") -> list[str]:
    return sorted(entry.key for entry in bucket.list(prefix))


def forget_roots(bucket: Storage) -> None:
    """What is left when a push died before its root."""
    for key in keys(bucket, "roots/"):
        bucket.delete(key)


def drop_all(roots, ages) -> dict[str, Kept]:
    return {session: Kept(()) for session in roots}


@pytest.fixture
def garbage(alice: Clone, bucket: Storage) -> list[str]:
    """Packs of a push that died before its root; returns their keys."""
    alice.push(alice.add("dead", many(40, seed=3)))
    found = keys(bucket, "packs/")
    forget_roots(bucket)
    return found


def test_what_roots_reach_stays(alice: Clone, bob: Clone, bucket: Storage) -> None:
    tree = alice.add("data", {"large": noise(1, 300_000), **many(30)})
    alice.push(tree)
    before = keys(bucket)
    done = gc(alice, grace=0)
    assert (done.swept.deleted, done.unused, done.roots) == ((), (), 1)
    assert keys(bucket) == before
    assert not bob.fetch(tree).lost


def test_garbage_goes_after_the_grace(
    alice: Clone, bob: Clone, bucket: Storage, garbage: list[str], time: Moved
) -> None:
    tree = alice.add("data", many(30))
    alice.push(tree)
    first = gc(alice)
    assert [layout.pack_key(one.name) for one in first.unused] == sorted(garbage)
    assert keys(bucket, "packs/") != []
    time.seconds += GRACE - 60
    assert not gc(bob).swept.deleted
    time.seconds += 120
    done = gc(bob)
    assert [layout.pack_key(one.name) for one in done.swept.deleted] == sorted(garbage)
    assert not set(garbage) & set(keys(bucket, "packs/"))
    # Nothing names the packs any more, and nobody misses them.
    bob.push(bob.add("more", b"more"), reporter=Ear())
    assert not Clone(bob.path / "carol", bucket).fetch(tree).lost


class Ear(type(SILENT)):  # type: ignore[misc]
    """Takes a warning for a failure."""

    def warn(self, message: str, *, hint: str | None = None) -> None:
        raise AssertionError(message)


def test_a_dry_run_writes_nothing(alice: Clone, bucket: Storage, garbage: list[str]) -> None:
    alice.push(alice.add("data", many(30)))
    before = keys(bucket)
    done = gc(alice, grace=0, dry_run=True, policy=drop_all)
    assert len(done.swept.deleted) == len(garbage)
    assert len(done.dropped) == 1
    assert keys(bucket) == before
    assert set(alice.storage.verbs()) <= {"get", "list", "head"}


# at the same time


def at_request(number: int, action) -> object:
    """Return a hook that does something before the request of that number, once."""
    left = [number]

    def hook(verb: str, key: str) -> None:
        left[0] -= 1
        if left[0] == -1:
            action()

    hook.reached = lambda: left[0] < 0  # type: ignore[attr-defined]
    return hook


@pytest.mark.parametrize("rooted", [False, True])
def test_a_collection_between_any_two_requests_of_a_push(tmp_path: Path, rooted: bool) -> None:
    """The push relies on what nobody needs, or on what the collection drops at that moment."""
    content = many(20, seed=3)
    number = 0
    while True:
        bucket = MemoryStorage()
        alice = Clone(tmp_path / f"alice{number}", bucket)
        bob = Clone(tmp_path / f"bob{number}", bucket)
        old = alice.add("dead", content)
        alice.push(old)
        if not rooted:
            forget_roots(bucket)
        bob.push(bob.add("other", noise(number, 500)))
        new = alice.add("data", {**content, "new": noise(1, 400)})

        there = {key.removeprefix("roots/") for key in keys(bucket, "roots/")}

        def drop_old(roots, ages, there=there) -> dict[str, Kept]:
            return {session: Kept(()) for session in roots if session in there}

        def collected(bob: Clone = bob, policy: Policy = drop_old, rooted: bool = rooted) -> None:
            gc(bob, grace=0, policy=policy if rooted else None)
            gc(bob, grace=0)

        alice.storage.hook = at_request(number, collected)
        pushed = alice.push(new)
        assert pushed.session
        carol = Clone(tmp_path / f"carol{number}", bucket)
        assert not carol.fetch(new).lost, f"before request {number}"
        assert carol.content(new) == alice.content(new)
        gc(carol, grace=0)
        assert not Clone(tmp_path / f"dave{number}", bucket).fetch(new).lost
        if not alice.storage.hook.reached():
            break
        number += 1
    assert number > 12


@pytest.mark.parametrize("again", [False, True])
def test_a_push_between_any_two_requests_of_a_collection(tmp_path: Path, again: bool) -> None:
    """With ``again`` another collection runs just behind the push."""
    content = many(20, seed=3)
    number = 0
    while True:
        bucket = MemoryStorage()
        alice = Clone(tmp_path / f"alice{number}", bucket)
        bob = Clone(tmp_path / f"bob{number}", bucket)
        alice.push(alice.add("dead", content))
        forget_roots(bucket)
        bob.push(bob.add("other", noise(number, 500)))
        new = alice.add("data", {**content, "new": noise(1, 400)})

        def pushed(alice=alice, bucket=bucket, new=new, again: bool = again) -> None:
            assert alice.push(new).session
            if again:
                gc(Clone(alice.path.with_name(alice.path.name + "-gc"), bucket), grace=0)

        bob.storage.hook = at_request(number, pushed)
        gc(bob, grace=0)
        if not bob.storage.hook.reached():
            break
        carol = Clone(tmp_path / f"carol{number}", bucket)
        assert not carol.fetch(new).lost, f"before request {number}"
        gc(carol, grace=0)
        assert not Clone(tmp_path / f"dave{number}", bucket).fetch(new).lost
        number += 1
    assert number > 20
