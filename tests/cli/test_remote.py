"""``dver remote``: what is configured; what remotes can do is tested with the storages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo
from tests.support.s3server import S3Server, Scripted


def config(dver: Dver) -> str:
    lines = (dver.cwd / ".dver" / "config.yaml").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


def test_the_first_remote_becomes_the_default(dver: Dver) -> None:
    assert dver("remote", "add", "origin", "s3://acme/fraud").stdout == (
        "added origin s3://acme/fraud (default)\ncommit .dver/config.yaml to share it\n"
    )
    assert dver("remote", "add", "backup", "s3://acme-2/fraud").stdout == (
        "added backup s3://acme-2/fraud\ncommit .dver/config.yaml to share it\n"
    )
    assert dver("remote").stdout == (
        "backup  s3://acme-2/fraud\norigin  s3://acme/fraud    (default)\n"
    )
    assert dver("remote", "default").stdout == "origin\n"
    assert dver("remote", "add", "--default", "third", "s3://acme-3/x", "-q").stdout == ""
    assert dver("remote", "default").stdout == "third\n"
    assert dver("remote", "default", "backup").stdout == "the default remote is backup\n"
    assert dver("remote", "default").stdout == "backup\n"


def test_adding_again(dver: Dver) -> None:
    dver("remote", "add", "origin", "s3://acme/fraud")
    assert dver("remote", "add", "origin", "s3://acme/fraud").stdout == (
        "already there: origin s3://acme/fraud (default)\n"
    )
    assert dver("remote", "add", "origin", "s3://other/x", code=5).stderr == (
        "error: there is a remote 'origin' already, and its URL is s3://acme/fraud\n"
        "hint: dver remote set origin url s3://other/x\n"
    )


def test_a_directory_is_stored_relative_to_the_repository(dver: Dver) -> None:
    (dver.cwd / "sub").mkdir()
    dver("-C", "sub", "remote", "add", "nas", "../../share")
    assert config(dver) == "remote:\n  nas:\n    url: ../share\ncore:\n  remote: nas"
    dver("remote", "add", "--local", "mine", "../mine")
    info = {entry["name"]: entry for entry in dver("remote", "--json").result["remotes"]}
    assert info["mine"]["url"] == str(dver.cwd.parent / "mine")
    assert info["mine"]["level"] == "local"
    assert info["nas"]["default"] is True


def test_options(dver: Dver) -> None:
    dver("remote", "add", "origin", "s3://acme/fraud", "-q")
    assert dver("remote", "set", "origin", "region", "eu-west-1").stdout == (
        "origin: region = eu-west-1\n"
    )
    assert dver("remote", "set", "origin", "region", "eu-west-1").stdout == (
        "origin: region = eu-west-1, as before\n"
    )
    # What may not be shared goes to the local settings without being asked.
    dver("remote", "set", "origin", "profile", "team", "-q")
    assert "team" not in config(dver)
    assert dver("config", "get", "--local", "remote.origin.profile").stdout == "team\n"
    assert dver("remote", "list", "-v").stdout == (
        "origin  s3://acme/fraud  (default)\n"
        "    repository: .dver/config.yaml\n"
        "    region: eu-west-1\n"
        "    profile: team\n"
    )
    dver("remote", "unset", "origin", "region")
    dver("remote", "unset", "origin", "region", code=1)
    assert "eu-west-1" not in config(dver)
    assert dver("remote", "set", "origin", "regoin", "x", code=11).stderr == (
        "error: there is no setting 'remote.origin.regoin'\n"
        "hint: did you mean 'remote.origin.region'?\n"
    )
    assert dver("remote", "set", "origin", "foo", "x", code=11).stderr == (
        "error: there is no setting 'remote.origin.foo'\n"
        "hint: 'dver config list --all' shows every setting\n"
    )


def test_rename_and_remove(dver: Dver) -> None:
    dver("remote", "add", "origin", "s3://acme/fraud", "-q")
    dver("remote", "set", "origin", "region", "eu-west-1", "-q")
    assert dver("remote", "rename", "origin", "main").stdout == "renamed origin to main\n"
    assert dver("remote", "default").stdout == "main\n"
    assert dver("config", "get", "remote.main.region").stdout == "eu-west-1\n"
    assert dver("remote", "rename", "origin", "x", code=4).stderr == (
        "error: there is no remote 'origin'\nhint: there are: main\n"
    )
    assert dver("remote", "remove", "main").stdout == (
        "removed main from the settings; its data is untouched\n"
    )
    assert dver("remote").stderr == "no remote yet (use 'dver remote add NAME URL')\n"
    assert dver("remote", "default", code=4).stderr == (
        "error: no remote is set up\nhint: dver remote add NAME URL\n"
    )


@pytest.mark.parametrize(
    "url",
    ["s3://key:secret@bucket/x", "https://example.com/x?token=secret", "https://secret@host/x"],
)
def test_credentials_in_urls_are_refused_and_not_repeated(dver: Dver, url: str) -> None:
    done = dver("remote", "add", "origin", url, code=11)
    assert done.stderr.startswith("error: remote.origin.url holds credentials\nhint: ")
    assert "secret" not in done.stderr
    assert "secret" not in config(dver)


def test_a_remote_that_came_with_the_repository_has_to_be_trusted(
    dver: Dver, git_repo: GitRepo, tmp_path: Path
) -> None:
    dver("remote", "add", "origin", "s3://acme/fraud", "-q")
    git_repo.commit("set up")
    clone = Dver(GitRepo.clone(git_repo.path, tmp_path / "clone").path)
    assert clone("remote").stdout == "origin  s3://acme/fraud  (default, not trusted yet)\n"
    assert clone("remote", "trust").stdout == "data may be sent to s3://acme/fraud\n"
    assert clone("remote", "trust", "origin").stdout == "trusted already: s3://acme/fraud\n"
    assert clone("remote").stdout == "origin  s3://acme/fraud  (default)\n"
    (clone.cwd / ".dver" / "config.yaml").write_text(
        "core:\n  remote: origin\nremote:\n  origin:\n    url: s3://evil/fraud\n"
    )
    assert clone("remote").stdout == "origin  s3://evil/fraud  (default, not trusted yet)\n"


def test_a_directory_is_made_when_it_is_added(dver: Dver, tmp_path: Path) -> None:
    assert dver("remote", "add", "nas", "../nas").stdout == (
        "added nas ../nas (default)\n"
        f"made the directory {tmp_path}/nas\n"
        "commit .dver/config.yaml to share it\n"
    )
    assert (tmp_path / "nas").is_dir()
    assert dver("remote", "add", "far", "../not/there").stderr == (
        f"warning: the directory {tmp_path}/not/there does not exist\n"
        f"hint: mkdir -p {tmp_path}/not/there\n"
    )
    assert not (tmp_path / "not").exists()


def test_check(dver: Dver, tmp_path: Path) -> None:
    dver("remote", "add", "nas", "../nas", "-q")
    assert dver("remote", "check").stdout == (
        f"nas ({tmp_path}/nas): works, nothing was pushed to it yet, guards against overwriting\n"
    )
    facts = dver("remote", "check", "nas", "--json").result
    assert facts["usable"] is True
    assert facts["exists"] is False
    assert [facts[name] for name in ("writable", "ranges", "conditional_create")] == [True] * 3
    assert [path for path in (tmp_path / "nas").rglob("*") if path.is_file()] == []


def test_check_of_a_directory_that_is_gone(dver: Dver, tmp_path: Path) -> None:
    dver("remote", "add", "nas", "../nas", "-q")
    (tmp_path / "nas").rmdir()
    done = dver("remote", "check", code=10)
    assert "there is no such directory\nhint: " in done.stdout
    assert not (tmp_path / "nas").exists()


def test_check_writes_nothing_where_it_is_not_trusted(
    dver: Dver, git_repo: GitRepo, tmp_path: Path
) -> None:
    (tmp_path / "shared").mkdir()
    (dver.cwd / ".dver" / "config.yaml").write_text(
        f"remote:\n  nas:\n    url: {tmp_path}/shared\n"
    )
    facts = dver("remote", "check", "nas", "--json").result
    assert (facts["trusted"], facts["reachable"], facts["writable"]) == (False, True, None)
    assert list((tmp_path / "shared").iterdir()) == []


def on_server(dver: Dver, server: S3Server, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    dver("remote", "add", "origin", url, "-q")


def test_check_of_a_bucket(dver: Dver, moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url = moto_s3.new_url("fraud")
    on_server(dver, moto_s3, monkeypatch, url)
    # Where AWS_ENDPOINT_URL leads is the user's own word, and no part of the remote's name.
    assert dver("remote", "check").stdout == (
        f"origin ({url}): works, nothing was pushed to it yet, guards against overwriting\n"
    )
    assert f"{url}: works" in dver("doctor").stdout


def test_check_tells_what_a_server_lacks(
    dver: Dver, rclone_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = rclone_s3.new_url("fraud")
    on_server(dver, rclone_s3, monkeypatch, url)
    assert dver("remote", "check").stdout == (
        f"origin ({url}): works, nothing was pushed to it yet, does not guard against overwriting\n"
    )


def test_check_with_wrong_credentials_and_without_a_bucket(
    dver: Dver, rclone_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_server(dver, rclone_s3, monkeypatch, "s3://no-such-bucket/fraud")
    assert "no-such-bucket" in dver("remote", "check", code=8).stdout
    dver("remote", "set", "origin", "url", rclone_s3.new_url("fraud"), "-q")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret-key")
    done = dver("remote", "check", "--json", code=8)
    assert done.json["result"]["usable"] is False
    assert "not-the-secret-key" not in done.stdout
    text = dver("doctor", code=1).stdout
    assert "not-the-secret-key" not in text


def test_check_sees_through_a_server_that_says_yes_to_everything(
    dver: Dver, lying_s3: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    dver("remote", "add", "origin", "s3://bucket/fraud", "-q")
    dver("remote", "set", "origin", "endpoint_url", lying_s3.endpoint, "-q")
    assert dver("remote", "check", "--json", code=8).json["result"]["usable"] is False
