"""Counting what goes over the wire."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from dver.storage.base import Entry, Storage
from dver.storage.wrappers import Wrapper

#: Keys that one page of a listing holds in S3.
_PAGE = 1000


class Meter(Wrapper):
    """A storage that counts the requests made of another, and the bytes they carried.

    A listing counts one request for each thousand keys. Requests that a layer below repeats
    count once.
    """

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage)
        self.requests = 0
        self.received = 0
        self.sent = 0
        self._lock = threading.Lock()

    def _count(self, *, received: int = 0, sent: int = 0) -> None:
        with self._lock:
            self.requests += 1
            self.received += received
            self.sent += sent

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a range of a key's bytes."""
        try:
            data = self.inner.get(key, start, length)
        except BaseException:
            self._count()
            raise
        self._count(received=len(data))
        return data

    def put(self, key: str, data: bytes | memoryview, *, if_absent: bool = False) -> None:
        """Store bytes under a key."""
        self._count(sent=len(data))
        self.inner.put(key, data, if_absent=if_absent)

    def head(self, key: str) -> Entry | None:
        """Return a key's entry, or None."""
        self._count()
        return self.inner.head(key)

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield every key that begins with ``prefix``."""
        self._count()
        for number, entry in enumerate(self.inner.list(prefix)):
            if number and number % _PAGE == 0:
                self._count()
            yield entry

    def list_short(self) -> Sequence[Entry] | None:
        """Return every key there is, if one request can tell."""
        entries = self.inner.list_short()
        if entries is not None:
            self._count()
        return entries

    def delete(self, key: str) -> None:
        """Remove a key."""
        self._count()
        self.inner.delete(key)

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file's bytes under a key."""
        self._count(sent=path.stat().st_size)
        self.inner.put_file(key, path)

    def get_file(self, key: str, path: Path) -> int:
        """Write a key's bytes to a new local file."""
        try:
            size = self.inner.get_file(key, path)
        except BaseException:
            self._count()
            raise
        self._count(received=size)
        return size
