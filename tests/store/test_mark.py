"""Marking in batches: the same marks whatever the sizes, and a path for what is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dver.base.oid import Oid, oid_of
from dver.formats import pack, tree
from dver.formats.tree import Entry
from dver.store import index, layout, mark
from dver.store.mark import Marks
from dver.store.store import Store

LARGE = os.urandom(600_000)


def file_entry(name: bytes, data: bytes) -> Entry:
    return Entry(tree.FILE, name, len(data), oid_of(data))


def directory(store: Store, *, count: int, lacking: frozenset[int] = frozenset()) -> Oid:
    """Store a directory of directories, a large file among them, without some of the files."""
    with store.writer() as writer:
        tops = []
        for d in range(3):
            contents = [b"%d/%d" % (d, i) for i in range(count)]
            entries = [file_entry(b"f%03d" % i, data) for i, data in enumerate(contents)]
            for i, data in enumerate(contents):
                if d != 1 or i not in lacking:
                    writer.add(data)
            one = tree.build(entries, 0)
            oid = writer.add(tree.encode(one), pack.TREE)
            tops.append(Entry(tree.DIRECTORY, b"d%d" % d, one.size, oid))
        writer.add(LARGE)
        top = tree.build([*tops, file_entry(b"large", LARGE)], 3 * count)
        oid = writer.add(tree.encode(top), pack.TREE)
        writer.commit()
    return oid


@pytest.fixture(params=["looked up", "gone over"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_SCAN_RATIO", 0 if request.param == "looked up" else 1 << 20)
    monkeypatch.setattr(index, "_BLOCK", 7)
    monkeypatch.setattr(mark, "_MANY", 5)
    monkeypatch.setattr(mark, "_PASSES", 1 << 20)


@pytest.mark.usefixtures("_way")
def test_everything_below_is_marked_and_nothing_else(store: Store) -> None:
    with store.writer() as writer:
        writer.add(b"other")
        writer.commit()
    top = directory(store, count=20)
    marks = Marks(store)
    assert list(marks.mark(top, "tree")) == []
    parts = len(list(store.parts(oid_of(LARGE))))
    assert marks.count == 60 + 4 + parts
    assert sum(sum(marks.bits(one)) for one in marks.segments) == marks.count
    assert oid_of(b"other") not in marks
    assert all(part in marks for part, _ in store.parts(oid_of(LARGE)))
    assert list(marks.mark(top, "tree")) == []
    assert list(marks.mark(oid_of(b"other"), "file")) == []
    assert marks.count == 60 + 4 + parts + 1


@pytest.mark.usefixtures("_way")
def test_what_is_missing_is_told_with_its_path(store: Store) -> None:
    top = directory(store, count=20, lacking=frozenset((3, 17)))
    told = [(gone.oid, gone.path) for gone in Marks(store).mark(top, "tree")]
    assert sorted(told) == sorted([(oid_of(b"1/3"), b"d1/f003"), (oid_of(b"1/17"), b"d1/f017")])


@pytest.mark.usefixtures("_way")
def test_an_object_in_two_segments_is_marked_once(store: Store) -> None:
    top = directory(store, count=20)
    other = Store.create(type(store.storage)(Path(store.local_directory()) / "../other"))
    directory(other, count=20)
    for kind in ("packs", "index"):
        source = Path(other.local_directory(), kind)
        for path in source.rglob("*"):
            if path.is_file():
                target = Path(store.local_directory(), kind, path.relative_to(source))
                target.parent.mkdir(exist_ok=True)
                path.rename(target)
    store.refresh()
    assert len(store.index.segments) == 2
    marks = Marks(store)
    assert list(marks.mark(top, "tree")) == []
    assert marks.count == 64 + len(list(store.parts(oid_of(LARGE))))
    assert Marks.everything(store).count == marks.count


@pytest.mark.usefixtures("_way")
def test_rows_of_a_lost_pack_are_not_marked(store: Store) -> None:
    top = directory(store, count=20)
    place = store.place(oid_of(b"1/3"))
    assert place is not None
    Path(store.local_directory(), layout.pack_key(place.pack)).unlink()
    store.refresh()
    marks = Marks(store)
    assert len(list(marks.mark(top, "tree"))) == 61
    assert oid_of(b"1/3") not in marks
    assert top in marks
