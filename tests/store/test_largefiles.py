"""Large files in two processes: the same objects as in one, and nothing left behind."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from dver.base.errors import DverError, RefusedError, SystemFailure
from dver.base.oid import Oid, oid_of
from dver.base.reporter import Task
from dver.formats.storeinfo import Chunker
from dver.store import largefiles
from dver.store.chunking import cut
from dver.store.ingest import ingest_files
from dver.store.store import Store

NOISE = random.Random(7).randbytes((9 << 20) + 4321)
TEXT = b"".join(b"%d,%d\n" % (i, i * i) for i in range(400_000))


@pytest.fixture(autouse=True)
def _always_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(largefiles, "_WORTH", 0)


def ingest(store: Store, contents: list[bytes], root: Path, *, workers: int) -> list[Oid]:
    root.mkdir()
    paths = [root / str(i) for i in range(len(contents))]
    for path, data in zip(paths, contents, strict=True):
        path.write_bytes(data)
    with store.writer() as writer:
        got = ingest_files(
            writer,
            [os.fsencode(path) for path in paths],
            [len(data) for data in contents],
            task=Task(),
            workers=workers,
        )
        writer.commit()
    return [got.oid(i) for i in range(len(got.oids) // 32)]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "data",
    [
        NOISE,
        TEXT,
        bytes(20 << 20),
        NOISE[: 4 << 20],
        NOISE[: (4 << 20) - 1],
        NOISE[: (5 << 20) + 1],
        b"x" * (8 << 20) + NOISE[: 1 << 20],
    ],
    ids=["noise", "text", "zeros", "windows", "less", "more", "mixed"],
)
def test_one_process_or_two(store: Store, tmp_path: Path, data: bytes, workers: int) -> None:
    (oid,) = ingest(store, [data], tmp_path / "data", workers=workers)
    assert oid == oid_of(data)
    assert b"".join(store.stream(oid)) == data
    expected = [oid_of(data[at : at + n]) for at, n in cut(data, Chunker(), last=True)]
    assert [part for part, _ in store.parts(oid) if part in set(expected)] == expected
    assert list((tmp_path / "store").glob("tmp/*")) == []


def test_what_several_files_share_is_stored_once(store: Store, tmp_path: Path) -> None:
    oids = ingest(store, [NOISE, NOISE, b"new " + NOISE], tmp_path / "data", workers=2)
    assert oids == [oid_of(NOISE), oid_of(NOISE), oid_of(b"new " + NOISE)]
    stored = sum(p.stat().st_size for p in (tmp_path / "store" / "packs").rglob("*") if p.is_file())
    assert stored < len(NOISE) + (1 << 20)


def test_counts_come_home(store: Store, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(NOISE)
    with store.writer() as writer:
        ingest_files(
            writer, [os.fsencode(tmp_path / "noise")], [len(NOISE)], task=Task(), workers=2
        )
        writer.commit()
        assert writer.new_objects == 1
        assert len(NOISE) <= writer.stored_bytes < len(NOISE) + (1 << 16)


def test_a_file_that_changes_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "growing"
    path.write_bytes(NOISE)
    fill = largefiles._fill

    def growing(file: object, view: memoryview) -> int:
        got = fill(file, view)
        if got < len(view):
            with path.open("ab") as more:
                more.write(b"more")
        return got

    monkeypatch.setattr(largefiles, "_fill", growing)
    with store.writer() as writer, pytest.raises(RefusedError, match="changed while"):
        ingest_files(writer, [os.fsencode(path)], [len(NOISE)], task=Task(), workers=2)
    left = [*(tmp_path / "store" / "tmp").iterdir(), *(tmp_path / "store" / "packs").rglob("*")]
    assert [one for one in left if one.is_file()] == []


def test_a_worker_that_cannot_write_says_why(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "noise").write_bytes(NOISE)
    started = largefiles.Worker.__init__

    def spoilt(self: largefiles.Worker, handler: str, setup: object) -> None:
        assert isinstance(setup, tuple)
        started(self, handler, (setup[0], str(tmp_path / "gone")))

    monkeypatch.setattr(largefiles.Worker, "__init__", spoilt)
    with store.writer() as writer, pytest.raises(SystemFailure, match="gone"):
        ingest_files(
            writer, [os.fsencode(tmp_path / "noise")], [len(NOISE)], task=Task(), workers=2
        )
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


def test_no_room_for_the_windows_is_an_error_not_a_signal(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "noise").write_bytes(NOISE)

    def full(fd: int, data: bytes, path: str) -> None:
        raise SystemFailure("no space left")

    monkeypatch.setattr(largefiles.fsio, "write_all", full)
    with store.writer() as writer, pytest.raises(DverError, match="no space left"):
        ingest_files(
            writer, [os.fsencode(tmp_path / "noise")], [len(NOISE)], task=Task(), workers=2
        )
    monkeypatch.undo()
    assert list((tmp_path / "store" / "tmp").iterdir()) == []
