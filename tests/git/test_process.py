"""Running git."""

from __future__ import annotations

import pytest

from dver.base.errors import RepositoryError
from dver.git.repository import Git
from tests.support.gitrepo import GitRepo


def test_an_answer_is_waited_for_when_it_is_wanted(git_repo: GitRepo) -> None:
    commit = git_repo.commit("first")
    git = Git.discover(git_repo.path)
    with git.asked("rev-parse", "HEAD") as asked:
        assert git.branch() == "main"
        assert asked.answer() == (0, f"{commit}\n".encode())


def test_an_answer_that_nobody_waits_for_leaves_no_process(git_repo: GitRepo) -> None:
    git = Git.discover(git_repo.path)
    with pytest.raises(ZeroDivisionError), git.asked("rev-parse", "HEAD") as asked:
        raise ZeroDivisionError
    assert asked._process.returncode is not None


def test_an_answer_that_fails(git_repo: GitRepo) -> None:
    git = Git.discover(git_repo.path)
    with pytest.raises(RepositoryError, match="rev-parse"), git.asked("rev-parse", "no") as asked:
        asked.answer()
    with git.asked("rev-parse", "--verify", "-q", "no") as asked:
        assert asked.answer((1,)) == (1, b"")
