from __future__ import annotations

import os
import random
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from dver.base.errors import RefusedError, SystemFailure
from dver.base.oid import Oid, oid_of
from dver.base.reporter import Task
from dver.store import ingest
from dver.store.ingest import ingest_files
from dver.store.store import Store


class Count(Task):
    def __init__(self) -> None:
        self.done = 0

    def advance(self, amount: int = 1) -> None:
        self.done += amount


def make(root: Path, contents: list[bytes]) -> tuple[list[bytes], list[int]]:
    root.mkdir(exist_ok=True)
    paths = []
    for i, data in enumerate(contents):
        path = root / f"file {i}\n"
        path.write_bytes(data)
        paths.append(os.fsencode(path))
    return paths, [len(data) for data in contents]


def oids_of(result: ingest.Ingested) -> list[Oid]:
    return [result.oid(i) for i in range(len(result.oids) // 32)]


CONTENTS = [b"", b"a", b"a", bytes(300_000), random.Random(1).randbytes(5 << 20), b"tail"]


@pytest.mark.parametrize("workers", [1, 2])
def test_files_become_objects(
    store: Store, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "_WORTH_FILES", 1)
    monkeypatch.setattr(ingest, "_BATCH_FILES", 2)
    paths, sizes = make(tmp_path / "data", CONTENTS)
    task = Count()
    with store.writer() as writer:
        result = ingest_files(writer, paths, sizes, task=task, workers=workers)
        writer.commit()
    assert oids_of(result) == [oid_of(data) for data in CONTENTS]
    assert task.done == len(CONTENTS)
    for data, oid in zip(CONTENTS, oids_of(result), strict=True):
        assert store.read(oid) == data
    for i, path in enumerate(paths):
        st = os.stat(path)
        row = (st.st_mode, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
        assert tuple(result.stats[5 * i : 5 * i + 5]) == row


class Heard:
    """Notes how many files were told of at once, from which on."""

    def __init__(self) -> None:
        self.oids: dict[int, bytes] = {}
        self.calls: list[tuple[int, int]] = []

    def put(self, first: int, oids: bytes, stats: array[int]) -> None:
        assert len(oids) * 5 == len(stats) * 32
        self.calls.append((first, len(oids) // 32))
        for i in range(len(oids) // 32):
            self.oids[first + i] = oids[32 * i : 32 * i + 32]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_taker_is_told_of_neighbours_at_once(
    tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "_WORTH_FILES", 1)
    monkeypatch.setattr(ingest, "_BATCH_FILES", 2)
    monkeypatch.setattr(ingest, "_LARGE", 100)
    contents = [b"0", b"1", b"2", bytes(200), b"4", b"5"]
    paths, sizes = make(tmp_path / "data", contents)
    heard = Heard()
    ingest.ingest_into(heard, None, paths, sizes, task=Task(), workers=workers)
    assert heard.oids == {i: oid_of(data) for i, data in enumerate(contents)}
    # A batch around the large file is no neighbours.
    assert sorted(heard.calls) == [(0, 2), (2, 1), (3, 1), (4, 1), (5, 1)]


def test_a_large_file_is_cut_like_one_in_memory(store: Store, tmp_path: Path) -> None:
    data = random.Random(3).randbytes((9 << 20) + 12345)
    paths, sizes = make(tmp_path / "data", [data])
    with store.writer() as writer:
        result = ingest_files(writer, paths, sizes, task=Task())
        writer.commit()
    (oid,) = oids_of(result)
    by_file = [part for part, _ in store.parts(oid)]
    with store.writer() as writer:
        assert writer.add(data) == oid
        writer.commit()
        assert writer.new_objects == 0
    assert [part for part, _ in store.parts(oid)] == by_file
    assert store.read(oid) == data


@pytest.mark.parametrize("length", [4 << 20, (4 << 20) - 1, (4 << 20) + 1, 8 << 20])
def test_windows_and_files_may_end_together(store: Store, tmp_path: Path, length: int) -> None:
    data = random.Random(length).randbytes(length)
    paths, _ = make(tmp_path / "data", [data])
    with store.writer() as writer:
        result = ingest_files(writer, paths, [8 << 20], task=Task())
        writer.commit()
    assert store.read(oids_of(result)[0]) == data


def test_hashing_alone_stores_nothing(tmp_path: Path) -> None:
    paths, sizes = make(tmp_path / "data", CONTENTS)
    result = ingest_files(None, paths, sizes, task=Task())
    assert oids_of(result) == [oid_of(data) for data in CONTENTS]


def test_a_symlink_in_place_of_a_file_is_not_followed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "link").symlink_to("secret")
    with store.writer() as writer, pytest.raises(SystemFailure):
        ingest_files(writer, [os.fsencode(tmp_path / "link")], [6], task=Task())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_that_vanished_is_a_change(
    store: Store, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "_WORTH_FILES", 1)
    paths = [os.fsencode(tmp_path / "gone"), os.fsencode(tmp_path / "also gone")]
    with store.writer() as writer, pytest.raises(RefusedError) as caught:
        ingest_files(writer, paths, [6, 6], task=Task(), workers=workers)
    assert caught.value.paths[0].endswith("gone")
    assert "changed" in caught.value.message
    assert list((tmp_path / "store").glob("tmp/*")) == []


@pytest.mark.parametrize("size", [100, 6 << 20])
def test_a_file_that_changes_while_it_is_read(
    store: Store, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, _ = make(tmp_path / "data", [bytes(size)])
    real: Callable[..., Oid] = ingest.oid_of

    fstat = os.fstat
    calls = 0

    def growing(fd: int) -> os.stat_result:
        nonlocal calls
        calls += 1
        if calls == 2:
            with open(paths[0], "ab") as file:
                file.write(b"more")
        return fstat(fd)

    monkeypatch.setattr(ingest.os, "fstat", growing)
    with store.writer() as writer, pytest.raises(RefusedError, match="changed while"):
        ingest_files(writer, paths, [size], task=Task())
    assert real is oid_of


def test_a_file_that_grew_since_it_was_listed_is_read_whole(store: Store, tmp_path: Path) -> None:
    data = random.Random(5).randbytes(3 << 20)
    paths, _ = make(tmp_path / "data", [data])
    with store.writer() as writer:
        result = ingest_files(writer, paths, [10], task=Task())
        writer.commit()
    assert store.read(oids_of(result)[0]) == data
    assert isinstance(result.stats, array)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_that_changed_since_the_scan_is_read_as_it_is(
    store: Store, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "_WORTH_FILES", 1)
    contents = [b"same", b"longer", b"short", b"touched", b"old" * 100_000]
    paths, sizes = make(tmp_path / "data", contents)
    stats = [os.stat(path) for path in paths]
    expected = array("Q")
    for st in stats:
        expected.extend((st.st_mode, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns))
    now = [b"same", b"longer than it was", b"s", b"touched", b"new" * 100_000]
    for path, old, new in zip(paths, contents, now, strict=True):
        if old != new:
            Path(os.fsdecode(path)).write_bytes(new)
    os.utime(paths[3], ns=(-(10**18), -(10**18)))

    def rows(first: int, end: int) -> array[int]:
        return expected[first * 5 : end * 5]

    with store.writer() as writer:
        got = ingest_files(writer, paths, sizes, task=Task(), workers=workers, expected=rows)
        writer.commit()
    assert oids_of(got) == [oid_of(data) for data in now]
    assert [store.read(oid) for oid in oids_of(got)] == now
    assert list(got.stats[2::5]) == [len(data) for data in now]
    assert got.stats[:5] == expected[:5]
    assert got.stats[18] == (1 << 64) - 10**18


def test_noise_does_not_keep_text_from_being_compressed(store: Store) -> None:
    texts = [b"%d," % i * 1000 for i in range(100)]
    with store.writer() as writer:
        for i in range(200):
            writer.add(random.Random(i).randbytes(4096))
        noise = writer.packs.stored_bytes
        for text in texts:
            writer.add(text)
        assert writer.packs.stored_bytes - noise < 8 * len(texts[0])
        writer.commit()
    for text in texts:
        assert store.read(oid_of(text)) == text
