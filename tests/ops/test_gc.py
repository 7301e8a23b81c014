"""What gc keeps for other worktrees, and for other repositories that share the store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dver.base.errors import RefusedError
from dver.base.reporter import Reporter
from dver.ops.gc import GcOptions, GcResult, gc
from tests.support.workrepo import WorkRepo


def collect(repo: WorkRepo) -> GcResult:
    opened = repo.open()
    try:
        return gc(opened, GcOptions(), Reporter())
    finally:
        opened.close()


def has(repo: WorkRepo, path: str) -> bool:
    """Say whether the content of a pointer in the workspace is in the store."""
    opened = repo.open()
    try:
        return opened.store.has(repo.pointer(path).oid)
    finally:
        opened.close()


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[WorkRepo, WorkRepo]:
    """Two repositories over one store, each with one committed file of its own."""
    monkeypatch.setenv("DVER_STORE_PATH", str(tmp_path / "store"))
    made = []
    for name in ("one", "two"):
        repo = WorkRepo.create(tmp_path / name)
        repo.write("f", f"the file of {name}")
        repo.add("f")
        repo.commit("data")
        made.append(repo)
    return made[0], made[1]


def test_a_shared_store_keeps_what_the_other_repository_needs(
    pair: tuple[WorkRepo, WorkRepo],
) -> None:
    one, two = pair
    two.write("uncommitted", "not in any commit")
    two.add("uncommitted")
    assert collect(one).removed_objects == 0
    assert has(two, "f")
    assert has(two, "uncommitted")


def test_a_hook_that_sets_git_dir_does_not_hide_the_other_repository(
    pair: tuple[WorkRepo, WorkRepo], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair
    monkeypatch.setenv("GIT_DIR", str(one.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(one.path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(one.path / ".git/index"))
    assert collect(one).removed_objects == 0
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_WORK_TREE")
    monkeypatch.delenv("GIT_INDEX_FILE")
    assert has(two, "f")


def test_a_hook_that_sets_git_dir_does_not_hide_other_worktrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = WorkRepo.create(tmp_path / "repo")
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"))
    linked = WorkRepo(tmp_path / "linked")
    linked.write("f", "in no commit")
    linked.add("f")
    monkeypatch.setenv("GIT_DIR", str(repo.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repo.path))
    assert collect(repo).removed_objects == 0
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_WORK_TREE")
    assert has(linked, "f")


def test_what_nothing_names_goes_from_a_shared_store(pair: tuple[WorkRepo, WorkRepo]) -> None:
    one, two = pair
    one.write("f", "another version, never committed")
    one.add("f")
    one.write("f", "the file of one")
    one.add("f")
    assert collect(two).removed_objects == 1
    assert has(one, "f")


def test_a_repository_that_cannot_be_asked_stops_gc(pair: tuple[WorkRepo, WorkRepo]) -> None:
    one, two = pair
    os.rename(two.path, two.path.with_name("away"))
    with pytest.raises(RefusedError) as caught:
        collect(one)
    assert str(two.path) in str(caught.value)
    assert "users" in (caught.value.hint or "")
