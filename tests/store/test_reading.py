from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from dver.base.errors import CorruptError, MissingContentError, RepositoryError
from dver.base.oid import Oid, oid_of
from dver.formats import chunklist, pack, tree
from dver.storage.local import LocalStorage
from dver.store import consolidate, gc
from dver.store.mark import Marks
from dver.store.packfile import open_frame
from dver.store.store import Store
from dver.store.windows import copy_content


def add(store: Store, *contents: bytes) -> list[Oid]:
    with store.writer() as writer:
        oids = [writer.add(data) for data in contents]
        writer.commit()
    return oids


def pack_files(root: Path) -> list[Path]:
    return sorted(path for path in (root / "packs").rglob("*") if path.is_file())


def damage(path: Path, offset: int) -> None:
    path.chmod(0o644)
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def test_a_missing_object_is_named(store: Store) -> None:
    with pytest.raises(MissingContentError, match="blake3:"):
        store.read(oid_of(b"never stored"))


def test_not_a_store(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RepositoryError, match="not a dver store"):
        Store.open(LocalStorage(tmp_path / "empty"))


@pytest.mark.parametrize("content", [b"short" * 30, random.Random(2).randbytes(400_000)])
def test_no_flipped_bit_gets_through(store: Store, tmp_path: Path, content: bytes) -> None:
    (oid,) = add(store, content)
    (path,) = pack_files(tmp_path / "store")
    end = path.stat().st_size - pack.TRAILER.size - 56 * len(list(store.parts(oid)))
    rng = random.Random(9)
    for _ in range(60):
        offset = rng.randrange(pack.HEADER.size, end)
        damage(path, offset)
        with pytest.raises(CorruptError):
            Store.open(LocalStorage(tmp_path / "store")).read(oid)
        damage(path, offset)
    assert Store.open(LocalStorage(tmp_path / "store")).read(oid) == content


def test_a_pack_cut_short_is_corrupt(store: Store, tmp_path: Path) -> None:
    (oid,) = add(store, b"content" * 100)
    (path,) = pack_files(tmp_path / "store")
    path.chmod(0o644)
    os.truncate(path, 60)
    with pytest.raises(CorruptError):
        store.read(oid)


def test_a_lost_pack_is_missing_content(store: Store, tmp_path: Path) -> None:
    (oid,) = add(store, b"content")
    (path,) = pack_files(tmp_path / "store")
    path.unlink()
    with pytest.raises(MissingContentError, match="is gone"):
        store.read(oid)


def forge(store: Store, oid: Oid, kind: int, data: bytes) -> None:
    with store.writer() as writer:
        writer.packs.put(oid, kind, data)
        writer.commit()


def test_substituted_content_is_refused(store: Store) -> None:
    wanted = oid_of(b"good")
    forge(store, wanted, pack.BLOB, b"evil")
    with pytest.raises(CorruptError, match="another hash"):
        store.read(wanted)


def test_lists_that_lie(store: Store) -> None:
    chunks = [b"a" * 100, b"b" * 100]
    oids = add(store, *chunks)
    whole = oid_of(b"".join(chunks))
    cases = [
        chunklist.ChunkList(0, ((oids[1], 100), (oids[0], 100))),
        chunklist.ChunkList(0, ((oids[0], 100), (oids[1], 99))),
        chunklist.ChunkList(0, ((oids[0], 100),)),
        chunklist.ChunkList(1, ((oids[0], 100), (oids[1], 100))),
    ]
    for number, case in enumerate(cases):
        forge(
            store, oid := Oid(bytes([number]) + whole[1:]), pack.BLOB_LIST, chunklist.encode(case)
        )
        with pytest.raises(CorruptError):
            store.read(oid)


def test_a_list_that_names_itself(store: Store) -> None:
    oid = oid_of(b"loop")
    for level in (0, 1, 4):
        looped = Oid(bytes([level]) + oid[1:])
        data = chunklist.encode(chunklist.ChunkList(level, ((looped, 100),)))
        forge(store, looped, pack.BLOB_LIST, data)
        with pytest.raises(CorruptError):
            store.read(looped)
        with pytest.raises(CorruptError):
            list(store.parts(looped))


def test_a_list_longer_than_allowed_is_refused_before_it_is_read(store: Store) -> None:
    (oid,) = add(store, random.Random(4).randbytes(600_000))
    with pytest.raises(CorruptError, match="longer than"):
        store.read(oid, limit=500_000)


def test_trees_are_verified_and_parsed(store: Store) -> None:
    entry = tree.Entry(tree.FILE, b"name", 3, oid_of(b"abc"))
    with store.writer() as writer:
        good = writer.add(tree.encode(tree.build([entry], 0)), pack.TREE)
        bad = writer.add(b"not a tree", pack.TREE)
        writer.commit()
    assert list(store.read_tree(good)) == [entry]
    with pytest.raises(CorruptError, match="malformed"):
        store.read_tree(bad)


def test_consolidation_keeps_every_object_and_open_readers_go_on(
    store: Store, tmp_path: Path
) -> None:
    contents = [b"%d" % number * 50 for number in range(30)]
    oids = [add(store, content)[0] for content in contents]
    reader = Store.open(LocalStorage(tmp_path / "store"))
    assert reader.read(oids[0]) == contents[0]
    assert len(store.index.segments) == 30
    assert consolidate.consolidate(store)
    assert len(store.index.segments) == 1
    assert len(pack_files(tmp_path / "store")) == 1
    assert [store.read(oid) for oid in oids] == contents
    reader.close()
    assert [reader.read(oid) for oid in oids] == contents
    assert not consolidate.consolidate(store)


def test_consolidation_steps_back_while_somebody_writes(store: Store) -> None:
    for number in range(26):
        add(store, b"%d" % number)
    with store.writer():
        assert not consolidate.consolidate(store)
    assert consolidate.consolidate(store)


def test_many_open_packs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dver.store.store._MAX_OPEN_PACKS", 2)
    contents = [b"%d" % number * 10 for number in range(10)]
    oids = [add(store, content)[0] for content in contents]
    assert [store.read(oid) for oid in oids * 2] == contents * 2


def test_a_file_with_the_bytes_of_a_list_is_an_ordinary_file(tiny: Store) -> None:
    """Lists below the top have names of their own kind, so nothing can be taken for one."""
    data = random.Random(6).randbytes(6 << 20)
    (big,) = add(tiny, data)
    names = [oid for oid, place in tiny.parts(big) if place.kind == pack.LIST]
    lists = [bytes(open_frame(tiny.read_frame(tiny.index.find(name)), "here")[1]) for name in names]
    twins = add(tiny, *lists)
    assert not set(twins) & set(names)
    assert [tiny.read(oid) for oid in twins] == lists
    assert tiny.read(big) == data


def test_what_a_lost_pack_held_is_missing_and_can_be_added_again(
    store: Store, tmp_path: Path
) -> None:
    oids = add(store, b"lost" * 50, b"also lost" * 50)
    (path,) = pack_files(tmp_path / "store")
    path.unlink()
    again = Store.open(LocalStorage(tmp_path / "store"))
    assert again.missing(oids) == oids
    assert add(again, b"lost" * 50) == oids[:1]
    assert again.read(oids[0]) == b"lost" * 50
    marks = Marks(again)
    assert list(marks.mark(oids[0], "file")) == []
    assert [gone.oid for gone in marks.mark(oids[1], "file")] == oids[1:]
    gc.sweep(again, marks, gc.plan(again, marks))
    assert again.read(oids[0]) == b"lost" * 50
    assert len(again.index) == 1


def test_of_two_copies_the_sound_one_is_read(store: Store, tmp_path: Path) -> None:
    small, large = b"twice" * 50, random.Random(3).randbytes(700_000)
    oids = add(store, small, large)
    files = [one for part in ("packs", "index") for one in (tmp_path / "store" / part).rglob("*")]
    kept = {path: path.read_bytes() for path in files if path.is_file()}
    for path in kept:
        path.unlink()
    store.refresh()
    assert add(store, small, large) == oids
    for path, data in kept.items():
        path.write_bytes(data)
    first, second = (
        [path for path in pack_files(tmp_path / "store") if (path in kept) == was_first]
        for was_first in (True, False)
    )
    for bad in (first, second):
        before = {path: path.read_bytes() for path in bad}
        for path in bad:
            path.chmod(0o644)
            path.write_bytes(bytes(len(before[path])))
        again = Store.open(store.storage)
        assert [again.read(oid) for oid in oids] == [small, large]
        with open(tmp_path / "out", "w+b", buffering=0) as out:
            copy_content(again, oids[1], len(large), out.fileno(), b"out")
            assert (tmp_path / "out").read_bytes() == large
        again.close()
        for path, data in before.items():
            path.write_bytes(data)
    for path in (*first, *second):
        path.write_bytes(bytes(path.stat().st_size))
    for oid in oids:
        with pytest.raises(CorruptError):
            Store.open(store.storage).read(oid)
