"""A checkout where data is left whose pointer is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ops.data.twoversions import TWO, is_clean, two_versions
from tests.support.workrepo import WorkRepo


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_versions(tmp_path_factory.mktemp("template") / "repo")


@pytest.fixture
def without(repo: WorkRepo) -> WorkRepo:
    """On a branch that has no pointers, reached with git alone."""
    repo.git("checkout", "-q", "-b", "none", "v1~1")
    return repo


def test_leftovers_are_told_and_removed(without: WorkRepo) -> None:
    repo = without
    assert {(t.path, t.pointer_state, t.data_state) for t in repo.status().targets} == {
        ("d", "unchanged", "leftover"),
        ("f", "unchanged", "leftover"),
    }
    assert not is_clean(repo)
    result = repo.checkout()
    assert [(t.path, t.removed, t.deleted) for t in result.targets] == [
        ("d", True, 4),
        ("f", True, 1),
    ]
    assert repo.tree() == {}
    assert is_clean(repo)
    repo.git("checkout", "-q", "main")
    repo.checkout()
    assert repo.tree("d") == TWO


def test_leftovers_with_changes_stay(without: WorkRepo) -> None:
    repo = without
    repo.write("d/a", b"my work")
    repo.write("d/mine", b"too")
    repo.checkout()
    assert repo.tree("d") == {**TWO, "a": b"my work", "mine": b"too"}
    assert not (repo.path / "f").exists()
    assert "d is not tracked any more" in repo.heard.warnings[0]
    repo.checkout()
    assert repo.heard.warnings == []


def test_strangers_in_a_leftover_stay(without: WorkRepo) -> None:
    without.write("d/mine", b"my work")
    without.checkout()
    assert without.tree() == {"d/mine": b"my work"}


def test_leftovers_that_no_commit_names_stay(repo: WorkRepo) -> None:
    repo.write("g", b"never committed")
    repo.add("g")
    repo.unlink("g.dver")
    assert repo.status_of("g").data_state == "leftover"
    repo.checkout()
    assert (repo.path / "g").exists()
    repo.write("f", b"v3")
    repo.add("f")
    repo.git("rm", "-q", "--cached", "f.dver")
    repo.unlink("f.dver")
    repo.git("commit", "-q", "-m", "gone")
    repo.checkout()
    assert (repo.path / "f").read_bytes() == b"v3"


def test_a_pointer_deleted_by_hand_is_no_reason_to_remove_data(repo: WorkRepo) -> None:
    repo.unlink("f.dver")
    repo.checkout()
    assert (repo.path / "f").read_bytes() == b"v2"
    assert (repo.status_of("f").pointer_state, repo.status_of("f").data_state) == (
        "deleted",
        "leftover",
    )


def test_what_git_tracks_by_now_is_no_leftover(without: WorkRepo) -> None:
    without.git("add", "-f", "f")
    without.commit_staged("f in git")
    without.checkout()
    assert (without.path / "f").read_bytes() == b"v2"
