"""Every version of some data across git history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Whose versions to list, and from where.

    ``path`` is a target, its pointer, or a path inside a tracked directory; it may be gone by
    now. ``revisions`` are as for ``git log`` (ranges too), HEAD if there are none; ``all`` starts
    from every ref. ``max_count`` stops after that many versions. ``follow`` goes on under the old
    name when a pointer was renamed.
    """

    path: str
    revisions: tuple[str, ...] = ()
    all: bool = False
    max_count: int | None = None
    follow: bool = True


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One commit that changed the data.

    ``date`` is the author date in ISO 8601 with its zone. ``path`` is the data's path at that
    commit. ``oid`` (text form), ``kind``, ``size`` (bytes) and ``files`` are None after a removal
    and where ``problem`` says why they cannot be known (a broken pointer, a tree that is missing
    here). The deltas are against the version before, None if there is none to compare with.
    """

    commit: str
    date: str
    author: str
    email: str
    subject: str
    path: str
    change: Literal["added", "modified", "removed", "renamed"]
    kind: Literal["file", "executable", "symlink", "directory"] | None
    oid: str | None
    size: int | None
    files: int | None
    size_delta: int | None = None
    files_delta: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class LogResult:
    """The versions, newest first. ``shallow`` warns that older history is not in this clone."""

    path: str
    entries: tuple[LogEntry, ...]
    shallow: bool = False
