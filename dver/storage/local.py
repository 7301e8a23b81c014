"""A storage in a local directory (stopgap until the storage engineer's lands; overwrite freely)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dver.base import fsio
from dver.base.errors import AlreadyExists, ObjectNotFound, RemoteError
from dver.storage.base import Entry, Facts, Storage, check_key


class LocalStorage(Storage):
    """Keys are files below ``root``."""

    def __init__(self, root: Path | str) -> None:
        self.root = os.fspath(root)
        self.description = fsio.show(self.root)
        self.facts = Facts(conditional_create=True, connections=4, local=True)

    def local_path(self, key: str) -> str:
        check_key(key)
        return os.path.join(self.root, *key.split("/"))

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        path = self.local_path(key)
        try:
            with open(path, "rb") as file:
                file.seek(start)
                data = file.read() if length is None else file.read(length)
        except FileNotFoundError as error:
            raise ObjectNotFound(f"{key} is not in {self.description}") from error
        except OSError as error:
            raise fsio.failure(error, "read", path) from error
        if length is not None and len(data) != length:
            raise RemoteError(f"{key} in {self.description} is shorter than expected")
        return data

    def put(self, key: str, data: bytes | memoryview, *, if_absent: bool = False) -> None:
        if not fsio.write_atomic(self.local_path(key), bytes(data), replace=not if_absent):
            raise AlreadyExists(f"{key} is already in {self.description}")

    def head(self, key: str) -> Entry | None:
        try:
            st = os.stat(self.local_path(key))
        except FileNotFoundError:
            return None
        return Entry(key, st.st_size, st.st_mtime)

    def list(self, prefix: str) -> Iterator[Entry]:
        for directory, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(directory, name)
                key = os.path.relpath(path, self.root).replace(os.sep, "/")
                if key.startswith(prefix) and not name.startswith(fsio.TEMP_PREFIX):
                    st = os.stat(path)
                    yield Entry(key, st.st_size, st.st_mtime)

    def delete(self, key: str) -> None:
        fsio.remove(self.local_path(key))
