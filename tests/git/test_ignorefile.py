"""The lines in .gitignore that keep data out of git."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dver.base import fsio
from dver.base.errors import RefusedError, SystemFailure
from dver.git import ignorefile
from dver.git.repository import Git
from tests.support.gitrepo import GitRepo

ODD = [
    b"plain",
    b"#hash",
    b"!bang",
    b"with space",
    b"trailing ",
    b"trailing  \t ",
    b" leading",
    b"star*",
    b"q?",
    b"[a]",
    b"back\\slash",
    b"ends\\",
    b"new\nline",
    b"cr\r",
    b"mid\rdle",
    b"caf\xe9",
    b"\xff\xfe",
    "naïve".encode(),
    b"-rf",
    b"**",
    b"~",
    b":(top)x",
    b"x" * 255,
]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("directory", [b"", b"d", b"d [x]/e"])
def test_any_name_is_ignored_and_no_other(git_repo: GitRepo, name: bytes, directory: bytes) -> None:
    path = directory + b"/" + name if directory else name
    git_repo.write(path, "data")
    git = Git.discover(git_repo.path)
    where = (directory + b"/" if directory else b"") + b".gitignore"
    assert ignorefile.add(git, [path]) == [where]
    assert ignorefile.add(git, [path]) == []
    shown = git_repo.git_bytes("status", "--porcelain", "-z", "--untracked-files=all")
    assert shown == b"?? " + where + b"\0"
    others = [b"_" + name, name + b"_", b"other"] if len(name) < 255 else [b"other"]
    assert git.is_ignored([(directory + b"/" if directory else b"") + n for n in others]) == [
        False
    ] * len(others)
    assert ignorefile.remove(git, [path]) == [where]
    assert not (git_repo.path / where.decode()).exists()
    assert ignorefile.remove(git, [path]) == []


def text(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


@pytest.mark.parametrize("change", [ignorefile.add, ignorefile.remove])
def test_files_in_several_directories_change_together_or_not_at_all(
    git_repo: GitRepo, monkeypatch: pytest.MonkeyPatch, change: Callable[..., object]
) -> None:
    git = Git.discover(git_repo.path)
    for name in ("a/x", "b/y"):
        git_repo.write(name, "data")
    git_repo.write("a/.gitignore", "# mine\n")
    git_repo.write("b/.gitignore", "# mine too\n")
    if change is ignorefile.remove:
        ignorefile.add(git, [b"a/x", b"b/y"])
    before = [text(git_repo.path / name / ".gitignore") for name in "ab"]
    real = fsio.create_temp

    def full(directory: object, **options: int) -> object:
        if os.fsdecode(directory).endswith("/b"):
            raise SystemFailure("the disk is full")
        return real(directory, **options)

    monkeypatch.setattr(fsio, "create_temp", full)
    with pytest.raises(SystemFailure):
        change(git, [b"a/x", b"b/y"])
    assert [text(git_repo.path / name / ".gitignore") for name in "ab"] == before


def test_directories_are_ignored_whole(git_repo: GitRepo) -> None:
    git_repo.write("data/train/x")
    git = Git.discover(git_repo.path)
    ignorefile.add(git, [b"data/train"])
    assert git.is_ignored([b"data/train/x", b"data/other/train/x"]) == [True, False]


def test_many_names_in_one_edit(git_repo: GitRepo) -> None:
    git = Git.discover(git_repo.path)
    changed = ignorefile.add(git, [b"b", b"a", b"d/c", b"a"])
    assert changed == [b".gitignore", b"d/.gitignore"]
    assert (git_repo.path / ".gitignore").read_bytes() == b"/a\n/b\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"/x\n"),
        (b"*.log\n", b"*.log\n/x\n"),
        (b"*.log", b"*.log\n/x\n"),
        (b"*.log\r\n", b"*.log\r\n/x\r\n"),
        (b"a\r\nb", b"a\r\nb\r\n/x\r\n"),
        (b"# \xff comment\n\n\n", b"# \xff comment\n\n\n/x\n"),
        (b"/x\r\nb\r\n", b"/x\r\nb\r\n"),
        (b"\xef\xbb\xbf*.log\n", b"\xef\xbb\xbf*.log\n/x\n"),
    ],
)
def test_what_was_there_stays(git_repo: GitRepo, before: bytes, after: bytes) -> None:
    path = git_repo.write(".gitignore", before)
    git = Git.discover(git_repo.path)
    ignorefile.add(git, [b"x"])
    assert path.read_bytes() == after
    assert git.is_ignored([b"x"]) == [True]


def test_remove_takes_only_its_own_line(git_repo: GitRepo) -> None:
    path = git_repo.write(".gitignore", b"/x\r\n# /x\nx\n/xx\n\n/x")
    git = Git.discover(git_repo.path)
    assert ignorefile.remove(git, [b"x", b"nope"]) == [b".gitignore"]
    assert path.read_bytes() == b"# /x\nx\n/xx\n\n"


def test_a_later_rule_that_brings_the_data_back_is_refused(git_repo: GitRepo) -> None:
    git_repo.write("d/.gitignore", "/x\n!x\n")
    git = Git.discover(git_repo.path)
    with pytest.raises(RefusedError) as caught:
        ignorefile.add(git, [b"d/x", b"d/y", b"z"])
    assert caught.value.paths == ("d/x",)
    assert (git_repo.path / "d/.gitignore").read_text() == "/x\n!x\n"
    assert not (git_repo.path / ".gitignore").exists()


def test_a_symlinked_ignore_file_is_not_written_through(git_repo: GitRepo) -> None:
    outside = git_repo.path.parent / "outside"
    outside.write_text("mine\n")
    (git_repo.path / ".gitignore").symlink_to(outside)
    with pytest.raises(RefusedError, match="symlink"):
        ignorefile.add(Git.discover(git_repo.path), [b"x"])
    assert outside.read_text() == "mine\n"


def test_a_crash_leaves_the_old_or_the_new_file(git_repo: GitRepo) -> None:
    path = git_repo.write(".gitignore", "*.log\n")
    git = Git.discover(git_repo.path)
    steps: list[str] = []
    fsio.install_hook(steps.append)
    try:
        ignorefile.add(git, [b"a"])
    finally:
        fsio.install_hook(None)
    for stop in range(len(steps)):
        path.write_text("*.log\n")
        count = 0

        def crash(name: str, stop: int = stop) -> None:
            nonlocal count
            count += 1
            if count > stop:
                raise KeyboardInterrupt

        fsio.install_hook(crash)
        try:
            with pytest.raises(KeyboardInterrupt):
                ignorefile.add(git, [b"a"])
        finally:
            fsio.install_hook(None)
        assert path.read_text() in ("*.log\n", "*.log\n/a\n")
