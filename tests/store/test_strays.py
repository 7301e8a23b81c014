"""What is in the place of packs and segments, and is none; and packs that lost their segment."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from dver.base.errors import CorruptError, DverError, ObjectNotFound
from dver.base.oid import Oid
from dver.base.regular import open_regular
from dver.base.reporter import Task
from dver.formats import pack
from dver.store import layout
from dver.store.fsck import check_segments
from dver.store.repair import repair
from dver.store.store import Store
from dver.store.strays import footer_rows, irregular, unindexed, with_what_segments_named

BLOBS = [random.Random(seed).randbytes(3000) for seed in range(6)]


def add(store: Store, *contents: bytes) -> list[Oid]:
    with store.writer() as writer:
        oids = [writer.add(data) for data in contents]
        writer.commit()
    return oids


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _dangling(path: Path) -> None:
    path.symlink_to(path.parent / "nothing")


PLACES: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "directory": lambda path: path.mkdir(),
    "circle": _loop,
    "dangling": _dangling,
    "device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.fixture
def only(store: Store) -> tuple[Store, Path, Path]:
    """Return a store with one pack and one segment, and their paths."""
    add(store, *BLOBS)
    top = Path(store.local_directory())
    (name,) = store.index.packs()
    (one,) = store.index.segments
    return store, top / layout.pack_key(name), top / layout.segment_key(one.name)


@pytest.mark.parametrize("kind", PLACES)
def test_only_regular_files_are_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "here"
    PLACES[kind](path)
    with pytest.raises((CorruptError, FileNotFoundError)):
        open_regular(path)


def test_links_to_files_are_followed_and_missing_files_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    with open(open_regular(tmp_path / "link"), "rb") as file:
        assert file.read() == b"content"
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "other")


@pytest.mark.parametrize("kind", PLACES)
def test_in_the_place_of_a_pack(only: tuple[Store, Path, Path], kind: str) -> None:
    store, path, _ = only
    path.unlink()
    PLACES[kind](path)
    (problem,) = irregular(store.storage)
    assert (problem.what, Path(problem.key).name) == ("pack-damaged", path.name)
    again = Store.open(store.storage)
    with pytest.raises(DverError):
        again.read(add_oid := next(store.index.segments[0].oids()))
    done = repair(again, Task())
    assert add_oid in done.lost
    assert len(done.lost) == len(BLOBS)
    assert not os.path.lexists(path)
    assert not list(irregular(store.storage))
    # Now there is room for what somebody else has.
    assert [again.read(oid) for oid in add(again, *BLOBS)] == BLOBS


@pytest.mark.parametrize("kind", PLACES)
def test_in_the_place_of_a_segment(only: tuple[Store, Path, Path], kind: str) -> None:
    store, _, path = only
    oids = list(store.index.segments[0].oids())
    path.unlink()
    PLACES[kind](path)
    (problem,) = irregular(store.storage)
    assert (problem.what, Path(problem.key).name) == ("segment-damaged", path.name)
    index, problems = check_segments(store.storage)
    told = with_what_segments_named(store.storage, index, [*problems, problem])
    assert set(told[0].oids) == set(oids)
    again = Store.open_unindexed(store.storage)
    assert repair(again, Task()).lost == ()
    assert sorted(again.read(oid) for oid in oids) == sorted(BLOBS)
    assert not os.path.lexists(path)


def test_names_that_are_no_packs_are_left_alone(only: tuple[Store, Path, Path]) -> None:
    store, path, segment = only
    for place in (path.parent / "pipe", segment.parent / ".pipe", segment.parent / ("0" * 63)):
        os.mkfifo(place)
    # A pack in another pack's directory is none, either.
    (path.parent.parent / "zz").mkdir()
    os.mkfifo(path.parent.parent / "zz" / path.name)
    assert not list(irregular(store.storage))
    assert repair(store, Task()).quarantined == ()


def test_a_footer_is_read_and_checked(only: tuple[Store, Path, Path]) -> None:
    store, path, segment = only
    segment.unlink()
    index, _ = check_segments(store.storage)
    ((name, size),) = unindexed(store.storage, index).items()
    assert len(footer_rows(store.storage, name, size)) == pack.ROW.size * len(BLOBS)
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    for at in (5, len(data) - 3, len(data) - 60):
        bad = bytearray(data)
        bad[at] ^= 1
        path.write_bytes(bad)
        with pytest.raises(CorruptError):
            footer_rows(store.storage, name, size)
    path.unlink()
    with pytest.raises(ObjectNotFound):
        footer_rows(store.storage, name, size)
