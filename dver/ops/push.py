"""Send what the pointers name to a remote, so that others can have it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PushOptions:
    """What to push, and where to.

    ``remote`` names the remote, None the default one. ``paths`` are targets, directories that hold
    targets, or paths inside a tracked directory; none means every target. ``revisions`` are
    revisions or ranges ``A..B`` whose pointers are pushed; ``all`` takes every ref. With neither,
    the pointers of the workspace and of HEAD are pushed, and older versions that HEAD's history
    names as far as they are here. ``jobs`` is how many requests may be under way at once.
    ``dry_run`` finds out what would be sent and writes nothing anywhere.
    """

    remote: str | None = None
    paths: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    all: bool = False
    jobs: int | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class SkippedVersion:
    """An older version whose content is neither here nor in the remote: ``oid`` in text form."""

    path: str
    oid: str
    commit: str


@dataclass(frozen=True, slots=True)
class PushResult:
    """What was sent, or with ``dry_run`` what would have been.

    ``versions`` counts the distinct versions looked at. ``objects`` counts files, links and
    directories that the remote did not have, ``packs`` and ``bytes`` what was uploaded for them.
    ``requests`` is the number of requests made. ``session`` names the root record, None when
    nothing was written. ``skipped`` are older versions that could not be pushed.
    """

    remote: str
    description: str
    dry_run: bool
    versions: int
    objects: int
    packs: int
    bytes: int
    requests: int
    session: str | None
    skipped: tuple[SkippedVersion, ...] = ()
