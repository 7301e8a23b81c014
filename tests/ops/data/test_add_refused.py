"""What cannot be added: it is refused, and nothing changes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from dver.base.errors import DverError, NotFoundError, RefusedError, RepositoryError, UsageError
from dver.ops.data.add import AddOptions, add
from dver.repo import Repo
from tests.ops.data.listings import listing
from tests.support.gitrepo import GitRepo
from tests.support.workrepo import WorkRepo


def refuse(repo: WorkRepo, error: type[DverError], match: str, *paths: str, below: str = "") -> str:
    before = repo.snapshot()
    with pytest.raises(error, match=match) as caught:
        repo.add(*paths, below=below)
    assert repo.snapshot() == before
    return caught.value.hint or ""


def test_what_git_tracks(repo: WorkRepo) -> None:
    repo.commit_files({"code.py": "1", "d/readme": "2", "d/more": "3"})
    hint = refuse(repo, RefusedError, "git already tracks code.py", "code.py")
    assert hint == "git rm -r --cached -- code.py && dver add code.py"
    refuse(repo, RefusedError, "git already tracks files in d", "d")
    # The advice works.
    repo.git("rm", "-r", "-q", "--cached", "--", "d")
    repo.add("d")
    assert listing(repo, "d") == {"readme": b"2", "more": b"3"}


def test_one_bad_path_changes_nothing(repo: WorkRepo) -> None:
    repo.write("good", b"1")
    hint = refuse(repo, NotFoundError, "no file or directory goood", "good", "goood")
    assert hint == "did you mean good?"


@pytest.mark.parametrize("where", ["", "sub"])
def test_the_repository_root(repo: WorkRepo, where: str) -> None:
    (repo.path / "sub").mkdir()
    hint = refuse(repo, UsageError, "whole repository", ".." if where else ".", below=where)
    assert "dver add -u" in hint


@pytest.mark.parametrize(
    ("path", "match"),
    [
        (".git/config", "git directory"),
        (".dver/config.yaml", "own files"),
        (".dver", "own files"),
        ("../elsewhere", "outside the repository"),
        ("f.dver", "pointer file"),
        ("NUL", "Windows"),
        ("d/GIT~1/x", "own files"),
    ],
)
def test_places_where_no_data_may_be(repo: WorkRepo, path: str, match: str) -> None:
    repo.write("f", b"1")
    repo.add("f")
    refuse(repo, UsageError, match, path)


def test_overlapping_targets(repo: WorkRepo) -> None:
    repo.write("d/a", b"1")
    repo.write("d/b", b"2")
    repo.add("d/a")
    refuse(repo, RefusedError, "tracked by itself", "d")
    repo.rm("d/a", keep_data=True)
    repo.add("d")
    assert listing(repo, "d") == {"a": b"1", "b": b"2"}


def test_symlinks(repo: WorkRepo, tmp_path: Path) -> None:
    repo.write("real/f", b"1")
    (repo.path / "link").symlink_to("real")
    (repo.path / "out").symlink_to(tmp_path)
    refuse(repo, RefusedError, "is a symlink", "link")
    refuse(repo, RefusedError, "beyond the symlink link", "link/f")
    refuse(repo, RefusedError, "beyond the symlink out", "out/x")


def test_special_files(repo: WorkRepo) -> None:
    os.mkfifo(repo.path / "pipe")
    refuse(repo, RefusedError, "named pipe", "pipe")
    (repo.path / "d").mkdir()
    here = Path.cwd()
    os.chdir(repo.path / "d")
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind("sock")
            refuse(repo, RefusedError, "a socket", "d")
    finally:
        os.chdir(here)


def test_repositories_inside(repo: WorkRepo) -> None:
    GitRepo.init(repo.path / "d/inner").write("f", b"1")
    before = repo.untracked()
    for path in ("d", "d/inner"):
        with pytest.raises(RefusedError, match=r"git repository|own files"):
            repo.add(path)
    with pytest.raises(RefusedError, match="lies in another git repository"):
        repo.add("d/inner/f")
    assert repo.untracked() == before


def test_names_inside_that_are_refused(repo: WorkRepo) -> None:
    repo.write("d/sub/aux.txt", b"1")
    refuse(repo, RefusedError, r"d/sub/aux\.txt", "d")


def test_a_pointer_that_git_would_ignore(repo: WorkRepo) -> None:
    repo.write(".gitignore", "/out\n*.dver\n")
    repo.write("out/f", b"1")
    repo.write("f", b"1")
    hint = refuse(repo, RefusedError, "could never be committed", "f")
    assert "check-ignore -v f.dver" in hint
    refuse(repo, RefusedError, "could never be committed", "out/f")


def test_data_that_git_would_not_ignore(repo: WorkRepo) -> None:
    repo.write("sub/f", b"1")
    repo.write("sub/.gitignore", "!f\n")
    repo.add("sub/f")  # the new line comes last and wins
    repo.write("g", b"1")
    repo.git("config", "core.excludesFile", str(repo.path / "rules"))
    repo.write("rules", "!g\n")
    repo.add("g")


def test_an_unreadable_file(repo: WorkRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.write("d/a", b"1")
    repo.write("d/b", b"1")
    real = os.open

    def denied(path: object, *args: object, **kwargs: object) -> int:
        if isinstance(path, bytes) and path.endswith(b"/d/b"):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", denied)
    refuse(repo, DverError, "permission denied", "d")


def test_a_file_that_changes_while_it_is_added(
    repo: WorkRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = repo.write("d/growing", b"1")
    real = os.fstat
    seen = []

    def fstat(fd: int) -> os.stat_result:
        if real(fd).st_ino == path.stat().st_ino:
            seen.append(1)
            with path.open("ab") as file:
                file.write(b"more")
        return real(fd)

    monkeypatch.setattr(os, "fstat", fstat)
    before = repo.untracked()
    with pytest.raises(RefusedError, match="changed while it was being added"):
        repo.add("d")
    # Once since the scan, and then again before and after another reading.
    assert len(seen) == 3
    assert repo.untracked() == before


def test_not_set_up(git_repo: GitRepo) -> None:
    git_repo.write("f", b"1")
    with pytest.raises(RepositoryError) as caught:
        add(Repo.open(git_repo.path), AddOptions(("f",)), WorkRepo(git_repo.path).heard)
    assert caught.value.hint == "dver init"
