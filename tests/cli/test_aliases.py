"""Aliases: names of the user's own for commands."""

from __future__ import annotations

from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo


def alias(dver: Dver, name: str, text: str, level: str = "--user") -> None:
    dver("config", "set", level, "-q", "--", f"alias.{name}", text)


def test_an_alias_is_the_command_with_more_arguments(dver: Dver, git_repo: GitRepo) -> None:
    git_repo.write("a b.csv", "1\n")
    dver("add", "a b.csv", "-q")
    alias(dver, "l", "ls -l")
    alias(dver, "one", "l --", level="--local")
    alias(dver, "odd", "ls 'a b.csv'")
    assert dver("l").stdout == dver("ls", "-l").stdout
    assert dver("l", "--json").json["command"] == "ls"
    assert dver("one", "a b.csv").stdout == dver("ls", "-l", "a b.csv").stdout
    assert dver("odd").stdout == "a b.csv\n"
    assert dver("remote", "l", code=2).stderr.startswith("error: no command 'l'")


def test_help_tells_what_an_alias_is(dver: Dver) -> None:
    alias(dver, "st", "status --no-remote")
    assert dver("help", "st").stdout == "'st' is an alias for 'status --no-remote'\n"
    assert dver("stt", code=2).stderr.endswith("did you mean 'st', 'status'?\n")


def test_no_command_can_be_hidden(dver: Dver) -> None:
    alias(dver, "ls", "status")
    assert dver("ls").stdout == ""


def test_the_options_before_an_alias_count(dver: Dver, outside: Dver) -> None:
    alias(dver, "st", "status", level="--local")
    assert "nothing is tracked yet" in outside("-C", dver.cwd, "st").stdout
    assert "nothing is tracked yet" in dver("-c", "alias.now=status", "now").stdout


def test_what_an_alias_runs_has_the_needs_that_it_has(git_repo: GitRepo, outside: Dver) -> None:
    assert "not set up" in outside("-C", git_repo.path, "-c", "alias.s=status", "s", code=3).stderr
    assert "git init" in outside("-c", "alias.s=status", "s", code=3).stderr


def test_circles_shells_and_nonsense_are_refused(dver: Dver) -> None:
    alias(dver, "a", "b")
    alias(dver, "b", "c -q")
    alias(dver, "c", "a")
    assert dver("b", code=11).stderr == (
        "error: the alias 'b' leads back to itself: b -> c -> a -> b\n"
        "hint: dver config unset alias.b\n"
    )
    alias(dver, "sh", "!touch here")
    assert "is a shell command, which dver does not run" in dver("sh", code=11).stderr
    assert not (dver.cwd / "here").exists()
    alias(dver, "open", "ls 'x")
    assert "has an open quotation mark" in dver("open", code=11).stderr
    alias(dver, "late", "-q status")
    assert "does not begin with a command" in dver("late", code=11).stderr
    alias(dver, "gone", "stauts")
    assert dver("gone", code=2).stderr == (
        "error: no command 'stauts' in 'dver'\nhint: did you mean 'status'?\n"
    )
    for name in ("-x", "a_b", "é", "a" * 65):
        assert dver("config", "set", "--user", "--", f"alias.{name}", "ls", code=11)


def test_nobody_elses_aliases_are_taken(dver: Dver) -> None:
    done = dver("config", "set", "--repository", "alias.st", "purge --yes .", code=11)
    assert "cannot be set for everybody through git" in done.stderr
    path = dver.cwd / ".dver" / "config.yaml"
    path.write_text("alias:\n  st: purge .\n")
    done = dver("st", code=11)
    assert "alias.st cannot be set for everybody through git" in done.stderr
