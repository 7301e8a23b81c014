"""The common commands, one after the other, where the system takes no open directories."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import elsewhere
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo


@pytest.fixture(params=[True, False], ids=["pinned", "by path"])
def dver(request: pytest.FixtureRequest, git_repo: GitRepo) -> Iterator[Dver]:
    """Dver in a repository, as if on Windows, or on a system that cannot even pin directories."""
    with pytest.MonkeyPatch.context() as patch:
        elsewhere.become(pinning=request.param, patch=patch)
        yield Dver(git_repo.path, in_process=True)
    elsewhere.come_back()


def write(base: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def found(base: Path) -> dict[str, bytes]:
    return {
        os.fspath(path.relative_to(base)): path.read_bytes()
        for path in sorted(base.rglob("*"))
        if path.is_file()
    }


ONE = {"a.csv": b"1\r\n", "sub/b.bin": bytes(range(256)) * 2000, "sub/deep/c": b"c", "gone": b"x"}
TWO = {"a.csv": b"2\r\n", "sub/b.bin": bytes(range(256)) * 2001, "new/d": b"\x1a\n", "sub": None}


def test_a_working_day(dver: Dver, git_repo: GitRepo, tmp_path: Path) -> None:
    data = git_repo.path / "data"
    dver("init", "-q")
    write(data, ONE)
    write(git_repo.path, {"model.bin": b"\0\n\r\n" * 70_000})
    dver("add", "-q", "data", "model.bin")
    git_repo.commit("one")
    dver("remote", "add", "-q", "nas", "../nas")
    dver("push", "-q")
    (data / "gone").unlink()
    write(data, {"a.csv": b"2\r\n", "sub/b.bin": bytes(range(256)) * 2001, "new/d": b"\x1a\n"})
    two = found(data)
    assert "data" in dver("status").stdout
    dver("add", "-q", "data")
    git_repo.commit("two")
    dver("push", "-q")

    dver("checkout", "-q", "HEAD~1", "data")
    assert found(data) == ONE
    dver("checkout", "-q", "HEAD", "data")
    assert found(data) == two
    dver("mv", "-q", "data", "moved")
    dver("mv", "-q", "moved", "data")
    dver("rm", "-q", "model.bin")
    dver("fsck", "-q")
    dver("gc", "-q")

    git_repo.git("clone", "-q", ".", str(tmp_path / "clone"))
    clone = Dver(tmp_path / "clone", in_process=True)
    clone("remote", "add", "-q", "nas", str(tmp_path / "nas"))
    clone("pull", "-q")
    assert found(tmp_path / "clone" / "data") == two
    assert clone("status").exit_code == 0
    clone("get", "-q", "data", "--rev", "HEAD~1", "-o", "old")
    assert found(tmp_path / "clone" / "old") == ONE
