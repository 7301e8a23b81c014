"""Start-up is a feature: what the common commands must not import before they need it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo

HEAVY = (
    "boto3",
    "botocore",
    "fsspec",
    "multiprocessing",
    "obstore",
    "pathspec",
    "rich",
    "s3fs",
    "yaml",
)


def loaded(dver: Dver, *args: str) -> set[str]:
    """Run a command in a new process and return which top-level packages it imported."""
    program = (
        "import sys\n"
        "from dver.cli.main import main\n"
        f"code = main({list(args)!r})\n"
        "sys.stderr.write('\\n'.join(sorted({name.split('.')[0] for name in sys.modules})))\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=dver.cwd, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return set(done.stderr.decode().split())


@pytest.fixture
def used(dver: Dver, git_repo: GitRepo) -> Dver:
    """A repository with committed data, a remote and a setting, as dver itself writes them."""
    git_repo.write("data/a.csv", "a,b\n")
    dver("remote", "add", "nas", "../nas", "-q")
    dver("config", "set", "core.jobs", "4", "-q")
    dver("add", "data", "-q")
    git_repo.commit("first")
    return dver


@pytest.mark.parametrize(
    "args",
    [
        ("--version",),
        ("--help",),
        ("status",),
        ("status", "--porcelain"),
        ("ls",),
        ("log", "data"),
        ("config", "list"),
        ("remote", "list"),
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported(used: Dver, args: tuple[str, ...]) -> None:
    assert loaded(used, *args).isdisjoint(HEAVY)


def test_the_check_would_notice(used: Dver) -> None:
    (used.cwd / ".dver" / "config.yaml").write_text("core: {remote: nas}\n")
    assert "yaml" in loaded(used, "config", "list")
