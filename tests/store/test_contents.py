"""A full check in several processes tells what it tells in one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dver.base.oid import Oid, oid_of
from dver.base.reporter import Task
from dver.formats import pack
from dver.storage.memory import MemoryStorage
from dver.store import contents
from dver.store.contents import check_contents
from dver.store.fsck import Problem, check_packs, check_segments
from dver.store.store import Store

LARGE = random.Random(1).randbytes(3 << 20)
SMALL = [b"small %d " % i * 50 for i in range(300)]


@pytest.fixture(autouse=True)
def _always_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_WORTH", 0)


@pytest.fixture
def filled(store: Store) -> Store:
    for part in (SMALL[:100], [LARGE], SMALL[100:]):
        with store.writer() as writer:
            for data in part:
                writer.add(data)
            writer.commit()
    return store


class Count(Task):
    def __init__(self) -> None:
        self.done = 0

    def advance(self, amount: int = 1) -> None:
        self.done += amount


def found(store: Store, workers: int) -> list[Problem]:
    index, problems = check_segments(store.storage)
    problems += check_packs(store.storage, index)
    task = Count()
    lost = {oid for problem in problems for oid in problem.oids}
    as_found = contents.AsFound(store.storage, store.info, index)
    problems += check_contents(as_found, task, lost=lost, workers=workers)
    assert task.done == sum(index.packs().values())
    return problems


def place_of(store: Store, oid: Oid) -> tuple[Path, int]:
    place = store.place(oid)
    assert place is not None
    return Path(store.local_directory(), "packs", place.pack.hex()[:2], place.pack.hex()), (
        place.offset + pack.FRAME.size
    )


def flip(path: Path, at: int) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_sound_store(filled: Store, workers: int) -> None:
    assert found(filled, workers) == []


def test_a_sound_store_that_is_no_directory(filled: Store) -> None:
    elsewhere = MemoryStorage()
    for entry in filled.storage.list(""):
        elsewhere.put(entry.key, filled.storage.get(entry.key))
    assert found(Store(elsewhere, filled.info, filled.index), 1) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_blob_and_a_damaged_chunk(filled: Store, workers: int) -> None:
    small = oid_of(SMALL[7])
    chunk = [oid for oid, place in filled.parts(oid_of(LARGE)) if place.kind == pack.CHUNK][5]
    flip(*place_of(filled, small))
    flip(*place_of(filled, chunk))
    told = [(problem.what, problem.oids) for problem in found(filled, workers)]
    assert sorted(told) == sorted(
        [
            ("pack-damaged", ()),
            ("pack-damaged", ()),
            ("object-damaged", (small,)),
            # The large object is lost by its chunk, which is no second problem.
            ("object-damaged", (chunk,)),
        ]
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_a_pack_that_is_gone_is_told_once(filled: Store, workers: int) -> None:
    path, _ = place_of(filled, oid_of(LARGE))
    path.unlink()
    (problem,) = found(filled, workers)
    assert problem.what == "pack-missing"
    assert oid_of(LARGE) in problem.oids


@pytest.mark.parametrize("workers", [1, 2])
def test_frames_larger_than_a_window(
    filled: Store, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "_WINDOW", 1000)
    assert found(filled, workers) == []
