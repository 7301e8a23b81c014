"""Fetching brings what is wanted and little else, whole packs or ranges of them."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from dver.base.errors import RemoteError
from dver.base.oid import oid_of
from dver.formats import pack
from dver.storage.base import Storage
from dver.transfer import adoption, fetch, ranges, receiver
from tests.transfer.world import Broken, Clone, fail_at, flat, many, noise


def test_nothing_to_fetch_asks_nothing(alice: Clone) -> None:
    tree = alice.add("data", many(20))
    fetched = alice.fetch(tree)
    assert (fetched.requests, fetched.objects, alice.storage.log) == (0, 0, [])


def test_a_remote_where_nothing_was_pushed_is_an_error(alice: Clone, bob: Clone) -> None:
    tree = alice.add("data", many(3))
    with pytest.raises(RemoteError, match="nothing at"):
        bob.fetch(tree)


def test_one_file_of_many_reads_only_what_it_needs(alice: Clone, bob: Clone) -> None:
    content = many(6000, size=2000, per_directory=500)
    tree = alice.add("data", content)
    alice.push(tree)
    fetched = bob.fetch(tree, inside=(b"d003/f01600",))
    assert fetched.objects == 3
    assert fetched.requests <= 8
    assert fetched.bytes < 600_000
    assert bob.store.read(oid_of(content["d003"]["f01600"]))


def test_a_long_index_stays_in_the_remote_when_few_objects_are_wanted(
    alice: Clone, bob: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dver.transfer.remoteindex.SMALL", 20_000)
    monkeypatch.setattr("dver.transfer.distant.HEAD", 2048)
    monkeypatch.setattr("dver.transfer.distant._REQUEST", 1)
    monkeypatch.setattr("dver.transfer.distant._GAP", 100)
    monkeypatch.setattr("dver.transfer.segments.SPLIT_ROWS", 500)
    content = many(3000, per_directory=100)
    tree = alice.add("data", content)
    alice.push(tree)
    fetched = bob.fetch(tree, inside=(b"d004/f00401", b"d020"))
    assert not fetched.lost
    index = [size for verb, key, size in bob.storage.log if key.startswith("index/")]
    assert 0 < max(index) < 20_000
    assert bob.store.read(oid_of(content["d004"]["f00401"]))
    assert all(bob.store.has(oid_of(data)) for data in content["d020"].values())
    # Whoever wants all of it takes the index whole, too.
    bob.fetch(tree)
    assert bob.content(tree) == flat(content)


@pytest.mark.parametrize("large", [False, True])
def test_sizes_are_only_kept_for_chunk_lists(
    alice: Clone, bob: Clone, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    content = many(20)
    if large:
        content["large"] = noise(1, 20_000)
    tree = alice.add("data", content)
    alice.push(tree)
    kept: list[int] = []
    opened = fetch._fetch_files

    def watched(local, supply, receiver, files, failed):
        opened(local, supply, receiver, files, failed)
        kept.append(len(files))

    monkeypatch.setattr(fetch, "_fetch_files", watched)
    bob.fetch(tree)
    assert bob.content(tree) == flat(content)
    assert kept == [21 if large else 0]


def test_parts_of_a_directory_bring_nothing_else(alice: Clone, bob: Clone) -> None:
    content = many(200)
    tree = alice.add("data", content)
    alice.push(tree)
    fetched = bob.fetch(tree, inside=(b"d001", b"d002/f00100", b"d001/f00051", b"absent/x"))
    assert fetched.objects == 3 + 50 + 1
    assert not bob.store.has(oid_of(content["d003"]["f00150"]))


def test_the_rest_comes_later_and_nothing_twice(alice: Clone, bob: Clone) -> None:
    content = many(200)
    tree = alice.add("data", content)
    pushed = alice.push(tree)
    first = bob.fetch(tree, inside=(b"d001",))
    second = bob.fetch(tree)
    assert first.objects + second.objects == pushed.objects
    assert bob.content(tree) == flat(content)


def test_a_pack_that_is_wanted_mostly_is_kept_as_it_is(
    bucket: Storage, alice: Clone, bob: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "MIN_WHOLE", 1000)
    content = {"large": noise(1, 300_000), **many(200)}
    tree = alice.add("data", content)
    alice.push(tree)
    fetched = bob.fetch(tree)
    [data_pack] = [e for e in bucket.list("packs/") if e.size > 100_000]
    assert fetched.packs == 1
    assert Path(bob.store.local_directory(), data_pack.key).read_bytes() == bucket.get(
        data_pack.key
    )
    assert bob.content(tree) == flat(content)
    assert list((bob.path / "store" / "spool" / "origin" / "fetch").iterdir()) == []


def test_small_packs_are_merged_on_their_way(alice: Clone, bob: Clone) -> None:
    objects = []
    for i in range(5):
        objects.append(alice.add(f"m{i}", noise(i, 1000)))
        alice.push(objects[-1])
    bob.fetch(*objects)
    assert len(bob.store.index.packs()) == 1


def test_a_dry_run_tells_what_would_come(alice: Clone, bob: Clone) -> None:
    content = many(100)
    tree = alice.add("data", content)
    alice.push(tree)
    told = bob.fetch(tree, dry_run=True)
    assert len(bob.store.index) == 0
    done = bob.fetch(tree)
    assert told.objects == done.objects
    assert 0 < told.bytes <= done.bytes


def pack_gets(clone: Clone) -> list[str]:
    return [key for verb, key, _ in clone.storage.log if verb == "get" and key[:6] == "packs/"]


@pytest.mark.parametrize("commit_every", [1, 1 << 30])
def test_an_interrupted_fetch_goes_on_where_it_stopped(
    alice: Clone, bob: Clone, monkeypatch: pytest.MonkeyPatch, commit_every: int
) -> None:
    monkeypatch.setattr(ranges, "MIN_WHOLE", 1000)
    monkeypatch.setattr(receiver, "COMMIT_EVERY", commit_every)
    objects = []
    for i in range(6):
        objects.append(alice.add(f"m{i}", noise(i, 4000)))
        alice.push(objects[-1])
    fail = fail_at(3, ("get",))
    bob.storage.hook = lambda verb, key: fail(verb, key) if key.startswith("packs/") else None
    with pytest.raises(Broken):
        bob.fetch(*objects, jobs=1)
    # What was committed is here; what was not waits in the spool.
    bob.store.refresh()
    assert sum(bob.store.has(one.oid) for one in objects) == (3 if commit_every == 1 else 0)
    bob.storage.hook = lambda verb, key: None
    assert not bob.fetch(*objects, jobs=1).lost
    assert len(pack_gets(bob)) == 3
    assert all(len(bob.content(one)) == 4000 for one in objects)
    assert list((bob.path / "store" / "spool" / "origin" / "fetch").iterdir()) == []


def test_packs_of_large_files_are_read_once(
    alice: Clone, bob: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "MIN_WHOLE", 1000)
    tree = alice.add("data", {f"f{i}": noise(i, 50_000) for i in range(10)})
    alice.push(tree)
    assert bob.fetch(tree).packs == 1
    assert len(pack_gets(bob)) == 2  # the directories, and all the rest


def test_a_refused_request_stops_it_all(alice: Clone, bob: Clone) -> None:
    tree = alice.add("data", many(10))
    alice.push(tree)

    def hook(verb: str, key: str) -> None:
        if key.startswith("packs/"):
            raise RemoteError("access denied")

    bob.storage.hook = hook
    with pytest.raises(RemoteError, match="access denied"):
        bob.fetch(tree)


# hostile remotes


def test_a_directory_that_came_in_parts_is_known_to_be_there(alice: Clone, bob: Clone) -> None:
    tree = alice.add("data", {"one": {"f": b"1"}, "two": {"f": b"2"}})
    alice.push(tree)
    bob.fetch(tree, inside=(b"one",))
    bob.fetch(tree, inside=(b"two",))
    assert bob.store.is_complete(tree.oid)
    assert tree.oid in bob.remote().seen()


def test_a_directory_made_here_is_not_taken_for_pushed(alice: Clone, bob: Clone) -> None:
    """Though a part of it comes from the remote."""
    part = {"f": b"1"}
    alice.push(alice.add("part", part))
    whole = alice.add("data", {"one": part, "two": {"f": b"2"}})
    with bob.store.writer() as writer:
        writer.add(alice.store.read(whole.oid), pack.TREE)
        writer.commit()
    fetched = bob.fetch(whole, inside=(b"one",))
    assert fetched.objects and not fetched.lost
    assert whole.oid not in bob.remote().seen()


def test_a_whole_pack_is_let_go_of_while_it_is_read(
    alice: Clone, bob: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dver.transfer.ranges.MIN_WHOLE", 1000)
    monkeypatch.setattr(adoption, "_RELEASE", 1 << 16)
    let_go: list[int] = []
    real = adoption._let_go

    def counted(data: mmap.mmap, start: int) -> None:
        let_go.append(start)
        real(data, start)

    monkeypatch.setattr(adoption, "_let_go", counted)
    content = many(200, size=3000)
    tree = alice.add("data", content)
    alice.push(tree)
    fetched = bob.fetch(tree)
    assert fetched.packs
    assert bob.content(tree) == flat(content)
    assert let_go == [number << 16 for number in range(len(let_go))]
    assert len(let_go) == (200 * 3056) >> 16
