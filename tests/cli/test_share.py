"""push, fetch, pull, fsck, gc: what a person reads. What they do is tested with the operations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo


@pytest.fixture
def used(dver: Dver, git_repo: GitRepo) -> Dver:
    """A committed directory and file, and a directory as remote."""
    git_repo.write("data/a.csv", "a" * 1000)
    git_repo.write("data/b.csv", "b" * 1000)
    git_repo.write("model.bin", "m")
    dver("add", "data", "model.bin", "-q")
    dver("remote", "add", "nas", "../nas", "-q")
    git_repo.commit("first")
    return dver


@pytest.fixture
def clone(used: Dver, git_repo: GitRepo, tmp_path: Path) -> Dver:
    """A clone of the repository after a push."""
    used("push", "-q")
    return Dver(GitRepo.clone(git_repo.path, tmp_path / "clone").path)


def masked(text: str) -> str:
    """Replace stored sizes, which depend on the compression library."""
    return re.sub(r"[\d.]+ (?:[KM]i)?B", "SIZE", text)


def test_push(used: Dver) -> None:
    assert "Not yet pushed to nas:\n  (use 'dver push')\n" in used("status").stdout
    assert masked(used("push", "--dry-run").stdout) == (
        "would push 4 objects (SIZE in 2 packs) to nas\n"
    )
    assert masked(used("push").stdout) == "pushed 4 objects (SIZE in 2 packs) to nas\n"
    assert used("push").stdout == "nas has everything (2 versions)\n"
    assert used("push", "-q").stdout == ""
    assert used("status").stdout == "On branch main\n2 targets, all as recorded\n"


def test_push_without_a_remote(dver: Dver) -> None:
    assert dver("push", code=4).stderr == (
        "error: no remote is set up\nhint: dver remote add NAME URL\n"
    )
    dver("remote", "add", "nas", "../nas", "-q")
    assert dver("push", "-r", "nass", code=4).stderr == (
        "error: there is no remote 'nass'\nhint: did you mean 'nas'?\n"
    )


def test_push_to_a_remote_that_is_not_trusted(clone: Dver, tmp_path: Path) -> None:
    done = clone("push", code=11)
    assert f"you have not yet agreed to send data to file://{tmp_path}/nas" in done.stderr
    assert "hint: if you know that place: dver remote trust nas\n" in done.stderr


def test_a_clone_says_what_is_missing(clone: Dver) -> None:
    assert clone("status").stdout == (
        "On branch main\n"
        "\n"
        "Content not in the local store:\n"
        "  (use 'dver pull' to get it)\n"
        "\tmissing:    data (1 object)\n"
        "\tmissing:    model.bin (1 object)\n"
    )
    assert clone("status", "--porcelain").stdout.splitlines()[1][2:] == "- model.bin"


def test_pull(clone: Dver) -> None:
    assert masked(clone("pull", "--dry-run").stdout).startswith("would fetch ")
    assert not (clone.cwd / "model.bin").exists()
    assert masked(clone("pull").stdout) == (
        "fetched 4 objects (SIZE) from nas\n"
        "updated    data (2 files written, SIZE)\n"
        "updated    model.bin (1 file written, SIZE)\n"
    )
    assert clone("pull").stdout == "everything is here (2 versions)\nunchanged  2 targets\n"


def test_pull_of_a_part(clone: Dver) -> None:
    clone("pull", "data/a.csv", "-q")
    assert (clone.cwd / "data" / "a.csv").read_text() == "a" * 1000
    assert not (clone.cwd / "data" / "b.csv").exists()


def test_fetch(clone: Dver) -> None:
    assert masked(clone("fetch").stdout) == "fetched 4 objects (SIZE) from nas\n"
    assert not (clone.cwd / "model.bin").exists()
    assert clone("fetch").stdout == "everything is here (2 versions)\n"
    assert clone("checkout", "-q").exit_code == 0
    assert (clone.cwd / "model.bin").read_text() == "m"


def test_fsck_of_a_sound_store(used: Dver) -> None:
    assert masked(used("fsck").stdout) == (
        "sound: 2 packs, 4 objects, SIZE (structure only; --full reads every byte)\n"
    )
    used("push", "-q")
    assert masked(used("fsck", "--full", "-r", "nas").stdout) == (
        "sound: 2 packs, 4 objects, SIZE\n"
    )


def test_fsck_of_a_damaged_store(used: Dver) -> None:
    packs = sorted((used.cwd / ".git/dver/packs").rglob("*"))
    pack = max((path for path in packs if path.is_file()), key=lambda path: path.stat().st_size)
    pack.chmod(0o644)
    pack.unlink()
    done = used("fsck", code=7)
    assert "pack-missing: " in done.stdout
    assert "    needed by data in the workspace\n" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert re.match(r"\d+ problems? in ", last)
    found = used("fsck", "--json", code=7).json
    assert found["ok"] is False
    assert found["result"]["is_sound"] is False


def test_gc(used: Dver, git_repo: GitRepo) -> None:
    assert used("gc").stdout == "nothing to remove\nkept 4 objects of 2 versions\n"
    git_repo.write("scratch", "s" * 5000)
    used("add", "scratch", "-q")
    used("rm", "scratch", "-q", "--force")
    assert masked(used("gc", "--dry-run").stdout).startswith("would remove 1 object")
    assert masked(used("gc").stdout).startswith("removed 1 object")
    assert used("gc").stdout.startswith("nothing to remove\n")
