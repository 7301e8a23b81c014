"""S3 servers that mean harm: hosts, hints, lengths and times that they make up."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from dver.base.errors import DverError, RemoteError
from dver.storage.s3 import S3Storage
from dver.storage.s3.settings import resolve
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo
from tests.support.s3server import Reply, Scripted

ENVIRON = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI"}
EMPTY = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
REGIONS = ["evil.example.com/x", "x@evil.example.com", "a'; touch pwned; '", "\x1b[31m", "x" * 5000]


def storage(server: Scripted) -> S3Storage:
    return S3Storage(resolve("bucket", "p", server.options, ENVIRON))


@pytest.mark.parametrize("region", REGIONS)
def test_a_region_is_no_host_and_no_command(lying_s3: Scripted, region: str) -> None:
    try:
        headers = {"x-amz-bucket-region": region.encode("ascii").decode()}
    except UnicodeEncodeError:
        headers = {}
    plain = region if region.isprintable() else "x y"
    body = f"<Error><Code>AuthorizationHeaderMalformed</Code><Region>{plain}</Region></Error>"
    lying_s3.default = Reply(400, body.encode(), headers)
    opened = storage(lying_s3)
    with pytest.raises(RemoteError) as caught:
        opened.head("a")
    told = f"{caught.value.message} {caught.value.hint}"
    assert plain not in told
    assert "evil" not in told
    opened.close()


@pytest.mark.parametrize(
    ("region", "asked"),
    [
        ("evil.example.com/", ["us-east-1"]),
        ("x@evil.example.com", ["us-east-1"]),
        ("eu-west-1", ["us-east-1", "eu-west-1"]),
    ],
)
def test_a_region_is_not_followed_out_of_amazon(
    monkeypatch: pytest.MonkeyPatch, region: str, asked: list[str]
) -> None:
    """What the first answer of Amazon's says decides about the next host."""
    from dver.storage.s3.wire import Wire

    wire = Wire(resolve("bucket", "", {}, ENVIRON))
    hosts = []

    def send(*_args: object) -> Any:
        hosts.append(wire.settings.host)
        headers = {"x-amz-bucket-region": region}
        return SimpleNamespace(status=400, headers=headers, read=lambda: b"", discard=lambda: None)

    monkeypatch.setattr(wire, "_send", send)
    with pytest.raises(RemoteError):
        wire.small("look at", "GET")
    assert hosts == [f"bucket.s3.{one}.amazonaws.com" for one in asked]


@pytest.mark.parametrize("location", ["http://127.0.0.1:9/", "file:///etc/passwd", "//evil/"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(lying_s3: Scripted, status: int, location: str) -> None:
    lying_s3.default = Reply(status, b"", {"Location": location})
    opened = storage(lying_s3)
    for call in (lambda: opened.get("a"), lambda: opened.put("a", b"x"), lambda: opened.head("a")):
        with pytest.raises(RemoteError):
            call()
    assert all(path.startswith("/bucket") for _, path, _, _ in lying_s3.requests)
    opened.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": "bytes 0-99999999999999/100000000000000"},
        {"Content-Range": "bytes 0-" + "9" * 5000 + "/" + "9" * 5000},
        {"Content-Range": "bytes 9-5/3"},
        {"Content-Range": "bytes 0-3/-1"},
    ],
)
def test_lengths_that_only_the_server_speaks_of(
    lying_s3: Scripted, headers: dict[str, str]
) -> None:
    """No memory is taken for what does not come."""
    lying_s3.default = Reply(206, b"data", {"ETag": '"x"', **headers})
    opened = storage(lying_s3)
    started = time.process_time()
    with pytest.raises(DverError):
        opened.get("a")
    assert time.process_time() - started < 2
    lying_s3.default = Reply(200, b"data", {"ETag": '"x"'}, length=1 << 45)
    with pytest.raises(DverError):
        opened.get("a")
    opened.close()


@pytest.mark.parametrize("size", ["9" * 5000, "\u0663", "-1", "1e9", ""])
def test_sizes_and_times_that_are_none(lying_s3: Scripted, size: str) -> None:
    opened = storage(lying_s3)
    inside = f"<Contents><Key>p/a</Key><Size>{size}</Size></Contents>"
    body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{inside}</ListBucketResult>"
    lying_s3.default = Reply(200, body.encode())
    with pytest.raises(RemoteError):
        list(opened.list(""))
    opened.close()


@pytest.mark.parametrize("when", ["Mon, 01 Jan 0001 00:00:00", "x", "9" * 3000, "0 0 0"])
def test_dates_that_are_none(lying_s3: Scripted, when: str) -> None:
    opened = storage(lying_s3)
    lying_s3.default = Reply(200, EMPTY)
    assert list(opened.list("")) == []
    lying_s3.default = Reply(200, b"x", {"ETag": '"x"', "Last-Modified": when})
    entry = opened.head("a")
    assert entry is not None
    assert entry.size == 1
    body = b"<Error><Code>RequestTimeTooSkewed</Code></Error>"
    lying_s3.default = Reply(403, body)
    with pytest.raises(RemoteError):
        opened.get("a")
    opened.close()


@pytest.mark.parametrize("seconds", ["9" * 400, "-1", "nan", "\u0663", "1e400"])
def test_nobody_waits_because_a_server_says_so(lying_s3: Scripted, seconds: str) -> None:
    opened = storage(lying_s3)
    try:
        headers = {"Retry-After": seconds.encode("latin-1").decode("latin-1")}
    except UnicodeEncodeError:
        headers = {}
    lying_s3.default = Reply(503, b"", headers)
    with pytest.raises(RemoteError) as caught:
        opened.head("a")
    assert getattr(caught.value, "retry_after", None) is None
    opened.close()


def test_keys_that_climb(lying_s3: Scripted, git_repo: GitRepo) -> None:
    """Names in a listing never become paths of the cache but by their shape."""
    names = [
        "../../../escape",
        "index/../../escape",
        "roots/../x",
        "packs//x",
        "/etc/x",
        "index/" + "a" * 63,
    ]
    inside = "".join(f"<Contents><Key>p/{n}</Key><Size>1</Size></Contents>" for n in names)
    body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{inside}</ListBucketResult>"
    lying_s3.default = Reply(200, body.encode(), {"ETag": '"x"'})
    dver = Dver(git_repo.path)
    dver("init", "-q")
    git_repo.write("x", "data")
    dver("add", "-q", "x")
    dver("remote", "add", "-q", "--local", "o", "s3://bucket/p")
    dver("remote", "set", "-q", "o", "endpoint_url", lying_s3.endpoint)
    for command in ("fetch", "push", "gc", "fsck"):
        words = (command, "-r", "o") if command in ("gc", "fsck") else (command,)
        assert dver.attempt(*words).exit_code < 70
    assert not list(git_repo.path.parent.rglob("escape"))


@pytest.mark.parametrize("reply", ["\x1b]0;title\x07", "\u202eevil", "a\nerror: b", "\r\r"])
def test_what_a_server_says_cannot_steer_a_terminal(
    lying_s3: Scripted, git_repo: GitRepo, reply: str
) -> None:
    dver = Dver(git_repo.path)
    dver("init", "-q")
    git_repo.write("x", "data")
    dver("add", "-q", "x")
    dver("remote", "add", "-q", "--local", "o", "s3://bucket/p")
    dver("remote", "set", "-q", "o", "endpoint_url", lying_s3.endpoint)
    plain = "".join(char if char == "\n" or char >= " " else "" for char in reply)
    for status in (400, 403, 409, 500):
        body = f"<Error><Code>Odd</Code><Message>{plain}</Message></Error>"
        lying_s3.default = Reply(status, body.encode())
        dver("config", "set", "-q", "--local", "remote.o.retries", "0")
        for words in (("fetch",), ("remote", "check"), ("doctor",)):
            done = dver.attempt(*words)
            for line in (done.stdout + done.stderr).split("\n"):
                assert line.replace("\t", " ").isprintable(), (words, line)
