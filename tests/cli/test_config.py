"""``dver config``."""

from __future__ import annotations

from tests.support.cli import Dver

USER = "~/.config/dver/config.yaml"


def test_set_get_and_unset_in_this_clone(dver: Dver) -> None:
    assert dver("config", "get", "core.jobs", code=1).stdout == ""
    assert dver("config", "set", "core.jobs", "8").stdout == (
        "core.jobs = 8 in .git/dver/config.yaml\n"
    )
    assert dver("config", "set", "core.jobs", "8").stdout == (
        "core.jobs = 8 in .git/dver/config.yaml, as before\n"
    )
    assert dver("config", "get", "core.jobs").stdout == "8\n"
    assert dver("config", "get", "--show-origin", "core.jobs").stdout == (
        "local\t.git/dver/config.yaml\t8\n"
    )
    assert dver("config", "unset", "core.jobs").stdout == (
        "removed core.jobs from .git/dver/config.yaml\n"
    )
    assert dver("config", "unset", "core.jobs", code=1).stdout == (
        "core.jobs is not set in .git/dver/config.yaml\n"
    )


def test_levels_and_precedence(dver: Dver) -> None:
    dver("config", "set", "--user", "core.remote", "a", "-q")
    dver("config", "set", "--repository", "core.remote", "b", "-q")
    assert dver("config", "get", "core.remote").stdout == "b\n"
    assert dver("config", "get", "--user", "core.remote").stdout == "a\n"
    done = dver("config", "set", "--user", "core.remote", "c")
    assert done.stderr == (
        "warning: core.remote is set by .dver/config.yaml too, which has precedence\n"
    )
    env = {"DVER_CORE_REMOTE": "e"}
    assert dver("config", "get", "--show-origin", "core.remote", env=env).stdout == (
        "environment\tDVER_CORE_REMOTE\te\n"
    )
    assert dver("-c", "core.remote=f", "config", "get", "core.remote", env=env).stdout == "f\n"


def test_the_default_is_a_value(dver: Dver) -> None:
    assert dver("config", "get", "core.link", "--json").result == {
        "key": "core.link",
        "value": "auto",
        "level": "default",
        "origin": "default",
        "help": dver("config", "get", "core.link", "--json").result["help"],
    }


def test_list(dver: Dver) -> None:
    dver("config", "set", "core.jobs", "8", "-q")
    dver("config", "set", "--repository", "core.remote", "origin", "-q")
    assert dver("config", "list").stdout == "core.jobs=8\ncore.remote=origin\n"
    assert dver("config", "list", "--show-origin").stdout == (
        "local       .git/dver/config.yaml  core.jobs=8\n"
        "repository  .dver/config.yaml      core.remote=origin\n"
    )
    assert dver("config", "list", "--local").stdout == "core.jobs=8\n"
    every = dver("config", "list", "--all", "--json").result["settings"]
    assert {"core.link", "store.path"} < {entry["key"] for entry in every}
    assert all(entry["help"] for entry in every)


def test_outside_a_repository_only_the_user_level_is_there(outside: Dver) -> None:
    outside("config", "set", "--user", "core.jobs", "4", "-q")
    assert outside("config", "get", "core.jobs").stdout == "4\n"
    assert outside("config", "set", "core.jobs", "4", code=11).stderr.startswith(
        "error: there is no local configuration here\nhint: "
    )


def test_bad_settings(dver: Dver) -> None:
    assert dver("config", "get", "core.job", code=11).stderr == (
        "error: there is no setting 'core.job'\nhint: did you mean 'core.jobs'?\n"
    )
    assert dver("config", "set", "core.jobs", "many", code=11).stderr == (
        "error: core.jobs is not a number from 1 to 1024: 'many'\n"
    )
    assert dver("config", "set", "--user", "--local", "core.jobs", "1", code=2).stderr == (
        "error: --user and --local exclude each other\n"
    )
    assert dver("config", "set", "--repository", "store.path", "/tmp", code=11).stderr == (
        "error: store.path cannot be set for everybody through git\n"
        "hint: dver config set --local store.path VALUE\n"
    )
    assert not (dver.cwd / ".git" / "dver" / "config.yaml").exists()


def test_a_broken_file_is_named(dver: Dver) -> None:
    (dver.cwd / ".dver" / "config.yaml").write_text("core: [1]\n")
    assert dver("config", "list", code=11).stderr == (
        "error: .dver/config.yaml, line 1: the value of 'core' is a list\n"
    )
