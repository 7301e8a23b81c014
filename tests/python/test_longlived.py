"""What stays open for long, as a notebook does, while others change the repository beside it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import fsspec
import pytest

import dver
from dver.base.errors import DverError, MissingContentError, NotFoundError
from tests.python.conftest import Project
from tests.support.cli import Dver

STORE = ("packs", "index", "format.json")


def move_store(project: Project, there: Path) -> None:
    """Take the local store away, so that this is a clone before its first pull."""
    there.mkdir()
    for name in STORE:
        shutil.move(project.path / ".git/dver" / name, there / name)


def test_a_store_that_is_made_later(project: Project, tmp_path: Path) -> None:
    move_store(project, tmp_path / "away")
    files = fsspec.filesystem("dver")
    with pytest.raises(MissingContentError):
        dver.read("data/a.csv")
    with pytest.raises(MissingContentError):
        files.cat_file("data/a.csv")
    for name in STORE:
        shutil.move(tmp_path / "away" / name, project.path / ".git/dver" / name)
    assert dver.read("data/a.csv") == b"x,y\n2,two\n"
    assert files.cat_file("data/a.csv") == b"x,y\n2,two\n"


def test_a_remote_that_is_set_up_later(project: Project, tmp_path: Path) -> None:
    project.push_to(str(tmp_path / "shared"))
    config = project.path / ".dver/config.yaml"
    config.rename(tmp_path / "config.yaml")
    config.write_text("")
    move_store(project, tmp_path / "away")
    with pytest.raises(MissingContentError):
        dver.read("data/a.csv")
    shutil.move(tmp_path / "config.yaml", config)
    assert dver.read("data/a.csv") == b"x,y\n2,two\n"


def test_a_repository_that_is_made_again(project: Project) -> None:
    assert dver.read("data/a.csv") == b"x,y\n2,two\n"
    os.chdir("/")
    shutil.rmtree(project.path)
    again = Project.create(project.path)
    os.chdir(project.path)
    again.write("z.csv", "hello")
    again.add("z.csv")
    again.commit("another")
    assert dver.read("z.csv") == dver.read("z.csv", rev="HEAD") == b"hello"
    with pytest.raises(NotFoundError):
        dver.read("data/a.csv")


def test_two_changes_in_one_tick_of_the_clock(project: Project) -> None:
    """Another process adds just after we looked, and the directory's time does not tell."""
    index = project.path / ".git/dver/index"
    with dver.open("data/a.csv"):
        before = os.stat(index)
    for number in range(2):
        project.write(f"data/{number}.csv", f"new {number}")
        project.add(f"data/{number}.csv")
        os.utime(index, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert dver.read(f"data/{number}.csv") == b"new %d" % number


def test_what_was_purged_is_gone(project: Project) -> None:
    files = fsspec.filesystem("dver", rev="HEAD")
    assert dver.read("data/a.csv", rev="HEAD") == files.cat_file("data/a.csv")
    Dver(project.path)("purge", "data/a.csv", "--yes")
    for ask in (lambda: dver.read("data/a.csv", rev="HEAD"), lambda: files.cat_file("data/a.csv")):
        with pytest.raises(MissingContentError):
            ask()
    assert dver.read("data/train/0.csv", rev="HEAD") == b"0\n"


@pytest.mark.parametrize("how", ["deleted", "spoilt", "replaced"])
def test_a_directory_by_its_path_is_complete(project: Project, how: str) -> None:
    file = Path(dver.path("data/train", rev="v1"), "deep/1.csv")
    if how == "spoilt":
        file.resolve().chmod(0o644)
        file.resolve().write_text("x\n")
    else:
        file.unlink()
    if how == "replaced":
        file.write_text("x\n")
    for _ in range(2):  # the second time, of what the first one made
        assert Path(dver.path("data/train", rev="v1"), "deep/1.csv").read_text() == "1\n"


def test_a_path_of_what_git_has_is_what_git_has(project: Project) -> None:
    found = Path(dver.path("notes.txt", rev="v1"))
    found.chmod(0o644)
    found.write_text("FIRST\n")
    assert Path(dver.path("notes.txt", rev="v1")).read_text() == "first\n"
    written = found.stat().st_mtime_ns
    assert Path(dver.path("notes.txt", rev="v1")).stat().st_mtime_ns == written


def test_directories_that_lead_elsewhere(project: Project, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("s")
    (tmp_path / "repo2").symlink_to(project.path)
    for link, to in (("out", tmp_path / "outside"), ("git", ".git"), ("in", "data")):
        (project.path / link).symlink_to(to)
    project.write("data/notes.txt", "fine")
    for name in ("out/secret", "git/config", "git/../out/secret"):
        with pytest.raises(DverError):
            dver.read(name)
    assert dver.read("in/notes.txt") == b"fine"
    assert dver.read("notes.txt", repo=tmp_path / "repo2") == b"second\n"
