"""``dver add DIR`` never records as gone what only was not brought here, whatever word says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dver.base.errors import MissingContentError, RefusedError
from dver.base.oid import Oid, format_oid, oid_of
from dver.formats import purged as notes
from dver.formats.purged import Purged, PurgedObject
from dver.ops.sharing.pull import PullOptions, pull
from dver.ops.sharing.push import PushOptions, push
from dver.ops.sharing.remote import AddRemoteOptions, add_remote, trust_remote
from dver.ops.upkeep.purge import PurgeOptions, purge
from dver.store import walk
from tests.support.gitrepo import GitRepo
from tests.support.workrepo import WorkRepo


def run(repo: WorkRepo, operation: Any, options: Any) -> Any:
    return repo._run(operation, options, "")


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    return tmp_path / "nas"


@pytest.fixture
def repo(tmp_path: Path, nas: Path) -> WorkRepo:
    made = WorkRepo.create(tmp_path / "repo")
    made.write("data/a", "a")
    made.write("data/sub/b", "b")
    made.write("data/sub/c", "c")
    made.add("data")
    run(made, add_remote, AddRemoteOptions("nas", str(nas)))
    made.commit("one")
    run(made, push, PushOptions())
    return made


@pytest.fixture
def clone(repo: WorkRepo, tmp_path: Path) -> WorkRepo:
    made = WorkRepo(GitRepo.clone(repo.path, tmp_path / "clone").path)
    trust_remote(made.open(), "nas")
    return made


def plant(remote: Path, oid: Oid, kind: str) -> None:
    """Write word of a purge that never was."""
    word = Purged("ab" * 16, 1_700_000_000, "Mallory", "bad", (PurgedObject(oid, kind),))
    place = remote / f"trash/{word.id}.purged"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(notes.encode(word))


def listing(repo: WorkRepo, path: str) -> Oid:
    opened = repo.open()
    try:
        found = walk.find(opened.store, repo.pointer("data").oid, path.encode())
        assert found is not None
        return found.oid
    finally:
        opened.close()


def learn(clone: WorkRepo) -> None:
    """Learn of all words, as a push does."""
    clone.write("other", "other")
    clone.add("other")
    clone.commit("other")
    run(clone, push, PushOptions())


@pytest.mark.parametrize("what", ["top", "listing", "file"])
def test_planted_word_of_a_purge_makes_nothing_empty(
    repo: WorkRepo, nas: Path, clone: WorkRepo, what: str
) -> None:
    oid = {
        "top": repo.pointer("data").oid,
        "listing": listing(repo, "sub"),
        "file": oid_of(b"c"),
    }[what]
    plant(nas, oid, "file" if what == "file" else "tree")
    learn(clone)
    with pytest.raises(MissingContentError):
        run(clone, pull, PullOptions())
    clone.write("data/new", "new")
    before = clone.pointer("data")
    with pytest.raises(RefusedError, match="not all of data is here") as caught:
        clone.add("data")
    assert clone.pointer("data") == before
    assert "Mallory" in caught.value.message
    assert f"dver purge --lift {format_oid(oid)}" in (caught.value.hint or "")
    # What the hint says helps.
    run(clone, purge, PurgeOptions((format_oid(oid),), lift=True))
    run(clone, pull, PullOptions())
    clone.add("data")
    assert clone.pointer("data").files == 4


def test_a_listing_that_was_never_here_is_not_replaced_by_accident(clone: WorkRepo) -> None:
    clone.write("data/new", "new")
    with pytest.raises(RefusedError, match="not all of data is here") as caught:
        clone.add("data")
    assert (caught.value.hint or "").startswith("'dver pull data'")
    with pytest.raises(RefusedError, match="not all of data is here"):
        clone.add(update=True)
    clone.add("data", replace=True)
    assert clone.pointer("data").files == 1


def test_an_older_version_does_not_replace_one_that_was_not_fetched(
    repo: WorkRepo, clone: WorkRepo
) -> None:
    run(clone, pull, PullOptions())
    repo.write("data/theirs", "theirs")
    repo.add("data")
    repo.commit("two")
    run(repo, push, PushOptions())
    clone.git("pull")
    clone.write("data/mine", "mine")
    with pytest.raises(RefusedError, match="not all of data is here"):
        clone.add("data")
    run(clone, pull, PullOptions())
    clone.add("data")
    assert set(clone.tree("data")) == {"a", "mine", "theirs", "sub/b", "sub/c"}
    assert clone.pointer("data").files == 5


def test_a_store_that_was_lost_is_filled_from_the_workspace(repo: WorkRepo) -> None:
    repo.lose_store()
    repo.add("data")
    repo.lose_store()
    repo.write("data/more", "more")
    repo.unlink("data/a")
    repo.add("data")
    assert repo.pointer("data").files == 3


def test_what_was_here_and_was_purged_here_is_recorded_as_gone(repo: WorkRepo) -> None:
    oid = listing(repo, "sub")
    run(repo, purge, PurgeOptions((format_oid(oid),)))
    repo.unlink("data/sub/b", "data/sub/c")
    repo.add("data")
    assert repo.pointer("data").files == 1
