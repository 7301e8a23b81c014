"""Fixtures that every test shares."""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path

import pytest

from dver.base.workers import usable_cores
from tests.support.gitrepo import GitRepo, hermetic
from tests.support.s3server import lying_s3, moto_s3, rclone_s3

if sys.platform == "win32":
    # Tests of POSIX itself: kills and stops by signals, accounts and modes, limits of a process,
    # descriptors of directories, names that Windows cannot hold, and Windows played on Linux.
    collect_ignore = [
        *("base/test_pathwise.py", "cli/test_elsewhere.py", "test_actions.py"),
        *("concurrency", "faults", "bench", "model"),
        *("formats/test_longest.py", "security/test_fuzz.py", "security/test_shared_store.py"),
        *("security/test_checkout.py", "ops/data/test_clocks.py"),
        *("ops/upkeep/test_no_regular_files.py", "store/test_proofs.py"),
        *("workspace/test_hostile.py", "workspace/test_links.py", "workspace/test_scan.py"),
    ]

#: Modules whose tests take many seconds each.
LONGEST = frozenset(("test_docs.py", "test_real_models.py"))

__all__ = ["lying_s3", "moto_s3", "rclone_s3"]


def pytest_configure() -> None:
    """Let commands under test run as they would from a terminal.

    A shell starts what it runs in the background with SIGINT ignored, which every child inherits.
    And where the environment says that no bytecode is to be kept, as in many containers, each
    command of thousands would compile all that it imports, for twice its processor time. Where it
    says that output is not to be buffered, commands would behave as they do for few users.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.pop("PYTHONUNBUFFERED", None)
    sys.dont_write_bytecode = False
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Begin more processes than there are cores: tests wait for disks, servers and children."""
    cores = usable_cores()
    return cores + (cores + 1) // 2


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, or one process is left with it at the end."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


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
