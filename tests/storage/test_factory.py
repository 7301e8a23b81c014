"""From URLs to storages."""

from __future__ import annotations

from pathlib import Path

import pytest

from dver.base.errors import ConfigError
from dver.storage.base import Storage
from dver.storage.factory import open_storage
from dver.storage.fsspec_storage import FsspecStorage
from dver.storage.local import LocalStorage
from dver.storage.retry import Retrying
from dver.storage.s3 import S3Storage
from dver.storage.wrappers import ReadOnly

KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "HOME": "/home/ada"}


def opened(url: str, **options: str | int | bool) -> Storage:
    return open_storage(url, options, environ=KEYS, base=Path("/base"))


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("/srv/data", "/srv/data"),
        ("data/store", "/base/data/store"),
        ("../up", "/up"),
        ("~/store", "/home/ada/store"),
        ("~", "/home/ada"),
        ("file:///srv/data", "/srv/data"),
        ("FILE:///srv/data", "/srv/data"),
        ("with space", "/base/with space"),
        ("a:b", "/base/a:b"),
    ],
)
def test_directories(url: str, root: str) -> None:
    storage = opened(url)
    assert isinstance(storage, LocalStorage)
    assert storage.root == root


def test_s3_is_native_and_repeats() -> None:
    storage = opened("s3://bucket/some//prefix/", retries=3)
    assert isinstance(storage, Retrying)
    assert storage.policy.attempts == 4
    assert isinstance(storage.inner, S3Storage)
    assert storage.description == "s3://bucket/some/prefix"


def test_s3_through_fsspec() -> None:
    storage = opened("s3://bucket/prefix", client="fsspec", endpoint_url="http://127.0.0.1:1")
    assert isinstance(storage, Retrying)
    assert isinstance(storage.inner, FsspecStorage)


def test_http_is_read_only() -> None:
    storage = opened("https://example.com/data")
    assert isinstance(storage, Retrying)
    assert isinstance(storage.inner, ReadOnly)


@pytest.mark.parametrize(
    ("url", "match", "hint"),
    [
        ("s3://", "no bucket", "s3://BUCKET/PREFIX"),
        ("s3:///prefix", "no bucket", "s3://BUCKET/PREFIX"),
        ("s3://a/../b", "in its path", None),
        ("s3://a", "not the name of an S3 bucket", None),
        ("s3://-bad-/x", "not the name of an S3 bucket", None),
        ("nosuch://host/x", "no URL begins with nosuch://", "fsspec"),
        ("oss://bucket/x", "not installed", "pip install 'ossfs'"),
        ("zip://a.zip", "no place", None),
        ("simplecache::s3://b/x", "no place", None),
        ("reference://x", "no place", None),
        ("sftp://h/x?password=hunter2", "query", None),
        ("", "no directory", None),
    ],
)
def test_refused_urls(url: str, match: str, hint: str | None) -> None:
    with pytest.raises(ConfigError, match=match) as caught:
        opened(url)
    assert hint is None or hint in str(caught.value.hint)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIAIOSFODNN7EXAMPLE:hunter2@bucket/x",
        "s3://hunter2@bucket/x",
        "https://user:hunter2@host/x",
        "https://hunter2@host/x",
        "sftp://user:hunter2@host/x",
        "ftp://user:hunter2@host/x",
    ],
)
def test_credentials_in_urls_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="carries credentials") as caught:
        opened(url)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("url", "options", "match"),
    [
        ("s3://bucket/x", {"speed": "fast"}, "no setting 'speed'"),
        ("s3://bucket/x", {"anonymous": "perhaps"}, "anonymous is 'perhaps'"),
        ("s3://bucket/x", {"sse": "rot13"}, "sse is 'rot13'"),
        ("s3://bucket/x", {"sse": "AES256", "sse_kms_key_id": "k"}, "needs a KMS encryption"),
        ("s3://bucket/x", {"timeout": "soon"}, "timeout is 'soon'"),
        ("s3://bucket/x", {"retries": "many"}, "retries is 'many'"),
        ("s3://bucket/x", {"endpoint_url": "minio:9000"}, "endpoint_url is not a URL"),
        ("s3://bucket/x", {"endpoint_url": "http://h:x"}, "endpoint_url is not a URL"),
        ("s3://bucket/x", {"endpoint_url": "http://a:hunter2@h"}, "must not carry credentials"),
        ("s3://bucket/x", {"profile": "nobody"}, "no AWS profile 'nobody'"),
        ("memory://x", {"region": "eu-west-1"}, "region means nothing for a memory:// remote"),
    ],
)
def test_refused_options(url: str, options: dict[str, str], match: str) -> None:
    with pytest.raises(ConfigError, match=match) as caught:
        opened(url, **options)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
