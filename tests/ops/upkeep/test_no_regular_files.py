"""What is no regular file stands where dver keeps one: nothing waits, and nothing is believed."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from tests.support.cli import Dver
from tests.support.workrepo import WorkRepo


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """Whoever waits for a pipe waits for ever; here it fails."""

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError("a command waits for a pipe")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("template")
    repo = WorkRepo.create(top / "repo")
    dver = Dver(repo.path, in_process=True)
    dver("remote", "add", "nas", "../nas", "-q")
    repo.write("d/a", b"first")
    repo.write("d/s/b", b"second")
    repo.add("d")
    repo.commit("data")
    dver("push", "-q")
    return top


@pytest.fixture
def repo(template: Path, tmp_path: Path) -> WorkRepo:
    for name in ("repo", "nas"):
        shutil.copytree(template / name, tmp_path / name, symlinks=True)
    return WorkRepo(tmp_path / "repo")


def _loop(path: Path) -> None:
    path.symlink_to(path)


PLACES: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "directory": lambda path: path.mkdir(),
    "circle": _loop,
}


def _replace(top: Path, part: str, kind: str) -> None:
    base = top / part
    found = [base] if base.is_file() else [one for one in base.rglob("*") if one.is_file()]
    assert found
    for path in found:
        path.unlink()
        PLACES[kind](path)


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("part", ["packs", "index"])
def test_in_the_local_store(repo: WorkRepo, part: str, kind: str) -> None:
    dver = Dver(repo.path, in_process=True)
    dver("remote", "trust", "nas", "-q")
    right = repo.tree("d")
    shutil.rmtree(repo.path / "d")
    _replace(repo.path / ".git/dver", part, kind)
    found = {one["what"] for one in dver("fsck", "--json", code=7).json["result"]["findings"]}
    assert f"{'pack' if part == 'packs' else 'segment'}-damaged" in found
    # What is missing here may come from the remote, so that some of these heal.
    for args in (("status",), ("checkout",), ("get", "d", "-o", "out"), ("cat", "d/a"), ("gc",)):
        done = dver.attempt(*args)
        assert done.exit_code != 70, done.stderr
        shutil.rmtree(repo.path / "out", ignore_errors=True)
    dver("fsck", "--repair", "--from", "nas", "--full")
    dver("checkout", "-q")
    assert repo.tree("d") == right
    dver("fsck", "--clean", "--now")
    dver("gc")


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("part", ["packs", "index", "roots"])
def test_in_a_remote(repo: WorkRepo, part: str, kind: str) -> None:
    dver = Dver(repo.path, in_process=True)
    dver("remote", "trust", "nas", "-q")
    _replace(repo.path.parent / "nas", part, kind)
    assert dver.attempt("fsck", "-r", "nas").exit_code in (0, 7)
    dver("push", "--repair")
    dver("fsck", "--full", "-r", "nas")
    repo.git("clone", "-q", str(repo.path), "../clone")
    other = Dver(repo.path.parent / "clone", in_process=True)
    other("pull", "-q")
    assert WorkRepo(other.cwd).tree("d") == repo.tree("d")


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("part", ["stat", "placed", "proofs", "verified"])
def test_in_a_cache(repo: WorkRepo, part: str, kind: str) -> None:
    dver = Dver(repo.path, in_process=True)
    dver("fsck", "--full", "-q")
    path = repo.path / ".git/dver" / part
    if not path.exists():
        PLACES[kind](path)
    else:
        _replace(repo.path / ".git/dver", part, kind)
    assert repo.status().is_clean
    dver("fsck", "--full")
    repo.write("d/a", b"other")
    assert not repo.status().is_clean
    dver("add", "-q", "d")
    dver("checkout", "-q")
    assert (repo.path / "d/a").read_bytes() == b"other"
