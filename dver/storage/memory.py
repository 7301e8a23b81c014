"""A storage in this process's memory, for tests and for embedding."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from dver.base import clock
from dver.base.errors import AlreadyExists, CorruptError, ObjectNotFound
from dver.storage.base import Entry, Facts, Storage, check_key


class MemoryStorage(Storage):
    """Keys are entries of a dictionary; nothing outlives the object."""

    def __init__(self, description: str = "memory") -> None:
        self.description = description
        self.facts = Facts(conditional_create=True, connections=4)
        self._lock = threading.Lock()
        self._values: dict[str, tuple[bytes, float]] = {}

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return ``length`` bytes from ``start``, or everything from there on."""
        check_key(key)
        found = self._values.get(key)
        if found is None:
            raise ObjectNotFound(f"{key} is not in {self.description}")
        data = found[0]
        end = len(data) if length is None else start + length
        if end > len(data) or start > end:
            raise CorruptError(f"{key} in {self.description} has only {len(data)} bytes")
        return data[start:end]

    def put(self, key: str, data: bytes | memoryview, *, if_absent: bool = False) -> None:
        """Store bytes under a key; see :class:`~dver.storage.base.Storage`."""
        check_key(key)
        value = bytes(data), clock.now_ns() / 1e9
        with self._lock:
            if if_absent and key in self._values:
                raise AlreadyExists(f"{key} is already in {self.description}")
            self._values[key] = value

    def head(self, key: str) -> Entry | None:
        """Return a key's entry, or None if it does not exist."""
        check_key(key)
        found = self._values.get(key)
        return None if found is None else Entry(key, len(found[0]), found[1])

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield every key that begins with ``prefix``, as it was at the first step."""
        with self._lock:
            values = dict(self._values)
        for key, (data, modified) in values.items():
            if key.startswith(prefix):
                yield Entry(key, len(data), modified)

    def delete(self, key: str) -> None:
        """Remove a key; a missing one is fine."""
        check_key(key)
        with self._lock:
            self._values.pop(key, None)
