"""``dver drop``: local room for what is really elsewhere, and for nothing else."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from dver.base.errors import NotFoundError, RefusedError
from dver.base.oid import format_oid, oid_of
from dver.ops.sharing.fetch import FetchOptions, fetch
from dver.ops.sharing.push import PushOptions, push
from dver.ops.sharing.remote import AddRemoteOptions, add_remote
from dver.ops.upkeep.drop import DropOptions, DropResult, drop
from dver.ops.upkeep.fsck import FsckOptions, fsck
from tests.support.workrepo import WorkRepo

LONG = random.Random(3).randbytes(5 << 20)


def run(repo: WorkRepo, operation: Any, options: Any) -> Any:
    return repo._run(operation, options, "")


def dropping(repo: WorkRepo, *what: str, **options: Any) -> DropResult:
    result: DropResult = run(repo, drop, DropOptions(what, **options))
    return result


def packed(repo: WorkRepo) -> int:
    """Return how many bytes the packs of a store take."""
    top = repo.path / ".git/dver/packs"
    return sum(path.stat().st_size for path in top.rglob("*") if path.is_file())


@pytest.fixture
def repo(tmp_path: Path) -> WorkRepo:
    """Two versions of a directory, and a remote that has both."""
    made = WorkRepo.create(tmp_path / "repo")
    made.write("data/long", LONG)
    made.write("data/a", "first")
    made.add("data")
    run(made, add_remote, AddRemoteOptions("nas", str(tmp_path / "nas")))
    made.commit("one")
    made.write("data/a", "second")
    made.add("data")
    made.commit("two")
    run(made, push, PushOptions())
    return made


def test_a_version_goes_and_comes_back(repo: WorkRepo) -> None:
    assert packed(repo) > len(LONG)
    done = dropping(repo, "data", all_versions=True)
    assert (done.objects, done.lacking_objects) == (3, 0)
    assert packed(repo) < 2000, "the listings stay"
    assert repo.tree("data") == {"long": LONG, "a": b"second"}
    assert repo.status_of("data").data_state == "unchanged"
    assert repo.status_of("data").missing == 2
    assert run(repo, fsck, FsckOptions()).is_sound
    assert dropping(repo, "data").objects == 0
    run(repo, fetch, FetchOptions(all=True))
    repo.unlink("data/long")
    repo.checkout()
    assert (repo.path / "data/long").read_bytes() == LONG
    repo.write("away", "x")
    repo.add("away")
    dropping(repo, "away", force=True)
    with pytest.raises(NotFoundError, match="nothing of that"):
        dropping(repo, "away")


def test_what_other_versions_need_stays(repo: WorkRepo) -> None:
    done = dropping(repo, "data", revisions=("HEAD~1",))
    assert done.objects == 1, "the first content of a"
    assert packed(repo) > len(LONG)
    dropping(repo, "data/a")
    assert repo.status_of("data").missing == 1
    repo.unlink("data/long")
    repo.checkout("data/long")
    assert run(repo, fsck, FsckOptions(full=True)).is_sound


def test_nothing_goes_without_enough_copies(repo: WorkRepo, tmp_path: Path) -> None:
    before = packed(repo)
    with pytest.raises(RefusedError, match="fewer than 2") as caught:
        dropping(repo, "data", copies=2)
    assert "data/a: only in nas" in caught.value.paths
    # The same place under another name is no second copy.
    run(repo, add_remote, AddRemoteOptions("same", os.path.join(str(tmp_path), "nas", "")))
    with pytest.raises(RefusedError, match="fewer than 2") as caught:
        dropping(repo, "data", copies=2)
    assert any("the same store as nas" in line for line in caught.value.paths)
    repo.write("data/new", "not pushed")
    repo.add("data")
    with pytest.raises(RefusedError) as caught:
        dropping(repo, "data")
    assert "data/new: no copy" in caught.value.paths
    assert packed(repo) > before
    assert dropping(repo, "data", dry_run=True).lacking_objects == 1
    assert dropping(repo, "data", force=True).lacking_objects == 1


def test_copies_count_only_if_they_are_there(repo: WorkRepo, tmp_path: Path) -> None:
    packs = sorted((tmp_path / "nas/packs").rglob("*"), key=lambda path: path.stat().st_size)
    long = packs[-1]
    content = long.read_bytes()
    # One bit in the middle: found by reading only.
    os.chmod(long, 0o644)
    long.write_bytes(content[:90_000] + bytes([content[90_000] ^ 1]) + content[90_001:])
    every = {"all_versions": True}
    assert dropping(repo, "data", dry_run=True, **every).lacking_objects == 0
    told = dropping(repo, "data", dry_run=True, verify=True, **every)
    assert told.lacking_objects == 1
    assert told.places[0].damaged == 1
    with pytest.raises(RefusedError) as caught:
        dropping(repo, "data", verify=True, **every)
    assert caught.value.paths[0] == "data/long: no copy"
    # Roots that are gone keep nothing, though the packs are there.
    long.write_bytes(content)
    for root in (tmp_path / "nas/roots").iterdir():
        root.unlink()
    with pytest.raises(RefusedError):
        dropping(repo, "data")
    os.rename(tmp_path / "nas", tmp_path / "away")
    with pytest.raises(RefusedError):
        dropping(repo, "data")


@pytest.mark.parametrize("link", ["hardlink", "symlink"])
def test_workspaces_made_of_links_survive(repo: WorkRepo, link: str) -> None:
    repo.unlink("data/long", "data/a")
    repo.checkout(link=link)
    dropping(repo, "data")
    assert (repo.path / "data/long").read_bytes() == LONG
    assert (repo.path / "data/a").read_bytes() == b"second"


def test_who_shares_the_store_keeps_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVER_STORE_PATH", str(tmp_path / "store"))
    one, two = (WorkRepo.create(tmp_path / name) for name in ("one", "two"))
    for made in (one, two):
        made.write("f", "the same")
        made.add("f")
        made.commit("data")
    done = dropping(one, "f", force=True)
    assert done.objects == 0
    two.unlink("f")
    two.checkout()
    assert (two.path / "f").read_bytes() == b"the same"


def test_force_takes_no_other_path_along(repo: WorkRepo) -> None:
    """Two paths with the same content, of which there is no other copy."""
    repo.write("data/new", "only here")
    repo.write("more/sub/copy", "only here")
    repo.write("copy", "only here")
    repo.add("data", "more", "copy")
    repo.commit("three")
    with pytest.raises(RefusedError, match="2 other paths have the same content") as caught:
        dropping(repo, "copy", force=True)
    assert caught.value.paths == ("data/new", "more/sub/copy")
    oid = format_oid(oid_of(b"only here"))
    assert f"dver drop --force {oid}" in (caught.value.hint or "")
    told = dropping(repo, "copy", dry_run=True)
    assert told.shared == ("data/new", "more/sub/copy")
    with pytest.raises(RefusedError, match="another path has") as caught:
        dropping(repo, "copy", "more", force=True)
    assert caught.value.paths == ("data/new",)
    assert repo.status_of("copy").missing == 0
    assert dropping(repo, "copy", "more", "data/new", dry_run=True).shared == ()
    assert dropping(repo, oid, force=True).shared == ()
    assert repo.status_of("copy").missing == 1


def test_force_asks_for_versions_of_other_paths_too(repo: WorkRepo) -> None:
    repo.write("old", "only here")
    repo.add("old")
    repo.commit("three")
    repo.mv("old", "new")
    repo.commit("four")
    with pytest.raises(RefusedError, match="another path") as caught:
        dropping(repo, "new", force=True)
    assert caught.value.paths == ("old",)
    dropping(repo, "new", "old", all_versions=True, force=True)
    assert repo.status_of("new").missing == 1
