"""Levels, their order, the origin of each value, and what may stand where."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dver.base.errors import ConfigError, SystemFailure
from dver.config import schema
from dver.config.edit import set_value
from dver.config.load import Config, ConfigPaths, Value, check_url, user_config_path
from tests.config.conftest import Place


def test_each_level_beats_the_ones_below(place: Place) -> None:
    def found(config: Config) -> tuple[object, str, str]:
        value = config.find("core.remote")
        assert value is not None
        return value.value, value.level, value.origin

    assert place.config().find("core.remote") is None
    place.write("user", "core:\n  remote: u\n")
    assert found(place.config()) == ("u", "user", str(place.paths.user))
    place.write("repository", "core:\n  remote: r\n")
    assert found(place.config()) == ("r", "repository", ".dver/config.yaml")
    place.write("local", "core:\n  remote: l\n")
    assert found(place.config()) == ("l", "local", ".git/dver/config.yaml")
    environ = {"DVER_CORE_REMOTE": "e"}
    assert found(place.config(environ)) == ("e", "environment", "DVER_CORE_REMOTE")
    config = place.config(environ, [("core.remote", "c")])
    assert found(config) == ("c", "command", "command line")
    assert config.at_level("user")["core.remote"].value == "u"


def test_defaults_and_types(place: Place) -> None:
    place.write("local", "core:\n  jobs: 7\nremote:\n  a:\n    anonymous: yes\n")
    config = place.config()
    assert config.find("core.link") == Value("core.link", "auto", "default", "default")
    assert config.number("core.jobs") == 7
    assert config.number("core.workers") is None
    assert config.get("remote.a.anonymous") is True
    assert config.text("remote.a.anonymous") == "true"
    assert [value.key for value in config.values()] == ["core.jobs", "remote.a.anonymous"]
    assert config.remote_names() == ["a"]
    with pytest.raises(ConfigError) as caught:
        config.get("core.job")
    assert caught.value.hint == "did you mean 'core.jobs'?"


def test_paths_and_home(place: Place) -> None:
    place.write("local", "store:\n  path: ~/store\n")
    config = place.config()
    assert config.path("store.path", base=place.root) == Path("/home/ada/store")
    assert config.expand("~") == "/home/ada"
    assert config.expand("~other") == "~other"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("store.path", "/tmp/x"),
        ("core.link", "symlink"),
        ("core.jobs", "4"),
        ("core.workers", "4"),
        ("remote.a.profile", "admin"),
        ("remote.a.ca_bundle", "/tmp/ca.pem"),
        ("remote.a.timeout", "4"),
    ],
)
def test_the_committed_level_sets_only_harmless_keys(place: Place, key: str, value: str) -> None:
    *sections, last = key.split(".")
    text = "".join("  " * depth + name + ":\n" for depth, name in enumerate(sections))
    text += "  " * len(sections) + f"{last}: {value}\n"
    place.write("local", text)
    assert place.config().text(key) == value
    place.write("repository", text)
    with pytest.raises(ConfigError) as caught:
        place.config().values()
    assert caught.value.message.startswith(f".dver/config.yaml: {key} cannot be set")
    assert "--local" in (caught.value.hint or "")


def test_the_harmless_keys_are_these() -> None:
    assert {setting.key for setting in schema.SETTINGS if setting.committed} == {
        "core.remote",
        "import.push",
        "remote.*.url",
        "remote.*.endpoint_url",
        "remote.*.region",
        "remote.*.path_style",
        "remote.*.anonymous",
        "remote.*.sse",
        "remote.*.sse_kms_key_id",
        "remote.*.checksum",
        "remote.*.client",
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("core:\n  jbos: 1\n", "there is no setting 'core.jbos'"),
        ("core: 1\n", "there is no setting 'core'"),
        ("core:\n  jobs:\n    x: 1\n", "there is no setting 'core.jobs.x'"),
        ("core:\n  jobs: 0\n", "core.jobs is not a number from 1 to 1024: '0'"),
        ("core:\n  jobs: many\n", "core.jobs is not a number"),
        ("core:\n  jobs: 99999999999999999999\n", "core.jobs is not a number"),
        ("core:\n  jobs: ²\n", "core.jobs is not a number"),
        ("core:\n  link: magic\n", "core.link cannot be 'magic'"),
        ("core:\n  remote: 'a b'\n", "'a b' cannot be the name of a remote"),
        ("core:\n  remote:\n", "core.remote has no value"),
        ("store:\n  path: rel/ative\n", "store.path is not an absolute path"),
        ('store:\n  path: "/a\\nb"\n', "control characters"),
        ("remote:\n  a:\n    anonymous: maybe\n", "neither true nor false"),
        ("remote:\n  a:\n    command: rm\n", "there is no setting 'remote.a.command'"),
        ("remote:\n  '*':\n    url: x\n", "'*' cannot be the name of a remote"),
        ("remote:\n  -rf:\n    url: x\n", "'-rf' cannot be the name of a remote"),
        ("remote:\n  x/y:\n    url: x\n", "cannot be the name of a remote"),
        ("core.jobs: 4\n", "holds a dot"),
        ("remote:\n  a:\n    region: x.evil.com/\n", "remote.a.region is malformed"),
        ("remote:\n  a:\n    endpoint_url: evil.com\n", "remote.a.endpoint_url is malformed"),
        ("remote:\n  a:\n    endpoint_url: file:///x\n", "remote.a.endpoint_url is malformed"),
        ("remote:\n  a:\n    url: s3://K:hunter2@b/p\n", "remote.a.url holds credentials"),
    ],
)
def test_malformed_values_name_the_file_and_key(place: Place, text: str, problem: str) -> None:
    place.write("local", text)
    with pytest.raises(ConfigError) as caught:
        place.config().values()
    assert caught.value.message.startswith(".git/dver/config.yaml: ")
    assert problem in caught.value.message
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"


def test_environment_names_remotes(place: Place) -> None:
    place.write("repository", "remote:\n  my-store:\n    url: s3://a\n")
    config = place.config(
        {
            "DVER_REMOTE_MY_STORE_URL": "s3://b",
            "DVER_REMOTE_MY_STORE_ENDPOINT_URL": "http://localhost:1",
            "DVER_REMOTE_NEW_ONE_SSE_KMS_KEY_ID": "k",
            "DVER_STORE_PATH": "/s",
            "DVER_CORE_JOBS": "",
            "DVER_DEBUG": "1",
            "DVERSE": "1",
        }
    )
    assert {value.key: value.value for value in config.values()} == {
        "remote.my-store.url": "s3://b",
        "remote.my-store.endpoint_url": "http://localhost:1",
        "remote.new_one.sse_kms_key_id": "k",
        "store.path": "/s",
    }


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("DVER_CORE_JOBS", "x", "DVER_CORE_JOBS: core.jobs is not a number"),
        ("DVER_CORE_TYPO", "x", "DVER_CORE_TYPO: there is no setting 'core.typo'"),
        ("DVER_REMOTE_A_COLOUR", "x", "DVER_REMOTE_A_COLOUR is no setting"),
        ("DVER_REMOTE_URL", "x", "DVER_REMOTE_URL is no setting"),
        ("DVER_REMOTE_A_URL", "s3://k:s@b", "DVER_REMOTE_A_URL: remote.a.url holds credentials"),
    ],
)
def test_environment_errors(place: Place, name: str, value: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        place.config({name: value}).values()
    assert problem in caught.value.message


def test_an_ambiguous_variable_is_refused(place: Place) -> None:
    place.write("local", "remote:\n  a-b:\n    url: x\n  a_b:\n    url: y\n")
    with pytest.raises(ConfigError, match="a-b, a_b"):
        place.config({"DVER_REMOTE_A_B_URL": "z"}).values()


@pytest.mark.parametrize(
    "url",
    [
        "s3://KEY:SECRET@bucket/p",
        "s3://KEY@bucket/p",
        "https://user:pass@host/x",
        "https://token@host/x",
        "sftp://me:pass@host/x",
        "https://host/x?X-Amz-Signature=abc",
        "https://host/x?a=1&access_token=abc",
        "https://host/x?sig=abc",
        "abfs://c@acct.dfs.core.windows.net/x?account_key=abc",
        "https://host?password=x",
        "https://host/x#secret=abc",
    ],
)
def test_credentials_in_urls_are_refused_and_not_repeated(url: str) -> None:
    for key in ("remote.a.url", "remote.a.endpoint_url"):
        with pytest.raises(ConfigError) as caught:
            check_url(key, url)
        assert url not in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/user@example.com/x",
        "sftp://me@host/x",
        "abfs://container@account.dfs.core.windows.net/x",
        "https://host/x?a=1",
        "/dir/with@sign:and?token=1",
        "../relative",
        "s3://bucket/keys/secret",
    ],
)
def test_innocent_urls(url: str) -> None:
    check_url("remote.a.url", url)


def test_the_committed_level_may_come_from_git(place: Place) -> None:
    def supplied() -> tuple[bytes, str]:
        return b"core:\n  remote: x\n", "HEAD:.dver/config.yaml"

    config = Config(ConfigPaths(user=place.paths.user), environ={}, committed=supplied)
    found = config.find("core.remote")
    assert found is not None
    assert (found.value, found.level, found.origin) == (
        "x",
        "repository",
        "HEAD:.dver/config.yaml",
    )


def test_outside_a_repository_only_the_user_level_has_a_file(place: Place) -> None:
    paths = ConfigPaths(user=place.paths.user)
    assert paths.of("user") == place.paths.user
    with pytest.raises(ConfigError, match="no local configuration here"):
        paths.of("local")


def test_where_the_user_level_is(monkeypatch: pytest.MonkeyPatch) -> None:
    home = {"HOME": "/h"}
    assert user_config_path(home) == Path("/h/.config/dver/config.yaml")
    assert user_config_path({**home, "XDG_CONFIG_HOME": "/x"}) == Path("/x/dver/config.yaml")
    assert user_config_path({**home, "XDG_CONFIG_HOME": "rel"}) == Path(
        "/h/.config/dver/config.yaml"
    )
    monkeypatch.setattr(sys, "platform", "win32")
    assert user_config_path({**home, "APPDATA": "/a"}) == Path("/a/dver/config.yaml")


def test_unreadable_files_are_errors_not_absent(place: Place) -> None:
    os.makedirs(place.paths.local or "")
    with pytest.raises(SystemFailure, match="cannot read"):
        place.config().values()


@pytest.mark.parametrize("what", ["file", "directory"])
def test_the_committed_level_is_not_read_through_a_symlink(
    place: Place, tmp_path: Path, what: str
) -> None:
    secret = tmp_path / "secret" / "config.yaml"
    secret.parent.mkdir()
    secret.write_text("root:*:20228:0::\n")
    path = place.paths.of("repository")
    if what == "file":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(secret)
    else:
        path.parent.symlink_to(secret.parent)
    config = place.config()
    for ask in (config.values, lambda: set_value(config, "repository", "core.remote", "x")):
        with pytest.raises(ConfigError, match="is a symlink") as caught:
            ask()
        assert "20228" not in str(caught.value)
    assert secret.read_text() == "root:*:20228:0::\n"


def test_a_users_own_configuration_may_be_a_symlink(place: Place, tmp_path: Path) -> None:
    (tmp_path / "dotfile").write_text("core:\n  jobs: 3\n")
    path = place.paths.of("user")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(tmp_path / "dotfile")
    assert place.config().get("core.jobs") == 3


def test_a_pipe_in_place_of_a_configuration_is_an_error(place: Place) -> None:
    path = place.paths.of("repository")
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="no file"):
        place.config().values()
