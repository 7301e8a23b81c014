"""Buckets that keep what is deleted: with versioning, and with a lock on it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from dver.base.errors import RemoteError, TransientError
from dver.base.oid import oid_of
from dver.base.reporter import SILENT
from dver.formats.purged import Purged, PurgedObject
from dver.storage.factory import open_storage
from dver.storage.fsspec_errors import explained
from dver.storage.s3.wire import body_of
from dver.storage.wrappers import Fault, Faulty
from dver.transfer.gc.collect import collect
from dver.transfer.gc.purge import PurgedRemote, purge_remote
from tests.support.s3server import S3Server
from tests.transfer.collecting import dropping, gc, keys
from tests.transfer.world import Clone, noise

SECRET = noise(9, 3000)
_VERSIONED = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
_LOCKED = (
    b"<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2099-01-01T00:00:00Z"
    b"</RetainUntilDate></Retention>"
)


def ask(
    server: S3Server, bucket: str, method: str, key: str, what: str, body: bytes = b""
) -> bytes:
    """Send one request to a bucket, and return the answer, which must be good."""
    wire = server.wire(bucket)
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    headers = {"content-md5": md5} if body else {}
    with contextlib.closing(wire):
        status, _, text = wire.small(
            "test", method, key, query=[(what, "")], headers=headers, body=body_of(body)
        )
    assert status == 200, text
    return text


@pytest.fixture
def bucket(moto_s3: S3Server) -> str:
    """A bucket that keeps old versions, and lets some of them be locked."""
    name = f"dver-{uuid.uuid4().hex[:12]}"
    wire = moto_s3.wire(name)
    with contextlib.closing(wire):
        headers = {"x-amz-bucket-object-lock-enabled": "true"}
        status, _, text = wire.small("create", "PUT", headers=headers)
    assert status == 200, text
    ask(moto_s3, name, "PUT", "", "versioning", _VERSIONED)
    return name


@pytest.fixture(params=["own", "fsspec"])
def client(request: pytest.FixtureRequest) -> str:
    """Which S3 client is used: dver's own, or s3fs."""
    return str(request.param)


@pytest.fixture
def clone(moto_s3: S3Server, bucket: str, tmp_path: Path, client: str) -> Iterator[Clone]:
    """A clone that has pushed the secret and something else, in packs of their own."""
    options = {**moto_s3.options, **({"client": "fsspec"} if client == "fsspec" else {})}
    storage = open_storage(f"s3://{bucket}/store", options, environ=moto_s3.environ, base=tmp_path)
    made = Clone(tmp_path / "clone", storage)
    made.push(made.add("secret", SECRET))
    made.push(made.add("other", noise(1, 3000)))
    yield made
    storage.close()


def purge(clone: Clone, storage=None) -> PurgedRemote:
    named = (PurgedObject(oid_of(SECRET), "file"),)
    remote = clone.remote()
    if storage is not None:
        remote.storage.inner = storage
    return purge_remote(
        clone.store, remote, Purged("0" * 32, 0, "me", "", named), dry_run=False, reporter=SILENT
    )


def test_old_versions_go_with_what_is_purged(clone: Clone, moto_s3: S3Server, bucket: str) -> None:
    [pack] = [key for key in keys(clone.storage, "packs/") if SECRET in clone.storage.get(key)]
    done = purge(clone)
    assert (done.deleted, done.kept_versions, done.left) == (1, [], frozenset())
    assert pack.encode() not in ask(moto_s3, bucket, "GET", "", "versions")
    assert len(keys(clone.storage, "packs/")) == 1


def test_a_locked_version_is_told_and_stops_nothing(
    clone: Clone, moto_s3: S3Server, bucket: str
) -> None:
    [pack] = [key for key in keys(clone.storage, "packs/") if SECRET in clone.storage.get(key)]
    ask(moto_s3, bucket, "PUT", f"store/{pack}", "retention", _LOCKED)
    done = purge(clone)
    assert done.kept_versions == [pack]
    assert "AccessDenied" in done.reason
    assert done.left == frozenset()
    assert pack not in keys(clone.storage, "packs/")
    # A collection after it finds nothing wrong, and neither does a push.
    assert not gc(clone, grace=0).swept.refused
    assert clone.push(clone.add("new", b"new")).session


@pytest.mark.parametrize("client", ["own"], indirect=True)
def test_a_refused_delete_is_told_for_each_key_and_stops_nothing(clone: Clone) -> None:
    refusing = Refusing(clone.storage)
    done = purge(clone, refusing)
    assert len(done.refused) == 1
    assert done.reason == "access denied (HTTP 403 AccessDenied)"
    assert done.left == frozenset(), "no segment names it any more"
    again = purge(clone)
    assert again.deleted == 1
    assert again.refused == []


@pytest.mark.parametrize("client", ["own"], indirect=True)
def test_a_collection_goes_on_where_roots_and_packs_are_locked(clone: Clone) -> None:
    remote = clone.remote()
    remote.storage.inner = Refusing(clone.storage)
    done = collect(clone.store, remote, grace=0, policy=dropping(), reporter=SILENT)
    assert sorted(done.swept.refused) == keys(clone.storage, "roots/")
    assert done.dropped == ()
    assert done.swept.reason == "access denied (HTTP 403 AccessDenied)"
    assert gc(clone, grace=0, policy=dropping()).dropped


class Refusing(Faulty):
    """Deletes no pack and no root."""

    def __init__(self, inner) -> None:
        super().__init__(inner, Fault("put", nth=10_000))

    def delete(self, key: str) -> None:
        if key.startswith(("packs/", "roots/")):
            raise RemoteError("access denied (HTTP 403 AccessDenied)")
        super().delete(key)


def test_a_busy_server_of_fsspec_is_asked_again() -> None:
    class ClientError(Exception):
        response: ClassVar = {"Error": {"Code": "429"}, "ResponseMetadata": {"HTTPStatusCode": 429}}

    with pytest.raises(TransientError), explained("cannot look up"):
        try:
            raise ClientError
        except ClientError as error:
            raise OSError("An error occurred (429) when calling HeadObject") from error
