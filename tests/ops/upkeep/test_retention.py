"""Which roots of a remote are dropped: what git says, and what nobody here can judge."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dver.base import clock
from dver.base.errors import RefusedError
from dver.base.reporter import SILENT
from dver.formats import root as roots
from dver.formats.root import Root
from dver.ops.upkeep.gcremote import RemoteGc, RemoteGcOptions, gc_remote, parse_duration
from tests.support.datarepo import DataRepo
from tests.support.gitrepo import GitRepo

DAY = 86400


@pytest.fixture
def repo(tmp_path: Path) -> DataRepo:
    made = DataRepo.create(tmp_path / "repo")
    made.add_remote(tmp_path / "nas")
    made.commit("a remote")
    return made


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    return tmp_path / "nas"


def pushed(repo: DataRepo, **targets: str) -> str:
    """Commit and push a version; return the commit."""
    commit = repo.version(**targets)
    repo.push()
    return commit


def age(nas: Path, days: float = 40) -> None:
    for path in (nas / "roots").iterdir():
        found = path.stat()
        os.utime(path, (found.st_atime, found.st_mtime - days * DAY))


def gc(repo: GitRepo, **options: object) -> RemoteGc:
    opened = DataRepo(repo.path).repo()
    try:
        return gc_remote(opened, RemoteGcOptions("origin", **options), SILENT)
    finally:
        opened.close()


def kept(nas: Path) -> list[Root]:
    paths = [path for path in (nas / "roots").iterdir() if "." not in path.name]
    found = [roots.decode(path.read_bytes()) for path in paths]
    return sorted(found, key=lambda root: root.objects)


def contents(nas: Path) -> set[tuple[str, int]]:
    """Return path and size of all that roots name."""
    return {(one.path, one.size) for root in kept(nas) for one in root.objects}


def test_the_last_versions_of_a_branch(repo: DataRepo, nas: Path) -> None:
    for size in range(1, 6):
        pushed(repo, data="x" * size)
    age(nas)
    assert len(gc(repo, keep_last=2).dropped) == 3
    assert contents(nas) == {("data", 4), ("data", 5)}
    assert gc(repo, keep_last=2).dropped == ()
    assert len(gc(repo, keep_last=1).dropped) == 1
    assert contents(nas) == {("data", 5)}


def test_what_an_old_root_alone_names_and_the_last_version_needs_stays(
    repo: DataRepo, nas: Path
) -> None:
    """A push names what is new: an unchanged target is named by the first root only."""
    pushed(repo, large="L" * 100, small="1")
    pushed(repo, small="22")
    pushed(repo, small="333")
    age(nas)
    done = gc(repo, keep_last=1)
    assert [one.kept for one in done.dropped].count(1) == 1
    assert contents(nas) == {("large", 100), ("small", 3)}
    # The root that was made for it is judged as well, later.
    pushed(repo, large="l" * 7)
    age(nas)
    gc(repo, keep_last=1)
    assert contents(nas) == {("large", 7), ("small", 3)}


def test_each_branch_keeps_its_own(repo: DataRepo, nas: Path) -> None:
    pushed(repo, data="1")
    repo.git("checkout", "-q", "-b", "side")
    pushed(repo, data="22")
    pushed(repo, data="333")
    repo.git("checkout", "-q", "main")
    pushed(repo, data="4444")
    age(nas)
    gc(repo, keep_last=1)
    assert contents(nas) == {("data", 3), ("data", 4)}


def test_a_tag_keeps_its_version(repo: DataRepo, nas: Path) -> None:
    pushed(repo, data="1")
    repo.git("tag", "v1")
    pushed(repo, data="22")
    pushed(repo, data="333")
    age(nas)
    gc(repo, keep_last=1)
    assert contents(nas) == {("data", 1), ("data", 3)}


def test_a_branch_that_is_gone_needs_nothing(repo: DataRepo, nas: Path) -> None:
    pushed(repo, data="1")
    repo.git("checkout", "-q", "-b", "side")
    pushed(repo, data="22")
    repo.git("checkout", "-q", "main")
    repo.git("branch", "-D", "side")
    age(nas)
    gc(repo, keep_last=5)
    assert contents(nas) == {("data", 1)}


def test_all_versions_of_some_branches(repo: DataRepo, nas: Path) -> None:
    pushed(repo, data="1")
    repo.git("checkout", "-q", "-b", "release/1")
    pushed(repo, data="22")
    repo.git("checkout", "-q", "-b", "topic")
    pushed(repo, data="333")
    pushed(repo, data="4444")
    age(nas)
    gc(repo, keep_branches=("release/*",))
    assert contents(nas) == {("data", 1), ("data", 2), ("data", 4)}


def test_versions_of_some_time(repo: DataRepo, nas: Path) -> None:
    now = clock.now_ns() // 1_000_000_000
    for days, content in ((90, "1"), (50, "22"), (20, "333"), (1, "4444")):
        moment = f"{now - days * DAY} +0000"
        repo.track("data", content)
        repo.git("add", "--all")
        dates = {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
        repo.git("commit", "-q", "-m", "version", env=dates)
        repo.push()
    age(nas, days=100)
    gc(repo, keep_within="60d")
    assert contents(nas) == {("data", 2), ("data", 3), ("data", 4)}


def test_what_was_dropped_is_not_pushed_again_unasked(repo: DataRepo, nas: Path) -> None:
    for size in range(1, 4):
        pushed(repo, data="x" * size)
    age(nas)
    gc(repo, keep_last=1)
    gc(repo, grace="0s")
    repo.push()
    assert contents(nas) == {("data", 3)}
    pushed(repo, data="yyyy")
    age(nas)
    gc(repo, keep_last=1)
    pushed(repo, data="zzzzz")
    assert contents(nas) == {("data", 4), ("data", 5)}
    assert len(list((nas / "trash").glob("*.retired"))) == 1
    repo.push(every=True)
    assert contents(nas) == {("data", size) for size in range(1, 6)}


@pytest.mark.parametrize("grace", ["14d", "0s"])
def test_young_roots_stay(repo: DataRepo, nas: Path, grace: str) -> None:
    pushed(repo, data="1")
    pushed(repo, data="22")
    assert gc(repo, keep_last=1, grace=grace).dropped == ()


def test_roots_of_other_repositories_stay(repo: DataRepo, nas: Path, tmp_path: Path) -> None:
    other = DataRepo.create(tmp_path / "other")
    other.write("README", "another project")
    other.commit("first")
    other.add_remote(nas)
    for content in ("o", "oo"):
        other.version(theirs=content)
        other.push()
    pushed(repo, data="1")
    pushed(repo, data="22")
    age(nas)
    gc(repo, keep_last=1)
    assert contents(nas) == {("theirs", 1), ("theirs", 2), ("data", 2)}


def test_roots_of_commits_that_are_not_here_stay(repo: DataRepo, nas: Path, tmp_path: Path) -> None:
    pushed(repo, data="1")
    clone = DataRepo(GitRepo.clone(repo.path, tmp_path / "clone").path)
    clone.add_remote(nas, "origin")
    for content in ("22", "333"):
        clone.version(data=content)
        clone.push()
    age(nas)
    assert gc(repo, keep_last=1).dropped == ()
    # The clone knows them, and its remote branch has the first version.
    assert len(gc(clone, keep_last=1).dropped) == 1
    assert contents(nas) == {("data", 1), ("data", 3)}


def test_the_work_tree_counts(repo: DataRepo, nas: Path) -> None:
    first = repo.version(data="1")
    repo.push()
    pushed(repo, data="22")
    repo.git("checkout", "-q", first, "--", "data.dver")
    age(nas)
    gc(repo, keep_last=1)
    assert contents(nas) == {("data", 1), ("data", 2)}


def test_a_shallow_clone_judges_nothing(repo: DataRepo, nas: Path, tmp_path: Path) -> None:
    pushed(repo, data="1")
    pushed(repo, data="22")
    repo.git("clone", "-q", "--depth", "1", f"file://{repo.path}", str(tmp_path / "shallow"))
    shallow = DataRepo(tmp_path / "shallow")
    shallow.add_remote(nas, "origin")
    with pytest.raises(RefusedError, match="shallow"):
        gc(shallow, keep_last=1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("90s", 90),
        ("15m", 900),
        ("12h", 43200),
        ("14d", 14 * DAY),
        ("2w", 14 * DAY),
        ("1w2d", 9 * DAY),
        ("", None),
        ("14", None),
        ("d", None),
        ("-1d", None),
        ("1.5d", None),
        ("1y", None),
        ("1d ", None),
        ("9999999999d", None),
        ("\u0661d", None),
    ],
)
def test_lengths_of_time(text: str, seconds: int | None) -> None:
    assert parse_duration(text) == seconds
