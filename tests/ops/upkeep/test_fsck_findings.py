"""One cause is one finding, and it names the versions that it costs."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from dver.base.errors import CorruptError
from dver.base.reporter import Reporter
from dver.formats import pack
from dver.formats.segment import Place
from dver.ops.upkeep.fsck import Finding, FsckOptions, fsck
from dver.store import layout
from tests.support.workrepo import WorkRepo


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repo = WorkRepo.create(tmp_path_factory.mktemp("template") / "repo")
    repo.write("d/large", random.Random(5).randbytes(600_000))
    repo.write("d/small", b"small")
    repo.add("d")
    repo.commit("one")
    repo.write("d/s/more", b"more")
    repo.add("d")
    repo.commit("two")
    return repo.path


@pytest.fixture
def repo(template: Path, tmp_path: Path) -> WorkRepo:
    """A directory with a small and a chunked file, in two versions."""
    shutil.copytree(template, tmp_path / "repo", symlinks=True)
    return WorkRepo(tmp_path / "repo")


def findings(repo: WorkRepo, *, full: bool) -> tuple[Finding, ...]:
    opened = repo.open()
    try:
        return fsck(opened, FsckOptions(full=full), Reporter()).findings
    finally:
        opened.close()


def pack_path(repo: WorkRepo, place: Place) -> Path:
    return repo.path / ".git/dver" / layout.pack_key(place.pack)


def places(repo: WorkRepo, kind: int) -> list[Place]:
    index = repo.open().store.index
    return [place for one in index.segments for _, place in one.places() if place.kind == kind]


def damage(repo: WorkRepo, place: Place) -> None:
    path = pack_path(repo, place)
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[place.offset + pack.FRAME.size] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("kind", [pack.BLOB, pack.TREE, pack.CHUNK, pack.BLOB_LIST])
def test_a_bad_frame_is_one_finding(repo: WorkRepo, kind: int) -> None:
    damage(repo, places(repo, kind)[0])
    (found,) = findings(repo, full=True)
    assert (found.what, found.lost) == ("pack-damaged", 1)
    assert {one.path for one in found.affected} == {"d"}
    assert len(found.affected) in (1, 2, 3)


def test_a_chunk_in_another_pack_than_its_list(repo: WorkRepo) -> None:
    """The list is sound, so the pack that it lies in is."""
    content = (repo.path / "d/large").read_bytes()
    repo.write("e", content + b"one more chunk")
    repo.add("e")
    first, second = places(repo, pack.BLOB_LIST)
    shared = next(one for one in places(repo, pack.CHUNK) if one.pack in (first.pack, second.pack))
    assert first.pack != second.pack
    damage(repo, shared)
    assert [one.what for one in findings(repo, full=True)] == ["pack-damaged"]
    pack_path(repo, shared).unlink()
    for full in (False, True):
        assert [one.what for one in findings(repo, full=full)] == ["pack-missing"]
    assert {one.path for one in findings(repo, full=True)[0].affected} == {"d", "e"}


def test_the_error_for_a_damaged_object_has_a_short_first_line(repo: WorkRepo) -> None:
    place = places(repo, pack.TREE)[0]
    damage(repo, place)
    opened = repo.open()
    oid = next(
        oid for one in opened.store.index.segments for oid, at in one.places() if at == place
    )
    with pytest.raises(CorruptError) as caught:
        opened.store.read(oid)
    assert len(caught.value.message) < 80
    assert oid.hex() in caught.value.paths[0]
    assert caught.value.paths[1].startswith(layout.pack_key(place.pack))


@pytest.mark.parametrize("keep", [0, 10, 200])
def test_an_index_that_cannot_even_be_opened_is_found_and_repaired(
    repo: WorkRepo, keep: int
) -> None:
    for path in (repo.path / ".git/dver/index").iterdir():
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CorruptError) as caught:
        repo.status()
    assert caught.value.hint == "run 'dver fsck --repair'"
    assert "segment-damaged" in {one.what for one in findings(repo, full=False)}
    opened = repo.open()
    result = fsck(opened, FsckOptions(repair=True), Reporter())
    opened.close()
    assert result.is_sound
    assert result.repaired is not None
    assert (len(result.repaired.quarantined), result.repaired.lost) == (2, 0)
    assert repo.status().is_clean


def test_a_damaged_format_record_says_what_to_do(repo: WorkRepo) -> None:
    (repo.path / ".git/dver/format.json").write_bytes(b"")
    with pytest.raises(CorruptError, match="cannot be opened") as caught:
        repo.status()
    assert "move its format.json aside" in (caught.value.hint or "")
    (repo.path / ".git/dver/format.json").unlink()
    assert repo.status().is_clean
