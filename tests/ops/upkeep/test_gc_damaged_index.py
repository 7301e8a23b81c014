"""By an index that is lost or damaged nearly everything looks like garbage: nothing may go."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dver.base.errors import CorruptError
from dver.base.reporter import Reporter
from dver.ops.upkeep.fsck import FsckOptions, fsck
from dver.ops.upkeep.gc import GcOptions, gc
from dver.store import consolidate
from tests.support.workrepo import WorkRepo


@pytest.fixture
def repo(tmp_path: Path) -> WorkRepo:
    """Hold two versions that are in no remote."""
    repo = WorkRepo.create(tmp_path / "repo")
    for version in (1, 2):
        for i in range(20):
            repo.write(f"d/{i % 3}/{i}", random.Random(i * version).randbytes(300))
        repo.add("d")
        repo.commit(f"version {version}")
    return repo


def files(repo: WorkRepo, part: str) -> list[Path]:
    return sorted(path for path in (repo.path / ".git/dver" / part).rglob("*") if path.is_file())


def is_whole(repo: WorkRepo) -> bool:
    """Repair, and say whether nothing is lost then."""
    opened = repo.open()
    try:
        return fsck(opened, FsckOptions(full=True, repair=True), Reporter()).is_sound
    finally:
        opened.close()


def collect(repo: WorkRepo) -> None:
    opened = repo.open()
    try:
        gc(opened, GcOptions(), Reporter())
    finally:
        opened.close()


@pytest.mark.parametrize("which", [slice(None), slice(1), slice(1, None)])
def test_a_lost_index(repo: WorkRepo, which: slice) -> None:
    packs = files(repo, "packs")
    for path in files(repo, "index")[which]:
        path.unlink()
    with pytest.raises(CorruptError, match="nothing was removed") as caught:
        collect(repo)
    assert "fsck --repair" in (caught.value.hint or "")
    assert files(repo, "packs") == packs
    assert is_whole(repo)
    collect(repo)
    assert is_whole(repo)


def test_a_bit_anywhere_in_the_rows_of_a_segment(repo: WorkRepo) -> None:
    path = files(repo, "index")[0]
    path.chmod(0o644)
    data = path.read_bytes()
    before = {one: one.read_bytes() for one in files(repo, "packs")}
    for at in range(300, len(data), 131):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(CorruptError, match=r"nothing was removed|is not|damaged"):
            collect(repo)
        assert {one: one.read_bytes() for one in files(repo, "packs")} == before
    path.write_bytes(data)
    collect(repo)
    assert is_whole(repo)


def test_merging_does_not_take_a_damaged_row_along(
    repo: WorkRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = files(repo, "index")[0]
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[-30] ^= 1
    path.write_bytes(data)
    monkeypatch.setattr(consolidate, "_MAX_SEGMENTS", 0)
    repo.write("d/new", b"new")
    repo.add("d")
    assert any("could not be merged" in one for one in repo.heard.warnings)
    assert path.exists()
    assert is_whole(repo)


def test_a_pack_that_nobody_needs_goes_without_a_segment(repo: WorkRepo) -> None:
    """It is what an interrupted command leaves."""
    repo.write("e", b"added, and never referred to")
    before = set(files(repo, "packs")), set(files(repo, "index"))
    repo.add("e")
    for path in set(files(repo, "index")) - before[1]:
        path.unlink()
    for name in ("e", "e.dver"):
        (repo.path / name).unlink()
    collect(repo)
    assert set(files(repo, "packs")) <= before[0]
    assert is_whole(repo)
