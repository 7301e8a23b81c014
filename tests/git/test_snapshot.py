"""Keeping the files of a working tree as a commit."""

from __future__ import annotations

import os

from dver.git import snapshot
from dver.git.repository import Git
from tests.support.gitrepo import GitRepo


def test_an_edit_in_the_instant_of_the_commit_is_kept(git_repo: GitRepo) -> None:
    # Only by the time of its index can git tell that the file may have changed since it was added.
    git_repo.git("config", "core.trustctime", "false")
    path = git_repo.write("train.py", "steps = 1\n")
    git_repo.commit("first")
    added = os.stat(path)
    path.write_text("steps = 2\n")
    for one in (path, git_repo.path / ".git" / "index"):
        os.utime(one, ns=(added.st_mtime_ns, added.st_mtime_ns))
    kept = snapshot.take(Git.discover(git_repo.path))
    assert kept.snapshot
    assert git_repo.git("show", f"{kept.snapshot}:train.py") == "steps = 2"
