"""``dver purge`` and ``dver drop`` against others' lies, and against losing what was not named."""

from __future__ import annotations

import contextlib
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from dver.base import fsio
from dver.base.errors import MissingContentError, RefusedError, UsageError
from dver.base.oid import format_oid, oid_of
from dver.formats import purged as notes
from dver.formats.purged import Purged, PurgedObject
from dver.ops.sharing.push import PushOptions, push
from dver.ops.sharing.remote import AddRemoteOptions, add_remote, trust_remote
from dver.ops.upkeep.drop import DropOptions, drop
from dver.ops.upkeep.fsck import FsckOptions, fsck
from dver.ops.upkeep.purge import PurgeOptions, PurgeResult, purge
from dver.store.tombstones import read_tombstones
from tests.support.gitrepo import GitRepo
from tests.support.workrepo import WorkRepo

SECRET = random.Random(4711).randbytes(3000)
OTHER = random.Random(1).randbytes(3000)


def run(repo: WorkRepo, operation: Any, options: Any) -> Any:
    return repo._run(operation, options, "")


def purging(repo: WorkRepo, *what: str, **options: Any) -> PurgeResult:
    result: PurgeResult = run(repo, purge, PurgeOptions(what, **options))
    return result


def holding(top: Path, content: bytes = SECRET) -> bool:
    return any(p.is_file() and content in p.read_bytes() for p in top.rglob("*"))


def plant(remote: Path, number: int, *contents: bytes, why: str = "bad") -> str:
    """Write word of a purge that never was."""
    objects = tuple(sorted(PurgedObject(oid_of(one), "file") for one in contents))
    word = Purged(f"{number:032x}", 1_700_000_000 + number, "Mallory", why, objects)
    place = remote / f"trash/{word.id}.purged"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(notes.encode(word))
    return word.id


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    return tmp_path / "nas"


@pytest.fixture
def repo(tmp_path: Path, nas: Path) -> WorkRepo:
    made = WorkRepo.create(tmp_path / "repo")
    made.write("data/people", SECRET)
    made.write("data/other", OTHER)
    made.add("data")
    run(made, add_remote, AddRemoteOptions("nas", str(nas)))
    made.commit("one")
    run(made, push, PushOptions())
    return made


def test_a_purge_takes_nothing_that_others_word_names_too(
    repo: WorkRepo, nas: Path, tmp_path: Path
) -> None:
    run(repo, add_remote, AddRemoteOptions("second", str(tmp_path / "second")))
    run(repo, push, PushOptions(remote="second"))
    plant(nas, 1, SECRET, OTHER, why="")
    repo.write("new", "new")
    repo.add("new")
    repo.commit("new")
    run(repo, push, PushOptions())
    assert len(read_tombstones(str(repo.path / ".git/dver"))) == 2
    purging(repo, "data/people")
    assert not holding(tmp_path / "second")
    assert holding(tmp_path / "second", OTHER)
    assert holding(repo.path / ".git/dver", OTHER)


def test_lift_takes_back_every_purge(repo: WorkRepo, nas: Path) -> None:
    plant(nas, 1, SECRET)
    plant(nas, 2, SECRET, OTHER)
    repo.write("new", "new")
    repo.add("new")
    repo.commit("new")
    run(repo, push, PushOptions())
    purging(repo, format_oid(oid_of(SECRET)), lift=True)
    assert list(nas.rglob("*.purged")) == []
    assert oid_of(SECRET) not in read_tombstones(str(repo.path / ".git/dver"))


def test_word_from_one_remote_does_not_let_a_push_to_another_pass_for_whole(
    repo: WorkRepo, nas: Path, tmp_path: Path
) -> None:
    run(repo, add_remote, AddRemoteOptions("second", str(tmp_path / "second")))
    repo.write("fresh/table", OTHER[::-1])
    repo.write("fresh/note", "note")
    repo.add("fresh")
    repo.commit("fresh")
    plant(nas, 1, OTHER[::-1])
    with pytest.raises(MissingContentError, match="was not pushed"):
        run(repo, push, PushOptions())
    with pytest.raises(MissingContentError, match="purged on") as caught:
        run(repo, push, PushOptions(remote="second"))
    assert "--lift" in (caught.value.hint or "")
    purging(repo, format_oid(oid_of(OTHER[::-1])), lift=True)
    run(repo, push, PushOptions(remote="second"))
    assert holding(tmp_path / "second", OTHER[::-1])


def test_a_version_that_nobody_referred_to_can_be_added_again(tmp_path: Path) -> None:
    """The purge took its chunks along, and the index must not make anybody believe otherwise."""
    repo = WorkRepo.create(tmp_path / "repo")
    content = random.Random(2).randbytes(5 << 20)
    changed = content[:4_000_000] + SECRET + content[4_000_000:]
    repo.write("big", content)
    repo.add("big")
    repo.write("big", changed)
    repo.add("big")
    repo.commit("two")
    purging(repo, "big")
    repo.write("big", content)
    repo.add("big")
    repo.commit("three")
    repo.unlink("big")
    repo.checkout("big")
    assert (repo.path / "big").read_bytes() == content
    assert run(repo, fsck, FsckOptions(full=True)).is_sound


def test_no_copy_counts_in_a_committed_place_that_nobody_agreed_to(repo: WorkRepo) -> None:
    (repo.path / ".git/dver/trusted").unlink()
    with pytest.raises(RefusedError) as caught:
        run(repo, drop, DropOptions(("data",)))
    assert any("not yet agreed" in line for line in caught.value.paths)
    assert holding(repo.path / ".git/dver")


def test_the_local_store_is_no_copy_of_itself(repo: WorkRepo, tmp_path: Path) -> None:
    """Not even as a copy of its files, of which the next collection knows as little."""
    shutil.copytree(repo.path / ".git/dver", tmp_path / "copy")
    run(repo, add_remote, AddRemoteOptions("me", str(tmp_path / "copy")))
    run(repo, push, PushOptions(remote="me"))
    with pytest.raises(RefusedError) as caught:
        run(repo, drop, DropOptions(("data",), remotes=("me",)))
    assert any("the local store itself" in line for line in caught.value.paths)
    assert holding(repo.path / ".git/dver")


def test_what_a_remote_is_told_to_forget_is_no_copy(repo: WorkRepo, nas: Path) -> None:
    plant(nas, 1, SECRET, OTHER)
    with pytest.raises(RefusedError, match="no other copy"):
        run(repo, drop, DropOptions(("data",)))


@pytest.mark.parametrize("copies", [0, -1])
def test_no_copies_are_not_asked_for_by_accident(repo: WorkRepo, copies: int) -> None:
    repo.write("new", "new")
    repo.add("new")
    with pytest.raises(UsageError, match="at least one"):
        run(repo, drop, DropOptions(("new",), copies=copies))


def test_a_purge_that_is_killed_is_ended_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what of it lies in packs that no segment names any more, and that name only chunks."""
    made = WorkRepo.create(tmp_path / "made")
    content = random.Random(2).randbytes(3 << 20)
    made.write("kept", OTHER)
    made.write("big", SECRET + content)
    made.add("kept", "big")
    # Nobody refers to that version any more, and its pack has the chunks of the next.
    made.write("big", SECRET + content + SECRET)
    made.add("big")
    made.commit("one")

    real = fsio.step

    def purged_until(path: Path, stop: int) -> tuple[WorkRepo, int]:
        """Purge in a copy and die at a step; return the copy and how many steps were taken."""
        shutil.copytree(made.path, path, symlinks=True)
        trial = WorkRepo(path)
        taken = 0

        def step(what: str) -> None:
            nonlocal taken
            taken += 1
            if taken == stop:
                raise KeyboardInterrupt
            real(what)

        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(fsio, "step", step)
            purging(trial, "big")
        return trial, taken

    _, steps = purged_until(tmp_path / "whole", 0)
    # Before these nothing is out of the index yet.
    for stop in range(steps - 9, steps, 2):
        trial, taken = purged_until(tmp_path / str(stop), stop)
        assert taken == stop
        purging(trial, "big")
        assert not holding(trial.path / ".git/dver"), f"killed at step {stop} of {steps}"
        assert holding(trial.path / ".git/dver", OTHER)


def test_a_directory_that_is_not_here_goes_with_what_is_in_it(
    repo: WorkRepo, nas: Path, tmp_path: Path
) -> None:
    """Named by its oid alone, in a clone that cannot tell that it is a directory."""
    repo.write("data/sub/secret", b"more" + SECRET)
    repo.add("data")
    repo.commit("two")
    run(repo, push, PushOptions())
    opened = repo.open()
    tree = opened.store.read_tree(repo.pointer("data").oid)
    opened.close()
    at = tree.names.index(b"sub") * 32
    clone = WorkRepo(GitRepo.clone(repo.path, tmp_path / "clone").path)
    trust_remote(clone.open(), "nas")
    done = purging(clone, tree.oids[at : at + 32].hex())
    assert done.exit_code == 0
    assert not holding(nas, b"more" + SECRET)
    assert holding(nas, OTHER)
