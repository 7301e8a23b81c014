"""What was dropped or replaced can be restored from a remote's trash until the grace ends."""

from __future__ import annotations

import pytest

from dver.base.errors import MissingContentError, NotFoundError
from dver.base.reporter import SILENT
from dver.formats import notice
from dver.formats import root as roots
from dver.formats.notice import Notice
from dver.storage.base import Storage
from dver.store import layout
from dver.transfer.gc.collect import Kept
from dver.transfer.gc.trash import restore
from tests.transfer.collecting import GRACE, Moved, dropping, gc, keys, packs_of, time, trashed
from tests.transfer.world import Clone, many, noise

__all__ = ["time"]
pytestmark = pytest.mark.usefixtures("time")


def test_what_is_dropped_can_be_restored_until_the_grace_ends(
    alice: Clone, bob: Clone, bucket: Storage, time: Moved
) -> None:
    old = alice.add("data", many(40, seed=1))
    pushed = alice.push(old)
    alice.push(alice.add("data", many(40, seed=2)))
    assert pushed.session
    done = gc(bob, policy=dropping(pushed.session))
    assert [one.root.session for one in done.dropped] == [pushed.session]
    assert trashed(bucket) == [f"trash/{pushed.session}"]
    time.seconds += GRACE - 60
    assert not gc(bob).swept.deleted
    [back] = restore(bob.store, bob.remote(), [pushed.session[:8]], SILENT)
    assert back.objects == (old,)
    assert trashed(bucket) == []
    time.seconds += 2 * GRACE
    assert not gc(bob).swept.deleted
    assert not bob.fetch(old).lost
    assert bob.content(old) == alice.content(old)


def test_what_was_dropped_goes_when_the_grace_ends(
    alice: Clone, bob: Clone, bucket: Storage, time: Moved
) -> None:
    old = alice.add("data", many(40, seed=1))
    pushed = alice.push(old)
    packs = keys(bucket, "packs/")
    new = alice.add("data", many(40, seed=2))
    alice.push(new)
    assert pushed.session
    gc(bob, policy=dropping(pushed.session))
    time.seconds += GRACE + 60
    done = gc(bob)
    assert (packs_of(done.swept.deleted), done.expired) == (packs, (pushed.session,))
    assert trashed(bucket) == []
    with pytest.raises(NotFoundError, match="not in the trash"):
        restore(bob.store, bob.remote(), [pushed.session], SILENT)
    assert not bob.fetch(new).lost
    assert bob.fetch(old).lost


def test_restoring_what_is_incomplete_fails(alice: Clone, bob: Clone, bucket: Storage) -> None:
    old = alice.add("data", many(40, seed=1))
    pushed = alice.push(old)
    packs = keys(bucket, "packs/")
    alice.push(alice.add("data", many(40, seed=2)))
    assert pushed.session
    gc(bob, policy=dropping(pushed.session))
    bucket.delete(packs[0])
    with pytest.raises(MissingContentError):
        restore(bob.store, bob.remote(), [], SILENT)
    assert trashed(bucket) == [f"trash/{pushed.session}"]
    assert len(keys(bucket, "roots/")) == 1


def test_a_root_of_which_a_part_is_needed_is_replaced(
    alice: Clone, bob: Clone, bucket: Storage, time: Moved
) -> None:
    first, second = alice.add("a", noise(1, 3000)), alice.add("b", noise(2, 3000))
    pushed = alice.push(first, second)
    session = pushed.session
    assert session
    gc(bob, policy=lambda roots, ages: {session: Kept((second,), ("c" * 40,))})
    [key] = keys(bucket, "roots/")
    made = roots.decode(bucket.get(key))
    assert (made.objects, made.commits) == ((second,), ("c" * 40,))
    assert made.session != session
    time.seconds += GRACE + 60
    gc(bob)
    time.seconds += GRACE + 60
    gc(bob)
    assert not bob.fetch(second).lost


def test_a_root_in_both_places_is_a_root(alice: Clone, bob: Clone, bucket: Storage) -> None:
    """A collection was killed between the two steps of dropping."""
    tree = alice.add("data", many(40, seed=1))
    pushed = alice.push(tree)
    key = f"roots/{pushed.session}"
    held = Notice("trash", layout.new_session(collection=True), 1, root=bucket.get(key))
    bucket.put(f"trash/{pushed.session}", notice.encode(held))
    assert not gc(bob, grace=0).swept.deleted
    assert trashed(bucket) == []
    assert keys(bucket, "roots/") == [key]
    assert not bob.fetch(tree).lost
