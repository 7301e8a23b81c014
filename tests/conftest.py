"""Fixtures that every test shares."""

from __future__ import annotations

import gc
import signal
from pathlib import Path

import pytest

from tests.support.gitrepo import GitRepo, hermetic
from tests.support.s3server import lying_s3, moto_s3, rclone_s3

__all__ = ["lying_s3", "moto_s3", "rclone_s3"]


def pytest_configure() -> None:
    """Let interrupts reach the commands under test, as they would from a terminal.

    A shell starts what it runs in the background with SIGINT ignored, which every child inherits.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _hermetic(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep git and dver away from the configuration of whoever runs the tests."""
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    for name, value in hermetic(home).items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)


@pytest.fixture
def git_repo(tmp_path: Path) -> GitRepo:
    """An empty git repository without a commit, at ``tmp_path/repo``."""
    return GitRepo.init(tmp_path / "repo")


def pytest_collection_finish() -> None:
    """Spare the garbage collector what the tests themselves are made of, and most of its turns.

    Thousands of collected tests are millions of objects that stay; going through them again and
    again takes a quarter of their processor time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)


def pytest_unconfigure() -> None:
    """Let everything be taken apart as usual at the end."""
    gc.unfreeze()
