"""Bring what the pointers name from a remote into the local store."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """What to fetch, and where from.

    ``remote`` names the remote, None the default one. ``paths`` are targets, directories that hold
    targets, or paths inside a tracked directory, of which then nothing else is fetched; none means
    every target. ``revisions`` are revisions or ranges ``A..B``; ``all`` takes every ref; with
    neither, the pointers in the work tree count. ``jobs`` is how many requests may be under way
    at once. ``dry_run`` finds out what would come; it may fetch directory listings, never files.
    """

    remote: str | None = None
    paths: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    all: bool = False
    jobs: int | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What came, or with ``dry_run`` what would have come.

    ``versions`` counts the distinct versions looked at. ``objects`` counts files, links and
    directories that were not here, ``bytes`` the bytes transferred for them, in ``requests``
    requests; ``packs`` were taken as a whole.
    """

    remote: str
    description: str
    dry_run: bool
    versions: int
    objects: int
    packs: int
    bytes: int
    requests: int
