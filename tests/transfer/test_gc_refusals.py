"""What stops a collection: failing listings, damage, missing roots, clocks that lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from dver.base.errors import CorruptError, ObjectNotFound, RefusedError, RemoteError
from dver.storage.base import Entry, Storage
from dver.storage.memory import MemoryStorage
from dver.store import layout
from tests.transfer.collecting import (
    DAY,
    GRACE,
    Moved,
    Stern,
    dropping,
    forget_roots,
    garbage,
    gc,
    keys,
    packs_of,
    time,
)
from tests.transfer.world import Broken, Clone, many, noise

__all__ = ["garbage", "time"]
pytestmark = pytest.mark.usefixtures("time")

# what stops it


def test_a_listing_that_fails_deletes_nothing(
    alice: Clone, bucket: Storage, garbage: list[str]
) -> None:
    alice.push(alice.add("data", b"data"))
    for prefix in ("condemned/", "roots/", "trash/", "intents/", "index/", "packs/"):
        before = keys(bucket)
        seen: list[str] = []

        def fail(verb: str, key: str, prefix: str = prefix, seen: list[str] = seen) -> None:
            if verb == "list" and key == prefix:
                seen.append(key)
                raise Broken("made to fail")

        alice.storage.hook = fail
        with pytest.raises(Broken):
            gc(alice, grace=0)
        assert seen
        assert set(garbage) <= set(keys(bucket))
        assert keys(bucket) == before


def test_a_segment_that_does_not_arrive_deletes_nothing(
    alice: Clone, bucket: Storage, garbage: list[str]
) -> None:
    alice.push(alice.add("data", b"data"))
    there = keys(bucket, "index/")
    alice.storage.hook = lambda verb, key: verb != "put" or not key.startswith("index/")
    with pytest.raises(ObjectNotFound, match="index/"):
        gc(alice, grace=0)
    assert keys(bucket, "index/") == there
    assert set(garbage) <= set(keys(bucket))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_later_listing_that_fails_deletes_nothing(
    alice: Clone, bucket: Storage, garbage: list[str], number: int
) -> None:
    """Also where what is about to go was said already: that is taken back."""
    alice.push(alice.add("data", b"data"))
    left = [number]

    def fail(verb: str, key: str) -> None:
        if verb == "list" and key == "roots/":
            left[0] -= 1
            if left[0] == 0:
                raise Broken("made to fail")

    alice.storage.hook = fail
    with pytest.raises(Broken):
        gc(alice, grace=0)
    assert set(garbage) <= set(keys(bucket))
    assert keys(bucket, "condemned/") == []


@pytest.mark.parametrize("what", ["root", "segment", "pack", "notice", "trash"])
def test_damage_deletes_nothing(
    alice: Clone, bob: Clone, bucket: Storage, garbage: list[str], what: str
) -> None:
    pushed = alice.push(alice.add("data", many(50, seed=8)))
    if what == "root":
        key = f"roots/{pushed.session}"
    elif what == "segment":
        key = max(bucket.list("index/"), key=lambda entry: entry.size).key
    elif what == "pack":
        key = next(key for key in keys(bucket, "packs/") if key not in garbage)
    elif what == "notice":
        key = f"condemned/{layout.new_session(collection=True)}.doomed"
        bucket.put(key, b"{}")
    else:
        key = f"trash/{pushed.session}"
        bucket.put(key, b"{}")
    bucket.put(key, bucket.get(key)[:-1])
    with pytest.raises(CorruptError, match=r"nothing was removed|is damaged"):
        gc(bob, grace=0)
    assert set(garbage) <= set(keys(bucket))


def test_a_remote_without_roots_is_not_emptied(
    alice: Clone, bucket: Storage, garbage: list[str]
) -> None:
    with pytest.raises(RefusedError, match="no root"):
        gc(alice, grace=0)
    assert keys(bucket, "packs/") == garbage
    assert packs_of(gc(alice, grace=0, force=True).swept.deleted) == garbage


def test_roots_that_vanished_stop_it_every_time(alice: Clone, bucket: Storage) -> None:
    for number in range(6):
        alice.push(alice.add(f"f{number}", noise(number, 100)))
    for key in keys(bucket, "roots/")[:4]:
        bucket.delete(key)
    for _ in range(2):
        with pytest.raises(RefusedError, match="4 of the 6 roots"):
            gc(alice, grace=0)
    assert gc(alice, grace=0, force=True).swept.deleted


def test_what_was_dropped_has_not_vanished(alice: Clone, bob: Clone, bucket: Storage) -> None:
    for number in range(6):
        alice.push(alice.add(f"f{number}", noise(number, 100)))
    sessions = [key.removeprefix("roots/") for key in keys(bucket, "roots/")]
    gc(bob, policy=dropping(*sessions[:5]))
    assert gc(alice).roots == 1


def test_a_place_where_nothing_can_be_deleted(
    alice: Clone, bucket: Storage, garbage: list[str]
) -> None:
    alice.push(alice.add("data", b"data"))

    def refuse(verb: str, key: str) -> None:
        if verb == "delete":
            raise RemoteError("access denied")

    alice.storage.hook = refuse
    with pytest.raises(RefusedError, match="nothing can be deleted"):
        gc(alice, grace=0)
    assert keys(bucket, "condemned/") == []


def test_a_locked_pack_stops_nothing_else(
    alice: Clone, bob: Clone, bucket: Storage, garbage: list[str]
) -> None:
    tree = alice.add("data", many(30))
    alice.push(tree)

    def refuse(verb: str, key: str) -> None:
        if verb == "delete" and key == garbage[0]:
            raise RemoteError("object is locked")

    alice.storage.hook = refuse
    done = gc(alice, grace=0)
    assert (done.swept.refused, done.swept.reason) == ([garbage[0]], "object is locked")
    assert packs_of(done.swept.deleted) == garbage[1:]
    assert packs_of(done.unused) == garbage[:1]
    assert set(garbage) & set(keys(bucket)) == {garbage[0]}
    assert alice.push(tree, reporter=Stern()).session is None
    assert not bob.fetch(tree).lost
    # It is tried again, and its name is not sent by.
    alice.storage.hook = lambda verb, key: None
    assert packs_of(gc(bob, grace=0).swept.deleted) == garbage[:1]


# time


class Ahead(MemoryStorage):
    """A bucket whose clock is another than ours."""

    ahead = 0

    def head(self, key: str) -> Entry | None:
        found = super().head(key)
        if found is None or found.modified is None:
            return found
        return found._replace(modified=found.modified + self.ahead)


@pytest.mark.parametrize("ahead", [-DAY, -600, 600, DAY])
def test_a_clock_that_is_wrong_stops_it(tmp_path: Path, ahead: int) -> None:
    bucket = Ahead()
    alice = Clone(tmp_path / "alice", bucket)
    alice.push(alice.add("dead", many(40, seed=3)))
    forget_roots(bucket)
    alice.push(alice.add("data", b"data"))
    before = keys(bucket)
    bucket.ahead = ahead
    with pytest.raises(RefusedError, match="clock"):
        gc(alice, grace=0)
    assert keys(bucket) == before
    bucket.ahead = ahead // 1000
    assert gc(alice, grace=0).swept.deleted


@pytest.mark.parametrize("jump", [-400 * DAY, -DAY, -600, -300, 300, 31 * 60])
def test_a_clock_that_jumps_deletes_nothing_too_early(
    alice: Clone, bucket: Storage, garbage: list[str], time: Moved, jump: int
) -> None:
    """All clocks at once, as of one machine with a directory as remote."""
    tree = alice.add("data", many(30))
    alice.push(tree)
    gc(alice)
    time.seconds += jump
    if jump < -300:
        with pytest.raises(RefusedError, match="went back"):
            gc(alice)
    else:
        assert not gc(alice).swept.deleted
    assert alice.push(tree, reporter=Stern()).session is None
    time.seconds -= jump
    assert not gc(alice, force=jump > 300).swept.deleted
    time.seconds += GRACE + 600
    assert packs_of(gc(alice).swept.deleted) == garbage
    assert alice.push(tree, reporter=Stern()).session is None


def test_a_clock_that_leaps_ends_the_grace_and_loses_nothing(
    alice: Clone, bob: Clone, bucket: Storage, garbage: list[str], time: Moved
) -> None:
    tree = alice.add("data", many(30))
    alice.push(tree)
    gc(alice)
    time.seconds += 400 * DAY
    assert packs_of(gc(alice).swept.deleted) == garbage
    time.seconds -= 400 * DAY
    with pytest.raises(RefusedError, match="went back"):
        gc(alice)
    assert gc(alice, force=True).roots == 1
    assert gc(alice).roots == 1
    again = alice.add("dead", many(40, seed=3))
    assert alice.push(again, reporter=Stern()).session
    assert not bob.fetch(tree, again).lost
