"""Several commands on one machine, each a process of its own: in one store, in one work tree."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from dver.ops.sharing.push import PushOptions, push
from dver.ops.sharing.remote import AddRemoteOptions, add_remote
from dver.ops.upkeep.fsck import FsckOptions, fsck
from tests.support.gitrepo import GitRepo
from tests.support.workrepo import WorkRepo
from tests.transfer.world import noise

#: Nobody waits for another longer than this (seconds).
LIMIT = 120.0


def at_once(commands: Sequence[tuple[Path, Sequence[str]]]) -> list[tuple[int, str]]:
    """Run commands of dver at the same time; return the exit code and output of each."""
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "dver", *args],
            cwd=where,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for where, args in commands
    ]
    try:
        said = [one.communicate(timeout=LIMIT)[0] for one in running]
    finally:
        for one in running:
            one.kill()
    return [(one.returncode, text) for one, text in zip(running, said, strict=True)]


def is_sound(repo: WorkRepo) -> bool:
    found = repo._run(fsck, FsckOptions(full=True), "")
    return bool(found.is_sound and not found.not_here)


@pytest.fixture
def repo(tmp_path: Path) -> WorkRepo:
    return WorkRepo.create(tmp_path / "repo")


def test_eight_adders_at_once(repo: WorkRepo) -> None:
    names = [f"data{number}" for number in range(8)]
    for number, name in enumerate(names):
        for inner in range(20):
            # Half of the content is the same for all.
            repo.write(f"{name}/{inner}", noise(inner if inner % 2 else 100 * number + inner, 900))
    done = at_once([(repo.path, ("add", "-q", name)) for name in names])
    assert [code for code, _ in done] == [0] * 8, done
    before = repo.tree()
    repo.unlink(*(f"{name}/{inner}" for name in names for inner in range(20)))
    repo.checkout()
    assert {path: repo.tree()[path] for path in before} == before
    assert sorted(repo.ignored()) == sorted(f"/{name}" for name in names)
    assert is_sound(repo)


def test_two_collections_an_adder_and_a_checkout(repo: WorkRepo) -> None:
    for number in range(6):
        repo.write(f"kept/{number}", noise(number, 3000))
    repo.add("kept")
    repo.commit("kept")
    for number in range(3):
        repo.write("passing", noise(50 + number, 5000))
        repo.add("passing")
    repo.unlink("passing", "passing.dver", "kept/0", "kept/1")
    repo.write("new/a", noise(77, 4000))
    done = at_once(
        [
            (repo.path, ("gc",)),
            (repo.path, ("add", "-q", "new")),
            (repo.path, ("gc",)),
            (repo.path, ("checkout", "-q", "kept")),
        ]
    )
    assert [code for code, _ in done] == [0, 0, 0, 0], done
    for target in ("kept", "new"):
        files = [path for path in repo.tree(target) if isinstance(repo.tree(target)[path], bytes)]
        repo.unlink(*(f"{target}/{path}" for path in files))
    repo.checkout()
    assert repo.tree("kept") == {str(number): noise(number, 3000) for number in range(6)}
    assert repo.tree("new") == {"a": noise(77, 4000)}
    assert is_sound(repo)


def test_pulls_of_two_clones_into_one_store(repo: WorkRepo, tmp_path: Path) -> None:
    files = {f"{number}": noise(number, 2000) for number in range(30)}
    for name, content in files.items():
        repo.write(f"data/{name}", content)
    repo.add("data")
    repo._run(add_remote, AddRemoteOptions("nas", str(tmp_path / "nas")), "")
    repo.commit("data")
    repo._run(push, PushOptions(), "")
    clones = [
        WorkRepo(GitRepo.clone(repo.path, tmp_path / name).path) for name in ("one", "two", "three")
    ]
    store = f"store.path={tmp_path / 'store'}"
    done = at_once([(one.path, ("-c", store, "pull", "-q")) for one in clones])
    assert [code for code, _ in done] == [0, 0, 0], done
    for one in clones:
        assert one.tree("data") == files
    [(code, said)] = at_once([(clones[0].path, ("-c", store, "fsck", "--full"))])
    assert code == 0, said
    assert not [name for name in os.listdir(tmp_path / "store/tmp") if name]
