"""What lies behind fsspec: foreign errors, missing places, uploads in one step."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dver.base.errors import ConfigError, ObjectNotFound, RemoteError, TransientError
from dver.base.fsio import TEMP_PREFIX
from dver.storage.factory import open_storage
from dver.storage.fsspec_storage import FsspecStorage
from tests.support.s3server import S3Server, Scripted


@pytest.fixture
def storage(tmp_path: Path) -> FsspecStorage:
    (tmp_path / "root").mkdir()
    return FsspecStorage(f"file://{tmp_path}/root")


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*_args: object, **_options: object) -> Any:
        raise error

    return fail


class ClientPayloadError(Exception):
    """Named as aiohttp names it."""


class StatusError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__("https://host/x?sig=hunter2 failed")
        self.status = status


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError("slow"), TransientError),
        (ConnectionResetError("reset"), TransientError),
        (ClientPayloadError("cut"), TransientError),
        (StatusError(503), TransientError),
        (StatusError(403), RemoteError),
        (PermissionError("no"), RemoteError),
        (NotImplementedError(), RemoteError),
        (RuntimeError("odd"), RemoteError),
    ],
)
def test_foreign_errors(
    storage: FsspecStorage, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type
) -> None:
    for name in ("cat_file", "pipe_file", "info", "ls", "rm_file"):
        monkeypatch.setattr(storage._fs, name, failing(error))
    for call in (
        lambda: storage.get("key"),
        lambda: storage.put("key", b"1"),
        lambda: storage.head("key"),
        lambda: list(storage.list("")),
        lambda: storage.delete("key"),
    ):
        with pytest.raises(RemoteError) as caught:
            call()
        assert type(caught.value) is kind
        assert type(error).__name__ in caught.value.message
        assert "hunter2" not in caught.value.message


def test_a_missing_root_is_an_error_not_an_empty_place(tmp_path: Path) -> None:
    storage = FsspecStorage(f"file://{tmp_path}/missing")
    with pytest.raises(RemoteError, match="there is no directory"):
        list(storage.list(""))
    with pytest.raises(RemoteError, match="there is no directory") as caught:
        storage.head("key")
    assert not isinstance(caught.value, ObjectNotFound)


def test_a_missing_bucket_is_an_error(moto_s3: S3Server) -> None:
    storage = open_storage(
        "s3://no-such-bucket/x",
        {**moto_s3.options, "client": "fsspec", "retries": 0},
        environ=moto_s3.environ,
        base=Path("/"),
    )
    for call in (
        lambda: list(storage.list("")),
        lambda: storage.head("key"),
        lambda: storage.get("key"),
        lambda: storage.put("key", b"1"),
    ):
        with pytest.raises(RemoteError) as caught:
            call()
        assert not isinstance(caught.value, ObjectNotFound)


def test_a_directory_that_cannot_be_listed_is_not_left_out(
    storage: FsspecStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put("packs/ab/1", b"1")
    real = storage._fs.ls

    def ls(path: str, **options: object) -> object:
        if path.endswith("ab"):
            raise PermissionError("no")
        return real(path, **options)

    monkeypatch.setattr(storage._fs, "ls", ls)
    with pytest.raises(RemoteError, match="PermissionError"):
        list(storage.list(""))


def test_a_failed_write_leaves_nothing(
    storage: FsspecStorage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    storage.put("key", b"old")
    monkeypatch.setattr(storage._fs, "mv", failing(OSError("no")))
    with pytest.raises(RemoteError):
        storage.put("key", b"new")
    assert storage.get("key") == b"old"
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["key"]


def test_temporary_files_are_not_listed(storage: FsspecStorage, tmp_path: Path) -> None:
    storage.put("a/key", b"1")
    (tmp_path / "root" / "a" / f"{TEMP_PREFIX}x").write_bytes(b"half")
    assert [entry.key for entry in storage.list("")] == ["a/key"]


def test_a_put_that_was_cut_is_found_out(
    storage: FsspecStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = storage._fs.pipe_file
    monkeypatch.setattr(storage._fs, "pipe_file", lambda path, data: real(path, data[:2]))
    with pytest.raises(RemoteError, match="took key of 5 bytes, and has 2 bytes there"):
        storage.put("key", b"12345")


def test_what_others_write_is_seen_at_once() -> None:
    url = f"memory://{uuid.uuid4().hex}"
    one, other = FsspecStorage(url), FsspecStorage(url)
    assert list(one.list("")) == []
    other.put("key", b"1")
    assert [entry.key for entry in one.list("")] == ["key"]


def test_http_without_a_listing_is_an_error(lying_s3: Scripted) -> None:
    storage = open_storage(f"{lying_s3.endpoint}/data", {"retries": 0}, environ={}, base=Path("/"))
    with pytest.raises(RemoteError, match="no listing"):
        list(storage.list(""))


def test_http_reads(lying_s3: Scripted) -> None:
    lying_s3.default.body = b"value"
    storage = open_storage(f"{lying_s3.endpoint}/data", {"retries": 0}, environ={}, base=Path("/"))
    assert storage.get("key") == b"value"


def test_an_unknown_scheme() -> None:
    with pytest.raises(ConfigError, match="no URL begins with nosuch://"):
        FsspecStorage("nosuch://x")


def test_s3fs_asks_for_encryption(moto_s3: S3Server) -> None:
    url = moto_s3.new_url()
    options = {**moto_s3.options, "client": "fsspec", "sse": "AES256"}
    storage = open_storage(url, options, environ=moto_s3.environ, base=Path("/"))
    storage.put("key", b"1")
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    wire = moto_s3.wire(bucket)
    _, headers, _ = wire.small("look at", "HEAD", f"{prefix}/key")
    wire.close()
    assert headers["x-amz-server-side-encryption"] == "AES256"
