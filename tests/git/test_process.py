"""Running git."""

from __future__ import annotations

import pytest

from dver.base.errors import RepositoryError
from dver.git.repository import Git
from tests.support.gitrepo import GitRepo


def test_an_answer_is_waited_for_when_it_is_wanted(git_repo: GitRepo) -> None:
    commit = git_repo.commit("first")
    git = Git.discover(git_repo.path)
    with git.asking("rev-parse", "HEAD") as answer:
        assert git.branch() == "main"
        assert answer().decode().strip() == commit


def test_an_answer_that_nobody_waits_for_leaves_no_process(git_repo: GitRepo) -> None:
    # A process left behind would be told by a ResourceWarning, which fails the test.
    git = Git.discover(git_repo.path)
    with pytest.raises(ZeroDivisionError), git.asking("cat-file", "--batch"):
        raise ZeroDivisionError


def test_an_answer_that_fails(git_repo: GitRepo) -> None:
    git = Git.discover(git_repo.path)
    with pytest.raises(RepositoryError, match="rev-parse"), git.asking("rev-parse", "no") as answer:
        answer()
    with git.asking("rev-parse", "--verify", "-q", "no", answers=(1,)) as answer:
        assert answer() == b""
