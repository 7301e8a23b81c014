from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from dver.base import fsio
from dver.base.errors import CorruptError, SystemFailure
from dver.base.oid import EMPTY, oid_of
from dver.formats import pack
from dver.storage.local import LocalStorage
from dver.store.packfile import FinishedPack, read_footer
from dver.store.store import Store
from dver.store.writer import PackSet
from tests.formats.samples import pack_name


def noise(length: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length)


def files_below(path: Path) -> list[str]:
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


def test_an_object_is_readable_after_commit_and_its_id_is_that_of_b3sum(store: Store) -> None:
    with store.writer() as writer:
        oid = writer.add(b"hello\n")
        assert not store.has(oid)
        writer.commit()
    # The figure that `printf 'hello\\n' | b3sum` prints.
    assert oid.hex() == "8e4c7c1b99dbfd50e7a95185fead5ee1448fa904a2fdd778eaf5f2dbfd629a99"
    assert store.read(oid) == b"hello\n"
    assert store.size(oid) == 6


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65536, 262143, 262144, 262145, 1 << 20])
@pytest.mark.parametrize("fill", ["noise", "zeros"])
def test_every_length_comes_back(store: Store, length: int, fill: str) -> None:
    data = noise(length) if fill == "noise" else bytes(length)
    with store.writer() as writer:
        oid = writer.add(data)
        writer.commit()
    assert oid == oid_of(data)
    assert store.read(oid) == data
    assert b"".join(store.stream(oid)) == data
    assert store.size(oid) == length
    place = store.place(oid)
    assert place is not None
    assert (place.kind == pack.BLOB_LIST) == (length > 262144)


def test_lists_of_lists(tiny: Store) -> None:
    data = noise(6 << 20)
    with tiny.writer() as writer:
        oid = writer.add(data)
        writer.commit()
    kinds = [place.kind for _, place in tiny.parts(oid)]
    assert kinds[0] == pack.BLOB_LIST
    assert kinds.count(pack.LIST) > 1
    assert tiny.read(oid) == data


def test_an_edit_in_the_middle_stores_little_again(tiny: Store) -> None:
    data = noise(4 << 20)
    with tiny.writer() as writer:
        writer.add(data)
        writer.commit()
    edited = data[: 2 << 20] + b"inserted" + data[2 << 20 :]
    with tiny.writer() as writer:
        oid = writer.add(edited)
        writer.commit()
        assert writer.stored_bytes < 64 << 10
    assert tiny.read(oid) == edited


def test_leaving_without_commit_leaves_nothing(store: Store, tmp_path: Path) -> None:
    before = files_below(tmp_path)
    with store.writer() as writer:
        oid = writer.add(noise(3 << 20))
    assert not store.has(oid)
    assert [name for name in files_below(tmp_path) if name != "store/lock"] == before


def test_nothing_is_stored_twice(store: Store) -> None:
    with store.writer() as writer:
        writer.add(b"x" * 1000)
        writer.add(b"x" * 1000)
        writer.commit()
        assert writer.new_objects == 1
    with store.writer() as writer:
        writer.add(b"x" * 1000)
        writer.commit()
        assert writer.new_objects == 0
    assert len(store.index) == 1


def test_an_empty_commit_writes_no_segment(store: Store) -> None:
    with store.writer() as writer:
        writer.commit()
    assert store.index.segments == []


def test_trees_and_data_go_into_different_packs(store: Store) -> None:
    with store.writer() as writer:
        blob = writer.add(b"data")
        tree = writer.add(b"tree", pack.TREE)
        writer.commit()
    one, other = store.place(blob), store.place(tree)
    assert one is not None and other is not None and one.pack != other.pack


def test_a_pack_is_named_by_its_table_and_two_of_the_same_content_differ(
    tmp_path: Path,
) -> None:
    names = []
    for which in "ab":
        store = Store.create(LocalStorage(tmp_path / which))
        with store.writer() as writer:
            writer.add(b"same")
            writer.commit()
        (path,) = [p for p in (tmp_path / which / "packs").rglob("*") if p.is_file()]
        assert pack_name(path.read_bytes()).hex() == path.name
        assert path.parent.name == path.name[:2]
        assert [frame.oid for frame in read_footer(str(path))] == [oid_of(b"same")]
        names.append(path.name)
    assert names[0] != names[1]


def test_packs_are_closed_at_their_target(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dver.store.writer.PACK_TARGET", 1 << 20)
    blobs = [noise(200_000, seed) for seed in range(20)]
    with store.writer() as writer:
        oids = [writer.add(blob) for blob in blobs]
        writer.commit()
    assert 3 <= len(store.index.packs()) <= 5
    assert [store.read(oid) for oid in oids] == blobs


def test_another_process_sees_it_after_refresh(store: Store, tmp_path: Path) -> None:
    other = Store.open(LocalStorage(tmp_path / "store"))
    with store.writer() as writer:
        oid = writer.add(b"new")
        writer.commit()
    assert not other.has(oid)
    other.refresh()
    assert other.read(oid) == b"new"


def test_the_empty_object_is_an_ordinary_one(store: Store) -> None:
    with store.writer() as writer:
        assert writer.add(b"") == EMPTY
        writer.commit()
    assert store.read(EMPTY) == b""


def test_a_crash_at_any_step_of_a_commit_leaves_the_store_sound(tmp_path: Path) -> None:
    """Stop at each numbered step; the store must open, and hold all or nothing of the commit."""

    class Crash(BaseException):
        pass

    def attempt(stop_at: int) -> tuple[bool, bool]:
        root = tmp_path / str(stop_at)
        store = Store.create(LocalStorage(root))
        with store.writer() as writer:
            old = writer.add(b"old" * 100)
            writer.commit()
        seen = 0

        def hook(_name: str) -> None:
            nonlocal seen
            seen += 1
            if seen == stop_at:
                raise Crash

        new = [oid_of(b"new" * 100), oid_of(b"tree")]
        crashed = False
        try:
            with store.writer() as writer:
                writer.add(b"new" * 100)
                writer.add(b"tree", pack.TREE)
                fsio.install_hook(hook)
                writer.commit()
        except Crash:
            crashed = True
        finally:
            fsio.install_hook(None)
        again = Store.open(LocalStorage(root))
        assert again.read(old) == b"old" * 100
        have = [again.has(oid) for oid in new]
        assert have in ([True, True], [False, False])
        for name in again.index.packs():
            assert os.path.exists(root / "packs" / name.hex()[:2] / name.hex())
        if have[0]:
            assert again.read(new[0]) == b"new" * 100
        return crashed, have[0]

    outcomes = [attempt(step) for step in range(1, 40)]
    assert outcomes[0] == (True, False)
    assert outcomes[-1] == (False, True)
    assert sum(crashed for crashed, _ in outcomes) > 8


def left_by_a_worker(store: Store) -> FinishedPack:
    packs = PackSet(store, os.path.join(store.local_directory(), "tmp"))
    for n in range(10):
        packs.add(noise(100, n))
    (done,) = packs.finish()
    left = FinishedPack(done.temp, done.name, done.size)
    assert not left.is_empty
    assert left.rows == done.rows
    return left


def test_a_pack_that_a_worker_left_is_taken_over(store: Store) -> None:
    with store.writer() as writer:
        writer.adopt(left_by_a_worker(store))
        writer.commit()
    assert [store.read(oid_of(noise(100, n))) for n in range(10)] == [
        noise(100, n) for n in range(10)
    ]


@pytest.mark.parametrize("gone", [False, True])
def test_a_pack_that_is_not_as_a_worker_left_it_is_refused(store: Store, gone: bool) -> None:
    left = left_by_a_worker(store)
    os.chmod(left.temp, 0o600)
    with open(left.temp, "r+b") as file:
        file.seek(left.size - pack.TRAILER.size - pack.ROW.size)
        file.write(b"?")
    if gone:
        os.unlink(left.temp)
    with pytest.raises(SystemFailure if gone else CorruptError), store.writer() as writer:
        writer.adopt(left)
        writer.commit()
    # Nothing got a name, and nothing is left behind.
    directory = Path(store.local_directory())
    assert not files_below(directory / "packs")
    assert not files_below(directory / "tmp")


def test_a_pack_without_rows_that_count_is_not_published(store: Store) -> None:
    left = left_by_a_worker(store)
    with store.writer() as writer:
        writer.adopt(FinishedPack(left.temp, left.name, left.size, b""))
        writer.commit()
    directory = Path(store.local_directory())
    assert not files_below(directory / "packs")
    assert not files_below(directory / "tmp")
