"""The common commands, one after the other, where the system takes no open directories."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dver.workspace import jobs
from tests.support import elsewhere
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo


@contextlib.contextmanager
def as_on_windows(*, pinning: bool = True) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        elsewhere.become(pinning=pinning, patch=patch)
        yield
    elsewhere.come_back()


@pytest.fixture(params=[True, False], ids=["pinned", "by path"])
def dver(request: pytest.FixtureRequest, git_repo: GitRepo) -> Iterator[Dver]:
    """Dver in a repository, as if on Windows, or on a system that cannot even pin directories."""
    with as_on_windows(pinning=request.param):
        yield Dver(git_repo.path, in_process=True)


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
    write(git_repo.path, {"model.bin": random.Random(1).randbytes(9 << 20)})
    dver("add", "-q", "data", "model.bin")
    assert os.listdir(git_repo.path / ".git/dver/tmp") == []
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


def test_what_can_be_executed_stays_so(git_repo: GitRepo, tmp_path: Path) -> None:
    here = Dver(git_repo.path, in_process=True)
    write(git_repo.path, {"tools/run": b"echo 1\n", "tools/text": b"1", "run.sh": b"echo 1\n"})
    (git_repo.path / "tools/run").chmod(0o755)
    (git_repo.path / "run.sh").chmod(0o755)
    here("init", "-q")
    here("add", "-q", "tools", "run.sh")
    here("remote", "add", "-q", "nas", "../nas")
    here("push", "-q")
    git_repo.commit("one")
    git_repo.git("clone", "-q", ".", str(tmp_path / "clone"))
    with as_on_windows():
        clone = Dver(tmp_path / "clone", in_process=True)
        clone("remote", "add", "-q", "nas", str(tmp_path / "nas"))
        clone("pull", "-q")
        assert "modified" not in clone("status").stdout
        write(clone.cwd, {"tools/run": b"echo 2\n", "run.sh": b"echo 2\n", "tools/text": b"2"})
        clone("add", "-q", "tools", "run.sh")
        assert "executable: true" in (clone.cwd / "run.sh.dver").read_text()
        kinds = {
            one["path"]: one["kind"] for one in clone("ls", "--json", "tools").result["entries"]
        }
        assert kinds == {"tools/run": "executable", "tools/text": "file"}


def test_workers_write_there_too(git_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Dver(git_repo.path, in_process=True)
    files = {f"{i % 7}/{i}": b"%d" % i for i in range(40)}
    with as_on_windows():
        monkeypatch.setattr(jobs, "_worth_workers", lambda outputs: True)
        monkeypatch.setattr(jobs, "_JOB_FILES", 5)
        monkeypatch.setattr(jobs, "usable_cores", lambda: 2)
        here("init", "-q")
        write(git_repo.path / "data", files)
        here("add", "-q", "data")
        shutil.rmtree(git_repo.path / "data")
        here("checkout", "-q")
        assert found(git_repo.path / "data") == files
        (git_repo.path / "data/3/10").write_bytes(b"edited")
        here("checkout", "-q", "--force")
        assert found(git_repo.path / "data") == files
        assert "modified" not in here("status").stdout


#: Imports all of dver where ``os`` and the like are as on Windows; third parties come before.
_IMPORTS = """
import asyncio, concurrent.futures, csv, ctypes, email, http.client, importlib, importlib.metadata
import importlib.resources, json, logging, mmap, multiprocessing, os, pathlib, pkgutil, shutil
import signal, socket, sqlite3, ssl, statistics, subprocess, sys, tempfile, urllib.request, zipfile
import blake3, click, cryptography, fsspec, pathspec, pyfastcdc, rich.console, rich.live
import rich.progress, rich.table, xxhash, yaml, zstandard

for name in (
    "O_DIRECTORY O_NOFOLLOW O_CLOEXEC O_NONBLOCK O_NOCTTY POSIX_FADV_WILLNEED chown"
    " copy_file_range fchmod fchown fork getegid geteuid getgid getuid killpg major minor mkfifo"
    " posix_fadvise pread preadv pwrite sched_getaffinity sendfile statvfs sysconf uname"
    " wait4 writev"
).split():
    vars(os).pop(name, None)
for name in "SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGSTOP SIGTSTP SIGWINCH".split():
    vars(signal).pop(name, None)
for name in "fcntl grp pwd resource termios tty".split():
    sys.modules[name] = None
for name in [name for name in vars(mmap) if name.startswith("MADV")]:
    delattr(mmap, name)
os.supports_dir_fd = set()
os.O_BINARY = 0x8000
os.name, sys.platform = "nt", "win32"
pathlib.WindowsPath = pathlib.PosixPath

import dver

for module in pkgutil.walk_packages(dver.__path__, "dver."):
    if not module.name.endswith(("demo.project", "__main__", "sitecustomize", "project.train")):
        importlib.import_module(module.name)
from dver.base import fsio, osat
print(osat.osat.__name__, osat.NATIVE, osat.HAS_MODES, fsio.OPEN_FLAGS == os.O_BINARY)
"""


def test_all_of_dver_can_be_imported_there() -> None:
    done = subprocess.run([sys.executable, "-c", _IMPORTS], capture_output=True, check=False)
    assert done.stdout.decode() == "dver.base.pathwise False False True\n", done.stderr.decode()
