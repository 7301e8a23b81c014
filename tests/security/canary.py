"""Secrets planted wherever credentials can come from, and looked for wherever dver speaks.

The fixture :func:`secrets_everywhere` is in force for every test of the command line. It plants a
secret of its own in each place, lets the test run, and then asks that none of them stands in what
any command printed (text, JSON, errors, tracebacks), nor in any file below the test's directory:
repositories, stores, remotes that are directories, configuration. The places themselves are left
out, of course.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import cli
from tests.support.cli import Done

#: How every planted secret begins. It is no word of any message.
MARK = "sEcReTcAnArY"


def secret(place: str) -> str:
    """Return the secret of a place, of the length and letters that keys have."""
    return f"{MARK}{place}0123456789abcdefABCDEF"


def variables(home: Path) -> dict[str, str]:
    """Return environment variables with secrets in them."""
    return {
        "AWS_ACCESS_KEY_ID": secret("AccessKey"),
        "AWS_SECRET_ACCESS_KEY": secret("SecretKey"),
        "AWS_SESSION_TOKEN": secret("Token"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / ".aws/credentials"),
        "AWS_CONFIG_FILE": str(home / ".aws/config"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AZURE_STORAGE_KEY": secret("Azure"),
        "AZURE_STORAGE_CONNECTION_STRING": f"AccountName=a;AccountKey={secret('AzureString')}",
        "AZURE_STORAGE_SAS_TOKEN": secret("Sas"),
        "GITHUB_TOKEN": secret("GitHub"),
        "HF_TOKEN": secret("HuggingFace"),
        "HTTPS_PROXY": f"http://user:{secret('Proxy')}@proxy.invalid:3128",
        "FSSPEC_S3_SECRET": secret("Fsspec"),
        "GIT_ASKPASS": "/bin/false",
    }


def plant_files(home: Path) -> None:
    """Write the files of a home directory in which credentials lie."""
    files = {
        ".aws/credentials": (
            f"[default]\naws_access_key_id = {secret('FileKey')}\n"
            f"aws_secret_access_key = {secret('FileSecret')}\n"
            f"aws_session_token = {secret('FileToken')}\n\n"
            f"[prod]\naws_access_key_id = {secret('ProdKey')}\n"
            f"aws_secret_access_key = {secret('ProdSecret')}\n"
        ),
        ".aws/config": (
            "[profile process]\ncredential_process = sh -c 'echo "
            f"{secret('Process')}; echo {secret('ProcessError')} >&2'\n\n"
            "[profile sso]\nsso_start_url = https://sso.invalid/start\n"
            "sso_region = eu-west-1\nsso_account_id = 1\nsso_role_name = r\n"
        ),
        ".aws/sso/cache/0123.json": json.dumps({"accessToken": secret("SsoToken")}),
        ".netrc": f"machine host.invalid login me password {secret('Netrc')}\n",
        ".git-credentials": f"https://me:{secret('GitStore')}@host.invalid\n",
        ".config/fsspec/conf.json": json.dumps({"s3": {"secret": secret("FsspecFile")}}),
    }
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


PLANTED = (".aws", ".netrc", ".git-credentials", ".config/fsspec")


def plant_git(directory: Path) -> None:
    """Let a git repository have a remote and a header with secrets."""
    with (directory / "config").open("a") as file:
        file.write(
            f'[remote "upstream"]\n\turl = https://me:{secret("GitUrl")}@host.invalid/x.git\n'
            f'[http "https://host.invalid"]\n\textraHeader = X-Token: {secret("GitHeader")}\n'
        )


def forms() -> tuple[bytes, ...]:
    """Return what to look for: the mark, and the mark in base64 at each of three offsets."""
    found = [MARK.encode()]
    for offset in range(3):
        text = base64.b64encode(b"x" * offset + MARK.encode()).rstrip(b"=")
        found.append(text[2 + 2 * (offset > 0) : -2])
    return tuple(found)


def leaks_in(data: bytes) -> list[str]:
    """Return the secrets that stand in some bytes, as far as their places can be told."""
    found = []
    for form in forms():
        at = data.find(form)
        while at >= 0:
            found.append(data[max(at - 40, 0) : at + 50].decode("utf-8", "backslashreplace"))
            at = data.find(form, at + 1)
    return found


def leaks_below(top: Path, planted: tuple[Path, ...]) -> list[str]:
    """Return the files below a directory in which a secret stands, but for the planted ones."""
    found = []
    for where, dirs, files in os.walk(top):
        here = Path(where)
        dirs[:] = [name for name in dirs if here / name not in planted]
        for name in files:
            path = here / name
            is_git = name == "config" and (here.name == ".git" or here.suffix == ".git")
            if path in planted or is_git or path.is_symlink() or not path.is_file():
                continue
            if found_here := leaks_in(path.read_bytes()):
                found.append(f"{path}: {found_here[0]}")
    return found


class Ear:
    """Hears what every command prints."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.heard: list[tuple[list[str], Done]] = []
        for name in ("_run_here", "_run_installed"):
            monkeypatch.setattr(cli, name, self._listening(getattr(cli, name)))

    def _listening(self, run: object) -> object:
        def listening(words: list[str], *args: object, **options: object) -> Done:
            done: Done = run(words, *args, **options)
            self.heard.append((words, done))
            return done

        return listening

    def leaks(self) -> list[str]:
        """Return the commands that told a secret."""
        return [
            f"dver {' '.join(words)}: {leak}"
            for words, done in self.heard
            for data in (done.stdout_bytes, done.stderr_bytes)
            for leak in leaks_in(data)
        ]


@pytest.fixture
def secrets_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Ear]:
    """Plant secrets, and ask afterwards that nobody told or wrote them."""
    home = tmp_path / "home"
    plant_files(home)
    for name, value in variables(home).items():
        monkeypatch.setenv(name, value)
    if "git_repo" in request.fixturenames:
        plant_git(request.getfixturevalue("git_repo").path / ".git")
    ear = Ear(monkeypatch)
    yield ear
    assert ear.leaks() == []
    assert leaks_below(tmp_path, tuple(home / name for name in PLANTED)) == []
