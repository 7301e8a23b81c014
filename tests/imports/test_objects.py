"""Imports of objects in S3, and of all below a prefix."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dver.base.errors import (
    CorruptError,
    FormatError,
    NotFoundError,
    ObjectNotFound,
    RemoteError,
)
from dver.base.oid import format_oid, oid_of
from dver.storage.plain.base import Facts
from dver.storage.plain.failing import ChangedError
from dver.storage.plain.s3 import S3Plain
from tests.imports.conftest import CONTENT
from tests.imports.steps import bring, move, origin, pointer_text, pulled
from tests.support.datarepo import DataRepo
from tests.support.s3server import S3Server

pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.fixture
def bucket(moto_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in moto_s3.environ.items():
        monkeypatch.setenv(name, value)
    return moto_s3.new_bucket()


def put(server: S3Server, bucket: str, key: str, data: bytes | None) -> None:
    """Write an object, or with None remove it."""
    from dver.storage.s3.wire import body_of

    wire = server.wire(bucket)
    if data is None:
        status, _, _ = wire.small("remove", "DELETE", key)
    else:
        status, _, _ = wire.small("write", "PUT", key, body=body_of(data))
    wire.close()
    assert status in (200, 204)


def versioned(server: S3Server, bucket: str) -> None:
    from dver.storage.s3.wire import body_of

    wire = server.wire(bucket)
    text = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    wire.small("set", "PUT", "", query=[("versioning", "")], body=body_of(text))
    wire.close()


def test_an_object_of_s3(here: DataRepo, moto_s3: S3Server, bucket: str) -> None:
    versioned(moto_s3, bucket)
    put(moto_s3, bucket, "dir/data é.csv", CONTENT)
    url = f"s3://{bucket}/dir/data é.csv"
    bring(here, url, output="x.csv", endpoint=moto_s3.endpoint)
    found = origin(here, "x.csv")
    assert (here.path / "x.csv").read_bytes() == CONTENT
    assert found.etag == hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    assert found.version
    assert found.url == f"s3://{bucket}/dir/data%20%C3%A9.csv"
    assert found.endpoint == moto_s3.endpoint
    assert move(here, "x.csv").targets[0].state == "current"
    put(moto_s3, bucket, "dir/data é.csv", b"other")
    assert move(here, "x.csv", check=True).has_moved
    # The version that the pointer names is still kept there.
    here.commit("import")
    here.forget_store()
    (here.path / "x.csv").unlink()
    pulled(here, trust=True)
    assert (here.path / "x.csv").read_bytes() == CONTENT
    assert move(here, "x.csv").targets[0].updated
    assert (here.path / "x.csv").read_bytes() == b"other"


def test_a_prefix_of_s3(here: DataRepo, moto_s3: S3Server, bucket: str) -> None:
    for name in ("a", "sub/b", "sub/c", "sub/"):
        put(moto_s3, bucket, f"top/{name}", name.encode())
    put(moto_s3, bucket, "topmost", b"no")
    result = bring(here, f"s3://{bucket}/top/")
    assert (result.path, result.kind, result.files) == ("top", "tree", 3)
    assert (here.path / "top/sub/b").read_bytes() == b"sub/b"
    here.commit("import")
    assert move(here, "top").targets[0].state == "current"
    put(moto_s3, bucket, "top/a", b"A")
    looked = move(here, "top", check=True)
    assert looked.has_moved
    move(here, "top")
    assert (here.path / "top/a").read_bytes() == b"A"
    with pytest.raises(NotFoundError):
        bring(here, f"s3://{bucket}/nothing/")
    with pytest.raises(ObjectNotFound):
        bring(here, f"s3://{bucket}/nothing")


@pytest.mark.parametrize("clone", ["the same", "another"])
def test_only_what_changed_below_a_prefix_comes_again(
    here: DataRepo,
    moto_s3: S3Server,
    bucket: str,
    clone: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By size and ETag; where nothing is noted, by MD5. The tree is the one of a whole download."""
    for name in ("a", "sub/b", "sub/c", "gone/d", "sub/deep/e"):
        put(moto_s3, bucket, f"top/{name}", name.encode())
    bring(here, f"s3://{bucket}/top/")
    here.commit("import")
    if clone == "another":
        shutil.rmtree(here.path / ".git/dver/listings")
    read: list[str] = []
    before = S3Plain.read

    def reading(plain: S3Plain, facts: Facts, start: int = 0) -> Iterator[bytes | memoryview]:
        read.append(facts.name)
        return before(plain, facts, start)

    monkeypatch.setattr(S3Plain, "read", reading)
    put(moto_s3, bucket, "top/sub/b", b"SUB/B")
    put(moto_s3, bucket, "top/new", b"new")
    put(moto_s3, bucket, "top/gone/d", None)
    move(here, "top")
    assert sorted(read) == ["new", "sub/b"]
    assert {str(p.relative_to(here.path / "top")) for p in (here.path / "top").rglob("*")} == {
        *("a", "new", "sub", "sub/b", "sub/c", "sub/deep", "sub/deep/e")
    }
    read.clear()
    bring(here, f"s3://{bucket}/top/", output="whole")
    assert len(read) == 5
    updated, whole = (pointer_text(here, name).splitlines() for name in ("top", "whole"))
    assert updated == whole
    # What was removed there and put back is here.
    put(moto_s3, bucket, "top/new", None)
    read.clear()
    move(here, "top")
    assert not read and not (here.path / "top/new").exists()


def test_a_server_that_ignores_conditions(
    here: DataRepo, rclone_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rclone sends an object whatever If-Match says, and all of it with status 200."""
    bucket = rclone_s3.new_bucket()
    for name, value in rclone_s3.environ.items():
        monkeypatch.setenv(name, value)
    put(rclone_s3, bucket, "top/a", CONTENT)
    put(rclone_s3, bucket, "top/b c", b"2")
    bring(here, f"s3://{bucket}/top/")
    assert (here.path / "top/a").read_bytes() == CONTENT
    assert (here.path / "top/b c").read_bytes() == b"2"
    assert move(here, "top").targets[0].state == "current"
    bring(here, f"s3://{bucket}/top/a")
    plain = S3Plain(bucket, "top/a", {}, rclone_s3.environ)
    facts = plain.look()
    assert b"".join(bytes(one) for one in plain.read(facts, 5)) == CONTENT[5:]
    put(rclone_s3, bucket, "top/a", b"other content")
    with pytest.raises(ChangedError):
        list(plain.read(facts))
    plain.close()


@pytest.mark.parametrize("key", ["../../out", ".git/config", "a/../b", "a", "con/.GIT/x"])
def test_keys_that_are_no_paths(
    here: DataRepo, moto_s3: S3Server, bucket: str, key: str, tmp_path: Path
) -> None:
    put(moto_s3, bucket, "top/a/b", b"1")
    from dver.storage.s3.wire import body_of

    wire = moto_s3.wire(bucket)
    wire.small("write", "PUT", f"top/{key}", body=body_of(b"2"))
    wire.close()
    with pytest.raises((FormatError, RemoteError)):
        bring(here, f"s3://{bucket}/top/")
    assert not (tmp_path / "out").exists()
    assert here.git("status", "--porcelain") == ""


def test_a_wrong_md5_is_found(
    here: DataRepo, moto_s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(moto_s3, bucket, "f", CONTENT)
    real = S3Plain.read

    def damaged(self: S3Plain, facts: Facts, start: int = 0):
        for piece in real(self, facts, start):
            yield b"X" + bytes(piece)[1:]

    monkeypatch.setattr(S3Plain, "read", damaged)
    with pytest.raises(CorruptError, match="MD5"):
        bring(here, f"s3://{bucket}/f")
    monkeypatch.setattr(S3Plain, "read", real)
    result = bring(here, f"s3://{bucket}/f")
    assert result.oid == format_oid(oid_of(CONTENT))
