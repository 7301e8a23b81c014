"""Repositories that the real DVC and the real git-lfs made, once, and copies of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo

SCRIPT = Path(__file__).with_name("dvcproject.py")
_made: dict[str, Path] = {}


class Project(GitRepo):
    """A repository with data of another tool, and dver to run in it."""

    @property
    def dver(self) -> Dver:
        """Return what runs dver in it."""
        return Dver(self.path)

    def changed(self) -> set[str]:
        """Return what git sees that is not committed as it is."""
        out = self.git_bytes("status", "--porcelain=v1", "-z", "-uall").split(b"\0")
        return {os.fsdecode(line[3:]) for line in out if line}

    def pointer(self, path: str) -> bytes:
        """Return the bytes of a pointer."""
        return (self.path / f"{path}.dver").read_bytes()


def run_dvc(script: str, cwd: Path, *args: str) -> str:
    """Run Python code that uses the real DVC, in a process of its own; return what it printed."""
    done = subprocess.run(
        [sys.executable, script, *args]
        if script.endswith(".py")
        else [sys.executable, "-c", script],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DVC_NO_ANALYTICS": "1", "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def dvc(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of a project of DVC, at v2, with data in the workspace, the cache and the remote."""
    if "dvc" not in _made:
        base = tmp_path_factory.mktemp("dvc")
        (base / "repo").mkdir()
        run_dvc(str(SCRIPT), base)
        _made["dvc"] = base
    shutil.copytree(_made["dvc"], tmp_path / "dvc", symlinks=True)
    return Project(tmp_path / "dvc/repo")


@pytest.fixture
def lfs(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of a repository with files in git-lfs, in two commits tagged v1 and v2."""
    if "lfs" not in _made:
        made = Project(tmp_path_factory.mktemp("lfs"))
        GitRepo.init(made.path)
        made.git("lfs", "install", "--local", "--skip-repo")
        made.write(
            ".gitattributes",
            "*.bin filter=lfs diff=lfs merge=lfs -text\nmodels/** filter=lfs diff=lfs merge=lfs\n",
        )
        made.write("a.bin", b"first" * 1000)
        made.write("models/ä b", "weights")
        (made.path / "models/ä b").chmod(0o755)
        made.write("code.py", "print()\n")
        made.commit("one")
        made.git("tag", "v1")
        made.write("a.bin", b"second" * 1000)
        made.commit("two")
        made.git("tag", "v2")
        _made["lfs"] = made.path
    shutil.copytree(_made["lfs"], tmp_path / "lfs", symlinks=True)
    return Project(tmp_path / "lfs")


TARGETS = ["curve.csv", "data", "made-one.txt", "made-two.txt", "model.bin", "out.txt"]


def drop_cache(dvc: Project) -> None:
    shutil.rmtree(dvc.path / ".dvc/cache")


def drop_data(dvc: Project) -> None:
    shutil.rmtree(dvc.path / "data")
    for name in TARGETS:
        if name != "data":
            (dvc.path / name).unlink()


def cached(dvc: Project, content: bytes) -> Path:
    """Return the file of DVC's cache that holds some content."""
    files = [path for path in (dvc.path / ".dvc/cache").rglob("*") if path.is_file()]
    return next(path for path in files if path.read_bytes() == content)
