"""``diff``: the workspace, the pointers, and any two revisions, with real repositories."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dver.base.errors import FormatError, NotFoundError, UsageError
from dver.base.reporter import SILENT, Reporter
from dver.ops.data.diff import DiffOptions, DiffResult, diff
from dver.repo import Repo
from tests.support.datarepo import DataRepo
from tests.support.gitrepo import GitRepo
from tests.support.trees import Nested
from tests.support.workrepo import WorkRepo

ONE: Nested = {"a": "1", "b": "22", "sub": {"c": "333"}}
TWO: Nested = {"a": "1", "b": "xx", "sub": {"d": "4444"}}


@pytest.fixture
def data(tmp_path: Path) -> DataRepo:
    return DataRepo.create(tmp_path / "repo")


def run(
    data: DataRepo, *revisions: str, paths: tuple[str, ...] = (), below: str = ""
) -> DiffResult:
    return diff(data.repo(below), DiffOptions(revisions, paths), SILENT)


def brief(result: DiffResult) -> list[tuple[str, str]]:
    return [(file.change, file.path) for file in result.files]


def test_two_revisions(data: DataRepo) -> None:
    data.version("one", d=ONE, gone="x")
    data.git("tag", "v1")
    data.untrack("gone")
    data.version("two", d=TWO, new="yy")
    result = run(data, "v1", "HEAD")
    assert (result.old, result.new, result.changed) == ("v1", "HEAD", True)
    assert brief(result) == [
        ("modified", "d/b"),
        ("removed", "d/sub/c"),
        ("added", "d/sub/d"),
        ("removed", "gone"),
        ("added", "new"),
    ]
    assert [(t.change, t.path) for t in result.targets] == [
        ("modified", "d"),
        ("removed", "gone"),
        ("added", "new"),
    ]
    target, modified = result.targets[0], result.files[0]
    assert (target.old_files, target.new_files, target.old_size, target.new_size) == (3, 3, 6, 7)
    assert (target.files_added, target.files_removed, target.files_modified) == (1, 1, 1)
    assert (modified.old_size, modified.new_size, modified.target) == (2, 2, "d")
    assert modified.old_oid != modified.new_oid
    assert (modified.new_oid or "").startswith("blake3:")
    totals = result.totals
    assert (totals.files, totals.added, totals.removed, totals.modified) == (5, 2, 2, 1)
    assert (totals.targets, totals.added_bytes, totals.removed_bytes) == (3, 6, 4)


def test_ranges_and_where_two_branches_parted(data: DataRepo) -> None:
    data.version("base", d={"a": "1"})
    data.git("switch", "-q", "-c", "side")
    data.version("side", d={"a": "1", "side": "2"})
    data.git("switch", "-q", "main")
    data.version("main", d={"a": "1", "main": "3"})
    assert brief(run(data, "main..side")) == [("removed", "d/main"), ("added", "d/side")]
    assert brief(run(data, "..side")) == brief(run(data, "main..side"))
    assert brief(run(data, "main...side")) == [("added", "d/side")]


def test_the_same_version_twice_has_nothing_to_tell(data: DataRepo) -> None:
    data.version("one", d=ONE)
    result = run(data, "HEAD", "HEAD")
    assert not result.changed
    assert result.files == ()


def test_the_workspace_against_its_pointers(tmp_path: Path) -> None:
    work = WorkRepo.create(tmp_path / "work")
    for name in ("d/a", "d/b", "d/sub/c", "f", "lost"):
        work.write(name, b"x")
    work.add("d", "f", "lost")
    work.write("d/b", b"y")
    work.unlink("d/sub/c")
    work.write("d/sub/d", b"z")
    work.write("f", b"longer file")
    work.unlink("lost")
    result = diff(Repo.open(work.path), DiffOptions(), SILENT)
    assert (result.old, result.new) == ("pointers", "workspace")
    assert brief(result) == [
        ("modified", "d/b"),
        ("removed", "d/sub/c"),
        ("added", "d/sub/d"),
        ("modified", "f"),
        ("removed", "lost"),
    ]
    assert result.files[3].new_size == len("longer file")


def test_the_workspace_as_recorded_has_nothing_to_tell(data: DataRepo) -> None:
    data.version("one", d=ONE | {"run": "#!/bin/sh", "empty": {}}, f="file")
    data.lay_out("d", ONE | {"run": "#!/bin/sh", "empty": {}})
    data.lay_out("f", "file")
    assert not run(data).changed
    (data.path / "d/run").chmod(0o644)
    assert brief(run(data)) == [("mode", "d/run")]
    changed = run(data).files[0]
    assert (changed.old_kind, changed.new_kind) == ("executable", "file")


def test_the_workspace_against_a_revision(data: DataRepo) -> None:
    data.version("one", d={"a": "1"})
    data.version("two", d={"a": "1", "b": "2"})
    data.lay_out("d", {"a": "1", "b": "2", "c": "3"})
    assert brief(run(data)) == [("added", "d/c")]
    assert brief(run(data, "HEAD~1")) == [("added", "d/b"), ("added", "d/c")]


def test_a_file_where_a_directory_is_tracked_and_the_other_way_round(data: DataRepo) -> None:
    data.version("one", d={"a": "1"}, f="x")
    data.lay_out("d", "now a file")
    data.lay_out("f", {"now": "a directory"})
    assert brief(run(data)) == [
        ("removed", "d/a"),
        ("added", "d"),
        ("removed", "f"),
        ("added", "f/now"),
    ]


def test_symlinks_are_compared_and_never_followed(data: DataRepo) -> None:
    data.version("one", d={"a": "1"})
    data.lay_out("d", {"a": "1"})
    (data.path / "d/link").symlink_to("/etc")
    changed = run(data).files
    assert [(c.path, c.new_kind, c.new_size) for c in changed] == [("d/link", "symlink", 4)]


def test_what_cannot_be_tracked_is_warned_about(data: DataRepo) -> None:
    data.version("one", d={"a": "1"})
    data.lay_out("d", {"a": "1", ".git": {"HEAD": "x"}})
    warnings: list[str] = []

    class Listening(Reporter):
        def warn(self, message: str, *, hint: str | None = None) -> None:
            warnings.append(message)

    assert not diff(data.repo(), DiffOptions(), Listening()).changed
    assert len(warnings) == 1
    assert "d/.git" in warnings[0]


def test_paths_restrict_and_are_relative_to_where_one_stands(data: DataRepo) -> None:
    data.track("x/d", ONE)
    data.version("one", f="1")
    data.track("x/d", TWO)
    data.version("two", f="2")
    assert brief(run(data, "HEAD~1", "HEAD", paths=("d/sub",), below="x")) == [
        ("removed", "d/sub/c"),
        ("added", "d/sub/d"),
    ]
    assert brief(run(data, "HEAD~1..HEAD", paths=("../f",), below="x")) == [("modified", "../f")]
    assert brief(run(data, "HEAD~1", "HEAD", paths=("x/d.dver",))) == brief(
        run(data, "HEAD~1", "HEAD", paths=("x/d",))
    )
    data.lay_out("x/d", TWO | {"new": "5", "sub": {"d": "4444", "e": "6"}})
    assert brief(run(data, paths=("x/d/sub",))) == [("added", "x/d/sub/e")]


def test_a_moved_directory_is_one_rename(data: DataRepo) -> None:
    data.version("one", d=ONE)
    data.git("mv", "d.dver", "e.dver")
    data.commit("moved")
    result = run(data, "HEAD~1", "HEAD")
    assert [(t.change, t.path, t.old_path, t.files_renamed) for t in result.targets] == [
        ("renamed", "e", "d", 3)
    ]
    assert result.files == ()
    assert result.totals.renamed == 3
    apart = diff(data.repo(), DiffOptions(("HEAD~1", "HEAD"), renames=False), SILENT)
    assert [(t.change, t.path) for t in apart.targets] == [("removed", "d"), ("added", "e")]


def test_missing_trees_are_told_with_the_command_that_brings_them(data: DataRepo) -> None:
    data.track("d", {"a": "1"}, stored=False)
    data.version("one", f="1")
    data.version("two", d={"a": "2"}, f="2")
    result = run(data, "HEAD~1", "HEAD")
    assert [(t.path, t.listed, t.old_size) for t in result.targets] == [
        ("d", False, 1),
        ("f", True, 1),
    ]
    assert brief(result) == [("modified", "f")]
    assert result.missing == ("d",)
    assert result.hint == "dver fetch --rev HEAD~1 d"


def test_wrong_use(data: DataRepo) -> None:
    data.version("one", d={"a": "1"})
    data.write("untracked", "x")
    with pytest.raises(NotFoundError, match="no such revision"):
        run(data, "nope")
    with pytest.raises(NotFoundError, match="nope"):
        run(data, "HEAD", "HEAD", paths=("d/nope",))
    with pytest.raises(NotFoundError, match="untracked"):
        run(data, paths=("untracked",))
    with pytest.raises(UsageError):
        run(data, "HEAD", "HEAD", "HEAD")
    with pytest.raises(UsageError, match="outside"):
        run(data, paths=("../elsewhere",))
    data.write("d.dver", "dver: 1\nkind: tree\n")
    with pytest.raises(FormatError, match=r"d\.dver is broken.*'oid'"):
        run(data)


def test_what_never_was_here_is_no_difference(tmp_path: Path) -> None:
    origin = WorkRepo.create(tmp_path / "origin")
    for name in ("d/a", "d/s/b", "d/s/c"):
        origin.write(name, name.encode())
    origin.write("never-here", b"x")
    origin.add("d", "never-here")
    origin.commit("one")
    origin.write("d/s/b", b"changed")
    origin.add("d")
    origin.commit("two")
    part = WorkRepo(GitRepo.clone(origin.path, tmp_path / "part").path)
    shutil.copytree(origin.path / ".git/dver", part.path / ".git/dver")
    shutil.rmtree(part.path / ".git/dver/stat")
    (part.path / ".git/dver/placed").unlink()
    part.checkout("d/a")

    def told(*revisions: str) -> list[tuple[str, str]]:
        return brief(diff(Repo.open(part.path), DiffOptions(revisions), SILENT))

    assert told() == []
    assert told("HEAD~1") == [("modified", "d/s/b")]
    part.write("d/a", b"new")
    part.write("d/s/d", b"more")
    assert told() == [("modified", "d/a"), ("added", "d/s/d")]
    part.unlink("d/a")
    assert told() == [("removed", "d/a"), ("added", "d/s/d")]
