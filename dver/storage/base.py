"""The interface of a storage: the few raw verbs that a store needs of a disk or a bucket."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dver.base.errors import AlreadyExists


class Entry(NamedTuple):
    """One key: its size in bytes, its age by the storage's own clock (Unix seconds), its ETag."""

    key: str
    size: int
    modified: float | None = None
    etag: str | None = None


class Facts(NamedTuple):
    """What a storage can do.

    ``conditional_create``: ``put(..., if_absent=True)`` is atomic across all writers.
    ``connections``: how many requests are worth having under way at once.
    ``local``: keys are files of this machine, so that mapping them beats reading them.
    """

    conditional_create: bool
    connections: int
    local: bool = False


class Storage(ABC):
    """Named byte strings in one place: a directory, a bucket prefix, memory.

    Keys are relative, ``/``-separated, printable ASCII. All methods may be called from several
    threads. What every implementation guarantees, and the conformance suite checks:

    - a put is atomic: readers see nothing, or all of it; it is durable when the call returns
    - a key that was put is seen by the next get, head and list, by anyone
    - list yields every key under the prefix exactly once, or raises; it never stops early
    - a missing key is :class:`~dver.base.errors.ObjectNotFound`, and nothing else is
    - a range that is not there in full is :class:`~dver.base.errors.CorruptError`, never a short
      answer; everything from the very end on is ``b""``
    - foreign exceptions never leave: they become ``RemoteError``, ``TransientError`` (repeating
      the call may help) or ``SystemFailure``, and no message carries a secret
    """

    #: What to call the storage in messages; never holds a secret.
    description: str
    facts: Facts

    @abstractmethod
    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return ``length`` bytes from ``start``, or everything from there on."""

    @abstractmethod
    def put(self, key: str, data: bytes | memoryview, *, if_absent: bool = False) -> None:
        """Store bytes under a key, replacing what was there.

        With ``if_absent`` a taken key raises :class:`~dver.base.errors.AlreadyExists`.
        """

    @abstractmethod
    def head(self, key: str) -> Entry | None:
        """Return a key's entry, or None if it does not exist."""

    @abstractmethod
    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield every key that begins with ``prefix``, in no particular order."""

    def list_short(self) -> Sequence[Entry] | None:
        """Return every key there is, if one request can tell; None where it cannot."""
        return None

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove a key; a missing one is fine."""

    def delete_old_versions(self, key: str) -> Sequence[str]:  # noqa: ARG002  most have none
        """Remove, for good, what the storage keeps of a key that was deleted.

        Returns why something is still kept, nothing if none is, as far as the storage tells.
        """
        return ()

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file's bytes under a key. The file must not change meanwhile."""
        self.put(key, path.read_bytes())

    def get_file(self, key: str, path: Path) -> int:
        """Write a key's bytes to a new local file, not synced; return how many there were."""
        data = self.get(key)
        path.write_bytes(data)
        return len(data)

    def try_conditional_create(self, key: str) -> bool:
        """Find out on a key of no account whether ``if_absent`` is really decided by the storage.

        The key exists afterwards. Implementations that look first, for the sake of servers that
        ignore the condition, must not do so here.
        """
        self.put(key, b"first")
        try:
            self.put(key, b"second", if_absent=True)
        except AlreadyExists:
            return True
        return False

    def leave_checks_to_caller(self) -> None:  # noqa: B027  there may be none
        """Ask no longer by itself whether uploads arrived, or keys are free: the caller will."""

    def local_path(self, key: str) -> str | None:  # noqa: ARG002  the default has none
        """Return the file that holds a key, where ``facts.local``; the file need not exist."""
        return None

    def close(self) -> None:  # noqa: B027  there may be nothing to release
        """Release connections. The storage must not be used afterwards."""


def check_key(key: str) -> None:
    """Raise ValueError for a key that no store of dver makes, such as one that climbs out."""
    if not valid_key(key):
        raise ValueError(f"not a storage key: {key!r}")


def valid_key(key: str) -> bool:
    """Tell whether a store of dver could make that key."""
    if not key.isascii() or not key.isprintable() or "\\" in key or os.path.isabs(key):
        return False
    return not any(part in ("", ".", "..") for part in key.split("/"))
