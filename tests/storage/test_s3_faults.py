"""S3 servers that lie, fail, refuse or are somewhere else."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dver.base import clock
from dver.base.errors import (
    AlreadyExists,
    CorruptError,
    ObjectNotFound,
    RemoteError,
    TransientError,
)
from dver.storage.base import Storage
from dver.storage.s3 import S3Storage
from dver.storage.s3 import wire as wire_module
from dver.storage.s3.settings import resolve
from dver.storage.s3.wire import Wire
from tests.support.s3server import Reply, S3Server, Scripted, free_port

KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "hunter2", "HOME": "/nowhere"}
LISTING = Reply(
    body=b"<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated></ListBucketResult>"
)
ETAG = {"ETag": '"abc"', "Last-Modified": "Sat, 31 Jan 2026 12:00:00 GMT"}


def error(code: str, status: int = 400, extra: str = "", **headers: str) -> Reply:
    body = f"<Error><Code>{code}</Code><Message>said so</Message>{extra}</Error>"
    return Reply(status, body.encode(), headers)


def storage_at(options: dict[str, str], environ: dict[str, str] | None = None) -> S3Storage:
    return S3Storage(resolve("bucket", "prefix", options, KEYS if environ is None else environ))


@pytest.fixture
def storage(lying_s3: Scripted) -> Iterator[S3Storage]:
    one = storage_at(lying_s3.options)
    yield one
    one.close()


VERBS: dict[str, Callable[[Storage, Path], object]] = {
    "get": lambda storage, path: storage.get("key"),
    "get_range": lambda storage, path: storage.get("key", 2, 3),
    "head": lambda storage, path: storage.head("key"),
    "list": lambda storage, path: list(storage.list("")),
    "put": lambda storage, path: storage.put("key", b"12345"),
    "create": lambda storage, path: storage.put("key", b"12345", if_absent=True),
    "put_file": lambda storage, path: storage.put_file("key", path),
    "get_file": lambda storage, path: storage.get_file("key", path),
    "delete": lambda storage, path: storage.delete("key"),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    return path


# -- what is not S3 -------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "reply",
    [
        Reply(),
        Reply(headers=ETAG),
        Reply(body=b"", headers=ETAG),
        Reply(body=b'{"ok": true}', headers=ETAG),
        Reply(404, b"<html>not found</html>"),
        Reply(404, b""),
        Reply(403, b"<html>forbidden</html>"),
        Reply(301, b"", {"Location": "https://example.com/"}),
    ],
    ids=["page", "page+etag", "nothing", "json", "404 page", "404", "403 page", "redirect"],
)
def test_what_is_not_s3_fails_every_verb(
    storage: S3Storage, lying_s3: Scripted, path: Path, verb: str, reply: Reply
) -> None:
    lying_s3.default = reply
    with pytest.raises(RemoteError, match="is not S3") as caught:
        VERBS[verb](storage, path)
    assert not isinstance(caught.value, (ObjectNotFound, AlreadyExists, TransientError))
    assert "endpoint_url" in str(caught.value.hint)


def test_a_put_that_was_swallowed_is_found_out(storage: S3Storage, lying_s3: Scripted) -> None:
    lying_s3.replies = [LISTING, Reply(body=b"", headers=ETAG), Reply(404, b"")]
    with pytest.raises(RemoteError, match="took key of 5 bytes, and has nothing there"):
        storage.put("key", b"12345")


def test_a_put_that_was_cut_is_found_out(storage: S3Storage, lying_s3: Scripted) -> None:
    lying_s3.replies = [LISTING, Reply(body=b"", headers=ETAG), Reply(body=b"12", headers=ETAG)]
    with pytest.raises(RemoteError, match="took key of 5 bytes, and has 2 bytes there"):
        storage.put("key", b"12345")


def test_a_put_that_somebody_replaced_at_once_is_none_of_our_business(
    storage: S3Storage, lying_s3: Scripted
) -> None:
    other = Reply(body=b"theirs", headers={"ETag": '"other"'})
    lying_s3.replies = [LISTING, Reply(body=b"", headers=ETAG), other]
    storage.put("key", b"12345")


@pytest.mark.parametrize("second", [Reply(), error("InternalError", 200), Reply(body=b"")])
def test_a_listing_never_ends_early(storage: S3Storage, lying_s3: Scripted, second: Reply) -> None:
    first = Reply(
        body=b"<ListBucketResult><IsTruncated>true</IsTruncated>"
        b"<NextContinuationToken>t</NextContinuationToken>"
        b"<Contents><Key>prefix/a</Key><Size>1</Size></Contents></ListBucketResult>"
    )
    lying_s3.replies = [first, second]
    with pytest.raises(RemoteError):
        list(storage.list(""))


def test_a_listing_that_goes_in_circles_is_an_error(storage: S3Storage, lying_s3: Scripted) -> None:
    lying_s3.default = Reply(
        body=b"<ListBucketResult><IsTruncated>true</IsTruncated>"
        b"<NextContinuationToken>t</NextContinuationToken></ListBucketResult>"
    )
    with pytest.raises(RemoteError, match="never ends"):
        list(storage.list(""))


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "delete"])
@pytest.mark.parametrize("proven", [True, False])
def test_an_error_with_status_200_may_pass(
    storage: S3Storage, lying_s3: Scripted, path: Path, verb: str, proven: bool
) -> None:
    bare = Reply(body=b"") if verb == "head" else error("InternalError", 200)
    lying_s3.default = bare
    lying_s3.replies = [LISTING] if proven or verb == "head" else []
    if proven and verb == "list":
        list(storage.list(""))
    with pytest.raises(TransientError):
        VERBS[verb](storage, path)


def test_a_listing_that_is_cut_short_may_pass(storage: S3Storage, lying_s3: Scripted) -> None:
    lying_s3.default = Reply(body=LISTING.body[:-20])
    with pytest.raises(TransientError, match="it is not XML"):
        list(storage.list(""))


@pytest.mark.parametrize("verb", ["get", "get_file"])
def test_a_body_that_was_announced_shorter_is_found_out(
    storage: S3Storage, lying_s3: Scripted, path: Path, verb: str
) -> None:
    ranged = {**ETAG, "Content-Range": "bytes 0-4/5"}
    lying_s3.replies = [LISTING, Reply(206, b"1234", ranged)]
    with pytest.raises(TransientError, match="another range"):
        VERBS[verb](storage, path)
    lying_s3.replies = [Reply(206, b"12345", ranged)]
    VERBS[verb](storage, path)
    assert lying_s3.requests[-1][2]["range"] == "bytes=0-"
    # A server that knows no ranges is believed, as long as all is asked for.
    lying_s3.replies = [Reply(200, b"12345", ETAG)]
    VERBS[verb](storage, path)


def test_the_proof_is_asked_for_once(storage: S3Storage, lying_s3: Scripted) -> None:
    lying_s3.replies = [LISTING]
    lying_s3.default = Reply(body=b"12345", headers=ETAG)
    for _ in range(3):
        assert storage.get("key") == b"12345"
        assert storage.head("key") is not None
    assert sum("list-type=2" in target for _, target, _, _ in lying_s3.requests) == 1


# -- what is cut short ----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["get", "get_file"])
def test_a_cut_answer_is_an_error_that_may_pass(
    storage: S3Storage, lying_s3: Scripted, path: Path, verb: str
) -> None:
    lying_s3.replies = [LISTING, Reply(body=b"123", headers=ETAG, length=1000)]
    with pytest.raises(TransientError, match="3 of 1000 bytes"):
        VERBS[verb](storage, path)


@pytest.mark.parametrize(
    ("headers", "body", "kind"),
    [
        ({"Content-Range": "bytes 2-4/9"}, b"234", None),
        ({"Content-Range": "bytes 2-3/4"}, b"23", CorruptError),
        ({"Content-Range": "bytes 0-2/9"}, b"012", TransientError),
        ({"Content-Range": "bytes 2-4/9"}, b"2345", TransientError),
        ({}, b"012345678", RemoteError),
    ],
)
@pytest.mark.parametrize("status", [200, 206])
def test_ranges_are_checked(
    storage: S3Storage,
    lying_s3: Scripted,
    status: int,
    headers: dict[str, str],
    body: bytes,
    kind: type[Exception] | None,
) -> None:
    lying_s3.replies = [LISTING, Reply(status, body, {**ETAG, **headers})]
    if kind is None:
        assert storage.get("key", 2, 3) == body
        return
    with pytest.raises(kind):
        storage.get("key", 2, 3)


# -- what passes, and what does not -------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        error("SlowDown", 503),
        error("InternalError", 500),
        error("RequestTimeout", 400),
        error("OperationAborted", 409),
        Reply(429, b""),
        Reply(502, b"<html>bad gateway</html>"),
    ],
)
def test_what_may_pass_is_transient(
    storage: S3Storage, lying_s3: Scripted, path: Path, reply: Reply
) -> None:
    for verb in ("get", "put", "delete", "get_range", "list"):
        lying_s3.replies = [LISTING, reply] if verb == "get" else [reply]
        lying_s3.default = reply
        with pytest.raises(TransientError, match="busy or failing"):
            VERBS[verb](storage, path)


def test_advice_to_wait_is_handed_on(storage: S3Storage, lying_s3: Scripted) -> None:
    lying_s3.default = error("SlowDown", 503, **{"Retry-After": "7"})
    with pytest.raises(TransientError) as caught:
        storage.head("key")
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize(
    ("reply", "match", "hint"),
    [
        (error("AccessDenied", 403), "access denied", "s3:ListBucket"),
        (error("ExpiredToken", 400), "expired", "aws sso login"),
        (error("InvalidAccessKeyId", 403), "does not know the access key", "AWS_ACCESS_KEY_ID"),
        (error("SignatureDoesNotMatch", 403), "secret key is wrong", "AWS_SECRET_ACCESS_KEY"),
        (error("NoSuchBucket", 404), "bucket does not exist", "create it"),
        (error("Unheard", 400), r"said so \(HTTP 400 Unheard\)", None),
        (
            error("PermanentRedirect", 301, **{"x-amz-bucket-region": "eu-west-3"}),
            "in region eu-west-3, not us-east-1",
            "region eu-west-3",
        ),
        (
            error("AuthorizationHeaderMalformed", 400, "<Region>eu-west-3</Region>"),
            "in region eu-west-3",
            "region eu-west-3",
        ),
    ],
)
@pytest.mark.parametrize("verb", VERBS)
def test_refusals_name_cause_and_next_step(
    storage: S3Storage,
    lying_s3: Scripted,
    path: Path,
    verb: str,
    reply: Reply,
    match: str,
    hint: str | None,
) -> None:
    lying_s3.default = reply
    with pytest.raises(RemoteError, match=match) as caught:
        VERBS[verb](storage, path)
    assert not isinstance(caught.value, (TransientError, ObjectNotFound))
    assert "s3://bucket/prefix" in caught.value.message
    assert hint is None or hint in str(caught.value.hint)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_a_refused_head_gets_its_reason_by_get(storage: S3Storage, lying_s3: Scripted) -> None:
    lying_s3.replies = [LISTING, Reply(403, b""), error("AccessDenied", 403)]
    with pytest.raises(RemoteError, match="access denied"):
        storage.head("key")


@pytest.mark.parametrize("verb", VERBS)
def test_a_bucket_that_is_not_there(
    rclone_s3: S3Server, moto_s3: S3Server, path: Path, verb: str
) -> None:
    for server in (rclone_s3, moto_s3):
        storage = S3Storage(resolve("no-such-bucket", "", server.options, server.environ))
        with pytest.raises(RemoteError, match="the bucket does not exist") as caught:
            VERBS[verb](storage, path)
        assert not isinstance(caught.value, ObjectNotFound)
        storage.close()


def test_wrong_keys(rclone_s3: S3Server) -> None:
    bucket = rclone_s3.new_bucket()
    for name, match in (
        ("AWS_ACCESS_KEY_ID", "does not know the access key"),
        ("AWS_SECRET_ACCESS_KEY", "secret key is wrong"),
    ):
        environ = {**rclone_s3.environ, name: "wrong"}
        storage = S3Storage(resolve(bucket, "", rclone_s3.options, environ))
        with pytest.raises(RemoteError, match=match):
            storage.put("key", b"1")
        storage.close()


def test_anonymous_requests_are_not_signed(storage: S3Storage, lying_s3: Scripted) -> None:
    lying_s3.default = LISTING
    anonymous = storage_at({**lying_s3.options, "anonymous": "true"})
    list(anonymous.list(""))
    list(storage.list(""))
    unsigned, signed = (headers for _, _, headers, _ in lying_s3.requests)
    assert "authorization" not in unsigned
    assert signed["authorization"].startswith("AWS4-HMAC-SHA256 Credential=id/")
    anonymous.close()


# -- where nobody is ----------------------------------------------------------------------------


def test_nobody_listens() -> None:
    storage = storage_at({"endpoint_url": f"http://127.0.0.1:{free_port()}"})
    with pytest.raises(RemoteError, match="refuses connections") as caught:
        storage.head("key")
    assert not isinstance(caught.value, TransientError)
    assert "endpoint_url" in str(caught.value.hint)


def test_no_such_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: object, **_options: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    storage = storage_at({"endpoint_url": "http://minio.invalid:9000"})
    with pytest.raises(RemoteError, match=r"no address for minio\.invalid:9000") as caught:
        storage.head("key")
    assert not isinstance(caught.value, TransientError)


def test_a_server_that_was_there_and_is_gone_may_come_back(
    storage: S3Storage, lying_s3: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    lying_s3.default = LISTING
    list(storage.list(""))

    def refuse(_wire: Wire) -> object:
        raise ConnectionRefusedError

    monkeypatch.setattr(Wire, "_connect", refuse)
    storage._wire._idle.clear()
    with pytest.raises(TransientError, match="refuses connections"):
        list(storage.list(""))


def test_https_to_an_http_server_is_named(lying_s3: Scripted) -> None:
    storage = storage_at({"endpoint_url": lying_s3.endpoint.replace("http:", "https:")})
    with pytest.raises(RemoteError, match="no secure connection") as caught:
        storage.head("key")
    assert not isinstance(caught.value, TransientError)
    assert "http://" in str(caught.value.hint)


def test_silence_is_cut_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        settings = resolve("bucket", "", {"endpoint_url": f"http://127.0.0.1:{port}"}, KEYS)
        storage = S3Storage(replace(settings, timeout=0.05))
        with pytest.raises(TransientError, match="no answer in time"):
            storage.head("key")


def test_an_idle_connection_that_was_closed_is_replaced(
    storage: S3Storage, lying_s3: Scripted
) -> None:
    lying_s3.default = LISTING
    list(storage.list(""))
    assert len(storage._wire._idle) == 1
    storage._wire._idle[0][0].sock.shutdown(socket.SHUT_RDWR)
    list(storage.list(""))
    assert len(lying_s3.requests) == 2


def test_old_connections_are_not_tried(
    storage: S3Storage, lying_s3: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    lying_s3.default = LISTING
    list(storage.list(""))
    before = storage._wire._idle[0][0]
    later = clock.monotonic() + wire_module.IDLE_SECONDS + 1
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    list(storage.list(""))
    assert storage._wire._idle[0][0] is not before


# -- what corrects itself -----------------------------------------------------------------------


class Adrift(clock.Clock):
    """A clock that is days off."""

    def __init__(self, days: int) -> None:
        self.days = days

    def now_ns(self) -> int:
        return super().now_ns() + self.days * 86_400 * 10**9


@pytest.fixture
def adrift() -> Iterator[Adrift]:
    mine = Adrift(-1)
    before = clock.install(mine)
    yield mine
    clock.install(before)


SKEWED = error("RequestTimeTooSkewed", 403)


def test_a_wrong_clock_is_corrected_once(
    storage: S3Storage, lying_s3: Scripted, adrift: Adrift
) -> None:
    lying_s3.replies = [SKEWED, LISTING, LISTING]
    list(storage.list(""))
    list(storage.list(""))
    days = [headers["x-amz-date"][:8] for _, _, headers, _ in lying_s3.requests]
    assert days[0] < days[1] == days[2]


@pytest.mark.parametrize("days", [3, 0])
def test_a_clock_that_jumps_meanwhile_is_corrected_again(
    storage: S3Storage, lying_s3: Scripted, adrift: Adrift, days: int
) -> None:
    lying_s3.replies = [SKEWED, LISTING]
    list(storage.list(""))
    adrift.days = days
    entry = Reply(body=b"12345", headers=ETAG)
    # HEAD tells no reason, so that it is asked by GET, and then again.
    refused = Reply(403, b"")
    lying_s3.replies = [refused, SKEWED, Reply(206, b"1", ETAG), entry]
    found = storage.head("key")
    assert found is not None
    assert found.size == 5
    stamps = [headers["x-amz-date"][:8] for _, _, headers, _ in lying_s3.requests]
    assert stamps[1] == stamps[4] == stamps[5] != stamps[2] == stamps[3]


def test_a_server_that_does_not_say_what_it_dislikes_about_the_clock(
    storage: S3Storage, lying_s3: Scripted, adrift: Adrift
) -> None:
    lying_s3.replies = [error("AccessDenied", 400), LISTING]
    list(storage.list(""))
    lying_s3.replies = [error("AccessDenied", 403)]
    with pytest.raises(RemoteError, match="access denied"):
        list(storage.list(""))
    assert len(lying_s3.requests) == 3


def test_a_server_that_complains_of_a_right_clock_is_an_error(
    storage: S3Storage, lying_s3: Scripted
) -> None:
    lying_s3.default = SKEWED
    with pytest.raises(RemoteError, match="clock is wrong"):
        list(storage.list(""))
    assert len(lying_s3.requests) == 1


def test_an_unset_region_is_learnt(lying_s3: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(resolve("bucket", "", lying_s3.options, KEYS), region_fixed=False)
    monkeypatch.setattr(
        wire_module, "aws_host", lambda bucket, region: (settings.host, f"/{region}/{bucket}")
    )
    storage = S3Storage(settings)
    lying_s3.replies = [
        error("PermanentRedirect", 301, **{"x-amz-bucket-region": "eu-west-3"}),
        LISTING,
    ]
    list(storage.list(""))
    _, target, headers, _ = lying_s3.requests[1]
    assert target.startswith("/eu-west-3/bucket?")
    assert "/eu-west-3/s3/aws4_request" in headers["authorization"]
    storage.close()
