"""Trying out what a storage really does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dver.base.errors import RemoteError, TransientError
from dver.storage.base import Entry
from dver.storage.factory import open_storage
from dver.storage.local import LocalStorage
from dver.storage.memory import MemoryStorage
from dver.storage.probe import Capabilities, probe_capabilities
from dver.storage.wrappers import Fault, Faulty, ReadOnly, Wrapper
from tests.support.s3server import S3Server, Scripted

SOUND = Capabilities(
    reachable=True,
    writable=True,
    lists=True,
    ranges=True,
    conditional_create=True,
    deletes=True,
)


def test_a_new_directory(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "new")
    found = probe_capabilities(storage)
    assert replace(found, skew=None) == SOUND
    assert found.usable
    assert abs(found.skew or 0.0) < 60
    assert list(storage.list("")) == []


def test_servers(rclone_s3: S3Server, moto_s3: S3Server) -> None:
    for server in (rclone_s3, moto_s3):
        storage = open_storage(
            server.new_url(), server.options, environ=server.environ, base=Path("/")
        )
        found = probe_capabilities(storage)
        assert replace(found, skew=None) == replace(
            SOUND, conditional_create=server.conditional_create
        )
        assert abs(found.skew or 0.0) < 60
        assert list(storage.list("")) == []
        storage.close()


def test_a_web_page(lying_s3: Scripted) -> None:
    storage = open_storage(
        "s3://bucket/x",
        lying_s3.options,
        environ={"AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s"},
        base=Path("/"),
    )
    found = probe_capabilities(storage)
    assert not found.reachable
    assert not found.usable
    assert "is not S3" in str(found.problem)
    storage.close()


class ShortRanges(Wrapper):
    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        return self.inner.get(key)[start:][:length]


class EmptyListings(Wrapper):
    def list(self, prefix: str) -> Iterator[Entry]:
        return iter(())


class Forgetful(Wrapper):
    def put(self, key: str, data: bytes | memoryview, *, if_absent: bool = False) -> None:
        super().put(key, b"", if_absent=if_absent)


class Careless(Wrapper):
    def try_conditional_create(self, key: str) -> bool:
        return False


class Keeping(Wrapper):
    def delete(self, key: str) -> None:
        pass


@pytest.mark.parametrize(
    ("kind", "wrong", "usable"),
    [
        (ShortRanges, "ranges", False),
        (EmptyListings, "lists", False),
        (Careless, "conditional_create", True),
        (Keeping, "deletes", True),
    ],
)
def test_what_is_wrong_is_named(kind: type[Wrapper], wrong: str, usable: bool) -> None:
    found = probe_capabilities(kind(MemoryStorage()))
    assert replace(found, skew=None) == replace(SOUND, **{wrong: False})
    assert found.usable is usable


def test_what_is_not_kept_is_found_out() -> None:
    found = probe_capabilities(Forgetful(MemoryStorage()))
    assert found.writable is False
    assert not found.usable


def test_without_writing() -> None:
    inner = MemoryStorage()
    assert probe_capabilities(ReadOnly(inner), write=False) == Capabilities(reachable=True)
    found = probe_capabilities(ReadOnly(inner))
    assert (found.reachable, found.writable) == (True, False)
    assert "reading only" in str(found.problem)


def test_a_failure_half_way_leaves_no_probe_behind() -> None:
    inner = MemoryStorage()
    found = probe_capabilities(Faulty(inner, Fault("list", 1, TransientError("busy"))))
    assert (found.writable, found.lists) == (True, None)
    assert str(found.problem) == "busy"
    assert list(inner.list("")) == []


def test_unreachable() -> None:
    found = probe_capabilities(Faulty(MemoryStorage(), Fault("head", 0, RemoteError("gone"))))
    assert found == Capabilities(reachable=False, problem=found.problem)
    assert str(found.problem) == "gone"
