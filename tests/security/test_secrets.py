"""No secret reaches a message, JSON, a traceback, or a file that others see.

The whole suite of the command line runs with secrets planted as well (see :mod:`.canary`). Here
are the ways in which they could come out: servers that repeat what they were sent, proxies that
refuse, broken files of credentials, URLs that carry them, tracebacks.
"""

from __future__ import annotations

import os
import shutil
import traceback
from pathlib import Path

import pytest

from dver.base.redact import MASK, printable, redact, without_homes, without_userinfo
from dver.storage.s3.credentials import Credentials, FixedCredentials
from tests.security.canary import MARK, Ear, forms, leaks_below, leaks_in, secret, variables
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo
from tests.support.s3server import Reply, Scripted

pytestmark = pytest.mark.usefixtures("secrets_everywhere")


@pytest.fixture
def dver(git_repo: GitRepo, secrets_everywhere: Ear) -> Dver:
    run = Dver(git_repo.path)
    run("init", "-q")
    git_repo.write("x", "data")
    run("add", "-q", "x")
    git_repo.commit("one")
    # What is nowhere has to be asked for.
    for part in ("packs", "index"):
        shutil.rmtree(git_repo.path / ".git/dver" / part)
    (git_repo.path / "x").unlink()
    return run


#: Every command that talks to a remote, in each way of speaking.
TALK = [
    (*flags, *words)
    for flags in ((), ("--debug",), ("--json",), ("-v",))
    for words in (
        ("push",),
        ("pull",),
        ("fetch",),
        ("doctor",),
        ("remote", "check"),
        ("fsck", "-r", "o"),
    )
]


def spoken(*words: str) -> tuple[str, ...]:
    """Return words in an order in which dver takes them: ``--json`` is an option of commands."""
    return (*(word for word in words if word != "--json"), *(("--json",) * ("--json" in words)))


def talk(dver: Dver, words: tuple[str, ...]) -> None:
    done = dver.attempt(*spoken(*words))
    assert 0 < done.exit_code <= 11, (words, done)
    assert done.stdout or done.stderr


def add_s3(dver: Dver, endpoint: str, *more: str) -> None:
    dver("remote", "add", "-q", "--local", "o", "s3://bucket/prefix")
    dver("remote", "set", "-q", "o", "endpoint_url", endpoint)
    dver("config", "set", "-q", "--local", "remote.o.retries", "0")
    for option in more:
        name, _, value = option.partition("=")
        dver("config", "set", "-q", "--local", f"remote.o.{name}", value)


class Echo:
    """Makes a server answer each request with all that it was sent."""

    def __init__(self, server: Scripted, status: int, code: str) -> None:
        self.server, self.status, self.code = server, status, code

    def __getattr__(self, name: str) -> object:
        headers = self.server.requests[-1][2] if self.server.requests else {}
        told = "; ".join(f"{key}: {value}" for key, value in headers.items())
        body = f"<Error><Code>{self.code}</Code><Message>{told}</Message></Error>"
        return getattr(Reply(self.status, body.encode()), name)


@pytest.mark.parametrize("words", TALK)
def test_a_server_that_repeats_what_it_was_sent(
    dver: Dver, lying_s3: Scripted, words: tuple[str, ...]
) -> None:
    for status, code in ((403, "Odd"), (400, "Odd"), (500, "Odd")):
        lying_s3.default = Echo(lying_s3, status, code)
        add_s3(dver, lying_s3.endpoint)
        talk(dver, words)
        dver("remote", "remove", "-q", "o")
    assert secret("Token") in lying_s3.requests[-1][2]["x-amz-security-token"]


@pytest.mark.parametrize("profile", ["default", "prod"])
@pytest.mark.parametrize("words", TALK[:3])
def test_keys_from_a_file_are_not_repeated_either(
    dver: Dver,
    lying_s3: Scripted,
    monkeypatch: pytest.MonkeyPatch,
    profile: str,
    words: tuple[str, ...],
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    lying_s3.default = Echo(lying_s3, 403, "Odd")
    add_s3(dver, lying_s3.endpoint, f"profile={profile}")
    talk(dver, words)
    assert MARK in str(lying_s3.requests[-1][2])


def test_a_server_that_repeats_them_through_another_client(dver: Dver, lying_s3: Scripted) -> None:
    lying_s3.default = Echo(lying_s3, 403, "Odd")
    add_s3(dver, lying_s3.endpoint, "client=fsspec")
    for words in (("--debug", "fetch"), ("--json", "push"), ("remote", "check")):
        talk(dver, words)


@pytest.mark.parametrize("profile", ["process", "sso", "nobody"])
@pytest.mark.parametrize("flags", [(), ("--debug",), ("--json",)])
def test_credentials_that_cannot_be_had(
    dver: Dver,
    lying_s3: Scripted,
    monkeypatch: pytest.MonkeyPatch,
    profile: str,
    flags: tuple[str, ...],
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    add_s3(dver, lying_s3.endpoint, f"profile={profile}")
    for command in ("fetch", "push", "doctor"):
        talk(dver, (*flags, command))


@pytest.mark.parametrize(
    "text", ["", "[default\n", "key = value\n", "[default]\nnonsense\n", "\xff"]
)
@pytest.mark.parametrize("name", [".aws/credentials", ".aws/config"])
def test_broken_files_of_credentials(
    dver: Dver,
    lying_s3: Scripted,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    name: str,
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(variable)
    path = tmp_path / "home" / name
    path.write_bytes(
        text.encode("latin-1") + f"aws_secret_access_key {secret('Broken')}\n".encode()
    )
    lying_s3.default = Reply(403, b"<Error><Code>AccessDenied</Code></Error>")
    add_s3(dver, lying_s3.endpoint)
    for words in (("fetch",), ("--debug", "fetch"), ("--json", "push"), ("doctor",)):
        talk(dver, words)


@pytest.mark.parametrize("flags", [(), ("--debug",), ("--json",)])
def test_a_proxy_that_wants_a_password(
    dver: Dver, lying_s3: Scripted, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
) -> None:
    """Refused by the proxy, not resolved, and with a password that nobody encoded."""
    host = lying_s3.endpoint.removeprefix("http://")
    lying_s3.default = Reply(407, b"<Error><Code>Odd</Code><Message>who are you</Message></Error>")
    for password in (secret("Proxy"), f"a/{secret('Proxy')}", f"a@{secret('Proxy')}"):
        for place in (host, "proxy.invalid:3128"):
            for scheme in ("http", "https"):
                proxy = f"http://user:{password}@{place}"
                for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
                    monkeypatch.setenv(name, proxy)
                add_s3(dver, f"{scheme}://storage.invalid")
                talk(dver, (*flags, "fetch"))
                dver("remote", "remove", "-q", "o")


URLS = [
    f"s3://AKIAEXAMPLE:{secret('Url')}@bucket/p",
    f"s3://AKIAEXAMPLE:ab/{secret('Url')}@bucket/p",
    f"s3://AKIAEXAMPLE:ab/c+d/{secret('Url')}/e@bucket",
    f"s3://{secret('Url')}@bucket/p",
    f"https://user:{secret('Url')}@host.invalid/p",
    f"https://user:p@{secret('Url')}@host.invalid/p",
    f"https://user:p/{secret('Url')}@host.invalid/p",
    f"https://{secret('Url')}@host.invalid/p",
    f"https://host.invalid/p?X-Amz-Signature={secret('Url')}",
    f"https://host.invalid/p?sv=1&sig={secret('Url')}",
    f"https://host.invalid/p;token={secret('Url')}",
    f"https://host.invalid/p#access_token={secret('Url')}",
    f"sftp://user:{secret('Url')}@host.invalid/p",
    f"abfs://c@a.dfs.core.windows.net/x?account_key={secret('Url')}",
    f"gs://key:{secret('Url')}/x@bucket",
    f"user:{secret('Url')}@host.invalid:path",
    f"key:{secret('Url')}@bucket/p",
    f"simplecache::s3://k:{secret('Url')}@bucket",
    f"file://user:{secret('Url')}@host/p",
]


@pytest.mark.parametrize("url", URLS)
def test_a_url_with_a_secret_is_kept_nowhere(dver: Dver, git_repo: GitRepo, url: str) -> None:
    for words in (
        ("remote", "add", "o", url),
        ("remote", "add", "--local", "o", url),
        ("remote", "add", "--user", "o", url),
        ("config", "set", "--local", "remote.o.url", url),
        ("config", "set", "--repository", "remote.o.url", url),
        ("config", "set", "--user", "remote.o.url", url),
        ("config", "set", "--local", "remote.o.endpoint_url", url),
        ("-c", f"remote.o.url={url}", "fetch", "o"),
        ("--debug", "-c", f"remote.o.url={url}", "push"),
    ):
        for flags in ((), ("--json",)):
            done = dver.attempt(*words, *flags)
            assert done.exit_code in (2, 4, 11), (words, done)
    dver("remote", "add", "-q", "--local", "o", "../nas")
    done = dver("remote", "set", "o", "url", url, code=11)
    assert "credentials" in done.stderr
    env = {"DVER_REMOTE_O_URL": url}
    done = dver("fetch", env=env, code=11)
    dver("--debug", "status", env=env, code=11)
    # Somebody writes it by hand, and commits it.
    git_repo.write(".dver/config.yaml", f"remote:\n  o:\n    url: '{url}'\n")
    for command in ("status", "remote", "push", "doctor", "config"):
        words = (command, "list") if command == "config" else (command,)
        assert dver.attempt(*words).exit_code in (1, 11)
    git_repo.write(".dver/config.yaml", "{}\n")


@pytest.mark.parametrize("url", [one for one in URLS if one.startswith("https")][:4])
def test_a_git_url_with_a_secret_is_not_shown(dver: Dver, url: str) -> None:
    for flags in ((), ("--json",), ("--debug",)):
        words = ("get", url.replace("host.invalid", "127.0.0.1:1"), "x", "-o", "y")
        done = dver.attempt(*spoken(*flags, *words))
        assert done.exit_code == 8, done


@pytest.mark.parametrize(
    "text",
    [
        f'remote: "{secret("File")}\n',
        f"remote:\n  o:\n    secret_key: {secret('File')}\n",
        f"remote:\n  o:\n    region: '{secret('File')} x'\n",
        f"{secret('File')}: x\n",
        f"- {secret('File')}\n",
        f"remote: {{o: {{url: *{secret('File')}}}}}\n",
        f"\t{secret('File')}\n",
    ],
)
@pytest.mark.parametrize("level", ["repository", "local", "user"])
def test_a_secret_in_a_configuration_file(
    dver: Dver, git_repo: GitRepo, tmp_path: Path, secrets_everywhere: Ear, text: str, level: str
) -> None:
    """It is refused; a value is shown only where a message is about its spelling, never whole."""
    path = {
        "repository": git_repo.path / ".dver/config.yaml",
        "local": git_repo.path / ".git/dver/config.yaml",
        "user": tmp_path / "home/.config/dver/config.yaml",
    }[level]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    for words in (("status",), ("--debug", "status"), ("push", "--json"), ("doctor",)):
        dver.attempt(*words)
    told = secrets_everywhere.leaks()
    secrets_everywhere.heard.clear()
    path.unlink()
    if text.startswith((MARK, "remote:\n  o:\n    region")):
        # A key that does not exist, and a malformed region, are named: else nobody finds them.
        return
    assert told == []


# -- reports ---------------------------------------------------------------------------------------


def test_doctor_tells_no_names_of_people(
    dver: Dver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the user's own home, not through a symlink to it, and not anybody else's."""
    real = tmp_path / "disk" / "alice-liddell"
    real.mkdir(parents=True)
    (tmp_path / "homes").symlink_to(tmp_path / "disk")
    monkeypatch.setenv("HOME", str(tmp_path / "homes" / "alice-liddell"))
    repo = GitRepo.init(real / "repo")
    run = Dver(repo.path)
    run("init", "-q")
    run("remote", "add", "-q", "--local", "nas", str(real / "nas"))
    run("remote", "add", "-q", "--local", "bob", "/home/bob-dodgson/nas")
    run("remote", "add", "-q", "--local", "mac", "/Users/carol-king/nas")
    run("remote", "add", "-q", "--local", "ssh", "sftp://dave-bowman@host.invalid/x")
    for flags in ((), ("--json",), ("-v",)):
        done = run.attempt("doctor", *flags)
        for name in ("alice", "liddell", "bob-dodgson", "carol-king", "dave-bowman", "Ada", "ada@"):
            assert name not in done.stdout + done.stderr, (flags, name)
        assert "~" in done.stdout
    done = run.attempt("--debug", "push", "-r", "nas")
    assert "alice" not in done.stderr.partition("\nerror:")[0]


def test_a_bug_report_tells_no_names_and_no_secrets(
    dver: Dver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dver.ops.data import status

    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def fail(*_args: object, **_options: object) -> None:
        place = tmp_path / "home" / "work"
        url = f"https://me:{secret('Bug')}@host.invalid"
        raise ZeroDivisionError(
            f"{place} /home/bob/x {url} {os.environ['AWS_SECRET_ACCESS_KEY']} \x1b[31mred"
        )

    monkeypatch.setattr(status, "load_targets", fail)
    for flags in ((), ("--debug",), ("--json",)):
        done = dver.attempt(*spoken(*flags, "status"))
        assert done.exit_code == 70
        told = done.stdout + done.stderr
        assert "~/work" in told
        assert "/home/***/x" in told
        assert str(tmp_path / "home") not in told
        assert "\x1b" not in told


def test_credentials_have_no_text_form() -> None:
    keys = Credentials(secret("A"), secret("B"), secret("C"))
    source = FixedCredentials(keys)
    for one in (keys, source, [keys], {"keys": keys}):
        assert MARK not in f"{one!r} {one}"
    try:
        raise ValueError(keys)
    except ValueError as error:
        assert MARK not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://me:pw@host/x", "see https://***@host/x"),
        ("see https://me:p/w@host/x now", "see https://***@host/x now"),
        ("see https://me:p@w@host/x", "see https://***@host/x"),
        ("see https://host/a@b", "see https://host/a@b"),
        ("see https://host:80/a", "see https://host:80/a"),
        ("Proxy-Authorization: Basic abc=", "Proxy-Authorization: Basic ***"),
        ("{'authorization': 'Bearer abc'}", "{'authorization': 'Bearer ***'}"),
        ("x-amz-security-token: abc, x", "x-amz-security-token: ***, x"),
        ("Credential=AKIA/2026, Signature=00ff", "Credential=***, Signature=***"),
        ("?sig=a%2Fb&x=1", "?sig=***&x=1"),
    ],
)
def test_what_is_masked(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://host/x.git", "https://host/x.git"),
        ("https://host:8443/@scope/x.git", "https://host:8443/@scope/x.git"),
        ("https://me:pw@host/x.git", "https://host/x.git"),
        ("https://token@host/@scope/x", "https://host/@scope/x"),
        ("https://me:p/w@host/x", "https://host/x"),
        ("https://me:p@w@host/x", "https://host/x"),
        ("https://me:p@a/b@host/x", "https://host/x"),
        ("ssh://git@host:22/x", "ssh://host:22/x"),
        ("git@host:x.git", "git@host:x.git"),
        ("../x", "../x"),
    ],
)
def test_urls_without_who_asks(url: str, plain: str) -> None:
    assert without_userinfo(url) == plain


def test_the_values_of_secret_variables_are_masked() -> None:
    names = ("AWS_SESSION_TOKEN", "AZURE_STORAGE_KEY", "HF_TOKEN", "DB_PASSWORD", "GOOGLE_API_KEY")
    for name in names:
        assert redact("it is hunter22.", {name: "hunter22"}) == f"it is {MASK}."
    for name in ("AWS_REGION", "KEYBOARD", "PWD", "TOKENIZERS_PARALLELISM", "SSH_AUTH_SOCK"):
        assert redact("it is hunter22.", {name: "hunter22"}) == "it is hunter22."


def test_homes_are_masked() -> None:
    env = {"HOME": "/home/ann"}
    assert without_homes("in /home/ann/x and /home/annie/x", env) == "in ~/x and /home/***/x"
    assert without_homes("'/home/ann'", env) == "'~'"
    assert without_homes("file:///home/bob/x, /srv/home/bob", env) == (
        "file:///home/***/x, /srv/home/bob"
    )
    assert without_homes("C at /x", {"HOME": "/"}) == "C at /x"


def test_what_others_say_cannot_steer_a_terminal() -> None:
    assert printable("a\x1b[2Jb\rc\u202ed\ne") == "a\\x1b[2Jb\\rc\\u202ed\ne"
    assert printable("schön") == "schön"


# -- the search itself -----------------------------------------------------------------------------


def test_the_search_finds_what_it_is_for(tmp_path: Path, secrets_everywhere: Ear) -> None:
    import base64

    for text in (
        secret("X").encode(),
        base64.b64encode(f"user:{secret('X')}".encode()),
        base64.b64encode(f"me:{secret('X')}".encode()),
        base64.b64encode(f"a:{secret('X')}".encode()),
    ):
        assert leaks_in(b"..." + text + b"..."), text
    assert len(set(forms())) == 4
    (tmp_path / "file").write_text(secret("X"))
    assert leaks_below(tmp_path, (tmp_path / "home",))
    (tmp_path / "file").unlink()
    done = Dver(tmp_path)("--help")
    secrets_everywhere.heard.append((["x"], type(done)(0, secret("X").encode(), b"")))
    assert secrets_everywhere.leaks()
    secrets_everywhere.heard.clear()
    assert MARK in str(variables(tmp_path))
