"""A small project that trains something, for runs to be recorded and made again."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.cli import Done, Dver
from tests.support.gitrepo import GitRepo

TRAIN = """\
import json, sys
from pathlib import Path

params = json.loads(Path("params.json").read_text())
rows = [int(line) for line in Path("data/rows.csv").read_text().split()]
weight = sum(rows) * params["rate"]
Path("model.json").write_text(json.dumps({"weight": weight}))
Path("metrics.json").write_text(json.dumps({"loss": 1 / (1 + weight), "rows": len(rows)}))
print("trained on", len(rows))
"""


class Project:
    """A git repository with data, code and parameters, and dver in it."""

    def __init__(self, git: GitRepo) -> None:
        self.git = git
        self.path = git.path
        self.dver = Dver(git.path)

    def prepare(self) -> None:
        """Make what every test begins with."""
        self.dver("init", "-q")
        self.write("data/rows.csv", "1\n2\n3\n")
        self.write("train.py", TRAIN)
        self.write("params.json", '{"rate": 0.5, "opt": {"name": "sgd"}}')
        self.dver("add", "-q", "data")
        self.commit("one")

    def write(self, name: str, text: str) -> Path:
        """Write a file of the work tree."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def train(self, *options: str, code: int = 0, script: str = "train.py") -> Done:
        """Record a training run; return the result."""
        args = (
            "--name",
            "train",
            "-d",
            "data:train",
            "-p",
            "params.json",
            "-o",
            "model.json:model",
        )
        args += ("-m", "metrics.json", *options, "--", sys.executable, script)
        return self.dver("run", "--json", *args, code=code)

    def commit(self, message: str = "more") -> str:
        """Commit all there is; return the commit."""
        self.git.git("add", "-A")
        return self.git.commit_staged(message)


P = TypeVar("P", bound=Project)
PROBES = Path("dver/lineage/interpreters.json")


class Templates:
    """Projects as tests begin with them, made once; and what interpreters said of themselves."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._probes: bytes | None = None

    @contextlib.contextmanager
    def filled(self, project: P) -> Iterator[P]:
        """Give a project its first content."""
        made = self._directory / type(project).__name__
        if made.exists():
            shutil.rmtree(project.path)
            shutil.copytree(made, project.path, symlinks=True)
        else:
            project.prepare()
            shutil.copytree(project.path, made, symlinks=True)
        probes = project.path / ".git" / PROBES
        if self._probes is not None:
            probes.parent.mkdir(exist_ok=True)
            probes.write_bytes(self._probes)
        yield project
        if self._probes is None and probes.exists():
            self._probes = probes.read_bytes()


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    return Templates(tmp_path_factory.mktemp("templates"))


@pytest.fixture(autouse=True)
def no_packages_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the answers of interpreters be the same wherever HOME is."""
    monkeypatch.setenv("PYTHONNOUSERSITE", "1")


@pytest.fixture
def project(git_repo: GitRepo, templates: Templates) -> Iterator[Project]:
    with templates.filled(Project(git_repo)) as made:
        yield made
