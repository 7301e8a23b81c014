"""What the user types, and how paths are shown to them."""

from __future__ import annotations

import ntpath
import os
import types
from pathlib import Path

import pytest

from dver.base.errors import UsageError
from dver.repo import Repo, naming
from tests.support.gitrepo import GitRepo


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (".", b"a/b"),
        ("..", b"a"),
        ("../..", b""),
        ("../../", b""),
        ("x", b"a/b/x"),
        ("x/", b"a/b/x"),
        ("x//y/.", b"a/b/x/y"),
        ("x/../y", b"a/b/y"),
        ("../c", b"a/c"),
        ("../../../repo/z", b"z"),
        ("-rf", b"a/b/-rf"),
        (" ", b"a/b/ "),
        ("new\nline", b"a/b/new\nline"),
        (os.fsdecode(b"caf\xe9"), b"a/b/caf\xe9"),
        ("back\\slash", b"a/b/back\\slash"),
        (".gitignore", b"a/b/.gitignore"),
        ("file", b"a/b/file"),
        ("link-out", b"a/b/link-out"),
        ("link-out/x", b"a/b/link-out/x"),
        ("not-there/x", b"a/b/not-there/x"),
    ],
)
def test_locate(git_repo: GitRepo, argument: str, expected: bytes) -> None:
    git_repo.write("a/b/file")
    (git_repo.path / "a/b/link-out").symlink_to("/etc")
    repo = Repo.open(git_repo.path / "a/b")
    assert repo.locate(argument) == expected
    absolute = os.path.join(repo.cwd, argument)
    assert repo.locate(absolute) == expected


@pytest.mark.parametrize(
    "argument", ["", "\0", "a\0b", "../../..", "/", "/etc", "../../../repository"]
)
def test_outside(git_repo: GitRepo, argument: str) -> None:
    git_repo.write("a/b/file")
    with pytest.raises(UsageError):
        Repo.open(git_repo.path / "a/b").locate(argument)


@pytest.mark.parametrize("argument", [".git", ".git/config", ".GIT/x", "sub/.git/x"])
def test_inside_git(git_repo: GitRepo, argument: str) -> None:
    with pytest.raises(UsageError, match="inside a git directory"):
        Repo.open(git_repo.path).locate(argument)


def test_locate_through_symlinks_above_the_repository(git_repo: GitRepo, tmp_path: Path) -> None:
    git_repo.write("a/b/file")
    (git_repo.path / "a/inner").symlink_to("b")
    (tmp_path / "whole").symlink_to(git_repo.path)
    (tmp_path / "part").symlink_to(git_repo.path / "a")
    (tmp_path / "above").symlink_to(tmp_path)
    (tmp_path / "to-file").symlink_to(git_repo.path / "a/b/file")
    for cwd in (git_repo.path, tmp_path / "whole", tmp_path / "part"):
        repo = Repo.open(cwd)
        assert repo.root == git_repo.path
        assert repo.locate(f"{tmp_path}/whole") == b""
        assert repo.locate(f"{tmp_path}/whole/a/b/file") == b"a/b/file"
        assert repo.locate(f"{tmp_path}/part/b/new") == b"a/b/new"
        assert repo.locate(f"{tmp_path}/above/repo/a") == b"a"
        assert repo.locate(f"{tmp_path}/whole/a/inner/file") == b"a/inner/file"
        with pytest.raises(UsageError, match="outside"):
            repo.locate(f"{tmp_path}/to-file")
        with pytest.raises(UsageError, match="outside"):
            repo.locate(f"{tmp_path}/above/other")
    repo = Repo.open(tmp_path / "part")
    assert repo.locate("b/file") == b"a/b/file"
    assert repo.locate("..") == b""


def test_display_and_locate_are_inverse(git_repo: GitRepo) -> None:
    git_repo.write("a/b/file")
    paths = [b"", b"a", b"a/b", b"a/b/x", b"a/bb", b"a/c/d", b"z", b"\xff/x"]
    expected = {
        "": [".", "a", "a/b", "a/b/x", "a/bb", "a/c/d", "z", "\udcff/x"],
        "a": ["..", ".", "b", "b/x", "bb", "c/d", "../z", "../\udcff/x"],
        "a/b": ["../..", "..", ".", "x", "../bb", "../c/d", "../../z", "../../\udcff/x"],
    }
    for where, shown in expected.items():
        repo = Repo.open(git_repo.path / where)
        assert [repo.display(path) for path in paths] == shown
        assert [repo.locate(text) for text in shown] == paths


def test_outside_the_working_tree_paths_are_absolute(git_repo: GitRepo, tmp_path: Path) -> None:
    environ = {**os.environ, "GIT_DIR": str(git_repo.path / ".git")}
    environ["GIT_WORK_TREE"] = str(git_repo.path)
    repo = Repo.open(tmp_path, environ=environ)
    assert repo.display(b"a/x") == f"{git_repo.path}/a/x"
    assert repo.display(b"") == str(git_repo.path)
    assert repo.locate("repo/a/x") == b"a/x"


def test_bare_repositories_have_gits_paths(tmp_path: Path) -> None:
    repo = Repo.open(GitRepo.init(tmp_path / "bare", "--bare").path)
    assert repo.locate("a/./b/") == b"a/b"
    assert repo.locate(".") == b""
    assert repo.display(b"a/b") == "a/b"
    for argument in ("..", "../x", "/abs"):
        with pytest.raises(UsageError):
            repo.locate(argument)
    assert not repo.is_path("a")


def test_is_path(git_repo: GitRepo) -> None:
    git_repo.write("here")
    git_repo.write("d/data.dver")
    (git_repo.path / "dangling").symlink_to("nowhere")
    repo = Repo.open(git_repo.path)
    for argument in ("here", "d", ".", "dangling", "d/data", "d/data.dver", "d/data/inside/it"):
        assert repo.is_path(argument), argument
    for argument in ("there", "d/other", "", "../x", ".git", "a\0b"):
        assert not repo.is_path(argument), argument


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """A repository in ``C:\\repo``, seen from ``C:\\repo\\sub``."""
    system = types.SimpleNamespace(path=ntpath, sep="\\", fspath=os.fspath)
    monkeypatch.setattr(naming, "os", system)
    monkeypatch.setattr(naming, "_WINDOWS", True)
    return types.SimpleNamespace(root="C:\\repo", cwd="C:\\repo\\sub")


@pytest.mark.parametrize(
    ("argument", "path"),
    [
        ("data\\x.csv", "sub/data/x.csv"),
        ("data/x.csv", "sub/data/x.csv"),
        ("..\\data\\", "data"),
        ("..", ""),
        ("C:\\repo\\data", "data"),
        ("c:/REPO/data", "data"),
        ("\\repo\\data", "data"),
        ("D:\\repo\\data", None),
        ("..\\..\\other", None),
    ],
)
def test_arguments_on_windows(
    windows: types.SimpleNamespace, argument: str, path: str | None
) -> None:
    assert naming._relative(windows, argument) == path


def test_paths_of_windows_as_git_spells_them(windows: types.SimpleNamespace) -> None:
    assert naming.in_git("C:\\repo\\.dver\\records\\a", windows.root) == ".dver/records/a"
    assert naming.in_git("C:\\other\\x", windows.root) == "../other/x"
    assert naming.in_git("D:\\stores\\x", windows.root) == "D:/stores/x"
