"""How the process begins, with git looking for the repository, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dver.base.errors import RepositoryError
from dver.cli.context import App
from dver.git.discovery import Search
from tests.support.gitrepo import GitRepo


def ended(before: str, cwd: Path, *args: str, out: int = subprocess.PIPE) -> tuple[int, str]:
    """Run the program in a process that did something before; return its exit code and output."""
    code = (
        f"import sys, threading, time\n{before}\n"
        "from dver.cli.main import program\n"
        f"sys.argv = ['dver', *{args!r}]\n"
        "sys.exit(program())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_what_is_to_be_done_at_the_end_is_done(tmp_path: Path) -> None:
    code, out = ended("import atexit\natexit.register(print, 'goodbye')", tmp_path, "--version")
    assert code == 0
    assert out.startswith("dver ")
    assert out.endswith("\ngoodbye\n")


def test_nothing_is_taken_apart_at_the_end(tmp_path: Path) -> None:
    last = "class Last:\n    def __del__(self):\n        print('taken apart')\nlast = Last()"
    code, out = ended(last, tmp_path, "--version")
    assert (code, "taken apart" in out) == (0, False)


def test_threads_are_waited_for_unless_they_may_be_left(tmp_path: Path) -> None:
    work = "def work():\n    time.sleep(0.3)\n    print('worked', flush=True)\n"
    start = "threading.Thread(target=work, daemon={}).start()"
    assert ended(work + start.format(False), tmp_path, "--version")[1].endswith("worked\n")
    assert "worked" not in ended(work + start.format(True), tmp_path, "--version")[1]


def test_the_exit_code_is_that_of_the_command(tmp_path: Path) -> None:
    assert ended("", tmp_path, "status")[0] == 3


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_a_reader_that_went_away_is_no_bug(tmp_path: Path, option: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert ended("", tmp_path, option, out=writer)[0] == 141
    finally:
        os.close(writer)


@pytest.fixture
def looking(git_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> tuple[App, Search]:
    """A run in a repository, and the search for that which it has begun."""
    monkeypatch.chdir(git_repo.path)
    app = App(os.environ)
    app.look_ahead(["status"])
    assert app._search is not None
    return app, app._search


def test_the_repository_is_looked_for_ahead(git_repo: GitRepo, looking: tuple[App, Search]) -> None:
    app, search = looking
    assert app.repo.root == git_repo.path
    assert app._search is None
    assert search._asked._process.returncode == 0
    app.close()


def test_a_search_that_nobody_needs_is_stopped(looking: tuple[App, Search]) -> None:
    app, search = looking
    app.close()
    assert search._asked._process.returncode is not None


def test_nothing_is_looked_for_where_an_option_may_lead_elsewhere(
    git_repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(git_repo.path)
    for args in ([], ["-C", "sub", "status"], ["--help"]):
        app = App(os.environ)
        app.look_ahead(args)
        assert app._search is None


def test_a_search_that_fails_is_heard_of_when_the_repository_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for environ in (dict(os.environ), {"PATH": str(tmp_path)}):
        app = App(environ)
        app.look_ahead(["status"])
        with pytest.raises(Exception, match=r"not inside a git repository|git is not installed"):
            _ = app.repo
        app.close()


def test_a_directory_that_is_gone_stops_nothing_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    app = App(os.environ)
    app.look_ahead(["status"])
    with pytest.raises(RepositoryError, match="does not exist any more"):
        _ = app.repo
