"""What a case is made of, and the place where cases are set up."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import workloads
from tests.bench.measure import Contender


@dataclass(frozen=True)
class Mark:
    """A promise: the median of ``own`` is at most ``ratio`` times that of ``against``, or at most
    ``more`` seconds longer."""

    against: str
    ratio: float = 1.0
    more: float | None = None
    own: str = "dver"


@dataclass(frozen=True)
class Figure:
    """A promise about something else than time; ``value`` is asked for after all runs."""

    name: str
    value: Callable[[], float]
    most: float
    unit: str


@dataclass(frozen=True)
class Case:
    """One row of the table: the contenders (dver's begin with "dver") and the marks.

    ``seconds`` bounds the median of the contender "dver", ``peak`` its memory (bytes).
    """

    name: str
    contenders: Sequence[Contender]
    marks: Sequence[Mark] = ()
    seconds: float | None = None
    peak: int | None = None
    figures: Sequence[Figure] = field(default_factory=tuple)


@dataclass(frozen=True)
class Lab:
    """Where and with what to measure."""

    root: Path
    env: Mapping[str, str]
    dver: tuple[str, ...]
    dvc: str | None
    scale: float
    stack: ExitStack

    def many(self, count: int) -> int:
        """Return a number of files, scaled."""
        return max(int(count * self.scale), 10)

    def size(self, count: int, least: int = 1_000_000) -> int:
        """Return a number of bytes, scaled."""
        return max(int(count * self.scale), least)

    def repo(self, name: str) -> Path:
        """Make a git repository with dver set up."""
        path = workloads.repository(self.root / name, self.env)
        self.call(path, *self.dver, "init")
        return path

    def files(self, name: str, count: int, size: int = 4096, *, add: bool = True) -> Path:
        """Make a repository with so many small files in ``data``, and add and commit them."""
        repo = self.repo(name)
        workloads.small_files(repo / "data", count, size)
        if add:
            self.add(repo, "data")
        return repo

    def add(self, repo: Path, *paths: str) -> None:
        """Add data and commit its pointers."""
        self.call(repo, *self.dver, "add", *paths)
        workloads.commit(repo, self.env)

    def dvc_repo(self, name: str) -> Path:
        """Make a git repository with DVC set up."""
        path = workloads.repository(self.root / name, self.env)
        self.call(path, str(self.dvc), "init", "-q")
        return path

    def clone(self, repo: Path, name: str) -> Path:
        """Clone a repository; none of its data comes along."""
        path = self.root / name
        self.call(self.root, "git", "clone", "-q", str(repo), str(path))
        return path

    def call(self, cwd: Path, *argv: str, env: Mapping[str, str] | None = None) -> None:
        """Run a command for preparation, quietly, or fail."""
        subprocess.run(
            argv, cwd=cwd, env={**self.env, **(env or {})}, check=True, stdout=subprocess.DEVNULL
        )


def wipe(*paths: Path) -> Callable[[], None]:
    """Return what removes files and directories, for use before a run."""

    def remove() -> None:
        for path in paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    return remove


def fresh_store(repo: Path, *more: Path) -> Callable[[], None]:
    """Return what empties a repository's local store and what it remembers of its files."""
    return wipe(repo / ".git" / "dver", *more)


def shell(*commands: str) -> tuple[str, ...]:
    """Return the command line that runs some commands, each if the one before succeeded."""
    return ("sh", "-c", " && ".join(commands))
