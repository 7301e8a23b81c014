"""A directory looked at as a whole, against one object after the other."""

from __future__ import annotations

import os
import random

import pytest

from dver.base.errors import CorruptError
from dver.storage.base import Storage
from dver.store import index
from dver.transfer.closure import Closure, Offer, Presence
from dver.transfer.remote import lost_packs
from tests.transfer.world import Clone, many, noise


def closure_of(clone: Clone, spooled: frozenset = frozenset()) -> Closure:
    remote = clone.remote()
    remote.refresh_roots()
    remote.refresh_index(whole=True)
    lost = lost_packs(remote.index.packs(), remote.list_packs())
    presence = Presence(remote.index.segments(), lost, spooled)
    return Closure(
        clone.store, remote.store(), presence, kept=frozenset(), bases={}, where=("here",)
    )


def wanted_of(closure: Closure) -> set[tuple[bytes, bytes, int, int]]:
    return {
        (name, frames.oid(i), frames.offsets[i], frames.lengths[i])
        for name, frames in closure.wanted.packs.items()
        for i in range(len(frames))
    }


@pytest.mark.parametrize("ratio", [0, 10, 1 << 40], ids=["look-ups", "mixed", "scans"])
@pytest.mark.parametrize("seed", range(6))
def test_both_ways_want_the_same(
    bucket: Storage,
    alice: Clone,
    bob: Clone,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    ratio: int,
) -> None:
    rng = random.Random(seed)
    content = many(300, seed=seed, per_directory=30)
    content["large"] = noise(seed, 20_000)
    content["deep"] = {"same": content["d001"], "larger": noise(seed + 100, 9_000)}
    for _ in range(2):
        part = {name: content[name] for name in rng.sample(sorted(content), 3)}
        bob.push(bob.add("part", part))
        alice.add("some", {name: content[name] for name in rng.sample(sorted(content), 3)})
    if seed % 2:
        bucket.delete(rng.choice([one.key for one in bucket.list("packs/")]))
    tree = Offer(alice.add("data", content))
    monkeypatch.setattr(index, "_SCAN_RATIO", ratio)
    spooled = frozenset(list(alice.store.index.segments[0].oids())[:: 2 + seed])
    whole = closure_of(alice, spooled)
    assert whole.add(tree) == []
    single = closure_of(alice, spooled)
    monkeypatch.setattr(single, "_whole_tree", lambda *_: False)
    assert single.add(tree) == []
    assert wanted_of(whole) == wanted_of(single)
    assert whole.objects == single.objects > 0
    assert whole.add(tree) == []
    assert whole.objects == single.objects


def test_what_is_in_a_lost_local_pack_is_not_here(alice: Clone, bob: Clone) -> None:
    content = many(100)
    bob.push(bob.add("other", b"other"))
    first = alice.add("part", content["d000"])
    tree = alice.add("data", content)
    blobs = alice.store.place(alice.store.read_tree(first.oid).oid(0))
    assert blobs is not None
    os.unlink(alice.path / "store" / "packs" / blobs.pack.hex()[:2] / blobs.pack.hex())
    alice.store.refresh()
    closure = closure_of(alice)
    lost = closure.add(Offer(tree))
    assert {one.path for one in lost} == {f"data/d000/f{i:05}" for i in range(50)}
    assert all(oid != one.oid for _, oid, _, _ in wanted_of(closure) for one in lost)


@pytest.mark.parametrize(
    ("change", "whole"),
    [
        ("nothing", True),
        ("more wanted", True),
        ("a part is there", False),
        ("a large file", False),
        ("a frame that is not indexed", False),
        ("no footer", False),
    ],
)
def test_what_was_just_added_is_wanted_by_whole_packs(
    alice: Clone, bob: Clone, monkeypatch: pytest.MonkeyPatch, change: str, whole: bool
) -> None:
    content = many(100)
    bob.push(bob.add("other", content["d000"] if change == "a part is there" else b"other"))
    if change == "a large file":
        content["large"] = noise(1, 20_000)
    if change == "more wanted":
        alice.add("part", content["d001"])
    tree = Offer(alice.add("data", content))
    if change == "a frame that is not indexed":
        counted = index.Segment.rows_by_pack
        monkeypatch.setattr(
            index.Segment, "rows_by_pack", lambda self: [n - 1 for n in counted(self)]
        )
    if change == "no footer":

        def damaged(path: str) -> bytes:
            raise CorruptError(path)

        monkeypatch.setattr("dver.transfer.closure.read_rows", damaged)
    closure = closure_of(alice)
    taken = []
    take = closure._take_whole
    monkeypatch.setattr(
        closure, "_take_whole", lambda *args: taken.append(take(*args)) or taken[-1]
    )
    assert closure.add(tree) == []
    assert all(taken) is whole
    assert taken
    single = closure_of(alice)
    monkeypatch.setattr(single, "_whole_tree", lambda *_: False)
    assert single.add(tree) == []
    assert wanted_of(closure) == wanted_of(single)
    assert closure.objects == single.objects
