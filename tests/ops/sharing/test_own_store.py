"""No remote is in the store of a clone, by whatever path: what is pushed there is no copy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dver.base.errors import RefusedError
from dver.ops.sharing.fetch import FetchOptions, fetch
from dver.ops.sharing.push import PushOptions, push
from dver.ops.sharing.remote import AddRemoteOptions, add_remote, set_remote
from tests.support.gitrepo import GitRepo
from tests.support.workrepo import WorkRepo


def run(repo: WorkRepo, operation: Any, options: Any) -> Any:
    return repo._run(operation, options, "")


@pytest.fixture
def repo(tmp_path: Path) -> WorkRepo:
    made = WorkRepo.create(tmp_path / "repo")
    made.write("data/a", "a")
    made.add("data")
    made.commit("one")
    return made


def files(top: Path) -> list[str]:
    return sorted(str(path) for path in top.rglob("*"))


@pytest.mark.parametrize(
    "place",
    [
        "{repo}/.git/dver",
        "file://{repo}/.git/dver",
        "{repo}/.git/dver/packs",
        "{repo}/.git/dver/new/deep",
        "{repo}/sub/../.git/dver/",
        ".git/dver",
        "{link}",
        "{link}/inside",
        "{parts}",
    ],
)
def test_the_own_store_is_refused(repo: WorkRepo, tmp_path: Path, place: str) -> None:
    link = tmp_path / "link"
    link.symlink_to(repo.path / ".git/dver")
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "packs").symlink_to(repo.path / ".git/dver/packs")
    url = place.format(repo=repo.path, link=link, parts=parts)
    before = files(repo.path)
    with pytest.raises(RefusedError, match="cannot be a remote"):
        run(repo, add_remote, AddRemoteOptions("me", url))
    assert files(repo.path) == before
    assert not (repo.path / ".dver/config.yaml").read_text().count("me:")
    # Nor is one used that came in another way.
    location = str(repo.path / ".git/dver") if url == ".git/dver" else url
    config = repo.path / ".git/dver/config.yaml"
    config.write_text(f"remote:\n  me:\n    url: {location}\n")
    before = files(repo.path)
    for operation, options in ((push, PushOptions()), (fetch, FetchOptions())):
        with pytest.raises(RefusedError, match="cannot be a remote"):
            run(repo, operation, options)
    assert files(repo.path) == before


def test_a_url_is_not_set_to_it_either(repo: WorkRepo, tmp_path: Path) -> None:
    run(repo, add_remote, AddRemoteOptions("nas", str(tmp_path / "nas")))
    with pytest.raises(RefusedError, match="cannot be a remote"):
        set_remote(repo.open(), "nas", "url", str(repo.path / ".git/dver"))
    run(repo, push, PushOptions())


def test_a_store_that_was_moved_is_found_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVER_STORE_PATH", str(tmp_path / "store"))
    made = WorkRepo.create(tmp_path / "repo")
    made.write("a", "a")
    made.add("a")
    os.symlink(tmp_path / "store", tmp_path / "link")
    for place in ("store", "store/x", "link"):
        with pytest.raises(RefusedError, match="cannot be a remote"):
            run(made, add_remote, AddRemoteOptions("me", str(tmp_path / place)))
    # Beside it, and above it, is another matter.
    run(made, add_remote, AddRemoteOptions("beside", str(tmp_path / "store2")))


def test_the_store_of_another_clone_gets_no_pushes(repo: WorkRepo, tmp_path: Path) -> None:
    other = WorkRepo(GitRepo.clone(repo.path, tmp_path / "other").path)
    with pytest.raises(RefusedError, match="another clone"):
        run(other, add_remote, AddRemoteOptions("first", str(repo.path / ".git/dver")))
    (other.path / ".git/dver").mkdir(exist_ok=True)
    config = other.path / ".git/dver/config.yaml"
    config.write_text(f"remote:\n  first:\n    url: {repo.path}/.git/dver\n")
    run(other, fetch, FetchOptions())
    with pytest.raises(RefusedError, match="another clone"):
        run(other, push, PushOptions())
