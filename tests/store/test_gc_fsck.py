from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from dver.base import fsio
from dver.base.errors import SystemFailure
from dver.base.oid import Oid
from dver.base.reporter import Task
from dver.formats import pack, segment, tree
from dver.storage.local import LocalStorage
from dver.store import fsck, gc
from dver.store.contents import check_contents
from dver.store.index import Index, Segment
from dver.store.mark import Marks
from dver.store.store import Store


def dataset(store: Store, contents: dict[bytes, bytes]) -> Oid:
    with store.writer() as writer:
        entries = [
            tree.Entry(tree.FILE, name, len(data), writer.add(data))
            for name, data in contents.items()
        ]
        inner = tree.build(entries, 0)
        oid = writer.add(tree.encode(inner), pack.TREE)
        top = tree.build([tree.Entry(tree.DIRECTORY, b"sub", inner.size, oid)], inner.files)
        oid = writer.add(tree.encode(top), pack.TREE)
        writer.commit()
    return oid


def marked(store: Store, *oids: Oid) -> Marks:
    marks = Marks(store)
    for oid in oids:
        assert list(marks.mark(oid, "tree")) == []
    return marks


def contents(seed: int, count: int = 6) -> dict[bytes, bytes]:
    rng = random.Random(seed)
    return {
        b"%d-%d" % (seed, n): rng.randbytes(rng.choice([10, 3000, 400_000])) for n in range(count)
    }


def readable(store: Store, oid: Oid, expected: dict[bytes, bytes]) -> None:
    top = store.read_tree(oid)
    inner = store.read_tree(top.oid(0))
    assert {entry.name: store.read(entry.oid) for entry in inner} == expected


def test_gc_removes_the_dead_and_keeps_the_living(store: Store, tmp_path: Path) -> None:
    keep, drop = contents(1), contents(2)
    kept, dropped = dataset(store, keep), dataset(store, drop)
    marks = marked(store, kept)
    todo = gc.plan(store, marks)
    assert todo.dead_objects > 0 and todo.freed_bytes > 0
    gc.sweep(store, marks, todo)
    readable(store, kept, keep)
    assert not store.has(dropped)
    again = Store.open(LocalStorage(tmp_path / "store"))
    readable(again, kept, keep)
    assert next(iter(Marks(again).mark(dropped, "tree"))).oid == dropped
    assert len(again.index.segments) == 1
    rest = gc.plan(again, marked(again, kept))
    assert (rest.delete, rest.rewrite, rest.orphans, rest.dead_objects) == ((), (), (), 0)


def test_gc_rewrites_packs_that_are_mostly_dead(store: Store, tmp_path: Path) -> None:
    with store.writer() as writer:
        small = writer.add(b"keep me" * 100)
        writer.add(random.Random(3).randbytes(200_000))
        writer.commit()
    marks = Marks(store)
    assert list(marks.mark(small, "file")) == []
    todo = gc.plan(store, marks)
    assert len(todo.rewrite) == 1
    gc.sweep(store, marks, todo)
    assert store.read(small) == b"keep me" * 100
    total = sum(
        path.stat().st_size for path in (tmp_path / "store/packs").rglob("*") if path.is_file()
    )
    assert total < 2000


def test_a_rewrite_that_fails_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.writer() as writer:
        small = writer.add(b"keep me" * 100)
        other = writer.add(random.Random(3).randbytes(200_000))
        writer.commit()
    marks = Marks(store)
    assert list(marks.mark(small, "file")) == []
    todo = gc.plan(store, marks)
    before = sorted((tmp_path / "store").rglob("*"))

    def full(*_: object) -> None:
        raise SystemFailure("no space left on the disk")

    monkeypatch.setattr(fsio, "write_pieces", full)
    with pytest.raises(SystemFailure):
        gc.sweep(store, marks, todo)
    assert sorted((tmp_path / "store").rglob("*")) == before
    assert store.has(other)


def test_gc_of_everything(store: Store, tmp_path: Path) -> None:
    dataset(store, contents(4))
    marks = Marks(store)
    gc.sweep(store, marks, gc.plan(store, marks))
    assert [path for path in (tmp_path / "store/packs").rglob("*") if path.is_file()] == []
    assert len(store.index) == 0


def test_gc_removes_leftovers_of_a_crash(store: Store, tmp_path: Path) -> None:
    kept = dataset(store, contents(5))
    fsio.create_temp(tmp_path / "store/tmp")
    orphan = tmp_path / "store/packs/ab" / ("ab" * 32)
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(b"no segment names this")
    marks = marked(store, kept)
    todo = gc.plan(store, marks)
    assert len(todo.orphans) == 2
    gc.sweep(store, marks, todo)
    assert not orphan.exists()
    readable(store, kept, contents(5))


def test_gc_keeps_one_of_two_copies(store: Store, tmp_path: Path) -> None:
    """Two processes that add the same content at once store it twice."""
    other = Store.open(LocalStorage(tmp_path / "store"))
    with store.writer() as one, other.writer() as two:
        oid = one.add(b"same" * 1000)
        two.add(b"same" * 1000)
        one.commit()
        two.commit()
    store.refresh()
    assert len(store.index) == 2
    marks = Marks(store)
    assert list(marks.mark(oid, "file")) == []
    gc.sweep(store, marks, gc.plan(store, marks))
    assert len(store.index) == 1
    assert store.read(oid) == b"same" * 1000


class Crash(BaseException):
    """Stands for the process being killed."""


def stop_after(steps: int) -> Callable[[str], None]:
    left = steps

    def hook(_name: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Crash

    return hook


def test_a_crash_at_any_step_of_gc_loses_nothing_alive(tmp_path: Path) -> None:
    crashes = 0
    for stop_at in range(1, 60):
        root = tmp_path / str(stop_at)
        store = Store.create(LocalStorage(root))
        keep = contents(1, count=3)
        kept = dataset(store, keep)
        dataset(store, contents(2, count=2))
        with store.writer() as writer:
            small = writer.add(b"small" * 20)
            writer.add(random.Random(8).randbytes(50_000))
            writer.commit()
        marks = marked(store, kept)
        assert list(marks.mark(small, "file")) == []
        fsio.install_hook(stop_after(stop_at))
        try:
            gc.sweep(store, marks, gc.plan(store, marks))
        except Crash:
            crashes += 1
        finally:
            fsio.install_hook(None)
        again = Store.open(LocalStorage(root))
        readable(again, kept, keep)
        assert again.read(small) == b"small" * 20
        index, problems = fsck.check_segments(again.storage)
        assert problems == []
        assert list(fsck.check_packs(again.storage, index)) == []
        marks = marked(again, kept)
        assert list(marks.mark(small, "file")) == []
        gc.sweep(again, marks, gc.plan(again, marks))
        readable(again, kept, keep)
    assert 10 < crashes < 59


def problems_of(store: Store) -> list[fsck.Problem]:
    index, found = fsck.check_segments(store.storage)
    found += fsck.check_packs(store.storage, index)
    found += check_contents(Store(store.storage, store.info, index), Task())
    return found


def test_fsck_of_a_sound_store_finds_nothing(store: Store) -> None:
    dataset(store, contents(6))
    assert problems_of(store) == []


def test_full_fsck_finds_every_flipped_bit(store: Store, tmp_path: Path) -> None:
    dataset(store, contents(7, count=4))
    files = sorted(path for path in (tmp_path / "store").rglob("*") if path.is_file())
    files = [path for path in files if path.parent.name == "index" or "packs" in path.parts]
    rng = random.Random(7)
    for path in files:
        path.chmod(0o644)
        whole = path.read_bytes()
        for _ in range(25):
            at = rng.randrange(len(whole))
            flipped = bytearray(whole)
            flipped[at] ^= 1 << rng.randrange(8)
            path.write_bytes(flipped)
            assert problems_of(store), (path, at)
        path.write_bytes(whole)
    assert problems_of(store) == []


def test_quick_fsck_finds_lost_and_short_packs(store: Store, tmp_path: Path) -> None:
    dataset(store, contents(8))
    index, _ = fsck.check_segments(store.storage)
    first, second = sorted(p for p in (tmp_path / "store/packs").rglob("*") if p.is_file())[:2]
    first.unlink()
    second.chmod(0o644)
    second.write_bytes(second.read_bytes()[:-1])
    found = list(fsck.check_packs(store.storage, index))
    assert sorted(problem.what for problem in found) == ["pack-damaged", "pack-missing"]
    assert all(problem.oids for problem in found)


@pytest.mark.parametrize("kind", ["file", "tree"])
def test_marking_reports_what_is_not_there(store: Store, kind: str) -> None:
    (gone,) = Marks(store).mark(Oid(b"x" * 32), kind)
    assert gone.oid == b"x" * 32
    assert gone.path == b""


def test_quick_fsck_finds_a_row_beyond_its_pack(store: Store) -> None:
    dataset(store, contents(9))
    (one,) = store.index.segments
    rows = list(one.rows())
    offset = max(size for _, size in one.packs) - 60
    rows[1] = rows[1][:36] + offset.to_bytes(4, "little") + rows[1][40:]
    wrong = Index([Segment(one.name, segment.encode(rows, one.packs, bytes(16)))])
    (problem,) = fsck.check_packs(store.storage, wrong)
    assert (problem.what, problem.oids) == ("segment-damaged", (rows[1][:32],))
