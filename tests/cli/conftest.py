"""Fixtures of the command line's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.security.canary import Ear, secrets_everywhere
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo

__all__ = ["secrets_everywhere"]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test its own user configuration."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / ".config"))


@pytest.fixture(autouse=True)
def _tells_no_secret(_own_home: None, secrets_everywhere: Ear) -> None:
    """Let every test of a command run among secrets, none of which may be told or written."""


@pytest.fixture
def outside(tmp_path: Path) -> Dver:
    """dver in a directory that is not in a git repository."""
    (tmp_path / "outside").mkdir()
    return Dver(tmp_path / "outside")


@pytest.fixture
def dver(git_repo: GitRepo) -> Dver:
    """dver in a git repository in which ``dver init`` was run."""
    run = Dver(git_repo.path)
    run("init", "-q")
    return run
