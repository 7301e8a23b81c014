"""Looking into another repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dver.base.errors import RemoteError
from dver.git import pointers
from dver.git.clone import clone_bare
from tests.support.gitrepo import GitRepo


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_pointers_of_any_revision(git_repo: GitRepo, tmp_path: Path, scheme: str) -> None:
    git_repo.git("config", "uploadpack.allowFilter", "true")
    git_repo.git("config", "uploadpack.allowAnySHA1InWant", "true")
    one = git_repo.commit("one", **{"x.dver": "1", "large": os.urandom(100_000)})
    git_repo.git("tag", "v1")
    git_repo.commit("two", **{"x.dver": "2"})
    environ = {**os.environ, "GIT_DIR": str(git_repo.path / ".git")}
    git = clone_bare(f"{scheme}{git_repo.path}", tmp_path / "clone", environ=environ)
    assert git.root == tmp_path / "clone"
    assert git.is_bare
    assert git.resolve("v1") == one
    found = pointers.at_revision(git, one)
    assert pointers.read_blobs(git, [blob for _, blob in found]) == {found[0][1]: b"1"}
    size = sum(file.stat().st_size for file in git.root.rglob("*") if file.is_file())
    assert size < 60_000


@pytest.mark.parametrize("url", ["/nope", "--upload-pack=touch /tmp/x", "ext::sh -c touch% /tmp/x"])
def test_failure(tmp_path: Path, url: str) -> None:
    with pytest.raises(RemoteError, match="git cannot clone"):
        clone_bare(url, tmp_path / "clone")
    assert not (tmp_path / "clone").exists()


def test_no_password_in_messages(tmp_path: Path) -> None:
    with pytest.raises(RemoteError) as caught:
        clone_bare("http://me:hunter2@127.0.0.1:9/x", tmp_path / "clone")
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.__cause__ is None
    assert "http://127.0.0.1:9/x" in caught.value.message
