"""What a project of DVC that somebody else wrote must not be able to do here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dver.base.errors import ConfigError, FormatError
from dver.foreign import dvcfiles, plainyaml
from dver.foreign.dvcproject import DvcRemote, keys, open_project, remote_options
from dver.foreign.places import Places, of_project
from tests.migration.conftest import Project
from tests.support.gitrepo import GitRepo
from tests.support.s3server import S3Server

POINTER = "outs:\n- md5: d41d8cd98f00b204e9800998ecf8427f\n  path: x\n  hash: md5\n"


@pytest.mark.parametrize("where", ["config", "config.local", "linked"])
def test_committed_settings_run_no_program(
    tmp_path: Path, moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A file of AWS's settings can name a command that prints credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    ran = tmp_path / "ran"
    made = Project(GitRepo.init(tmp_path / "repo").path)
    made.write("evil.ini", f"[profile evil]\ncredential_process = touch {ran}\n")
    made.write("x.dvc", POINTER)
    settings = (
        f"[core]\n    remote = s\n['remote \"s\"']\n    url = s3://{moto_s3.new_bucket()}\n"
        f"    endpointurl = {moto_s3.endpoint}\n    region = us-east-1\n    profile = evil\n"
        f"    configpath = {made.path / 'evil.ini'}\n"
    )
    if where == "linked":
        made.write("other/config", "[core]\n")
        made.write("other/config.local", settings)
        os.symlink("other", made.path / ".dvc")
    else:
        made.write(".dvc/config", "[core]\n")
        made.write(f".dvc/{where}", settings)
    made.git("add", "-f", ".")
    made.commit("hostile")
    done = made.dver("migrate", "dvc", "--trust", code=6)
    assert "configpath" in done.stderr
    assert not ran.exists()


def test_what_the_user_has_set_counts(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    committed = (
        "['remote \"g\"']\n    url = gs://bucket/x\n    endpointurl = https://evil.example\n"
    )
    (tmp_path / ".dvc/config").write_text(committed)
    (remote,) = open_project(tmp_path, b"", {}).remotes
    with pytest.raises(ConfigError, match="endpointurl"):
        remote_options(remote, {})
    own = "['remote \"g\"']\n    endpointurl = https://own.example\n    credentialpath = mine\n"
    (tmp_path / ".dvc/config.local").write_text(own)
    (remote,) = open_project(tmp_path, b"", {}).remotes
    assert remote_options(remote, {})[0]["endpoint_url"] == "https://own.example"
    assert remote.options["credentialpath"] == "mine"


@pytest.mark.parametrize(
    "text",
    [
        f"outs:\n- md5: 0x{'f' * 8000}\n  path: x\n",
        f"outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  path: 0x{'f' * 8000}\n",
        f"desc: 1{':59' * 4000}\nouts:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  path: x\n",
        f"outs: {'[' * 200_000}{']' * 200_000}\n",
        f"outs:\n{'- ' * 200_000}\n",
        f"outs: {'{a: ' * 200_000}\n",
    ],
    ids=["digits", "digits in a path", "sixties", "lists", "dashes", "mappings"],
)
def test_files_that_no_tool_writes_are_refused(text: str) -> None:
    with pytest.raises(FormatError):
        dvcfiles.read_dvc_file(b"x.dvc", text.encode())


def test_long_lines_are_no_depth() -> None:
    assert plainyaml.load(b"cmd: [" + b"word, " * 5000 + b"]", "x")["cmd"][-1] == "word"


@pytest.mark.parametrize(
    "url", ["https://hidden@github.com/t/r", "https://a:hidden@x/y?sig=hidden"]
)
def test_where_it_came_from_is_told_without_secrets(url: str) -> None:
    text = f"deps:\n- path: x\n  repo: {{url: '{url}', rev_lock: {'a' * 40}}}\n{POINTER}"
    (told,) = dvcfiles.read_dvc_file(b"x.dvc", text.encode()).origins
    assert "hidden" not in told.shown


@pytest.mark.parametrize("kind", ["device", "pipe", "directory"])
def test_a_cache_holds_nothing_but_files(tmp_path: Path, kind: str) -> None:
    digest = bytes(16)
    place = tmp_path / "files/md5/00" / f"{digest.hex()[2:]}.dir"
    place.parent.mkdir(parents=True)
    if kind == "device":
        place.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.mkdir()
    assert Places(keys, [tmp_path]).file(digest, directory=True) is None


@pytest.mark.parametrize(
    ("own", "committed", "is_asked"),
    [
        ("url = s3://mine/x", "", True),
        ("", "url = s3://theirs/x", False),
        ("url = s3://mine/x", "endpointurl = http://10.0.0.1", False),
        ("url = s3://mine/x\n    endpointurl = http://mine", "endpointurl = http://10.0.0.1", True),
        ("", "url = https://10.0.0.1/x", False),
        ("url = remote://base/x", "", False),
    ],
)
def test_whose_word_it_is_where_to_look(
    tmp_path: Path, own: str, committed: str, *, is_asked: bool
) -> None:
    (tmp_path / ".dvc").mkdir()
    base = "['remote \"base\"']\n    url = s3://theirs\n[core]\n    remote = r\n"
    (tmp_path / ".dvc/config").write_text(f"{base}['remote \"r\"']\n    {committed}\n")
    (tmp_path / ".dvc/config.local").write_text(f"['remote \"r\"']\n    {own}\n")
    (remote,) = open_project(tmp_path, b"", {}).remotes
    assert remote.is_committed is not is_asked
    asked: list[str] = []
    places = of_project(
        open_project(tmp_path, b"", {}), tmp_path, {}, lambda place: bool(asked.append(place))
    )
    places.fetch(bytes(16), tmp_path / "x") if not is_asked else None
    assert bool(asked) is not is_asked
    assert bool(places.problems) is not is_asked


def test_a_place_is_told_without_secrets() -> None:
    remote = DvcRemote("r", "https://a:hidden@host/x@y?sig=hidden", {})
    assert remote.place == "https://host/x@y"
