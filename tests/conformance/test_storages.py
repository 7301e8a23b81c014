"""Every storage does what :mod:`dver.storage.base` promises."""

from __future__ import annotations

import copy
import itertools
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dver.storage.base import Storage
from dver.storage.factory import open_storage
from dver.storage.fsspec_storage import FsspecStorage
from dver.storage.local import LocalStorage
from dver.storage.memory import MemoryStorage
from dver.storage.retry import Retrying
from dver.storage.s3 import S3Storage
from dver.storage.s3.wire import body_of
from dver.storage.wrappers import Tracing
from tests.conformance.storage_suite import PAGE, StorageSuite
from tests.support.s3server import S3Server


class Opening(StorageSuite):
    """Both fixtures from one that opens the place."""

    @pytest.fixture
    def storage(self, reopen: Callable[[], Storage]) -> Iterator[Storage]:
        storage = reopen()
        yield storage
        storage.close()


class TestMemory(Opening):
    @pytest.fixture
    def reopen(self) -> Callable[[], Storage]:
        one = MemoryStorage()
        return lambda: one


class TestWrapped(Opening):
    @pytest.fixture
    def reopen(self) -> Callable[[], Storage]:
        one = MemoryStorage()
        return lambda: Tracing(one)


class TestLocal(Opening):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], Storage]:
        root = tmp_path / "root"
        root.mkdir()
        return lambda: LocalStorage(root)


class TestFsspecMemory(Opening):
    @pytest.fixture
    def reopen(self) -> Callable[[], Storage]:
        url = f"memory://{uuid.uuid4().hex}/store"
        return lambda: open_storage(url, {}, environ={}, base=Path("/"))


class TestFsspecFile(Opening):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], Storage]:
        root = tmp_path / "root"
        root.mkdir()
        return lambda: FsspecStorage(f"file://{root}")


class OnServer(Opening):
    """A bucket on a server that a subclass's fixture names."""

    @pytest.fixture
    def server(self) -> S3Server:
        raise NotImplementedError

    @pytest.fixture
    def url(self, server: S3Server) -> str:
        return server.new_url("some/prefix")

    @pytest.fixture
    def reopen(
        self, server: S3Server, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[], Storage]:
        monkeypatch.setattr(S3Storage, "page_keys", PAGE)
        return lambda: open_storage(url, server.options, environ=server.environ, base=Path("/"))

    @pytest.fixture(autouse=True)
    def _quick(self, server: S3Server, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Write many values past the storage, without its checks after each."""

        def put_many(_suite: OnServer, _storage: Storage, sizes: dict[str, int]) -> None:
            bucket, _, prefix = url.removeprefix("s3://").partition("/")
            wire = server.wire(bucket)
            for key, size in sizes.items():
                body = body_of(b"x" * size)
                assert wire.small("write", "PUT", f"{prefix}/{key}", body=body)[0] == 200
            wire.close()

        monkeypatch.setattr(OnServer, "_put_many", put_many)


class TestMoto(OnServer):
    @pytest.fixture
    def server(self, moto_s3: S3Server) -> S3Server:
        return moto_s3


class TestRclone(OnServer):
    @pytest.fixture
    def server(self, rclone_s3: S3Server) -> S3Server:
        return rclone_s3


@pytest.fixture(scope="session")
def s3fs_clients(moto_s3: S3Server) -> list[FsspecStorage]:
    """Two clients for all tests, since each takes long to open."""
    options = {**moto_s3.options, "client": "fsspec"}
    storages = []
    for _ in range(2):
        url = moto_s3.new_url()
        storage = open_storage(url, options, environ=moto_s3.environ, base=Path("/"))
        assert isinstance(storage, Retrying)
        assert isinstance(storage.inner, FsspecStorage)
        storages.append(storage.inner)
    return storages


class TestS3fs(OnServer):
    @pytest.fixture
    def server(self, moto_s3: S3Server) -> S3Server:
        return moto_s3

    @pytest.fixture
    def reopen(self, s3fs_clients: list[FsspecStorage], url: str) -> Callable[[], Storage]:
        clients = itertools.cycle(s3fs_clients)

        def reopen() -> Storage:
            storage = copy.copy(next(clients))
            storage.description = url
            storage._root = url.removeprefix("s3://")
            storage._container_seen = False
            return storage

        return reopen
