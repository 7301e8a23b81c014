"""Fetching from a remote that is damaged, or lies."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dver.base.oid import oid_of
from dver.base.workers import Worker
from dver.formats import chunklist, pack, segment
from dver.formats.root import RootObject
from dver.storage.base import Storage
from dver.store import layout
from dver.store.packfile import PackBuilder
from dver.transfer import adoption, ranges
from tests.transfer.world import Clone, flat, many, noise


@pytest.mark.parametrize("way", ["ranges", "whole", "in processes"])
@pytest.mark.parametrize("seed", range(6))
def test_a_flipped_bit_costs_what_it_hits_and_never_gets_through(
    bucket: Storage,
    alice: Clone,
    bob: Clone,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    way: str,
) -> None:
    if way != "ranges":
        monkeypatch.setattr(ranges, "MIN_WHOLE", 1000)
    started = in_processes(monkeypatch) if way == "in processes" else []
    content = {"large": noise(1, 60_000), **many(60)}
    tree = alice.add("data", content)
    alice.push(tree)
    victim = max(bucket.list("packs/"), key=lambda entry: entry.size)
    data = bytearray(bucket.get(victim.key))
    at = random.Random(seed).randrange(40, len(data) - 4000)
    data[at] ^= 1 << seed
    bucket.put(victim.key, data)
    fetched = bob.fetch(tree)
    expected = flat(content)
    lost = {one.path.removeprefix("data/") for one in fetched.lost}
    assert len(lost) == 1
    assert {one.reason for one in fetched.lost} == {"damaged"}
    for path, value in expected.items():
        if path in lost:
            assert not bob.store.has(oid_of(value))
        else:
            assert b"".join(map(bytes, bob.store.stream(oid_of(value)))) == value
    # A good clone heals it, and then all of it comes.
    bucket.delete(victim.key)
    alice.push(tree)
    assert not bob.fetch(tree).lost
    assert bob.content(tree) == expected
    assert bool(started) == (way == "in processes")


def in_processes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let worker processes verify every whole pack; what is returned gets one entry for each."""
    started: list[str] = []

    class Counted(Worker):
        def __init__(self, handler: str, setup: object) -> None:
            started.append(handler)
            super().__init__(handler, setup)

    monkeypatch.setattr(ranges, "MIN_WHOLE", 1000)
    monkeypatch.setattr(adoption, "usable_cores", lambda: 2)
    monkeypatch.setattr(adoption, "_WORTH_PACKS", 1)
    monkeypatch.setattr(adoption, "_WORTH_FRAMES", 1)
    monkeypatch.setattr(adoption, "Worker", Counted)
    return started


def test_processes_tell_of_whole_packs_what_a_thread_would(
    alice: Clone, bob: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dver.store.writer.PACK_TARGET", 100_000)
    monkeypatch.setattr("dver.transfer.uploads.SMALL_PACK", 0)
    content = {**many(200, size=2000), "large": noise(3, 60_000)}
    tree = alice.add("data", content)
    alice.push(tree)
    started = in_processes(monkeypatch)
    fetched = bob.fetch(tree)
    assert fetched.packs > 2
    directories = 1 + sum(isinstance(value, dict) for value in content.values())
    assert fetched.objects == 201 + directories
    assert len(started) == 2
    assert bob.content(tree) == flat(content)


def test_a_liar_in_a_whole_pack_is_found_out_by_a_process(
    tmp_path: Path, bucket: Storage, alice: Clone, bob: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.push(alice.add("x", b"x"))
    wanted, good = oid_of(b"what was promised"), noise(4, 5000)
    plant(bucket, tmp_path, [(wanted, pack.BLOB, b"a lie"), (oid_of(good), pack.BLOB, good)])
    started = in_processes(monkeypatch)
    fetched = bob.fetch(
        RootObject("a", "file", wanted, 5), RootObject("b", "file", oid_of(good), len(good))
    )
    assert started
    assert [(one.path, one.reason) for one in fetched.lost] == [("a", "damaged")]
    assert not bob.store.has(wanted)
    assert bob.store.read(oid_of(good)) == good


def test_a_lost_pack_costs_only_what_was_in_it(bucket: Storage, alice: Clone, bob: Clone) -> None:
    first = alice.add("first", noise(1, 30_000))
    alice.push(first)
    [gone] = [entry.key for entry in bucket.list("packs/")]
    second = alice.add("second", noise(2, 30_000))
    alice.push(second)
    bucket.delete(gone)
    fetched = bob.fetch(first, second)
    assert [(one.path, one.oid, one.reason) for one in fetched.lost] == [
        ("first", first.oid, "missing")
    ]
    assert "origin" in fetched.lost[0].where[1]
    assert bob.content(second) == noise(2, 30_000)


def test_a_pack_cut_short_costs_only_its_end(bucket: Storage, alice: Clone, bob: Clone) -> None:
    tree = alice.add("data", many(200))
    alice.push(tree)
    largest = max(bucket.list("packs/"), key=lambda entry: entry.size)
    bucket.put(largest.key, bucket.get(largest.key)[: largest.size // 2])
    fetched = bob.fetch(tree)
    assert 0 < len(fetched.lost) <= 200
    assert {one.reason for one in fetched.lost} == {"damaged"}


def test_another_copy_is_found_when_one_is_damaged(
    tmp_path: Path, bucket: Storage, alice: Clone, bob: Clone
) -> None:
    data = noise(1, 3000)
    one = alice.add("one", data)
    alice.push(one)
    [first] = list(bucket.list("packs/"))
    kept = bucket.get(first.key)
    bucket.delete(first.key)
    other = bob.add("one", data)
    bob.push(other)
    for damage in (kept[:100] + b"?" + kept[101:], kept[:200], b""):
        bucket.put(first.key, damage)
        carol = Clone(tmp_path / f"carol{len(damage)}{damage[100:101]!r}", bucket)
        assert not carol.fetch(one).lost
        assert carol.content(one) == data


def test_a_directory_that_is_lost_is_told_by_its_path(
    bucket: Storage, alice: Clone, bob: Clone
) -> None:
    content = many(100)
    alice.push(alice.add("part", content["d001"]))
    [key] = [e.key for e in bucket.list("packs/") if b"DVERTREE" in bucket.get(e.key)]
    tree = alice.add("data", content)
    alice.push(tree)
    bucket.delete(key)
    fetched = bob.fetch(tree)
    assert [one.path for one in fetched.lost] == ["data/d001"]
    assert bob.store.has(oid_of(content["d000"]["f00000"]))


# hostile remotes


def plant(bucket: Storage, tmp_path: Path, frames: list[tuple[bytes, int, bytes]]) -> None:
    """Put a pack with any frames, and a segment that names them, into a remote."""
    builder = PackBuilder(str(tmp_path))
    for oid, kind, data in frames:
        builder.add(oid, kind, pack.RAW, data, len(data))
    builder.finish()
    done = builder.result()
    bucket.put(layout.pack_key(done.name), Path(done.temp).read_bytes())
    rows = sorted(
        done.rows[at : at + 32] + bytes(4) + done.rows[at + 32 : at + 48]
        for at in range(0, len(done.rows), pack.ROW.size)
    )
    data = segment.encode(rows, [(done.name, done.size)], bytes(16))
    bucket.put(layout.segment_key(oid_of(data)), data)


def as_list(rows: list[tuple[bytes, int]], level: int = 0) -> bytes:
    return chunklist.encode(chunklist.ChunkList(level, tuple(rows)))


def test_a_chunk_list_of_other_content_is_refused(
    tmp_path: Path, bucket: Storage, alice: Clone, bob: Clone
) -> None:
    alice.push(alice.add("x", b"x"))
    good, evil = b"good" * 500, b"evil" * 500
    wanted = oid_of(good)
    top = as_list([(oid_of(evil), len(evil))])
    plant(bucket, tmp_path, [(wanted, pack.BLOB_LIST, top), (oid_of(evil), pack.CHUNK, evil)])
    fetched = bob.fetch(RootObject("model", "file", wanted, len(good)))
    assert [(one.path, one.reason) for one in fetched.lost] == [("model", "damaged")]
    assert not bob.store.has(wanted)


@pytest.mark.parametrize("case", ["too long", "loops", "levels", "garbage", "absent"])
def test_chunk_lists_that_lie_are_refused(
    tmp_path: Path, bucket: Storage, alice: Clone, bob: Clone, case: str
) -> None:
    alice.push(alice.add("x", b"x"))
    chunk = b"c" * 100
    wanted = oid_of(b"whatever")
    sub = as_list([(oid_of(chunk), 100)])
    tops = {
        "too long": as_list([(oid_of(chunk), 1 << 60)]),
        "loops": as_list([(wanted, 100)], 1),
        "levels": as_list([(oid_of(sub), 100)], 3),
        "garbage": b"not a list",
        "absent": as_list([(oid_of(b"absent"), 100)]),
    }
    frames = [
        (wanted, pack.BLOB_LIST, tops[case]),
        (oid_of(chunk), pack.CHUNK, chunk),
        (oid_of(sub), pack.LIST, sub),
    ]
    plant(bucket, tmp_path, frames)
    fetched = bob.fetch(RootObject("model", "file", wanted, 100))
    assert [one.path for one in fetched.lost] == ["model"]
    assert not bob.store.has(wanted)


def test_a_substituted_object_is_refused(
    tmp_path: Path, bucket: Storage, alice: Clone, bob: Clone
) -> None:
    alice.push(alice.add("x", b"x"))
    wanted = oid_of(b"good")
    plant(bucket, tmp_path, [(wanted, pack.BLOB, b"evil")])
    tree = oid_of(b"a tree")
    plant(bucket, tmp_path, [(tree, pack.TREE, b"DVERTREE and more")])
    fetched = bob.fetch(RootObject("model", "file", wanted, 4), RootObject("data", "tree", tree, 4))
    assert {(one.path, one.reason) for one in fetched.lost} == {
        ("model", "damaged"),
        ("data", "damaged"),
    }
    assert not bob.store.has(wanted)
    assert not bob.store.has(tree)


def test_an_unverified_list_in_a_whole_pack_stays_invisible_and_is_never_passed_on(
    tmp_path: Path, bucket: Storage, alice: Clone, bob: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "MIN_WHOLE", 1000)
    alice.push(alice.add("x", b"x"))
    data, bad = noise(1, 5000), oid_of(b"not what the list says")
    top = as_list([(oid_of(data), len(data))])
    plant(bucket, tmp_path, [(oid_of(data), pack.BLOB, data), (bad, pack.BLOB_LIST, top)])
    one = RootObject("model", "file", oid_of(data), len(data))
    assert bob.fetch(one).packs == 1
    assert not bob.store.has(bad)
    from dver.storage.memory import MemoryStorage

    other = Clone(tmp_path / "other", MemoryStorage())
    other.store = bob.store
    other.push(one)
    remote = other.remote()
    remote.refresh_index()
    assert list(remote.locate([bad])) == []
    assert len(list(remote.locate([one.oid]))) == 1
