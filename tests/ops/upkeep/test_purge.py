"""``dver purge``: gone from everywhere that can be reached, told as that, and nothing else lost."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from dver.base import clock
from dver.base.errors import MissingContentError, UsageError
from dver.base.oid import format_oid, oid_of
from dver.formats import purged as notes
from dver.ops.sharing.fetch import FetchOptions, fetch
from dver.ops.sharing.pull import PullOptions, pull
from dver.ops.sharing.push import PushOptions, push
from dver.ops.sharing.remote import AddRemoteOptions, add_remote
from dver.ops.upkeep.fsck import FsckOptions, fsck
from dver.ops.upkeep.gc import GcOptions, gc
from dver.ops.upkeep.gcremote import RemoteGcOptions
from dver.ops.upkeep.purge import PurgeOptions, PurgeResult, purge
from dver.store.tombstones import read_tombstones
from tests.support.gitrepo import GitRepo
from tests.support.workrepo import WorkRepo

#: What must not be found in any file afterwards; it does not compress.
SECRET = random.Random(4711).randbytes(3000)
OTHER = random.Random(1).randbytes(3000)


def run(repo: WorkRepo, operation: Any, options: Any) -> Any:
    return repo._run(operation, options, "")


def purging(repo: WorkRepo, *what: str, **options: Any) -> PurgeResult:
    result: PurgeResult = run(repo, purge, PurgeOptions(what, **options))
    return result


def clone_of(repo: WorkRepo, path: Path) -> WorkRepo:
    return WorkRepo(GitRepo.clone(repo.path, path).path)


def holding(top: Path, content: bytes = SECRET) -> list[str]:
    """Return the files below a directory that hold some bytes."""
    return [
        str(path.relative_to(top))
        for path in top.rglob("*")
        if path.is_file() and content in path.read_bytes()
    ]


@pytest.fixture
def repo(tmp_path: Path) -> WorkRepo:
    """Two versions of a directory with the secret, both pushed to a directory."""
    made = WorkRepo.create(tmp_path / "repo")
    made.write("data/people", SECRET)
    made.write("data/other", OTHER)
    made.add("data")
    run(made, add_remote, AddRemoteOptions("nas", str(tmp_path / "nas")))
    made.commit("one")
    made.write("data/more", "more")
    made.add("data")
    made.commit("two")
    run(made, push, PushOptions())
    return made


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    return tmp_path / "nas"


def test_a_file_goes_everywhere_and_nothing_else_does(
    repo: WorkRepo, nas: Path, tmp_path: Path
) -> None:
    store = repo.path / ".git/dver"
    assert holding(store)
    assert holding(nas)
    done = purging(repo, "data/people", reason="request\n4711")
    assert not holding(store)
    assert not holding(nas)
    assert done.exit_code == 0
    assert [one.what for one in done.referring.references] == ["workspace", "commit", "commit"]
    assert done.referring.branches == ("main",)
    assert done.here is not None
    assert done.here.workspace == ("data/people",)
    assert (repo.path / "data/people").read_bytes() == SECRET, "the workspace is the user's"
    for options in (FsckOptions(full=True), FsckOptions(full=True, remote="nas")):
        found = run(repo, fsck, options)
        assert found.is_sound
        assert found.purged == 1
    fresh = clone_of(repo, tmp_path / "fresh")
    with pytest.raises(MissingContentError, match=r"purged on .* request 4711"):
        run(fresh, pull, PullOptions())
    assert fresh.tree("data") == {"other": OTHER, "more": b"more"}


def test_status_and_checkout_tell_it_as_what_it_is(repo: WorkRepo) -> None:
    purging(repo, "data/people", reason="request 4711")
    told = repo.status_of("data")
    assert (told.missing, told.purged) == (0, 1)
    assert "request 4711" in (told.purged_words or "")
    assert not told.is_clean
    repo.unlink("data/people", "data/other")
    with pytest.raises(MissingContentError) as caught:
        repo.checkout()
    assert "was purged on" in caught.value.message
    assert "dver pull" not in (caught.value.hint or "")
    assert (repo.path / "data/other").read_bytes() == OTHER


def test_pushes_and_repairs_do_not_miss_it(tmp_path: Path) -> None:
    repo = WorkRepo.create(tmp_path / "repo")
    repo.write("people", SECRET)
    repo.add("people")
    run(repo, add_remote, AddRemoteOptions("nas", str(tmp_path / "nas")))
    repo.commit("one")
    run(repo, push, PushOptions())
    purging(repo, "people")
    for options in (PushOptions(), PushOptions(all=True), PushOptions(repair=True)):
        assert run(repo, push, options).session is None
    assert run(repo, fsck, FsckOptions(repair=True, source="nas")).is_sound
    assert not holding(tmp_path / "nas")


@pytest.mark.parametrize("what", ["data/people", "data/sub"])
def test_the_data_is_recorded_without_it(repo: WorkRepo, nas: Path, what: str) -> None:
    repo.write("data/sub/people", SECRET[::-1])
    repo.add("data")
    repo.commit("three")
    run(repo, push, PushOptions())
    purging(repo, what)
    repo.unlink("data/people" if what == "data/people" else "data/sub/people")
    repo.add("data")
    repo.commit("without it")
    assert repo.status_of("data").is_clean
    run(repo, push, PushOptions())
    assert not holding(nas, SECRET if what == "data/people" else SECRET[::-1])


def test_another_clone_does_not_bring_it_back(repo: WorkRepo, nas: Path, tmp_path: Path) -> None:
    other = clone_of(repo, tmp_path / "other")
    run(other, pull, PullOptions())
    purging(repo, "data/people")
    other.write("data/new", "new")
    other.add("data")
    other.commit("three")
    run(other, push, PushOptions())
    assert any("purged on" in text for text in other.heard.warnings)
    run(other, push, PushOptions(all=True))
    assert not holding(nas)
    assert holding(other.path / ".git/dver")
    purging(other, format_oid(oid_of(SECRET)))
    assert not holding(other.path / ".git/dver")
    # Collections, and whoever fetches now, take the hole for what it is.
    asked = RemoteGcOptions("nas", grace="0s", keep_last=1)
    assert run(repo, gc, GcOptions(remote=asked)).remote.refused == ()
    run(repo, fetch, FetchOptions(all=True))
    assert any("purged on" in text for text in repo.heard.warnings)


def test_a_remote_that_was_not_reached_does_not_bring_it_back(
    repo: WorkRepo, nas: Path, tmp_path: Path
) -> None:
    os.rename(nas, tmp_path / "away")
    done = purging(repo, "data/people")
    assert done.exit_code == 8
    assert done.remotes[0].problem is not None
    os.rename(tmp_path / "away", nas)
    run(repo, fetch, FetchOptions(all=True))
    assert not holding(repo.path / ".git/dver")
    again = purging(repo, "data/people")
    assert again.exit_code == 0
    assert again.id == done.id, "one purge leaves one word"
    assert not holding(nas)


def test_a_dry_run_changes_nothing(repo: WorkRepo, nas: Path) -> None:
    tops = (repo.path / ".git/dver", nas)
    before = [sorted(str(path) for path in top.rglob("*") if path.is_file()) for top in tops]
    told = purging(repo, "data/people", dry_run=True)
    after = [sorted(str(path) for path in top.rglob("*") if path.is_file()) for top in tops]
    assert before == after
    assert told.here is not None
    assert told.here.objects == 1
    assert told.remotes[0].objects == 1
    assert told.remotes[0].packs_rewritten == 1
    assert told.id is None


def test_chunks_of_other_versions_stay(tmp_path: Path) -> None:
    repo = WorkRepo.create(tmp_path / "repo")
    content = random.Random(2).randbytes(5 << 20)
    repo.write("big", content)
    repo.add("big")
    repo.commit("one")
    changed = content[:4_000_000] + SECRET + content[4_000_000:]
    repo.write("big", changed)
    repo.add("big")
    repo.commit("two")
    done = purging(repo, "big")
    assert done.here is not None
    assert done.here.shared == ()
    assert not holding(repo.path / ".git/dver")
    repo.unlink("big")
    repo.checkout(rev="HEAD~1")
    assert (repo.path / "big").read_bytes() == content
    assert run(repo, fsck, FsckOptions(full=True)).is_sound


def test_a_directory_goes_with_what_only_it_has(repo: WorkRepo, nas: Path) -> None:
    purging(repo, "data")
    assert holding(nas), "the version before has it as well"
    done = purging(repo, "data", revisions=("HEAD~1",))
    assert done.exit_code == 0
    assert not holding(nas)
    assert not holding(nas, OTHER)
    assert not holding(repo.path / ".git/dver")


def test_every_version_of_a_path(repo: WorkRepo, nas: Path) -> None:
    repo.write("data/people", OTHER + SECRET)
    repo.add("data")
    repo.commit("three")
    run(repo, push, PushOptions())
    done = purging(repo, "data/people", all_versions=True)
    assert len(done.objects) == 2
    assert not holding(nas)
    assert not holding(repo.path / ".git/dver")


def test_leftovers_and_caches_go_too(repo: WorkRepo) -> None:
    top = repo.path / ".git/dver"
    repo.unlink("data/people")
    repo.checkout(link="hardlink")
    [linked] = [path for path in holding(top) if path.startswith("links/")]
    pack = next(path for path in holding(top) if path.startswith("packs/"))
    for place in ("packs/ab/" + "ab" * 32, "tmp/.dver-tmp-x", "spool/nas/push/x/" + "cd" * 32):
        (top / place).parent.mkdir(parents=True, exist_ok=True)
        (top / place).write_bytes((top / pack).read_bytes())
    aside = top / "quarantine" / "20260101T000000Z-packs-ab"
    aside.parent.mkdir()
    aside.write_bytes((top / pack).read_bytes())
    unrelated = top / "quarantine" / "20260101T000000Z-packs-cd"
    unrelated.write_bytes(b"something else")
    done = purging(repo, "data/people")
    assert done.here is not None
    assert done.here.links == 1
    assert not (top / linked).exists()
    assert holding(top) == []
    assert unrelated.exists()
    assert (repo.path / "data/people").read_bytes() == SECRET


def test_what_was_added_again_is_told_and_can_be_allowed(repo: WorkRepo, nas: Path) -> None:
    purging(repo, "data/people")
    repo.write("again", SECRET)
    repo.add("again")
    assert any("is here again" in text for text in repo.heard.warnings)
    repo.commit("again")
    with pytest.raises(MissingContentError, match="not pushed"):
        run(repo, push, PushOptions())
    assert not holding(nas)
    purging(repo, format_oid(oid_of(SECRET)), lift=True)
    run(repo, push, PushOptions())
    assert holding(nas)
    assert read_tombstones(str(repo.path / ".git/dver")).purges == {}


def test_who_shares_the_store_keeps_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVER_STORE_PATH", str(tmp_path / "store"))
    one, two = (WorkRepo.create(tmp_path / name) for name in ("one", "two"))
    for made in (one, two):
        made.write("data/people", SECRET)
        made.write("data/other", OTHER)
        made.add("data")
        made.commit("data")
    two.write("data/mine", "mine")
    two.add("data")
    done = purging(one, "data")
    assert [r.what for r in done.referring.references] == ["workspace", "commit", "repository"]
    assert holding(tmp_path / "store"), "the other repository has a version of its own"
    purging(one, format_oid(oid_of(SECRET)))
    assert not holding(tmp_path / "store")
    two.unlink("data/people", "data/other", "data/mine")
    with pytest.raises(MissingContentError, match="purged"):
        two.checkout()
    assert two.tree("data") == {"other": OTHER, "mine": b"mine"}


def test_an_empty_file_is_not_purged(repo: WorkRepo) -> None:
    repo.write("empty", "")
    repo.add("empty")
    with pytest.raises(UsageError, match="is empty"):
        purging(repo, "empty")


def test_the_word_of_a_purge_is_one_printable_line() -> None:
    text = notes.clean_text("a\nb\x1b[31m\u202e" + "x" * 1000)
    assert text.startswith("a b?[31m?xxx")
    assert len(text) == notes.MAX_TEXT
    moment = clock.now_ns() // 10**9
    one = notes.Purged("0" * 32, moment, "me", text, (notes.PurgedObject(oid_of(b"x"), "file"),))
    assert notes.decode(notes.encode(one)) == one
