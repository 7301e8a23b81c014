"""Uploads to S3: headers, conditions, parts."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest

from dver.base.errors import AlreadyExists, RemoteError, SystemFailure
from dver.storage.s3 import S3Storage, multipart
from dver.storage.s3 import storage as storage_module
from dver.storage.s3.settings import resolve
from tests.support.s3server import Reply, S3Server, Scripted

LISTING = Reply(body=b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "HOME": "/nowhere"}
ETAG = {"ETag": '"abc"'}


def put_headers(server: Scripted, options: dict[str, str], data: bytes) -> dict[str, str]:
    storage = S3Storage(resolve("bucket", "", {**server.options, **options}, KEYS))
    server.replies = [LISTING, Reply(body=b"", headers=ETAG), Reply(body=data, headers=ETAG)]
    storage.put("key", data)
    storage.close()
    method, _, headers, body = server.requests[1]
    assert (method, body) == ("PUT", data)
    return headers


def test_the_signature_covers_the_bytes(lying_s3: Scripted) -> None:
    headers = put_headers(lying_s3, {}, b"value")
    assert headers["x-amz-content-sha256"] == hashlib.sha256(b"value").hexdigest()
    assert "x-amz-content-sha256" in headers["authorization"]
    assert "x-amz-checksum-sha256" not in headers


def test_a_checksum_header(lying_s3: Scripted) -> None:
    digest = base64.b64encode(hashlib.sha256(b"value").digest()).decode()
    headers = put_headers(lying_s3, {"checksum": "sha256"}, b"value")
    assert headers["x-amz-checksum-sha256"] == digest


def test_content_md5(lying_s3: Scripted) -> None:
    digest = base64.b64encode(hashlib.md5(b"value").digest()).decode()
    assert put_headers(lying_s3, {"checksum": "md5"}, b"value")["content-md5"] == digest


def test_amazon_gets_a_checksum_by_default() -> None:
    assert resolve("bucket", "", {}, KEYS).checksum == "sha256"


@pytest.mark.parametrize(
    ("options", "sse", "key"),
    [
        ({}, None, None),
        ({"sse": "AES256"}, "AES256", None),
        ({"sse": "aws:kms"}, "aws:kms", None),
        ({"sse_kms_key_id": "k"}, "aws:kms", "k"),
    ],
)
def test_encryption(
    lying_s3: Scripted, options: dict[str, str], sse: str | None, key: str | None
) -> None:
    headers = put_headers(lying_s3, options, b"value")
    assert headers.get("x-amz-server-side-encryption") == sse
    assert headers.get("x-amz-server-side-encryption-aws-kms-key-id") == key


def test_a_server_that_knows_no_conditions_is_used_without(lying_s3: Scripted) -> None:
    storage = S3Storage(resolve("bucket", "", lying_s3.options, KEYS))
    lying_s3.replies = [
        LISTING,
        Reply(404, b""),
        Reply(501, b"<Error><Code>NotImplemented</Code></Error>"),
        Reply(body=b"", headers=ETAG),
        Reply(body=b"value", headers=ETAG),
    ]
    assert storage.facts.conditional_create
    storage.put("key", b"value", if_absent=True)
    assert not storage.facts.conditional_create
    assert "if-none-match" in lying_s3.requests[2][2]
    assert "if-none-match" not in lying_s3.requests[3][2]
    storage.close()


def test_a_create_that_loses_at_the_server(lying_s3: Scripted) -> None:
    storage = S3Storage(resolve("bucket", "", lying_s3.options, KEYS))
    lost = Reply(412, b"<Error><Code>PreconditionFailed</Code></Error>")
    lying_s3.replies = [LISTING, Reply(404, b""), lost]
    with pytest.raises(AlreadyExists):
        storage.put("key", b"value", if_absent=True)
    storage.close()


def test_what_servers_do_with_conditions(rclone_s3: S3Server, moto_s3: S3Server) -> None:
    for server in (rclone_s3, moto_s3):
        storage = S3Storage(resolve(server.new_bucket(), "", server.options, server.environ))
        assert storage.try_conditional_create("probe") is server.conditional_create
        assert storage.facts.conditional_create is server.conditional_create
        storage.close()


# -- parts ----------------------------------------------------------------------------------------


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_module, "SINGLE_PUT", 1 << 20)
    monkeypatch.setattr(multipart, "_PART", 5 << 20)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(os.urandom(12 << 20))
    return path


@pytest.mark.usefixtures("small_parts")
def test_a_large_file_goes_up_in_parts(
    rclone_s3: S3Server, moto_s3: S3Server, source: Path, tmp_path: Path
) -> None:
    for server in (rclone_s3, moto_s3):
        bucket = server.new_bucket()
        storage = S3Storage(resolve(bucket, "p", server.options, server.environ))
        storage.put_file("large", source)
        assert storage.get_file("large", tmp_path / "target") == 12 << 20
        assert (tmp_path / "target").read_bytes() == source.read_bytes()
        storage.close()


STARTED = Reply(
    body=b"<InitiateMultipartUploadResult><UploadId>u&amp;1</UploadId>"
    b"</InitiateMultipartUploadResult>"
)
PART = Reply(body=b"", headers=ETAG)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("replies", "match"),
    [
        ([Reply()], "is not S3"),
        ([STARTED, Reply(403, b"<Error><Code>AccessDenied</Code></Error>")], "access denied"),
        ([STARTED, Reply(body=b"")], "is not S3"),
        ([STARTED, PART, PART, PART, Reply()], "is not S3"),
        (
            [
                STARTED,
                PART,
                PART,
                PART,
                Reply(body=b"\n <Error><Code>InternalError</Code></Error>"),
            ],
            "busy or failing",
        ),
    ],
)
def test_a_failed_upload_is_given_up_on_the_server(
    lying_s3: Scripted,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
    replies: list[Reply],
    match: str,
) -> None:
    monkeypatch.setattr(multipart, "_WORKERS", 1)
    storage = S3Storage(resolve("bucket", "", lying_s3.options, KEYS))
    lying_s3.replies = [LISTING, *replies]
    with pytest.raises(RemoteError, match=match):
        storage.put_file("large", source)
    storage.close()
    begun = replies[0] is STARTED
    gone = [target for method, target, _, _ in lying_s3.requests if method == "DELETE"]
    assert gone == (["/bucket/large?uploadId=u%261"] if begun else [])


def test_a_file_that_shrinks_while_it_is_sent(
    moto_s3: S3Server, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = storage_module.body_of_file

    def shrink(path: Path, start: int, length: int) -> object:
        body = real(path, start, length)
        path.write_bytes(b"short")
        return body

    monkeypatch.setattr(storage_module, "body_of_file", shrink)
    bucket = moto_s3.new_bucket()
    storage = S3Storage(resolve(bucket, "", moto_s3.options, moto_s3.environ))
    with pytest.raises(RemoteError, match="changed while it was read"):
        storage.put_file("key", source)
    assert storage.head("key") is None
    storage.close()


def test_a_file_that_is_not_there(moto_s3: S3Server, tmp_path: Path) -> None:
    bucket = moto_s3.new_bucket()
    storage = S3Storage(resolve(bucket, "", moto_s3.options, moto_s3.environ))
    with pytest.raises(SystemFailure, match="cannot read"):
        storage.put_file("key", tmp_path / "missing")
    storage.close()


def test_who_looks_at_uploads_himself_saves_the_looks(lying_s3: Scripted) -> None:
    storage = S3Storage(resolve("bucket", "", lying_s3.options, KEYS))
    lying_s3.replies = [LISTING, *[Reply(body=b"", headers=ETAG)] * 2]
    storage.leave_checks_to_caller()
    storage.put("one", b"value")
    storage.put("two", b"value", if_absent=True)
    assert [(method, path.split("?")[0]) for method, path, _, _ in lying_s3.requests] == [
        ("GET", "/bucket"),
        ("PUT", "/bucket/one"),
        ("PUT", "/bucket/two"),
    ]
    assert lying_s3.requests[2][2]["if-none-match"] == "*"
    storage.close()


def test_an_upload_without_an_etag_never_counts(lying_s3: Scripted) -> None:
    storage = S3Storage(resolve("bucket", "", lying_s3.options, KEYS))
    lying_s3.replies = [LISTING, Reply(body=b"")]
    storage.leave_checks_to_caller()
    with pytest.raises(RemoteError, match="without ETag"):
        storage.put("one", b"value")
    storage.close()


def test_all_keys_in_one_request_or_none(
    moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = moto_s3.new_bucket()
    storage = S3Storage(resolve(bucket, "prefix", moto_s3.options, moto_s3.environ))
    assert storage.list_short() == []
    for key in ("index/a", "packs/b", "roots/c"):
        storage.put(key, b"value")
    found = storage.list_short()
    assert found is not None
    assert sorted(entry.key for entry in found) == ["index/a", "packs/b", "roots/c"]
    assert all(entry.etag and entry.modified for entry in found)
    monkeypatch.setattr(S3Storage, "page_keys", 2)
    assert storage.list_short() is None
    storage.close()
