"""Configuration that came with a repository: it runs nothing, moves nothing, sends nothing."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo
from tests.support.workbench import read_back


@pytest.fixture
def dver(git_repo: GitRepo) -> Dver:
    run = Dver(git_repo.path)
    run("init", "-q")
    git_repo.write("x", "data")
    run("add", "-q", "x")
    git_repo.commit("one")
    return run


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was connected to."""
    made: list[Any] = []

    def connect(_self: socket.socket, address: Any) -> None:
        made.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return made


def commit_config(repo: GitRepo, text: str) -> None:
    repo.write(".dver/config.yaml", text)
    repo.commit("settings")


FORBIDDEN = {
    "store.path": "store:\n  path: /tmp\n",
    "core.link": "core:\n  link: symlink\n",
    "core.jobs": "core:\n  jobs: 1000\n",
    "core.workers": "core:\n  workers: 1000\n",
    "core.copies": "core:\n  copies: 1\n",
    "core.pager": "core:\n  pager: touch pwned\n",
    "alias.o": "alias:\n  o: status\n",
    "hooks.checkout": "hooks:\n  checkout: true\n",
    "hooks.push": "hooks:\n  push: 'off'\n",
    "hooks.stale": "hooks:\n  stale: 'off'\n",
    "hooks.max_file_size": "hooks:\n  max_file_size: 1\n",
    "gc.grace": "gc:\n  grace: 0\n",
    "core.autostage": "core:\n  autostage: true\n",
    "remote.o.profile": "remote:\n  o:\n    url: s3://b/p\n    profile: prod\n",
    "remote.o.ca_bundle": "remote:\n  o:\n    url: s3://b/p\n    ca_bundle: /tmp/evil.pem\n",
    "remote.o.timeout": "remote:\n  o:\n    url: s3://b/p\n    timeout: 80000\n",
    "remote.o.retries": "remote:\n  o:\n    url: s3://b/p\n    retries: 100\n",
}


@pytest.mark.parametrize("key", FORBIDDEN)
@pytest.mark.parametrize("command", ["status", "push", "fetch", "checkout"])
def test_settings_that_are_nobody_elses_business(
    dver: Dver, git_repo: GitRepo, calls: list[Any], key: str, command: str
) -> None:
    commit_config(git_repo, FORBIDDEN[key])
    done = dver(command, code=11)
    assert f".dver/config.yaml: {key} cannot be set for everybody" in done.stderr
    assert calls == []


def test_the_table_of_forbidden_settings_is_complete() -> None:
    from dver.config.schema import SETTINGS

    kept = {one.key.replace("*", "o") for one in SETTINGS if not one.committed}
    assert set(FORBIDDEN) == kept


@pytest.mark.parametrize(
    "text",
    [
        "core: !!python/object/apply:os.system ['touch pwned']\n",
        "remote:\n  o:\n    url: s3://b/p\n    command: touch pwned\n",
        "remote:\n  o:\n    url: s3://b/p\n    credential_process: touch pwned\n",
        "remote:\n  o:\n    url: s3://b/p\n    region: evil.example.com/\n",
        "remote:\n  o:\n    url: s3://b/p\n    region: x@evil.example.com\n",
        "remote:\n  o:\n    url: s3://b/p\n    endpoint_url: file:///etc\n",
        "remote:\n  o:\n    url: s3://b/p\n    endpoint_url: https://a@evil.example.com\n",
        "remote:\n  o:\n    url: s3://b/p\n    endpoint_url: https://h/?x=$(touch pwned)\n",
        'remote:\n  o:\n    url: "s3://b/p\\e]0;title\\a"\n',
        "remote:\n  '../../x':\n    url: s3://b/p\n",
        "remote:\n  -rf:\n    url: s3://b/p\n",
        "core:\n  remote: --upload-pack=x\n",
        "remote:\n  o:\n    url: s3://key:secret@b/p\n",
        "remote:\n  o:\n    url: s3://key:sec/ret@b/p\n",
        "a: &a {b: c}\nd: *a\n",
        "core:\n  remote: a\ncore:\n  remote: b\n",
        "x" * (2 << 20),
        "\x00",
        "\xff",
    ],
)
def test_values_that_mean_harm(dver: Dver, git_repo: GitRepo, calls: list[Any], text: str) -> None:
    commit_config(git_repo, text)
    for command in ("status", "remote", "fetch", "push", "doctor"):
        done = dver.attempt(command)
        assert done.exit_code in ((1,) if command == "doctor" else (11,)), (command, done)
        for line in (done.stdout + done.stderr).split("\n"):
            assert line.replace("\t", " ").isprintable()
        assert "sec/ret" not in done.stdout + done.stderr
    assert calls == []
    assert not list(git_repo.path.rglob("pwned"))


@pytest.mark.parametrize(
    "url",
    [
        "filecache::s3://b/p",
        "simplecache::http://127.0.0.1:1/p",
        "reference://x",
        "zip:///etc/x.zip",
        "tar://x",
        "git://x/y",
        "jupyter://x",
        "dask://x",
        "data:text/plain,x",
        "s3://b/../../x",
        "s3:///p",
        "s3://../p",
    ],
)
def test_places_that_are_none(dver: Dver, git_repo: GitRepo, calls: list[Any], url: str) -> None:
    commit_config(git_repo, f"core:\n  remote: o\nremote:\n  o:\n    url: '{url}'\n")
    before = read_back(os.fsencode(git_repo.path))
    for command in ("fetch", "pull", "push"):
        done = dver.attempt(command)
        assert done.exit_code < 70, done
        assert done.exit_code or not url.partition(":")[2].startswith("//"), done
    assert calls == []
    after = read_back(os.fsencode(git_repo.path))
    assert {name for name in after if not name.startswith(b".git/")} == {
        name for name in before if not name.startswith(b".git/")
    }


def test_no_byte_is_sent_to_a_place_that_came_with_the_repository(
    dver: Dver, git_repo: GitRepo, calls: list[Any]
) -> None:
    commit_config(
        git_repo,
        "core:\n  remote: o\nremote:\n  o:\n    url: s3://b/p\n"
        "    endpoint_url: http://127.0.0.1:9\n    region: us-east-1\n",
    )
    done = dver("push", code=11)
    assert "agreed to send data" in done.stderr
    done = dver("push", "--dry-run", code=11)
    assert calls == []
    for command in ("status", "ls", "log", "du", "diff", "add", "gc", "fsck"):
        done = dver.attempt(command, *(["x"] if command in ("add", "log") else []))
        assert done.exit_code in (0, 1), done
    assert calls == []


def test_looking_at_a_directory_that_came_with_the_repository_changes_nothing(
    dver: Dver, git_repo: GitRepo, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    commit_config(git_repo, f"core:\n  remote: o\nremote:\n  o:\n    url: {there}\n")
    for words in (("fetch",), ("pull",), ("push",), ("remote", "check"), ("doctor",), ("gc",)):
        dver.attempt(*words)
    assert list(there.iterdir()) == []
    assert not (git_repo.path / ".git/dver/trusted").exists()


def test_a_configuration_that_is_no_plain_file(
    dver: Dver, git_repo: GitRepo, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2: [\n")
    path = git_repo.path / ".dver/config.yaml"
    path.unlink()
    path.symlink_to(secret)
    done = dver("status", code=11)
    assert "symlink" in done.stderr
    assert "hunter2" not in done.stderr
    path.unlink()
    os.mkfifo(path)
    assert dver.attempt("status").exit_code == 11
    path.unlink()
    path.mkdir()
    assert dver.attempt("status").exit_code in (10, 11)
    path.rmdir()
    path.parent.rmdir()
    path.parent.symlink_to(tmp_path)
    assert dver.attempt("status").exit_code in (3, 11)


def test_settings_of_git_that_a_repository_cannot_bring_are_left_to_git(
    dver: Dver, git_repo: GitRepo
) -> None:
    """dver's calls of git run no external diff, no text conversion, and no pager."""
    git_repo.write(".gitattributes", "*.dver diff=evil filter=evil\n")
    for key in ("diff.evil.command", "diff.evil.textconv", "filter.evil.smudge", "core.pager"):
        git_repo.git("config", key, "touch pwned; cat")
    git_repo.git("config", "filter.evil.clean", "touch pwned-by-git; cat")
    env = {"GIT_EXTERNAL_DIFF": "touch pwned", "GIT_PAGER": "touch pwned", "PAGER": "touch pwned"}
    for words in (("status",), ("diff", "HEAD"), ("log", "x"), ("ls", "--rev", "HEAD"), ("fsck",)):
        dver(*words, env=env, code=0)
    assert not list(git_repo.path.rglob("pwned"))


def test_a_git_in_the_repository_is_not_run(
    dver: Dver, git_repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("git", "git.exe", "git.bat"):
        git_repo.write(name, "#!/bin/sh\ntouch pwned\n").chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join((".", "", os.environ["PATH"])))
    done = dver.attempt("status")
    assert done.exit_code in (0, 10)
    assert not list(git_repo.path.rglob("pwned"))
