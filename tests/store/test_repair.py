from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from dver.base import fsio
from dver.base.errors import MissingContentError
from dver.base.oid import Oid
from dver.base.reporter import Task
from dver.storage.local import LocalStorage
from dver.store import contents, fsck
from dver.store.repair import good_frames, repair
from dver.store.store import Store


def add(store: Store, *contents: bytes) -> list[Oid]:
    with store.writer() as writer:
        oids = [writer.add(data) for data in contents]
        writer.commit()
    return oids


def packs(root: Path) -> list[Path]:
    return sorted(path for path in (root / "packs").rglob("*") if path.is_file())


def flip(path: Path, at: int) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def problems_of(store: Store) -> list[fsck.Problem]:
    index, found = fsck.check_segments(store.storage)
    found += fsck.check_packs(store.storage, index)
    return found + list(contents.check_contents(Store(store.storage, store.info, index), Task()))


BLOBS = [random.Random(seed).randbytes(3000) for seed in range(20)]


def test_a_sound_store_is_left_alone(store: Store, tmp_path: Path) -> None:
    add(store, *BLOBS)
    before = {path: path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()}
    done = repair(store, Task())
    assert (done.quarantined, done.salvaged, done.lost) == ((), 0, ())
    after = {path: path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()}
    assert after == before


def test_one_bad_frame_costs_one_object(store: Store, tmp_path: Path) -> None:
    oids = add(store, *BLOBS)
    place = store.place(oids[7])
    assert place is not None
    (path,) = packs(tmp_path / "store")
    flip(path, place.offset + 60)
    done = repair(store, Task())
    assert done.lost == (oids[7],)
    assert done.salvaged == 19
    assert (tmp_path / "store/quarantine").is_dir()
    assert [store.read(oid) for i, oid in enumerate(oids) if i != 7] == BLOBS[:7] + BLOBS[8:]
    with pytest.raises(MissingContentError):
        store.read(oids[7])
    assert problems_of(store) == []
    assert add(store, BLOBS[7]) == [oids[7]]
    assert store.read(oids[7]) == BLOBS[7]


def test_a_lost_footer_costs_nothing(store: Store, tmp_path: Path) -> None:
    oids = add(store, *BLOBS)
    (path,) = packs(tmp_path / "store")
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size - 40)
    done = repair(store, Task())
    assert done.lost == () and done.salvaged == 20
    assert [store.read(oid) for oid in oids] == BLOBS
    assert problems_of(store) == []


@pytest.mark.parametrize("how", ["lost", "damaged"])
def test_the_index_comes_back_from_the_packs(store: Store, tmp_path: Path, how: str) -> None:
    oids = add(store, *BLOBS)
    (path,) = (tmp_path / "store/index").iterdir()
    if how == "lost":
        path.unlink()
    else:
        flip(path, 100)
    again = Store.open(LocalStorage(tmp_path / "store")) if how == "lost" else store
    assert repair(again, Task()).lost == ()
    assert [again.read(oid) for oid in oids] == BLOBS
    assert problems_of(again) == []


def test_a_lost_pack_is_lost_and_no_list_is_left_torn(store: Store, tmp_path: Path) -> None:
    big = random.Random(1).randbytes(900_000)
    (oid,) = add(store, big)
    (other,) = add(store, b"other" * 100)
    place = store.place(oid)
    assert place is not None
    chunk = next(part for part, _ in store.parts(oid) if part != oid)
    where = store.place(chunk)
    assert where is not None
    flip(tmp_path / "store/packs" / where.pack.hex()[:2] / where.pack.hex(), where.offset + 70)
    done = repair(store, Task())
    assert oid in done.lost and chunk in done.lost
    assert not store.has(oid)
    assert store.read(other) == b"other" * 100
    assert add(store, big) == [oid]
    assert store.read(oid) == big


def test_a_crash_at_any_step_of_a_repair_loses_nothing_more(tmp_path: Path) -> None:
    class Crash(BaseException):
        pass

    def stop_after(steps: int) -> object:
        left = steps

        def hook(_name: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Crash

        return hook

    crashes = 0
    for steps in range(1, 26):
        root = tmp_path / str(steps)
        store = Store.create(LocalStorage(root))
        oids = add(store, *BLOBS[:4])
        place = store.place(oids[2])
        assert place is not None
        flip(packs(root)[0], place.offset + 60)
        fsio.install_hook(stop_after(steps))
        try:
            repair(store, Task())
        except Crash:
            crashes += 1
        finally:
            fsio.install_hook(None)
        again = Store.open(LocalStorage(root))
        repair(again, Task())
        assert [again.read(oids[i]) for i in (0, 1, 3)] == [BLOBS[i] for i in (0, 1, 3)]
        assert problems_of(again) == []
    assert 5 < crashes < 25


def test_frames_are_found_in_any_rubble() -> None:
    assert list(good_frames(b"DVFR" * 1000)) == []
    assert list(good_frames(b"")) == []
