"""Collecting garbage in a remote: what goes, what stays, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dver.base.errors import RemoteError
from dver.storage.base import Storage
from tests.transfer.collecting import (
    DAY,
    GRACE,
    Moved,
    Stern,
    dropping,
    garbage,
    gc,
    keys,
    mixed,
    packs_of,
    time,
)
from tests.transfer.world import Clone, Hooked, many, noise

__all__ = ["garbage", "time"]
pytestmark = pytest.mark.usefixtures("time")


# what goes and what stays


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
    assert packs_of(gc(alice).unused) == garbage
    time.seconds += GRACE - 60
    assert not gc(bob).swept.deleted
    time.seconds += 120
    assert packs_of(gc(bob).swept.deleted) == garbage
    assert not set(garbage) & set(keys(bucket, "packs/"))
    assert not Clone(bob.path / "carol", bucket).fetch(tree).lost


def test_nobody_misses_what_was_deleted(alice: Clone, bob: Clone, garbage: list[str]) -> None:
    """Neither who knows the old index, nor who has never been here."""
    tree = alice.add("data", many(30))
    alice.push(tree)
    gc(bob, grace=0)
    assert alice.push(tree, reporter=Stern()).session is None
    assert alice.push(alice.add("more", b"more"), reporter=Stern()).objects == 1
    assert alice.push(alice.add("dead", many(40, seed=3)), reporter=Stern()).objects == 42
    assert bob.push(bob.add("new", b"new"), reporter=Stern()).objects == 1


def test_packs_that_no_segment_names_go_as_well(
    alice: Clone, bucket: Storage, garbage: list[str]
) -> None:
    for key in keys(bucket, "index/"):
        bucket.delete(key)
    bob = Clone(alice.path.with_name("fresh"), bucket)
    bob.push(bob.add("data", b"data"))
    done = gc(bob, grace=0)
    assert packs_of(done.swept.deleted) == garbage
    assert len(done.unindexed) == len(garbage)


def test_what_is_needed_again_starts_anew(
    alice: Clone, bucket: Storage, garbage: list[str], time: Moved
) -> None:
    alice.push(alice.add("data", b"data"))
    gc(alice)
    dead = alice.add("dead", many(40, seed=3))
    time.seconds += 10 * DAY
    again = alice.push(dead)
    assert again.packs == 0
    gc(alice)
    assert again.session
    bucket.delete(f"roots/{again.session}")
    time.seconds += 10 * DAY
    assert not gc(alice).swept.deleted
    time.seconds += 10 * DAY
    assert not gc(alice).swept.deleted
    time.seconds += 5 * DAY
    assert packs_of(gc(alice).swept.deleted) == garbage


def test_an_object_in_two_packs_keeps_one(alice: Clone, bob: Clone, bucket: Storage) -> None:
    """Two clones push the same at once; one of the packs is garbage, whichever it is."""
    content = many(60, seed=5)
    tree = alice.add("data", content)
    bob.add("data", content)
    sent: list[str] = []

    def once(verb: str, key: str) -> None:
        if verb == "put" and key.startswith("packs/") and not sent:
            sent.append(key)
            bob.push(tree)

    alice.storage.hook = once
    alice.push(tree)
    packs = keys(bucket, "packs/")
    assert len(packs) == 4
    assert len(gc(alice, grace=0).swept.deleted) == 2
    assert not Clone(bob.path / "carol", bucket).fetch(tree).lost
    assert not gc(bob, grace=0).swept.deleted
    assert not Clone(bob.path / "dave", bucket).fetch(tree).lost


def test_a_pack_that_is_needed_in_part_stays(
    alice: Clone, bob: Clone, bucket: Storage, time: Moved
) -> None:
    part = mixed(alice, bucket)
    time.seconds += GRACE + 60
    done = gc(bob)
    assert done.swept.deleted == ()
    assert done.waste > 80_000
    assert not bob.fetch(part).lost


def test_a_pack_that_is_mostly_garbage_can_be_rewritten(
    alice: Clone, bob: Clone, bucket: Storage, time: Moved
) -> None:
    part = mixed(alice, bucket)
    large = max(bucket.list("packs/"), key=lambda entry: entry.size).key
    time.seconds += GRACE + 60
    done = gc(bob, rewrite=True)
    assert done.rewritten == 1
    assert packs_of(done.unused) == [large]
    assert gc(bob, rewrite=True).rewritten == 0
    # Nobody relies on the old pack from now on.
    carol = Clone(bob.path.with_name("carol"), bucket)
    assert not carol.fetch(part).lost
    time.seconds += GRACE + 60
    assert packs_of(gc(alice).swept.deleted) == [large]
    assert sum(entry.size for entry in bucket.list("packs/")) < 10_000
    dave = Clone(bob.path.with_name("dave"), bucket)
    assert not dave.fetch(part).lost
    assert dave.content(part) == noise(2, 2000)


# sessions


def test_dry_runs_write_nothing(alice: Clone, bucket: Storage, garbage: list[str]) -> None:
    alice.push(alice.add("data", many(30)))
    before = keys(bucket)
    done = gc(alice, grace=0, dry_run=True, policy=dropping())
    assert packs_of(done.swept.deleted) == garbage
    assert len(done.dropped) == 1
    assert keys(bucket) == before
    assert set(alice.storage.verbs()) <= {"get", "list", "head"}


def test_collecting_an_empty_remote(alice: Clone, bucket: Storage) -> None:
    with pytest.raises(RemoteError, match="nothing at"):
        gc(alice)
    assert keys(bucket) == []


def test_a_clone_that_reads_while_segments_are_replaced(
    alice: Clone, bob: Clone, tmp_path: Path, bucket: Storage, garbage: list[str]
) -> None:
    """What was listed is gone when it is read, and what replaces it was not listed."""
    tree = alice.add("data", many(30))
    alice.push(tree)
    seen: list[str] = []

    def collected(verb: str, key: str) -> None:
        if verb == "get" and key.startswith("index/") and not seen:
            seen.append(key)
            gc(alice, grace=0)

    bob.storage = Hooked(bucket)
    bob.storage.hook = collected
    assert not bob.fetch(tree).lost
    assert seen
