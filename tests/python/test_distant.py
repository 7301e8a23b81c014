"""Reading straight from a bucket: what moves, and what happens to what is damaged there."""

from __future__ import annotations

import random
from pathlib import Path

import fsspec
import pytest

import dver
from dver.base.errors import CorruptError, DverError, MissingContentError
from dver.base.oid import oid_of
from dver.formats import chunklist, pack
from dver.formats.chunklist import ChunkList
from dver.python import sessions
from dver.python.filesystem import DverFileSystem
from dver.storage.local import LocalStorage
from dver.store.store import Store
from tests.python.conftest import BIG, Project
from tests.support.s3server import S3Server

RANDOM = random.Random(3).randbytes(12 << 20)


@pytest.fixture
def bucket(project: Project, moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> DverFileSystem:
    """All is in a bucket of S3, and nothing in the local store any more."""
    for name, value in moto_s3.environ.items():
        monkeypatch.setenv(name, value)
    (project.path / "data/random.bin").write_bytes(RANDOM)
    project.add("data/random.bin")
    project.commit("random")
    project.push_to(moto_s3.new_url())
    project.lose_store()
    sessions.forget()
    return fsspec.filesystem("dver", rev="HEAD")


def traffic(fs: DverFileSystem) -> tuple[int, int]:
    """Return the requests made for a file system so far, and the bytes received."""
    return fs._session().contents.traffic


def test_random_reads_move_at_most_four_times_what_was_asked(bucket: DverFileSystem) -> None:
    rng = random.Random(5)
    count, length = 60, 64 << 10
    with bucket.open("data/random.bin") as file:
        for _ in range(count):
            at = rng.randrange(len(RANDOM) - length)
            file.seek(at)
            assert file.read(length) == RANDOM[at : at + length]
    requests, received = traffic(bucket)
    assert received <= 4 * count * length
    assert requests <= 3 * count


def test_one_range_costs_a_few_requests(bucket: DverFileSystem) -> None:
    assert bucket.cat_file("data/random.bin", 5 << 20, (5 << 20) + 1000)
    first = traffic(bucket)
    # The listing, the identity, segments of one push, the list; then the chunk or two.
    assert first[0] <= 12
    assert bucket.cat_file("data/random.bin", 9 << 20, (9 << 20) + 1000)
    again = traffic(bucket)
    assert again[0] - first[0] <= 4
    assert again[1] - first[1] < 600_000


def test_ranges_of_one_file_come_together(bucket: DverFileSystem) -> None:
    bucket.cat_file("data/random.bin", 0, 10)
    before = traffic(bucket)[0]
    starts = [(1 << 20) + i * 65_536 for i in range(32)]
    ends = [start + 60_000 for start in starts]
    got = bucket.cat_ranges(["data/random.bin"] * 32, starts, ends)
    assert got == [RANDOM[a:b] for a, b in zip(starts, ends, strict=True)]
    assert traffic(bucket)[0] - before <= 4


def test_reading_on_asks_for_more_and_more(bucket: DverFileSystem) -> None:
    with bucket.open("data/random.bin") as file:
        file.read(1)
        before = traffic(bucket)[0]
        file.seek(0)
        pieces = []
        while piece := file.read(8192):
            pieces.append(piece)
    assert b"".join(pieces) == RANDOM
    # 16 KiB at a time would be 768 requests.
    assert traffic(bucket)[0] - before <= 60


def test_chunks_that_are_here_are_not_asked_for(bucket: DverFileSystem, project: Project) -> None:
    project.write("data/other.bin", RANDOM[: 8 << 20])
    project.add("data/other.bin")
    sessions.forget()
    fs = fsspec.filesystem("dver", rev="HEAD")
    assert fs.cat_file("data/random.bin") == RANDOM
    assert traffic(fs)[1] < 6 << 20


def test_packs_that_were_merged_meanwhile_are_found_again(
    bucket: DverFileSystem, project: Project
) -> None:
    fs = bucket
    with fs.open("data/random.bin") as file:
        file.read(1)
        chunks = fs._session().contents._remote
        assert chunks is not None
        rows = [row for row, _ in chunks.remote.store().leaves(oid_of(RANDOM))]
        places = chunks.remote.locate(rows)
        wrong = {oid: place._replace(pack=bytes(32)) for oid, place in places}
        chunks._places.update(wrong)
        file.seek(6 << 20)
        assert file.read(100) == RANDOM[6 << 20 : (6 << 20) + 100]


# what is damaged, or was put there by somebody


@pytest.fixture
def remote(project: Project, tmp_path: Path) -> Path:
    """All is in a remote that is a directory, and nothing in the local store any more."""
    project.push_to(str(tmp_path / "remote"))
    project.lose_store()
    sessions.forget()
    return tmp_path / "remote"


def test_a_rotten_chunk_in_the_remote_is_an_error(project: Project, remote: Path) -> None:
    for path in remote.glob("packs/*/*"):
        data = bytearray(path.read_bytes())
        if len(data) > 1 << 20:
            data[len(data) // 4] ^= 4
        path.chmod(0o644)
        path.write_bytes(data)
    wrong = 0
    with dver.open("data/big.bin", "rb", rev="v1") as file:
        for at in range(0, len(BIG), 100_000):
            file.seek(at)
            try:
                assert file.read(100_000) == BIG[at : at + 100_000]
            except CorruptError as error:
                assert "the remote 'origin'" in error.message
                wrong += 1
    assert 1 <= wrong <= 4


def test_a_pack_that_is_gone_is_missing(project: Project, remote: Path) -> None:
    for path in remote.glob("packs/*/*"):
        path.unlink()
    with pytest.raises(MissingContentError, match="is gone"):
        dver.read("data/big.bin", rev="v1")


def test_a_list_that_somebody_swapped_is_found_out_by_reading_all(
    project: Project, tmp_path: Path
) -> None:
    """The top list is named by the whole, so only all of it can show that the list is wrong."""
    url = tmp_path / "evil"
    project.push_to(str(url))
    store = Store.open(LocalStorage(url))
    rows = list(store.leaves(oid_of(BIG)))
    rows[3], rows[4] = rows[4], rows[3]
    for path in [*url.glob("index/*"), *url.glob("roots/*")]:
        path.unlink()
    with store.writer() as writer:
        for row, _ in store.leaves(oid_of(BIG)):
            writer.packs.put(row, pack.CHUNK, store.read(row))
        data = chunklist.encode(ChunkList(0, tuple(rows)))
        writer.packs.put(oid_of(BIG), pack.BLOB_LIST, data)
        writer.commit()
    project.lose_store()
    sessions.forget()
    with pytest.raises(CorruptError, match="promises"):
        dver.read("data/big.bin", rev="v1")
    with dver.open("data/big.bin", "rb", rev="v1") as file, pytest.raises(CorruptError):
        while file.read(300_000):
            pass


def test_errors_reach_the_libraries_as_they_are(project: Project, remote: Path) -> None:
    import pyarrow.parquet as pq

    for path in remote.glob("packs/*/*"):
        path.unlink()
    with pytest.raises(DverError):
        pq.read_table("data/big.bin", filesystem=fsspec.filesystem("dver", rev="v1"))
