"""What gc keeps for other worktrees, and for other repositories that share the store."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from dver.base.errors import RefusedError
from dver.base.reporter import Reporter
from dver.git import history
from dver.git.repository import Git
from dver.ops.upkeep.gc import GcOptions, GcResult, gc
from dver.store.store import Store
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


@pytest.fixture
def alone(tmp_path: Path) -> WorkRepo:
    """One repository with one committed file."""
    repo = WorkRepo.create(tmp_path / "repo")
    repo.write("f", "committed")
    repo.add("f")
    repo.commit("data")
    return repo


def test_a_pointer_that_is_stashed_while_gc_looks_is_kept(
    alone: WorkRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone.write("f", "in the stash")
    alone.add("f")
    looked = history.reachable_blobs

    def stash_after(git: Git) -> dict[str, bytes]:
        found = looked(git)
        alone.git("stash", "push", "-q")
        return found

    monkeypatch.setattr(history, "reachable_blobs", stash_after)
    assert collect(alone).removed_objects == 0
    alone.git("stash", "pop", "-q")
    assert has(alone, "f")


def test_a_pointer_that_is_taken_out_of_the_stash_while_gc_looks_is_kept(
    alone: WorkRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone.write("f", "in the stash")
    alone.add("f")
    alone.git("stash", "push", "-q")
    looked = history.reachable_blobs

    def pop_before(git: Git) -> dict[str, bytes]:
        alone.git("stash", "pop", "-q")
        alone.git("reset", "-q")
        return looked(git)

    monkeypatch.setattr(history, "reachable_blobs", pop_before)
    assert collect(alone).removed_objects == 0
    assert has(alone, "f")


def test_a_pointer_that_git_came_to_ignore_is_kept(alone: WorkRepo) -> None:
    alone.write("g", "in no commit")
    alone.add("g")
    alone.write(".git/info/exclude", "*.dver\n")
    assert collect(alone).removed_objects == 0
    assert has(alone, "g")


def test_data_whose_pointer_is_gone_keeps_its_content(alone: WorkRepo, tmp_path: Path) -> None:
    alone.git("worktree", "add", "-q", str(tmp_path / "linked"))
    linked = WorkRepo(tmp_path / "linked")
    linked.write("d/a", "in no commit")
    linked.write("g", "in no commit either")
    linked.add("d", "g")
    base = linked.pointer("d")
    linked.unlink("d.dver", "g.dver")
    assert collect(alone).removed_objects == 0
    assert alone.open().store.has(base.oid)
    linked.checkout()
    assert [warning.split()[0] for warning in linked.heard.warnings] == ["d", "g"]
    linked.unlink("g", "d/a")
    (linked.path / "d").rmdir()
    assert collect(alone).removed_objects == 3


def test_a_working_tree_that_is_away_stops_gc(alone: WorkRepo, tmp_path: Path) -> None:
    alone.git("worktree", "add", "-q", str(tmp_path / "linked"))
    linked = WorkRepo(tmp_path / "linked")
    linked.write("g", "in no commit")
    linked.add("g")
    os.rename(linked.path, tmp_path / "away")
    with pytest.raises(RefusedError, match="not there") as caught:
        collect(alone)
    assert "worktree prune" in (caught.value.hint or "")
    os.rename(tmp_path / "away", linked.path)
    assert collect(alone).removed_objects == 0
    assert has(linked, "g")


def test_a_repository_that_joins_a_shared_store_is_seen_once_gc_has_the_lock(
    pair: tuple[WorkRepo, WorkRepo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = pair
    joined: list[WorkRepo] = []
    hold = Store.hold

    def join_first(self: Store, **options: Any) -> AbstractContextManager[None]:
        if options.get("exclusive") and not joined:
            joined.append(WorkRepo.create(tmp_path / "three"))
            joined[0].write("f", "the file of three")
            joined[0].add("f")
        return hold(self, **options)

    monkeypatch.setattr(Store, "hold", join_first)
    assert collect(one).removed_objects == 0
    assert has(joined[0], "f")


def test_a_file_that_a_pointer_calls_a_directory_is_kept_and_stops_nothing(
    alone: WorkRepo,
) -> None:
    alone.write("lie", b"a file")
    alone.add("lie")
    text = (alone.path / "lie.dver").read_text()
    (alone.path / "lie.dver").write_text(text.replace("kind: file", "kind: tree") + "files: 1\n")
    alone.commit("a lie")
    assert "kind: tree" in (alone.path / "lie.dver").read_text()
    collect(alone)
    assert has(alone, "lie")
