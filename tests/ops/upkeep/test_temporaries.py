"""What killed commands leave beside the store goes with the next collection, not at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dver.base.reporter import Reporter
from dver.ops.upkeep.gc import GcOptions, GcResult, gc
from tests.support.workrepo import WorkRepo

NAME = ".dver-tmp-0123456789abcdef"


@pytest.fixture
def repo(tmp_path: Path) -> WorkRepo:
    made = WorkRepo.create(tmp_path / "repo")
    made.write("data/a", b"a")
    made.add("data")
    made.commit("data")
    return made


def collect(repo: WorkRepo, *, dry_run: bool = False) -> GcResult:
    opened = repo.open()
    try:
        return gc(opened, GcOptions(dry_run=dry_run), Reporter())
    finally:
        opened.close()


def leave(path: Path, *, old: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    if old:
        os.utime(path, (1, 1))
    return path


def test_old_temporaries_go_wherever_dver_writes(repo: WorkRepo) -> None:
    places = ("", "sub", ".dver", ".git/dver/stat", ".git/dver/remotes/nas/index", ".git/dver/tmp")
    left = [leave(repo.path / place / NAME) for place in places]
    left += [leave(repo.path / f"{NAME}{what}") for what in ("\u00e9", "hardlink")]
    assert collect(repo, dry_run=True).leftovers == len(left)
    assert all(path.exists() for path in left)
    result = collect(repo)
    assert (result.leftovers, result.freed_bytes) == (len(left), 4 * len(left))
    assert not any(path.exists() for path in left)


def test_what_may_be_in_use_or_is_somebody_elses_stays(repo: WorkRepo, tmp_path: Path) -> None:
    young = leave(repo.path / NAME, old=False)
    others = leave(repo.path / ".dver-tmp-notes")
    tracked = leave(repo.path / (NAME[:-1] + "0"))
    repo.git("add", tracked.name)
    target = leave(tmp_path / "elsewhere")
    link = repo.path / (NAME[:-1] + "1")
    link.symlink_to(target)
    assert collect(repo).leftovers == 0
    assert all(os.path.lexists(path) for path in (young, others, tracked, link, target))
