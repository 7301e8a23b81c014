"""What a migration from another tool tells of each target."""

from __future__ import annotations

from typing import Literal

from dver.base.dataclass import dataclass

Change = Literal["new", "unchanged"]


@dataclass(frozen=True, slots=True)
class MigratedTarget:
    """One target.

    ``oid`` (text form) and ``files`` are empty and 0 in a dry run of what is not read yet. ``size``
    is in bytes. ``source`` is the file of DVC that names it, ``origin`` where DVC imported it from.
    ``links`` counts symlinks into DVC's cache that stand in its place.
    """

    path: str
    pointer: str
    kind: Literal["file", "tree"]
    change: Change
    source: str
    oid: str = ""
    size: int = 0
    files: int = 0
    origin: str = ""
    links: int = 0


@dataclass(frozen=True, slots=True)
class NotMigrated:
    """What was not taken over, why, and what helps. ``missing`` says that content is not here."""

    path: str
    reason: str
    hint: str | None = None
    missing: bool = False
