"""Start-up is a feature: what the common commands must not import before they need it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo

HEAVY = (
    "_hashlib",  # OpenSSL
    "asyncio",
    "boto3",
    "botocore",
    "bz2",
    "concurrent",
    "difflib",
    "email",
    "fsspec",
    "glob",
    "http",
    "json",
    "logging",
    "lzma",
    "multiprocessing",
    "obstore",
    "pathspec",
    "pyfastcdc",
    "random",
    "rich",
    "s3fs",
    "secrets",
    "shlex",
    "shutil",
    "socket",
    "ssl",
    "tempfile",
    "yaml",
    "zstandard",
)
#: click asks it for the width of the terminal.
ALLOWED = {"--help": {"bz2", "lzma", "shutil"}}

#: How many of dver's own modules a command may load at most, when there is nothing to do.
MOST_MODULES = {
    "--version": 3,
    "--help": 20,
    "status": 77,
    "diff": 82,
    "checkout": 101,
    "log data.csv": 65,
    "add data.csv": 105,
}


def loaded(dver: Dver, *args: str) -> set[str]:
    """Run a command in a new process and return which modules it imported."""
    program = (
        "import sys\n"
        "from dver.cli.main import main\n"
        f"code = main({list(args)!r})\n"
        "sys.stderr.write('\\n'.join(sorted(sys.modules)))\n"
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
    git_repo.write("data.csv", "a,b\n")
    dver("remote", "add", "nas", "../nas", "-q")
    dver("config", "set", "core.jobs", "4", "-q")
    dver("add", "data", "data.csv", "-q")
    git_repo.commit("first")
    # What was only just written has to be read again once.
    dver("status", "-q")
    return dver


@pytest.mark.parametrize(
    "args",
    [
        ("--version",),
        ("--help",),
        ("status",),
        ("status", "--porcelain"),
        ("status", "data.csv"),
        ("diff",),
        ("checkout",),
        ("ls",),
        ("log", "data"),
        ("config", "list"),
        ("remote", "list"),
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported(used: Dver, args: tuple[str, ...]) -> None:
    allowed = ALLOWED.get(args[0], set())
    assert loaded(used, *args) & set(HEAVY) <= allowed


@pytest.mark.parametrize("line", MOST_MODULES)
def test_few_modules_are_imported(dver: Dver, git_repo: GitRepo, line: str) -> None:
    git_repo.write("data.csv", "a,b\n")
    dver("add", "data.csv", "-q")
    git_repo.commit("first")
    # Once more, since what was only just written has to be read again.
    dver("status", "-q")
    names = [name for name in loaded(dver, *line.split()) if name.partition(".")[0] == "dver"]
    assert len(names) <= MOST_MODULES[line], sorted(names)


def test_single_files_need_no_trees(dver: Dver, git_repo: GitRepo) -> None:
    git_repo.write("data.csv", "a,b\n")
    dver("add", "data.csv", "-q")
    git_repo.commit("first")
    dver("status", "-q")
    unwanted = {"dver.formats.tree", "dver.store.walk", "dver.store.writer", "dver.workspace.scan"}
    assert loaded(dver, "status").isdisjoint(unwanted)


def test_the_check_would_notice(used: Dver) -> None:
    (used.cwd / ".dver" / "config.yaml").write_text("core: {remote: nas}\n")
    assert "yaml" in loaded(used, "config", "list")


def test_a_pull_loads_nothing_for_imports_that_are_not_there(used: Dver) -> None:
    used("push", "-q")
    modules = loaded(used, "pull")
    assert "dver.transfer.fetch" in modules
    assert modules.isdisjoint({"dver.ops.sharing.fromsource", "sqlite3", "configparser"})
    assert not [name for name in modules if name.startswith(("dver.foreign", "dver.ops.looking"))]
