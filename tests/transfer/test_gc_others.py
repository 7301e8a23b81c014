"""Collecting beside others: notices, roots that are void, pushes that ended."""

from __future__ import annotations

import pytest

from dver.base.errors import CorruptError, RefusedError
from dver.base.oid import Oid, oid_of
from dver.formats import notice, pack, segment
from dver.formats import root as roots
from dver.formats.notice import Notice, Unused
from dver.formats.segment import Place
from dver.storage.base import Storage
from dver.store import layout
from dver.store.index import Segment
from dver.transfer.segments import build_segments
from tests.transfer.collecting import (
    GRACE,
    Moved,
    Stern,
    forget_roots,
    garbage,
    gc,
    keys,
    packs_of,
    time,
    trashed,
)
from tests.transfer.world import Clone, many, noise

__all__ = ["garbage", "time"]
pytestmark = pytest.mark.usefixtures("time")

# notices of others


def doom(bucket: Storage, packs: list[str]) -> str:
    """Write what a collection leaves that was killed before it deleted; return its session."""
    session = layout.new_session(collection=True)
    names = [(layout.name_of(key), bucket.head(key)) for key in packs]
    unused = tuple(Unused(name, entry.size, 1) for name, entry in names if name and entry)
    data = notice.encode(Notice("doomed", session, 1, tuple(sorted(unused))))
    bucket.put(f"condemned/{session}.doomed", data)
    return session


def test_what_another_collection_may_delete_is_not_relied_on(
    alice: Clone, bob: Clone, bucket: Storage, garbage: list[str]
) -> None:
    doom(bucket, garbage)
    tree = alice.add("dead", many(40, seed=3))
    pushed = alice.push(tree)
    # The packs are sent again, and by other names.
    assert pushed.packs == len(garbage)
    assert len(keys(bucket, "packs/")) == 2 * len(garbage)
    for key in garbage:
        bucket.delete(key)
    assert not bob.fetch(tree).lost


def test_a_name_that_is_doomed_is_not_sent_by(
    alice: Clone, bob: Clone, bucket: Storage, garbage: list[str]
) -> None:
    """Though the pack is not there any more: whoever deletes it may do it once more."""
    doom(bucket, garbage)
    for key in garbage:
        bucket.delete(key)
    tree = alice.add("dead", many(40, seed=3))
    alice.push(tree)
    assert not set(garbage) & set(keys(bucket, "packs/"))
    assert not bob.fetch(tree).lost


def test_roots_prove_nothing_about_what_may_be_deleted(
    alice: Clone, bob: Clone, bucket: Storage
) -> None:
    tree = alice.add("data", many(40, seed=3))
    alice.push(tree)
    packs = keys(bucket, "packs/")
    doom(bucket, packs)
    other = alice.add("other", b"other")
    assert alice.push(tree, other).objects == 43
    for key in packs:
        bucket.delete(key)
    assert not bob.fetch(tree, other).lost


def test_what_a_dead_collection_left_is_deleted_by_the_next(
    alice: Clone, bob: Clone, bucket: Storage, garbage: list[str], time: Moved
) -> None:
    tree = alice.add("data", many(30))
    alice.push(tree)
    gc(alice)
    session = doom(bucket, garbage)
    time.seconds += GRACE + 60
    assert packs_of(gc(bob).swept.deleted) == garbage
    # Its owner may only be asleep: the names stay taken.
    assert f"condemned/{session}.doomed" in keys(bucket)
    assert alice.push(tree, reporter=Stern()).session is None
    assert not Clone(bob.path / "carol", bucket).fetch(tree).lost


def test_what_only_doomed_packs_hold_stops_it_unless_it_is_copied(
    alice: Clone, bob: Clone, bucket: Storage
) -> None:
    """Who doomed them may count on another place, and must not be relied on to spare them."""
    tree = alice.add("data", many(30))
    alice.push(tree)
    packs = keys(bucket, "packs/")
    doom(bucket, packs)
    with pytest.raises(RefusedError, match="another collection is under way"):
        gc(bob, grace=0)
    assert keys(bucket, "packs/") == packs
    assert gc(bob, rewrite=True).rewritten == len(packs)
    assert packs_of(gc(bob, grace=0).swept.deleted) == packs
    fresh = Clone(bob.path.with_name("fresh"), bucket)
    assert not fresh.fetch(tree).lost
    assert fresh.content(tree) == alice.content(tree)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_merging_keeps_the_row_that_will_be_there_longest(
    monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...]
) -> None:
    oid, packs = Oid(b"o" * 32), [bytes([65 + number]) * 32 for number in range(3)]
    made = []
    for name in packs:
        place = Place(name, 32, 10, 10, pack.BLOB, pack.RAW)
        data = segment.encode([segment.encode_place(oid, 0, place)], [(name, 1000)], bytes(16))
        made.append(Segment(bytes(oid_of(data)), data))
    live = [made[number] for number in order]

    def kept(*worse: frozenset[bytes]) -> int:
        [data] = build_segments([], live, bytes(16), worse)
        found = Segment(bytes(32), data).find(oid)
        assert found is not None
        return packs.index(found.pack)

    doomed, gone = frozenset(packs[:2]), frozenset(packs[:1])
    assert kept(doomed, gone) == 2
    assert kept(frozenset(packs), gone) in (1, 2)
    assert kept(frozenset(packs[1:]), frozenset(packs[:2])) == 2


# sessions


def test_a_void_root_proves_nothing(alice: Clone, bob: Clone, bucket: Storage) -> None:
    tree = alice.add("data", many(30))
    pushed = alice.push(tree)
    bucket.put(layout.void_key(str(pushed.session), layout.new_session(collection=True)), b"x")
    again = alice.push(tree)
    assert (again.objects, again.packs) == (0, 0)
    assert again.session


def test_a_void_root_that_is_complete_is_pushed_again(
    alice: Clone, bob: Clone, bucket: Storage, time: Moved
) -> None:
    tree = alice.add("data", many(30))
    pushed = alice.push(tree)
    bucket.put(layout.void_key(str(pushed.session), layout.new_session(collection=True)), b"x")
    gc(bob)
    assert f"roots/{pushed.session}" in keys(bucket)
    time.seconds += GRACE + 60
    assert gc(bob).settled == (pushed.session,)
    assert f"roots/{pushed.session}" not in keys(bucket)
    [key] = [key for key in keys(bucket, "roots/") if "." not in key]
    assert roots.decode(bucket.get(key)).objects == (tree,)


def test_a_void_root_that_is_incomplete_goes_to_the_trash(
    alice: Clone, bob: Clone, bucket: Storage, time: Moved
) -> None:
    tree = alice.add("data", many(30))
    pushed = alice.push(tree)
    alice.push(alice.add("other", noise(9, 900)))
    bucket.put(layout.void_key(str(pushed.session), layout.new_session(collection=True)), b"x")
    bucket.delete(keys(bucket, "packs/")[0])
    time.seconds += GRACE + 60
    fresh = Clone(bob.path / "carol", bucket)
    try:
        gc(fresh)
    except CorruptError:
        # The pack that is gone was the other root's.
        return
    assert trashed(bucket) == [f"trash/{pushed.session}"]


def test_the_intent_of_a_push_that_ended_is_removed(alice: Clone, bucket: Storage) -> None:
    tree = alice.add("data", many(30))
    alice.push(tree)
    forget_roots(bucket)
    pushed = alice.push(tree)
    assert keys(bucket, "intents/") == [f"intents/{pushed.session}"]
    gc(alice)
    assert keys(bucket, "intents/") == []


def test_a_collection_is_no_push(alice: Clone, bucket: Storage, garbage: list[str]) -> None:
    """Segments of a collection announce nobody, or each would be declared void for ever."""
    alice.push(alice.add("data", many(30)))
    gc(alice, grace=0)
    voids = [key for key in keys(bucket, "roots/") if "." in key]
    assert len(voids) == 1
    alice.push(alice.add("dead", many(40, seed=4)))
    bucket.delete(keys(bucket, "roots/")[-1])
    gc(alice, grace=0, force=True)
    again = [key for key in keys(bucket, "roots/") if "." in key]
    assert not any(key.startswith("roots/00000000") for key in again)
