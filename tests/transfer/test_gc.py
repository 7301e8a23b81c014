"""Collecting garbage in a remote: what goes, what stays, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dver.base.errors import (
    CorruptError,
    MissingContentError,
    NotFoundError,
    RefusedError,
    RemoteError,
)
from dver.base.oid import Oid, oid_of
from dver.base.reporter import SILENT
from dver.formats import notice, pack, segment
from dver.formats import root as roots
from dver.formats.notice import Notice, Unused
from dver.formats.root import RootObject
from dver.formats.segment import Place
from dver.storage.base import Entry, Storage
from dver.storage.memory import MemoryStorage
from dver.store import layout
from dver.store.index import Segment
from dver.transfer.gc.collect import Kept
from dver.transfer.gc.trash import restore
from dver.transfer.segments import build_segments
from tests.transfer.collecting import (
    DAY,
    GRACE,
    Moved,
    Stern,
    dropping,
    forget_roots,
    gc,
    keys,
    time,
)
from tests.transfer.world import Broken, Clone, Hooked, many, noise

__all__ = ["time"]
pytestmark = pytest.mark.usefixtures("time")


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


# the trash


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
    monkeypatch.setattr("dver.transfer.segments.MERGE_COUNT", 2)
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
