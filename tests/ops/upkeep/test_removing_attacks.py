"""``dver purge`` and ``dver drop`` against others' lies, and against losing what was not named."""

from __future__ import annotations

import contextlib
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from dver.base import fsio
from dver.base.errors import MissingContentError, NotFoundError, RefusedError, UsageError
from dver.base.oid import format_oid, oid_of
from dver.formats import purged as notes
from dver.formats.purged import Purged, PurgedObject
from dver.ops.sharing.push import PushOptions, push
from dver.ops.sharing.remote import AddRemoteOptions, add_remote, trust_remote
from dver.ops.upkeep.drop import DropOptions, drop
from dver.ops.upkeep.fsck import FsckOptions, fsck
from dver.ops.upkeep.purge import PurgeOptions, PurgeResult, purge
from dver.storage.local import LocalStorage
from dver.store import writer
from dver.store.tombstones import read_tombstones
from dver.transfer import uploads
from dver.transfer.session import Session
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


@pytest.mark.parametrize("killed_at", ["packs/", "index/", "condemned/"])
def test_a_killed_purge_of_a_remote_is_ended_by_the_next(
    tmp_path: Path, nas: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    """Also what lies in packs that no segment there names any more, and that have only chunks."""
    made = WorkRepo.create(tmp_path / "made")
    content = random.Random(2).randbytes(3 << 20)
    # The list lies in another pack than most of the chunks.
    for where in (uploads, writer):
        monkeypatch.setattr(where, "PACK_TARGET", 1 << 20)
    made.write("kept", OTHER)
    made.write("big", SECRET + content)
    made.add("kept", "big")
    run(made, add_remote, AddRemoteOptions("nas", str(nas)))
    made.commit("one")
    run(made, push, PushOptions())
    assert len(list(nas.glob("packs/*/*"))) > 2
    real = LocalStorage.delete

    def die(self: LocalStorage, key: str) -> None:
        if key.startswith(killed_at) and self.root == str(nas):
            raise KeyboardInterrupt
        real(self, key)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(LocalStorage, "delete", die)
        purging(made, "big", all_versions=True)
    # Whoever runs it again may be somebody else, who never had the content.
    clone = WorkRepo(GitRepo.clone(made.path, tmp_path / "clone").path)
    trust_remote(clone.open(), "nas")
    done = purging(clone, "big", all_versions=True)
    assert done.exit_code == 0
    assert not holding(nas)
    assert content[100_000:100_500] not in b"".join(
        path.read_bytes() for path in nas.rglob("*") if path.is_file()
    )
    assert holding(nas, OTHER)


def test_what_a_killed_push_left_is_purged_too(
    tmp_path: Path, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its packs are in no segment yet, and have chunks that only the local store can name."""
    made = WorkRepo.create(tmp_path / "made")
    content = random.Random(2).randbytes(3 << 20)
    made.write("kept", OTHER)
    made.add("kept")
    made.commit("one")
    run(made, add_remote, AddRemoteOptions("nas", str(nas)))
    run(made, push, PushOptions())
    made.write("big", content)
    made.add("big")
    made.commit("two")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Session, "publish_index", die)
        run(made, push, PushOptions())
    pieces = [content[at : at + 500] for at in range(0, len(content), 100_000)]
    assert any(holding(nas, piece) for piece in pieces)
    purging(made, "big")
    assert not any(holding(nas, piece) for piece in pieces)
    assert holding(nas, OTHER)


def test_the_quarantine_of_a_remote_is_looked_through(repo: WorkRepo, nas: Path) -> None:
    pack = next(path for path in nas.glob("packs/*/*") if SECRET in path.read_bytes())
    aside = nas / "quarantine"
    aside.mkdir()
    (aside / f"20260101T000000Z-packs-{pack.name}").write_bytes(pack.read_bytes())
    cut = pack.read_bytes()[:-100]
    (aside / f"20260102T000000Z-packs-{pack.name}").write_bytes(cut)
    (aside / "20260101T000000Z-packs-ab").write_bytes(b"something else")
    told = purging(repo, "data/people", dry_run=True).remotes[0]
    assert len(list(aside.iterdir())) == 3
    assert len(told.set_aside) == 3
    done = purging(repo, "data/people").remotes[0]
    assert not holding(nas)
    assert done.set_aside == ("quarantine/20260101T000000Z-packs-ab",)


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_oid_that_is_nowhere_leaves_no_word(repo: WorkRepo, nas: Path, dry_run: bool) -> None:
    unknown = format_oid(oid_of(b"a slip of the hand"))
    with pytest.raises(NotFoundError, match="nowhere") as caught:
        purging(repo, "data/people", unknown, dry_run=dry_run)
    assert unknown in caught.value.message
    assert not list(nas.rglob("*.purged"))
    assert not read_tombstones(str(repo.path / ".git/dver")).purges
    assert holding(nas)
    # Where a remote cannot be asked, it may be there.
    nas.rename(nas.parent / "away")
    assert purging(repo, unknown, dry_run=dry_run).exit_code != 0
