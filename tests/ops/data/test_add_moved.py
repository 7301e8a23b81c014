"""Adding data that did not follow when git moved its pointer."""

from __future__ import annotations

import pytest

from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo


@pytest.fixture
def dver(git_repo: GitRepo) -> Dver:
    """Two versions of a directory and a file; git has gone on to the second, the data has not."""
    run = Dver(git_repo.path)
    run("init", "-q")
    for text in ("one", "two"):
        git_repo.write("data/x", text)
        git_repo.write("model", text)
        run("add", "-q", "data", "model")
        git_repo.commit(text)
        git_repo.git("tag", text)
    git_repo.git("checkout", "-q", "one")
    run("checkout", "-q")
    git_repo.git("checkout", "-q", "main")
    return run


@pytest.mark.parametrize("words", [("data",), ("model",), ("-u",)])
def test_others_work_is_not_taken_back(
    dver: Dver, git_repo: GitRepo, words: tuple[str, ...]
) -> None:
    done = dver("add", *words, code=5)
    name = "model" if words == ("model",) else "data"
    assert done.stderr == (
        f"error: {name} did not change since git moved its pointer: adding it would take the"
        " pointer back to what it was\n"
        f"hint: 'dver checkout {name}' brings the data in line; 'dver add --replace {name}' records"
        " what is here\n"
    )
    assert git_repo.git("status", "--porcelain") == ""
    dver("checkout", "-q")
    assert (git_repo.path / "model").read_text() == "two"
    assert "unchanged  2 targets" in dver("add", "-u").stdout


def test_who_means_it_says_so(dver: Dver, git_repo: GitRepo) -> None:
    dver("add", "-q", "--replace", "data", "model")
    assert git_repo.git("diff", "--stat", "one") == ""


def test_a_change_on_top_is_taken_with_a_warning(dver: Dver, git_repo: GitRepo) -> None:
    git_repo.write("data/y", "mine")
    done = dver("add", "data")
    assert done.stderr == (
        "warning: git moved the pointer of data since its data was brought here: what came with"
        " that is not in what was added\n"
        "hint: 'dver diff HEAD data' shows what differs\n"
    )
    assert "updated    data" in done.stdout


def test_the_same_by_another_way_is_no_step_back(dver: Dver, git_repo: GitRepo) -> None:
    git_repo.write("data/x", "two")
    done = dver("add", "data")
    assert (done.stderr, "unchanged" in done.stdout) == ("", True)


def test_what_a_command_made_counts(dver: Dver, git_repo: GitRepo) -> None:
    """It may well make again what was there before."""
    dver("run", "-q", "-o", "model", "--", "sh", "-c", "printf one > model")
    assert "model.dver" in git_repo.git("status", "--porcelain")
