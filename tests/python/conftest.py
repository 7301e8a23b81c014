from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

import tests.support.hypothesis_profile  # noqa: F401
from dver.base.reporter import SILENT
from dver.config.remotes import add_remote, trust_remote
from dver.ops.sharing.push import PushOptions, push
from dver.python import sessions
from tests.support.workrepo import WorkRepo

#: Of several hundred chunks, partly compressible.
BIG = random.Random(1).randbytes(6_000_000) + b"0123456789abcdef" * 200_000


class Project(WorkRepo):
    """A repository with data to read, and a remote in a directory or a bucket."""

    def push_to(self, url: str) -> None:
        """Set up a remote, commit that, and push all versions to it."""
        repo = self.open()
        add_remote(repo.config, "origin", url, level="repository", cwd=self.path)
        trust_remote(repo.config, "origin")
        self.commit("remote")
        push(repo, PushOptions(all=True), SILENT)
        repo.close()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """``data/big.bin``, ``data/a.csv`` and the directory ``data/train``, in two versions.

    ``v1`` is tagged; the work tree has the second one, and stands at the repository's root.
    """
    made = Project.create(tmp_path / "repo")
    (made.path / "data/train/deep").mkdir(parents=True)
    made.write("data/a.csv", "x,y\n1,one\n")
    made.write("notes.txt", "first\n")
    (made.path / "data/big.bin").write_bytes(BIG)
    made.write("data/train/0.csv", "0\n")
    made.write("data/train/deep/1.csv", "1\n")
    made.add("data/a.csv", "data/big.bin", "data/train")
    made.commit("one")
    made.git("tag", "v1")
    made.write("data/a.csv", "x,y\n2,two\n")
    made.write("data/train/2.csv", "2\n")
    made.write("notes.txt", "second\n")
    made.add("data/a.csv", "data/train")
    made.commit("two")
    monkeypatch.chdir(made.path)
    yield made
    sessions.forget()
