"""Random reads and seeks give what the bytes say, however small the cache and the lists are."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dver.base.errors import CorruptError, DverError, MissingContentError
from dver.base.oid import Oid, list_name_of, oid_of
from dver.formats import chunklist, pack
from dver.formats.chunklist import ChunkList
from dver.ops.looking.streams import _Content
from dver.storage.local import LocalStorage
from dver.store.localchunks import LocalChunks
from dver.store.ranged import ChunkCache, ObjectReader, Wanted
from dver.store.store import Store
from tests.python.conftest import BIG

CONTENT = BIG[5_900_000:6_300_000]
SIZES = [1, 7000, 16 << 10, 60_000, 1, 100_000]


class Local(LocalChunks):
    """A store as a source, with the places looked up; counts what is read."""

    asked = 0

    def fill(self, wanted, found=None):
        self.asked += sum(want.size for want in wanted)
        return super().fill(wanted, self.places(wanted))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Local:
    """CONTENT in uneven chunks under three levels of lists."""
    store = Store.create(LocalStorage(tmp_path_factory.mktemp("store")))
    with store.writer() as writer:
        rows, at = [], 0
        while at < len(CONTENT):
            piece = CONTENT[at : at + SIZES[len(rows) % len(SIZES)]]
            rows.append((writer.add(piece, pack.CHUNK), len(piece)))
            at += len(piece)
        for level in (0, 1):
            groups = [rows[i : i + 3] for i in range(0, len(rows), 3)]
            rows = []
            for group in groups:
                one = ChunkList(level, tuple(group))
                data = chunklist.encode(one)
                rows.append((put(writer, list_name_of(data), data, pack.LIST), one.size))
        put(
            writer,
            oid_of(CONTENT),
            chunklist.encode(ChunkList(2, tuple(rows))),
            pack.BLOB_LIST,
        )
        writer.commit()
    return Local(store)


def put(writer, oid: Oid, data: bytes, kind: int) -> Oid:
    """Store bytes under a name that is not their hash."""
    writer.packs.put(oid, kind, data)
    return oid


def reader(source: Local, cache: int = 1 << 20) -> ObjectReader:
    return ObjectReader(source, ChunkCache(cache), oid_of(CONTENT), len(CONTENT))


steps = st.lists(
    st.one_of(
        st.tuples(st.just("seek"), st.integers(0, len(CONTENT) + 10)),
        st.tuples(st.just("back"), st.integers(1, 70_000)),
        st.tuples(st.just("read"), st.sampled_from([0, 1, 5, 8192, 40_000, 70_000, 300_000, -1])),
        st.tuples(st.just("line"), st.integers(1, 100)),
    ),
    max_size=25,
)


@given(steps=steps, cache=st.sampled_from([0, 100_000, 1 << 20]), distant=st.booleans())
def test_a_file_reads_as_bytes_do(source: Local, steps, cache: int, distant: bool) -> None:
    raw = _Content(reader(source, cache), "x", distant=distant)
    with io.BufferedReader(raw, 16 << 10) as file, io.BytesIO(CONTENT) as model:
        for verb, value in steps:
            if verb == "seek":
                assert file.seek(value) == model.seek(value)
            elif verb == "back":
                whence = os.SEEK_END if value % 2 else os.SEEK_CUR
                if whence == os.SEEK_CUR and value > model.tell():
                    continue
                assert file.seek(-value, whence) == model.seek(-value, whence)
            elif verb == "line":
                assert file.readline(value) == model.readline(value)
            else:
                assert file.read(value) == model.read(value)
            assert file.tell() == model.tell()


def test_a_short_range_reads_its_chunks_and_no_others(source: Local) -> None:
    source.asked = 0
    one = reader(source)
    assert one.read(200_000, 200_100) == CONTENT[200_000:200_100]
    assert source.asked <= max(SIZES)
    assert one.read(200_050, 200_060) == CONTENT[200_050:200_060]
    assert source.asked <= max(SIZES)  # the second time out of the cache


def test_the_cache_keeps_what_it_may_and_no_more() -> None:
    cache = ChunkCache(100)
    for i in range(10):
        cache.put(Oid(bytes([i]) * 32), bytes(30))
    assert cache.size == 90
    cache.put(Oid(b"x" * 32), bytes(101))
    assert cache.get(Oid(b"x" * 32)) is None
    assert cache.get(Oid(bytes([9]) * 32)) is not None
    assert cache.get(Oid(bytes([0]) * 32)) is None


def test_many_threads_read_one_object(source: Local) -> None:
    one, wrong = reader(source, 150_000), []

    def read(seed: int) -> None:
        for step in range(40):
            at = (seed * 7919 + step * 104_729) % len(CONTENT)
            if one.read(at, at + 30_000) != CONTENT[at : at + 30_000]:
                wrong.append(at)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_another_size_than_the_pointer_says_is_damage(source: Local) -> None:
    with pytest.raises(CorruptError, match="bytes long"):
        ObjectReader(source, ChunkCache(0), oid_of(CONTENT), len(CONTENT) + 1)


def test_a_list_of_tiny_chunks_takes_little_at_once(tmp_path: Path) -> None:
    store = Store.create(LocalStorage(tmp_path))
    content = bytes(range(256)) * 64
    with store.writer() as writer:
        rows = [(writer.add(content[i : i + 1], pack.CHUNK), 1) for i in range(len(content))]
        top = []
        for i in range(0, len(rows), 4096):
            one = ChunkList(0, tuple(rows[i : i + 4096]))
            data = chunklist.encode(one)
            top.append((put(writer, list_name_of(data), data, pack.LIST), one.size))
        put(writer, oid_of(content), chunklist.encode(ChunkList(1, tuple(top))), pack.BLOB_LIST)
        writer.commit()
    asked = []

    class Counted(Local):
        def fill(self, wanted, found=None):
            asked.append(len(wanted))
            return super().fill(wanted)

    one = ObjectReader(Counted(store), ChunkCache(0), oid_of(content), len(content))
    assert one.read(0, len(content)) == content
    assert max(asked) <= 4096
    one.prepare([(0, len(content))])
    assert max(asked) <= 4096


def test_an_object_that_is_nowhere_is_missing(source: Local) -> None:
    with pytest.raises(MissingContentError):
        ObjectReader(source, ChunkCache(0), oid_of(b"nowhere"), 7)


def test_a_chunk_that_is_missing_is_missing(source: Local) -> None:
    with pytest.raises(MissingContentError):
        source.fill([Wanted(oid_of(b"nowhere"), 7)])


@pytest.mark.parametrize("where", range(0, 97, 12))
def test_a_flipped_bit_is_an_error_and_never_a_wrong_byte(tmp_path: Path, where: int) -> None:
    """Whatever bit of the pack rots: what is read is right, or it is an error."""
    store = Store.create(LocalStorage(tmp_path))
    piece = os.urandom(30_000) + bytes(30_000)
    with store.writer() as writer:
        rows = [
            (writer.add(data, pack.CHUNK), len(data)) for data in (piece[:30_000], piece[30_000:])
        ]
        put(writer, oid_of(piece), chunklist.encode(ChunkList(0, tuple(rows))), pack.BLOB_LIST)
        writer.commit()
    (path,) = (tmp_path / "packs").glob("*/*")
    data = bytearray(path.read_bytes())
    data[(len(data) - 1) * where // 96] ^= 1 << (where % 8)
    path.chmod(0o644)
    path.write_bytes(data)
    damaged = Store.open(LocalStorage(tmp_path))
    try:
        got = ObjectReader(Local(damaged), ChunkCache(0), oid_of(piece), len(piece)).read(0, 60_000)
    except DverError as error:
        assert isinstance(error, CorruptError)
    else:
        assert got == piece
