"""Pointers that are no files, files that only look like pointers, and places for neither."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dver.base.errors import CorruptError, DverError, FormatError, RefusedError, SystemFailure
from dver.base.reporter import Reporter
from dver.formats import pointer as pointers
from dver.formats.pointer import Pointer
from dver.ops.targets.versions import version_at
from dver.ops.upkeep.fsck import FsckOptions, fsck
from dver.ops.upkeep.gc import GcOptions, gc
from tests.support.workrepo import WorkRepo


@pytest.fixture
def repo(tmp_path: Path) -> WorkRepo:
    made = WorkRepo.create(tmp_path / "repo")
    made.write("d/f", "one")
    made.write("d/sub/g", "two")
    return made


def replace_by_pipe(repo: WorkRepo, name: str) -> None:
    repo.unlink(name)
    os.mkfifo(repo.path / name)


def test_a_pipe_in_place_of_a_pointer_stops_nobody_for_ever(repo: WorkRepo) -> None:
    repo.add("d")
    repo.commit("data")
    replace_by_pipe(repo, "d.dver")
    opened = repo.open()
    try:
        gc(opened, GcOptions(), Reporter())
        findings = fsck(opened, FsckOptions(), Reporter()).findings
        assert [(one.what, one.where) for one in findings] == [("pointer-broken", "d.dver")]
        with pytest.raises(FormatError, match="no regular file"):
            version_at(opened, None)
    finally:
        opened.close()
    assert "no regular file" in (repo.status_of("d").problem or "")
    with pytest.raises(FormatError, match="no regular file"):
        repo.checkout("d")


def test_a_symlink_in_place_of_a_pointer_is_a_broken_pointer(repo: WorkRepo) -> None:
    repo.add("d")
    repo.commit("data")
    os.rename(repo.path / "d.dver", repo.path / "elsewhere")
    (repo.path / "d.dver").symlink_to("elsewhere")
    opened = repo.open()
    try:
        with pytest.raises(FormatError, match=r"d\.dver is broken: it is a symlink"):
            version_at(opened, None)
        findings = fsck(opened, FsckOptions(), Reporter()).findings
        assert [one.what for one in findings] == ["pointer-broken"]
    finally:
        opened.close()


@pytest.mark.parametrize("name", ["..dver", "...dver", ".git.dver", "x/.GIT.dver", "con.dver"])
def test_no_pointer_may_name_what_no_data_may_be(repo: WorkRepo, name: str) -> None:
    repo.add("d")
    repo.commit("data")
    (repo.path / name).parent.mkdir(exist_ok=True)
    (repo.path / name).write_bytes((repo.path / "d.dver").read_bytes())
    repo.commit("hostile")
    before = repo.snapshot()
    for rev in (None, "HEAD"):
        with pytest.raises(FormatError, match="refused"):
            repo.checkout(rev=rev, force=True)
        with pytest.raises(DverError):
            repo.checkout(name, rev=rev, force=True)
    assert repo.snapshot() == before
    assert (repo.path / ".git/HEAD").is_file()


def test_a_listing_that_is_none_spoils_only_its_own_target(repo: WorkRepo) -> None:
    repo.write("f", "a file")
    repo.add("d", "f")
    wrong = Pointer("tree", repo.pointer("f").oid, 6, 1)
    (repo.path / "evil.dver").write_bytes(pointers.encode(wrong))
    found = repo.status_of("evil")
    assert found.data_state in ("deleted", "unknown")
    assert "malformed" in (found.problem or "")
    assert repo.status_of("d").data_state == "unchanged"
    with pytest.raises(CorruptError, match="evil cannot be compared"):
        repo.checkout()
    repo.checkout("d", "f")
    assert not (repo.path / "evil").exists()


def test_a_file_that_only_has_the_name_of_a_pointer_is_data(repo: WorkRepo) -> None:
    repo.write("d/notes.dver", "my notes: no pointer\n")
    repo.add("d")
    before = repo.tree("d")
    repo.checkout("d")
    assert repo.status_of("d").data_state == "unchanged"
    assert repo.tree("d") == before


def test_a_pointer_inside_that_git_knows_counts_even_if_it_is_broken(repo: WorkRepo) -> None:
    repo.write("d/x.dver", "<<<<<<< ours\n")
    repo.git("add", "d/x.dver")
    with pytest.raises(RefusedError, match="tracked by itself"):
        repo.add("d")


@pytest.mark.parametrize("name", [".gitignore", ".gitattributes", ".gitmodules", ".dverignore"])
def test_what_git_and_dver_obey_cannot_become_data(repo: WorkRepo, name: str) -> None:
    repo.write(f"sub/{name}", "*.tmp\n")
    before = repo.snapshot()
    with pytest.raises(RefusedError, match="reads it from the work tree"):
        repo.add(f"sub/{name}")
    assert repo.snapshot() == before


def test_a_name_too_long_for_a_pointer_is_refused_before_anything_changes(repo: WorkRepo) -> None:
    repo.write("n" * 251, "data")
    before = repo.snapshot()
    with pytest.raises(RefusedError, match="longer than 255 bytes"):
        repo.add("n" * 251)
    assert repo.snapshot() == before
    repo.write("n" * 250, "data")
    repo.add("n" * 250)
    assert repo.status_of("n" * 250).data_state == "unchanged"


def test_a_special_file_in_a_tracked_directory_hides_none_of_its_directories(
    repo: WorkRepo,
) -> None:
    repo.add("d")
    repo.commit("data")
    os.mkfifo(repo.path / "d/pipe")
    assert repo.status_of("d").data_state == "unchanged"
    repo.checkout("d")
    assert (repo.path / "d/sub/g").read_bytes() == b"two"


def test_data_that_got_no_pointer_is_not_hidden_from_git(repo: WorkRepo) -> None:
    repo.write("f", "data")
    repo.write("g", "data")
    (repo.path / "g.dver").mkdir()
    with pytest.raises(SystemFailure, match=r"g\.dver"):
        repo.add("f", "g")
    assert repo.ignored() == ["/f"]
    assert repo.status_of("f").data_state == "unchanged"
    assert "g" in repo.untracked()
