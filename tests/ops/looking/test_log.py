"""``log``: every version of some data across git history, with real repositories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dver.base.errors import NotFoundError
from dver.base.reporter import SILENT
from dver.ops.looking.log import LogOptions, LogResult, log
from tests.support.datarepo import DataRepo
from tests.support.gitrepo import GitRepo


@pytest.fixture
def data(tmp_path: Path) -> DataRepo:
    return DataRepo.create(tmp_path / "repo")


def run(data: DataRepo, path: str, below: str = "", **options: object) -> LogResult:
    return log(data.repo(below), LogOptions(path, **options), SILENT)


def brief(result: LogResult) -> list[tuple[str, str, int | None]]:
    return [(entry.change, entry.subject, entry.size) for entry in result.entries]


def test_versions_come_newest_first_with_what_changed(data: DataRepo) -> None:
    first = data.version("one", d={"a": "1"})
    data.version("unrelated", other="x")
    data.version("two", d={"a": "1", "b": "22"})
    data.untrack("d")
    data.commit("gone")
    result = run(data, "d")
    assert brief(result) == [("removed", "gone", None), ("modified", "two", 3), ("added", "one", 1)]
    gone, two, one = result.entries
    assert (two.size_delta, two.files_delta, two.files, two.kind) == (2, 1, 2, "directory")
    assert one.commit == first
    assert (one.size_delta, one.date, one.author) == (None, "2026-01-01T00:00:02Z", "Ada Test")
    assert one.oid is not None and one.oid.startswith("blake3:")
    assert (gone.oid, gone.kind, gone.files) == (None, None, None)


def test_a_pointer_path_means_its_data_and_paths_are_relative(data: DataRepo) -> None:
    data.track("x/d", {"a": "1"})
    data.commit("one")
    assert run(data, "d.dver", below="x").entries[0].path == "d"
    assert run(data, "../x/d", below="x").path == "d"


def test_a_directory_of_targets_lists_them_all(data: DataRepo) -> None:
    data.track("x/d", {"a": "1"})
    data.track("x/f", "22")
    data.commit("one")
    data.version("elsewhere", y="z")
    assert {entry.path for entry in run(data, "x").entries} == {"x/d", "x/f"}
    assert {entry.path for entry in run(data, ".").entries} == {"x/d", "x/f", "y"}


def test_renames_are_followed_and_can_be_left_alone(data: DataRepo) -> None:
    data.version("one", old={"a": "1"})
    data.version("two", old={"a": "22"})
    data.git("mv", "old.dver", "new.dver")
    data.commit("moved")
    data.git("mv", "new.dver", "newest.dver")
    data.commit("moved again")
    data.version("three", newest={"a": "333"})
    result = run(data, "newest")
    assert [(e.change, e.path, e.old_path) for e in result.entries] == [
        ("modified", "newest", None),
        ("renamed", "newest", "new"),
        ("renamed", "new", "old"),
        ("modified", "old", None),
        ("added", "old", None),
    ]
    assert result.entries[1].size_delta == 0
    alone = run(data, "newest", follow=False)
    assert brief(alone) == [("modified", "three", 3), ("added", "moved again", 2)]


def test_a_copy_of_data_that_stays_is_not_followed(data: DataRepo) -> None:
    data.version("one", a="same")
    data.version("copied", b="same")
    assert brief(run(data, "b")) == [("added", "copied", 4)]


def test_a_file_inside_a_tracked_directory(data: DataRepo) -> None:
    data.version("one", d={"s": {"a": "1"}})
    data.version("other file", d={"s": {"a": "1", "b": "x"}})
    data.version("changed", d={"s": {"a": "4444", "b": "x"}})
    data.version("lost", d={"s": {"b": "x"}})
    data.version("back", d={"s": {"a": "1", "b": "x"}})
    result = run(data, "d/s/a")
    assert brief(result) == [
        ("added", "back", 1),
        ("removed", "lost", None),
        ("modified", "changed", 4),
        ("added", "one", 1),
    ]
    assert result.entries[2].size_delta == 3
    assert {entry.path for entry in result.entries} == {"d/s/a"}
    inner = run(data, "d/s")
    assert [(e.subject, e.kind, e.files) for e in inner.entries][:2] == [
        ("back", "directory", 2),
        ("lost", "directory", 1),
    ]


def test_a_path_inside_follows_the_rename_of_its_target(data: DataRepo) -> None:
    data.version("one", old={"a": "1"})
    data.git("mv", "old.dver", "new.dver")
    data.commit("moved")
    result = run(data, "new/a")
    assert [(e.change, e.path, e.old_path) for e in result.entries] == [
        ("renamed", "new/a", "old/a"),
        ("added", "old/a", None),
    ]


def test_a_path_whose_target_became_one_file_and_was_removed(data: DataRepo) -> None:
    data.version("tree", d={"a": "1"})
    data.version("file", d="flat")
    data.untrack("d")
    data.commit("gone")
    assert brief(run(data, "d/a")) == [("removed", "file", None), ("added", "tree", 1)]


def test_a_missing_listing_is_told_and_not_fatal(data: DataRepo) -> None:
    data.track("d", {"a": "1"}, stored=False)
    data.commit("lost")
    data.version("here", d={"a": "22"})
    here, lost = run(data, "d/a").entries
    assert (here.change, here.size, here.size_delta) == ("modified", 2, None)
    assert lost.oid is None and "fetch" in (lost.problem or "")


def test_a_broken_pointer_in_history_is_told_and_not_fatal(data: DataRepo) -> None:
    data.version("one", d="1")
    data.write("d.dver", "dver: 1\n<<<<<<< ours\n")
    data.commit("broken")
    data.version("fixed", d="333")
    fixed, broken, one = run(data, "d").entries
    assert (fixed.size, fixed.size_delta) == (3, None)
    assert "conflict" in (broken.problem or "") and broken.oid is None
    assert one.size == 1


def test_branches_merges_and_ranges(data: DataRepo) -> None:
    base = data.version("base", d="1")
    data.git("switch", "-q", "-c", "side")
    data.version("side", d="22")
    data.git("switch", "-q", "main")
    data.version("main", d="333")
    assert [e.subject for e in run(data, "d").entries] == ["main", "base"]
    assert {e.subject for e in run(data, "d", all=True).entries} == {"main", "side", "base"}
    assert [e.subject for e in run(data, "d", revisions=("main..side",)).entries] == ["side"]
    assert [e.subject for e in run(data, "d", revisions=("side", f"^{base}")).entries] == ["side"]
    # The side's version stays part of the history even if the merge threw it away.
    data.git("merge", "-q", "-s", "ours", "side")
    assert {e.subject for e in run(data, "d").entries} == {"main", "side", "base"}
    assert len(run(data, "d", max_count=2).entries) == 2


def test_a_detached_head_is_part_of_all(data: DataRepo) -> None:
    data.version("one", d="1")
    data.git("switch", "-q", "--detach")
    data.version("loose", d="22")
    assert [e.subject for e in run(data, "d", all=True).entries] == ["loose", "one"]


def test_unknown_paths_and_revisions(data: DataRepo) -> None:
    data.version("one", d={"a": "1"})
    with pytest.raises(NotFoundError, match="no version of nope"):
        run(data, "nope")
    with pytest.raises(NotFoundError, match="no such revision"):
        run(data, "d", revisions=("nope",))
    with pytest.raises(NotFoundError, match="no version of d/nope"):
        run(data, "d/nope")


def test_data_that_was_added_and_never_committed_has_no_versions(data: DataRepo) -> None:
    data.track("d", "1")
    assert run(data, "d").entries == ()


def test_before_the_first_commit(tmp_path: Path) -> None:
    GitRepo.init(tmp_path / "empty")
    data = DataRepo(tmp_path / "empty")
    with pytest.raises(NotFoundError, match="no commit yet"):
        run(data, "d")


def test_a_shallow_clone_says_so(data: DataRepo, tmp_path: Path) -> None:
    data.version("one", d="1")
    data.version("two", d="22")
    GitRepo.clone(f"file://{data.path}", tmp_path / "shallow", "--depth", "1")
    result = run(DataRepo(tmp_path / "shallow"), "d")
    assert result.shallow
    assert [e.subject for e in result.entries] == ["two"]


def test_odd_names(data: DataRepo) -> None:
    for name in ("with space", "new\nline", "star*[x]", "-dash", "ü"):
        data.track(name, "1")
    data.commit("odd")
    for name in ("with space", "new\nline", "star*[x]", "./-dash", "ü"):
        assert len(run(data, name).entries) == 1, name


def test_a_thousand_commits_cost_little_more_than_git_log(data: DataRepo) -> None:
    stream = [b"reset refs/heads/main\n"]
    for i in range(1000):
        text = f"dver: 1\nkind: file\noid: blake3:{i:064x}\nsize: {i}\n".encode()
        stream.append(
            b"commit refs/heads/main\ncommitter A <a@b> %d +0000\ndata 1\nx\n" % (1_700_000_000 + i)
        )
        stream.append(b"M 100644 inline d.dver\ndata %d\n%s\n" % (len(text), text))
    data.git_bytes("fast-import", "--quiet", "--force", stdin=b"".join(stream))
    repo = data.repo()
    ours = theirs = 9.0
    for _ in range(3):
        start = busy()
        data.git_bytes("log", "--raw", "--", "d.dver")
        theirs = min(theirs, busy() - start)
        start = busy()
        result = log(repo, LogOptions("d"), SILENT)
        ours = min(ours, busy() - start)
        assert len(result.entries) == 1000
    assert ours - theirs < 0.25


def busy() -> float:
    """Seconds of processor time so far, of this process and those it ran: no other work counts."""
    return sum(os.times()[:4])
