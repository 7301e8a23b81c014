"""What is asked of a place that plain data is read from."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from dver.base.oid import oid_of


class Facts(NamedTuple):
    """What a server says of one file, without sending it.

    ``name`` is relative to the place, "" for the file itself. ``size`` is in bytes, None if it is
    not told. ``etag`` is without quotes and weak ones keep their ``W/``; ``modified`` as
    ``2026-01-31T12:00:00Z``; ``version`` is the id of a kept version; each "" if it is not told.
    ``md5`` is the hex digest of the content, where the server is known to give it.
    """

    name: str = ""
    size: int | None = None
    etag: str = ""
    modified: str = ""
    version: str = ""
    md5: str = ""

    @property
    def is_pinned(self) -> bool:
        """Whether two reads can be told to be of the same content."""
        return bool(self.version) or bool(self.etag and not self.etag.startswith("W/"))


class Plain(ABC):
    """A file at a URL, or the files of a directory if the URL ends with ``/``.

    Errors are RemoteError, TransientError (repeating helps) and ObjectNotFound; none repeats a
    secret.
    """

    #: What to call the place in messages.
    description: str
    is_directory: bool

    @abstractmethod
    def look(self, known: Facts | None = None) -> Facts:
        """Return the facts of the file; ``known`` itself if the server says it is unchanged."""

    @abstractmethod
    def entries(self) -> Iterator[Facts]:
        """Yield the facts of all files of a directory, in no order."""

    @abstractmethod
    def read(self, facts: Facts, start: int = 0) -> Iterator[bytes | memoryview]:
        """Yield the content of one file from a byte on, each piece valid until the next.

        Raises :class:`ChangedError` if it is not any more what ``facts`` say, as far as the server
        can tell.
        """

    def close(self) -> None:  # noqa: B027  there may be nothing to release
        """Release connections."""


def listing_etag(files: list[Facts]) -> str:
    """Return what stands for a whole listing: equal as long as no file of it changes."""
    rows = sorted(
        (
            one.name.encode("utf-8", "surrogateescape"),
            str(one.size or 0).encode(),
            one.etag.encode(),
        )
        for one in files
    )
    return f"listing-{oid_of(b''.join(part + bytes(1) for row in rows for part in row)).hex()}"


def utc_text(seconds: float) -> str:
    """Return a moment as ``2026-01-31T12:00:00Z``; "" for what no calendar has."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return ""


def http_time(text: str) -> str:
    """Return a time of an HTTP header as ``2026-01-31T12:00:00Z``; "" if it is none."""
    from email.utils import parsedate_to_datetime

    try:
        return utc_text(parsedate_to_datetime(text).timestamp())
    except (ValueError, OverflowError, OSError):
        return ""


def plain_etag(text: str) -> str:
    """Return an ETag header's value without its quotes; weak ones keep ``W/``. "" if malformed."""
    text = text.strip()
    weak = "W/" if text.startswith("W/") else ""
    value = text.removeprefix("W/").strip('"')
    fine = len(value) <= 512 and all(32 < ord(char) < 127 for char in value)
    return weak + value if value and fine else ""


def quoted_etag(etag: str) -> str:
    """Return an ETag as a header spells it."""
    weak = "W/" if etag.startswith("W/") else ""
    return f'{weak}"{etag.removeprefix("W/")}"'


def new_md5() -> hashlib._Hash:
    """Return an incremental MD5: against accidents, not against people."""
    return hashlib.md5(usedforsecurity=False)
