"""Put files and directories under dver, or record their present state again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Change = Literal["new", "updated", "unchanged"]


@dataclass(frozen=True, slots=True)
class AddOptions:
    """What to add, and how.

    ``paths`` are as typed, relative to where the user stands. ``paths_from`` holds a list of more
    of them as raw bytes, each ended by NUL if there is any NUL in it, else by a line feed.
    ``update`` adds again every tracked target at or below ``paths`` (everywhere without any) whose
    data is there, and starts tracking nothing, as ``git add -u`` does.
    ``stage`` runs ``git add`` on the pointers and .gitignore files; None leaves that to the
    setting ``core.autostage``. ``workers`` is how many processes read files; None decides by the
    amount of work.
    """

    paths: tuple[str, ...] = ()
    paths_from: bytes | None = None
    update: bool = False
    stage: bool | None = None
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class AddedTarget:
    """One tracked target after the command.

    ``oid`` is the text form. ``size`` is in bytes and ``files`` counts files and symlinks, both of
    the whole target. ``parts`` names the paths inside a tracked directory that were asked for,
    when it was not the directory itself; everything else in it stayed as recorded before.
    """

    path: str
    pointer: str
    kind: Literal["file", "tree"]
    oid: str
    size: int
    files: int
    change: Change
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AddResult:
    """All targets in path order.

    ``new_objects`` and ``stored_bytes`` are what the local store grew by, after compression and
    without what it had. ``ignores`` are the .gitignore files that changed. ``to_stage`` are the
    pointers and .gitignore files that ``git add`` should be run on; empty when ``staged``.
    """

    targets: tuple[AddedTarget, ...]
    new_objects: int
    stored_bytes: int
    ignores: tuple[str, ...]
    to_stage: tuple[str, ...]
    staged: bool
