"""Healing a remote: by a clone that has all, by one that has some, and by what is left in it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from dver.base.errors import DverError, RemoteError
from dver.base.oid import oid_of
from dver.base.reporter import SILENT
from dver.formats import notice, pack, segment
from dver.formats.notice import Notice
from dver.formats.root import RootObject
from dver.storage.base import Storage
from dver.storage.local import LocalStorage
from dver.storage.memory import MemoryStorage
from dver.store import layout, walk
from dver.store.packfile import PackBuilder
from dver.store.writer import encode_rows
from dver.transfer import distant, remoteindex
from dver.transfer.closure import Offer
from dver.transfer.heal import Damage, Healed, Healer, look_for_damage
from dver.transfer.push import push
from tests.transfer.world import TINY, Clone, Nested, flat, many, noise

DATA: Nested = {**many(60, per_directory=20), "large": noise(7, 60_000)}


@pytest.fixture(params=["memory", "local"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """Give the remote as a bucket, and as a directory."""
    return MemoryStorage() if request.param == "memory" else LocalStorage(tmp_path / "remote")


@pytest.fixture
def alice(tmp_path: Path, bucket: Storage) -> Clone:
    return Clone(tmp_path / "alice", bucket, TINY)


@pytest.fixture
def bob(tmp_path: Path, bucket: Storage) -> Clone:
    return Clone(tmp_path / "bob", bucket, TINY)


@pytest.fixture
def data(alice: Clone) -> RootObject:
    """A directory that alice has pushed, in two steps."""
    first = alice.add("data", many(60, per_directory=20))
    alice.push(first)
    whole = alice.add("data", DATA)
    alice.push(whole)
    return whole


def heal(clone: Clone, *offers: RootObject) -> Healed:
    """Do what ``push --repair`` does."""
    remote = clone.remote()
    damage = look_for_damage(remote, SILENT)
    healer = Healer(clone.store, remote, damage, SILENT)
    healer.before_push()
    remote.forget_listing()
    remote.refresh_roots()
    named = [one for root in remote.roots.values() for one in root.objects]
    push(
        clone.store,
        remote,
        [*map(Offer, offers), *(Offer(one, required=False) for one in named)],
        commits=[],
        repo_id="r",
        damaged=frozenset(damage.packs),
        reporter=SILENT,
    )
    with clone.store.hold():
        healer.after_push()
    return healer.done


def damage_of(clone: Clone) -> Damage:
    return look_for_damage(clone.remote(), SILENT)


def keys(bucket: Storage, prefix: str) -> list[str]:
    return sorted(entry.key for entry in bucket.list(prefix))


def spoil(bucket: Storage, key: str, how: str) -> None:
    content = bytearray(bucket.get(key))
    bucket.delete(key)
    if how == "flip":
        content[len(content) // 2] ^= 1
    elif how == "cut":
        content = content[: len(content) // 2]
    if how != "gone":
        bucket.put(key, content)


def is_whole(bucket: Storage, tmp_path: Path, *objects: RootObject) -> bool:
    """Say whether a new clone can fetch everything."""
    clone = Clone(tmp_path / "new", bucket, TINY)
    if clone.fetch(*objects).lost:
        return False
    return all(clone.content(one) == flat(DATA) for one in objects)


HOWS = ("flip", "cut", "gone")


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("part", [layout.PACKS, layout.INDEX])
def test_whoever_has_all_heals_all(
    alice: Clone, bucket: Storage, data: RootObject, tmp_path: Path, part: str, how: str
) -> None:
    before = keys(bucket, part)
    for key in before:
        spoil(bucket, key, how)
    done = heal(alice, data)
    assert not damage_of(alice)
    assert is_whole(bucket, tmp_path, data)
    if how == "gone":
        assert done.aside == []
    else:
        # What was damaged is here as it was, or was put aside: nothing is gone for good.
        assert set(before) <= {*done.replaced, *done.aside}
        assert len(keys(bucket, "quarantine/")) == len(done.aside)


@pytest.mark.parametrize("how", HOWS)
def test_each_pack_by_itself(
    alice: Clone, bucket: Storage, data: RootObject, tmp_path: Path, how: str
) -> None:
    for number, key in enumerate(keys(bucket, layout.PACKS)):
        spoil(bucket, key, how)
        heal(alice, data)
        assert not damage_of(alice)
        assert is_whole(bucket, tmp_path / str(number), data)


@pytest.mark.parametrize("how", ["flip", "cut"])
def test_who_has_nothing_saves_what_is_good(
    bob: Clone, bucket: Storage, data: RootObject, how: str
) -> None:
    key = max(keys(bucket, layout.PACKS), key=lambda key: len(bucket.get(key)))
    spoil(bucket, key, how)
    done = heal(bob)
    assert done.aside == [key]
    assert done.salvaged > 5
    assert not damage_of(bob).packs
    lost = bob.fetch(data).lost
    assert 1 <= len(lost) < len(flat(DATA)) - done.salvaged / 2


def test_who_has_some_and_who_has_the_rest_heal_it_together(
    alice: Clone, bob: Clone, bucket: Storage, data: RootObject, tmp_path: Path
) -> None:
    bob.fetch(data, inside=(b"d000",))
    for key in keys(bucket, layout.PACKS):
        spoil(bucket, key, "cut")
    heal(bob)
    assert not damage_of(bob).packs
    assert not is_whole(bucket, tmp_path / "1", data)
    heal(alice, data)
    assert is_whole(bucket, tmp_path / "2", data)


def test_an_index_is_made_of_footers(bob: Clone, bucket: Storage, data: RootObject) -> None:
    for key in keys(bucket, layout.INDEX):
        spoil(bucket, key, "flip")
    bob.storage.log.clear()
    heal(bob)
    assert not [key for key in bob.storage.puts() if key.startswith(layout.PACKS)]
    assert not damage_of(bob)
    assert not bob.fetch(data).lost
    assert bob.content(data) == flat(DATA)


def test_a_root_is_written_as_it_was(alice: Clone, bucket: Storage, data: RootObject) -> None:
    before = {key: bucket.get(key) for key in keys(bucket, layout.ROOTS)}
    for key in before:
        spoil(bucket, key, "flip")
    done = heal(alice)
    assert sorted(done.replaced) == sorted(before)
    assert {key: bucket.get(key) for key in before} == before


def test_a_root_that_nobody_remembers_is_put_aside(
    alice: Clone, bob: Clone, bucket: Storage, data: RootObject
) -> None:
    for key in keys(bucket, layout.ROOTS):
        spoil(bucket, key, "flip")
    assert len(heal(bob).aside) == 2
    assert not damage_of(bob)
    assert alice.push(data).session is not None
    assert len(keys(bucket, layout.ROOTS)) == 1


def test_a_sound_remote_is_left_alone(alice: Clone, bucket: Storage, data: RootObject) -> None:
    before = {entry.key: bucket.get(entry.key) for entry in bucket.list("")}
    assert heal(alice, data) == Healed()
    assert {entry.key: bucket.get(entry.key) for entry in bucket.list("")} == before


def test_not_beside_a_collection(alice: Clone, bucket: Storage, data: RootObject) -> None:
    own = layout.new_session(collection=True)
    doomed = notice.encode(Notice("doomed", own, 1, ((b"\1" * 32, 100, 1),)))
    bucket.put(layout.condemned_key(own, layout.DOOMED), doomed)
    spoil(bucket, keys(bucket, layout.PACKS)[0], "flip")
    before = keys(bucket, "")
    with pytest.raises(RemoteError, match="is being collected"):
        heal(alice, data)
    assert keys(bucket, "") == before


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_failing_anywhere_loses_nothing(
    alice: Clone, bob: Clone, bucket: Storage, data: RootObject, tmp_path: Path, who: str
) -> None:
    """Each write and deletion fails in turn; what could be read before can be read after."""
    bob.fetch(data, inside=(b"d000",))
    healer, offers = (alice, [data]) if who == "alice" else (bob, [])
    for key in keys(bucket, layout.PACKS)[:3] + keys(bucket, layout.INDEX)[:1]:
        spoil(bucket, key, "flip")
    start = {entry.key: bucket.get(entry.key) for entry in bucket.list("")}
    number = 0
    before = readable(Clone(tmp_path / "before", bucket, TINY), data)
    while _heal_until(healer, offers, number):
        for attempt in ("failed", "healed"):
            after = readable(Clone(tmp_path / f"{attempt}{number}", bucket, TINY), data)
            assert before <= after
            healer.storage.hook = lambda verb, key: None
            heal(healer, *offers)
            assert not damage_of(healer)
        assert who == "bob" or is_whole(bucket, tmp_path / str(number), data)
        _put_back(bucket, start)
        number += 1
    assert number > 3


def readable(clone: Clone, data: RootObject) -> set[str]:
    """Return the files that a new clone can have."""
    clone.fetch(data)
    found = set()
    for name, content in flat(DATA).items():
        with contextlib.suppress(DverError):
            entry = walk.find(clone.store, data.oid, name.encode())
            if entry is not None and clone.store.read(entry.oid) == content:
                found.add(name)
    return found


def _heal_until(clone: Clone, offers: list[RootObject], number: int) -> bool:
    """Heal and fail at the write of that number; say whether it came to that."""
    left = [number]

    def hook(verb: str, key: str) -> None:
        if verb in ("put", "delete"):
            left[0] -= 1
            if left[0] < 0:
                raise RemoteError(f"{verb} {key} was made to fail")

    clone.storage.hook = hook
    try:
        heal(clone, *offers)
    except DverError:
        return True
    return False


def _put_back(bucket: Storage, start: dict[str, bytes]) -> None:
    for entry in list(bucket.list("")):
        bucket.delete(entry.key)
    for key, content in start.items():
        bucket.put(key, content)


def test_damage_is_told_by_key(alice: Clone, bucket: Storage, data: RootObject) -> None:
    chosen = [keys(bucket, part)[0] for part in (layout.PACKS, layout.INDEX, layout.ROOTS)]
    for key in chosen:
        spoil(bucket, key, "flip")
    damage = damage_of(alice)
    assert bool(damage)
    assert {line.partition(": ")[0] for line in damage.lines()} >= set(chosen)


def test_a_damaged_head_of_a_segment_is_read_again(
    bob: Clone, data: RootObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what it does not find would be missing for ever."""
    monkeypatch.setattr(remoteindex, "SMALL", 100)
    monkeypatch.setattr(distant, "HEAD", 500)
    monkeypatch.setattr(distant, "_REQUEST", 0)
    assert not bob.fetch(data, inside=(b"d000/f00001",)).lost
    heads = list((bob.path / "remotes/origin/heads").iterdir())
    assert heads
    for path in heads:
        content = bytearray(path.read_bytes())
        content[-20] ^= 1
        path.write_bytes(content)
    assert not bob.fetch(data, inside=(b"d001",)).lost
    for path in heads:
        if path.exists():
            assert path.read_bytes()[-20] != content[-20]


def test_a_list_that_makes_up_something_else_goes(
    alice: Clone, bob: Clone, bucket: Storage, tmp_path: Path
) -> None:
    """All of it is sound but for the name; a copy of the pack would be no better."""
    right, other = noise(1, 50_000), noise(2, 50_000)
    true, false = (alice.add(name, data) for name, data in (("one", right), ("two", other)))
    alice.push(false)
    place = alice.store.place(false.oid)
    assert place is not None
    stored = memoryview(alice.store.read_frame(place))[pack.FRAME.size :]
    builder = PackBuilder(os.fspath(tmp_path))
    builder.add(true.oid, place.kind, place.codec, bytes(stored), place.raw)
    builder.finish()
    wrong = builder.result()
    rows = encode_rows([wrong])
    data = segment.encode(rows, [(wrong.name, wrong.size)], bytes(16))
    bucket.put(layout.pack_key(wrong.name), Path(wrong.temp).read_bytes())
    bucket.put(layout.segment_key(bytes(oid_of(data))), data)
    assert bob.fetch(true).lost
    assert list(damage_of(alice).wrong) == [true.oid]
    assert heal(alice, true, false).aside == [layout.pack_key(wrong.name)]
    assert not damage_of(alice)
    new = Clone(tmp_path / "new", bucket, TINY)
    assert not new.fetch(true, false).lost
    assert (new.content(true), new.content(false)) == (right, other)
