"""Status of a directory of which a part was brought, and the rest never."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dver.base.errors import RefusedError
from dver.ops.data.status import ChangeCounts
from tests.support.gitrepo import GitRepo
from tests.support.workrepo import WorkRepo


@pytest.fixture
def partial(tmp_path: Path) -> WorkRepo:
    """A clone in which one file was checked out; all content is in the store."""
    repo = WorkRepo.create(tmp_path / "origin")
    for name in ("d/a", "d/twin", "d/s/a", "d/s/none", "e", "f"):
        repo.write(name, b"" if name == "d/s/none" else b"same")
    repo.add("d", "e", "f")
    repo.commit("data")
    clone = WorkRepo(GitRepo.clone(repo.path, tmp_path / "clone").path)
    shutil.copytree(repo.path / ".git/dver", clone.path / ".git/dver")
    shutil.rmtree(clone.path / ".git/dver/stat")
    (clone.path / ".git/dver/placed").unlink()
    return clone


def test_what_never_was_here_is_not_deleted(partial: WorkRepo) -> None:
    assert {t.path: t.data_state for t in partial.status().targets} == {
        "d": "absent",
        "e": "absent",
        "f": "absent",
    }
    partial.checkout("d/s/a", "f")
    for _ in range(2):
        told = {t.path: (t.data_state, t.counts.total, t.absent) for t in partial.status().targets}
        assert told == {"d": ("unchanged", 0, 3), "e": ("absent", 0, 0), "f": ("unchanged", 0, 0)}
    assert not partial.status().is_clean
    partial.checkout()
    assert partial.status().is_clean


def test_what_never_was_here_is_not_recorded_as_deleted(partial: WorkRepo) -> None:
    partial.checkout("d/a")
    with pytest.raises(RefusedError, match="not all of d is here"):
        partial.add("d")
    partial.unlink("d/a")
    partial.add("d/a")
    assert partial.pointer("d").files == 3


def test_what_was_here_and_is_gone_is_deleted(
    partial: WorkRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial.checkout("d/s/a", "d/a")
    (partial.path / "d/s/a").unlink()
    for _ in range(2):
        target = partial.status_of("d")
        assert [(c.change, c.path) for c in target.changes] == [("deleted", "d/s/a")]
        assert (target.data_state, target.absent) == ("modified", 2)
    # What is read again and remembered does not make that forgotten.
    monkeypatch.setattr("dver.workspace.fsclock.MARGIN_NS", -(10**12))
    os.utime(partial.path / "d/a", ns=(10**18, 10**18))
    for _ in range(2):
        assert partial.status_of("d").counts == ChangeCounts(deleted=1)
    shutil.rmtree(partial.path / "d/s")
    for _ in range(2):
        assert partial.status_of("d").counts == ChangeCounts(deleted=1)


def test_a_part_of_a_newer_version(partial: WorkRepo) -> None:
    partial.checkout()
    partial.git("checkout", "-q", "-b", "next")
    partial.write("d/new/one", b"same")
    partial.write("d/new/two", b"same")
    partial.add("d")
    partial.commit("next")
    partial.git("checkout", "-q", "main")
    partial.checkout()
    partial.git("checkout", "-q", "next")
    partial.checkout("d/new/one")
    target = partial.status_of("d")
    assert (target.data_state, target.absent) == ("unchanged", 1)
    (partial.path / "d/twin").unlink()
    assert [c.path for c in partial.status_of("d").changes] == ["d/twin"]
