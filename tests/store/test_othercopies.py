"""Of several copies of an object the one is read that is what its name says."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from dver.base.errors import CorruptError
from dver.base.oid import Oid, list_name_of, oid_of
from dver.formats import chunklist, pack
from dver.formats.pack import LIST_KINDS
from dver.store.store import Store
from dver.store.windows import copy_content

LONG = random.Random(5).randbytes(40_000)


def add(store: Store, *contents: bytes) -> list[Oid]:
    with store.writer() as writer:
        oids = [writer.add(data) for data in contents]
        writer.commit()
    return oids


def forge(store: Store, oid: Oid, kind: int, data: bytes, *, rows: int) -> None:
    """Store other bytes under a name, with a checksum that fits, so that they are found first.

    ``rows`` is how many others come along: larger segments are asked first.
    """
    with store.writer() as writer:
        writer.packs.put(oid, kind, data)
        for number in range(rows):
            writer.add(b"filler %d %d" % (rows, number))
        writer.commit()
    store.refresh()
    found = store.place(oid)
    assert found is not None
    assert store.open_at(oid, found) == data, "the forged copy is the first"


def read_in_every_way(store: Store, oid: Oid, tmp_path: Path, size: int) -> list[bytes]:
    """Return the content as it comes from a store that was opened anew for each way."""
    found = []
    for way in ("read", "stream", "copy"):
        fresh = Store.open(store.storage)
        if way == "read":
            found.append(fresh.read(oid))
        elif way == "stream":
            found.append(b"".join(fresh.stream(oid)))
        else:
            path = tmp_path / "copied"
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            try:
                copy_content(fresh, oid, size, fd, b"copied")
            finally:
                os.close(fd)
            found.append(path.read_bytes())
    return found


@pytest.mark.parametrize("evil", [b"evil", b"good, ahem"])
def test_a_whole_object(store: Store, tmp_path: Path, evil: bytes) -> None:
    (oid,) = add(store, b"good, really"[:10])
    forge(store, oid, pack.BLOB, evil, rows=10)
    assert read_in_every_way(store, oid, tmp_path, 10) == [b"good, real"] * 3


def test_a_chunk(tiny: Store, tmp_path: Path) -> None:
    (oid,) = add(tiny, LONG)
    chunk = next(row for row, place in tiny.parts(oid) if place.kind == pack.CHUNK)
    size = tiny.size(chunk)
    forge(tiny, chunk, pack.CHUNK, bytes(size), rows=100)
    assert read_in_every_way(tiny, oid, tmp_path, len(LONG)) == [LONG] * 3
    forge(tiny, chunk, pack.CHUNK, bytes(size - 1), rows=1000)
    assert read_in_every_way(tiny, oid, tmp_path, len(LONG)) == [LONG] * 3


def test_a_list_below_the_top(tiny: Store, tmp_path: Path) -> None:
    content = random.Random(6).randbytes(9_000_000)
    (oid,) = add(tiny, content)
    below = next(row for row, place in tiny.parts(oid) if place.kind == pack.LIST)
    forge(tiny, below, pack.LIST, b"no list", rows=6000)
    assert read_in_every_way(tiny, oid, tmp_path, len(content)) == [content] * 3


@pytest.mark.parametrize("lie", ["short", "long", "swapped", "malformed", "whole", "endless"])
def test_a_top_list(tiny: Store, tmp_path: Path, lie: str) -> None:
    (oid,) = add(tiny, LONG)
    good = tiny.chunk_list(oid)
    assert good is not None
    rows = good.rows
    (other,) = add(tiny, b"x" * 900)
    if lie == "endless":
        lists = chunklist.encode(chunklist.ChunkList(0, ((other, 900),) * 4096))
        size = 900 * 4096
        for level in range(1, 4):
            with tiny.writer() as writer:
                name = list_name_of(lists)
                writer.packs.put(name, pack.LIST, lists)
                writer.commit()
            lists = chunklist.encode(chunklist.ChunkList(level, ((name, size),) * 4096))
            size *= 4096
        tiny.refresh()
        data = lists
    elif lie == "malformed":
        data = b"no list"
    elif lie == "whole":
        data = bytes(len(LONG))[:4000]
    else:
        rows = {
            "short": rows[:-1],
            "long": (*rows, (other, 900)),
            "swapped": (rows[1], rows[0], *rows[2:]),
        }[lie]
        data = chunklist.encode(chunklist.ChunkList(0, rows))
    kind = pack.BLOB if lie == "whole" else pack.BLOB_LIST
    forge(tiny, oid, kind, data, rows=100)
    assert read_in_every_way(tiny, oid, tmp_path, len(LONG)) == [LONG] * 3


def test_no_copy_is_sound(tiny: Store) -> None:
    oid = oid_of(LONG)
    (one, two) = add(tiny, b"a" * 900, b"b" * 900)
    forge(tiny, oid, pack.BLOB_LIST, chunklist.encode(_list(one, two)), rows=0)
    forge(tiny, oid, pack.BLOB_LIST, chunklist.encode(_list(two, one)), rows=10)
    forge(tiny, oid, pack.BLOB, b"evil", rows=100)
    with pytest.raises(CorruptError):
        tiny.read(oid)
    with pytest.raises(CorruptError):
        list(tiny.stream(oid))
    assert all(place.kind in (*LIST_KINDS, pack.BLOB) for place in tiny.index.copies(oid))


def _list(*oids: Oid) -> chunklist.ChunkList:
    return chunklist.ChunkList(0, tuple((oid, 900) for oid in oids))
