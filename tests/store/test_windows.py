"""Reading in windows gives the same bytes as reading one by one, and finds every damage."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from dver.base import fsio
from dver.base.errors import CorruptError, MissingContentError, SystemFailure
from dver.base.oid import Oid, oid_of
from dver.formats import chunklist, pack
from dver.storage.local import LocalStorage
from dver.store import windows
from dver.store.consolidate import consolidate
from dver.store.store import Store

NOISE = random.Random(8).randbytes((7 << 20) + 4321)
TEXT = b"".join(b"%d,%d\n" % (i, i * i) for i in range(200_000))


@pytest.fixture(params=[0, 1 << 40], ids=["threads", "alone"], autouse=True)
def _worth(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "_WORTH", request.param)


def add(store: Store, *contents: bytes) -> list[Oid]:
    with store.writer() as writer:
        oids = [writer.add(data) for data in contents]
        writer.commit()
    return oids


def copied(store: Store, oid: Oid, size: int, to: Path) -> bytes:
    with open(to, "wb") as file:
        windows.copy_content(store, oid, size, file.fileno(), os.fsencode(to))
    return to.read_bytes()


@pytest.mark.parametrize(
    "data",
    [b"", b"short", NOISE, TEXT, bytes(9 << 20), TEXT[:300_000] + NOISE[:900_000] + TEXT],
    ids=["empty", "short", "noise", "text", "zeros", "mixed"],
)
def test_every_kind_of_content(store: Store, tmp_path: Path, data: bytes) -> None:
    (oid,) = add(store, data)
    assert copied(store, oid, len(data), tmp_path / "out") == data
    assert b"".join(map(bytes, windows.windows(store, oid))) == data


def test_lists_of_lists_and_chunks_of_other_packs(tiny: Store, tmp_path: Path) -> None:
    add(tiny, NOISE[: 1 << 20])
    (oid,) = add(tiny, NOISE)
    assert len({place.pack for _, place in tiny.parts(oid)}) > 1
    assert copied(tiny, oid, len(NOISE), tmp_path / "out") == NOISE


def test_neighbours_come_with_one_read(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (oid,) = add(store, NOISE)
    reads = []
    read_into = fsio.read_into

    def counted(fd: int, buffers: list[bytearray | memoryview], offset: int) -> int:
        reads.append(offset)
        return read_into(fd, buffers, offset)

    monkeypatch.setattr(fsio, "read_into", counted)
    assert copied(store, oid, len(NOISE), tmp_path / "out") == NOISE
    assert len(reads) <= 9
    assert len(list(store.chunks(oid))) > 50


@pytest.mark.parametrize("data", [NOISE, TEXT], ids=["raw", "compressed"])
def test_no_flipped_bit_of_content_gets_through(store: Store, tmp_path: Path, data: bytes) -> None:
    (oid,) = add(store, data)
    chunks = list(store.chunks(oid))
    rng = random.Random(9)
    for chunk, place in rng.sample(chunks, 4):
        path = tmp_path / "store" / "packs" / place.pack.hex()[:2] / place.pack.hex()
        path.chmod(0o644)
        at = place.offset + pack.FRAME.size + rng.randrange(place.stored)
        with open(path, "r+b") as file:
            file.seek(at)
            (byte,) = file.read(1)
            file.seek(at)
            file.write(bytes([byte ^ 1]))
        with pytest.raises(CorruptError, match="checksum") as caught:
            copied(store, oid, len(data), tmp_path / "out")
        assert chunk.hex() in caught.value.paths[0]
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(bytes([byte]))
    assert copied(store, oid, len(data), tmp_path / "out") == data


def test_lists_that_lie(store: Store, tmp_path: Path) -> None:
    parts = [b"a" * 100, b"b" * 100]
    oids = add(store, *parts)
    whole = oid_of(b"".join(parts))
    rows = [(oids[1], 100), (oids[0], 100)], [(oids[0], 100), (oids[1], 99)]
    for number, one in enumerate(rows):
        oid = Oid(bytes([number]) + whole[1:])
        data = chunklist.encode(chunklist.ChunkList(0, tuple(one)))
        with store.writer() as writer:
            writer.packs.put(oid, pack.BLOB_LIST, data)
            writer.commit()
        with pytest.raises(CorruptError):
            copied(store, oid, sum(size for _, size in one), tmp_path / "out")


def test_another_length_than_promised(store: Store, tmp_path: Path) -> None:
    oids = add(store, NOISE, b"short")
    for oid, size in zip(oids, (len(NOISE) - 1, 6), strict=True):
        with pytest.raises(CorruptError, match="bytes long"):
            copied(store, oid, size, tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == b""


def test_packs_may_be_merged_meanwhile(tiny: Store, tmp_path: Path) -> None:
    """A reader that has looked a chunk up finds it again where it was moved."""
    for number in range(30):
        add(tiny, NOISE[: (number + 1) << 16])
    oid, size = oid_of(NOISE[: 30 << 16]), 30 << 16
    reader = Store.open(LocalStorage(tmp_path / "tiny"))
    assert consolidate(tiny)
    assert copied(reader, oid, size, tmp_path / "out") == NOISE[:size]


def test_what_is_missing_is_told(store: Store, tmp_path: Path) -> None:
    with pytest.raises(MissingContentError):
        copied(store, oid_of(b"never stored"), 12, tmp_path / "out")
    chunk = b"c" * 1000
    data = chunklist.encode(chunklist.ChunkList(0, ((oid_of(chunk), len(chunk)),)))
    with store.writer() as writer:
        writer.packs.put(oid_of(chunk * 2), pack.BLOB_LIST, data)
        writer.commit()
    with pytest.raises(MissingContentError):
        copied(store, oid_of(chunk * 2), len(chunk), tmp_path / "out")


def test_a_full_disk_ends_it(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (oid,) = add(store, NOISE)
    write_all = fsio.write_all
    written = []

    def full(fd: int, data: memoryview, path: bytes) -> None:
        written.append(len(data))
        if len(written) > 2:
            raise SystemFailure("no space left on the disk")
        write_all(fd, data, path)

    monkeypatch.setattr(fsio, "write_all", full)
    with pytest.raises(SystemFailure, match="no space"):
        copied(store, oid, len(NOISE), tmp_path / "out")
    assert len(written) == 3
