"""What is tracked, and what is inside it, at any revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class LsOptions:
    """What to list.

    ``paths`` are directories of the repository, targets, or paths inside a tracked directory;
    none means where the user stands. ``rev`` None reads the pointers in the work tree. With
    ``recursive`` directories are opened. ``remote`` is where trees that are not here are read
    from (the default remote if None). ``local`` asks whether each entry's content is here.
    """

    paths: tuple[str, ...] = ()
    rev: str | None = None
    recursive: bool = False
    remote: str | None = None
    local: bool = True


@dataclass(frozen=True, slots=True)
class LsEntry:
    """One target, or one entry of a tracked directory.

    ``size`` is in bytes; ``files`` counts files and symlinks, 1 for a file. ``oid`` is in text
    form. ``target`` tells a pointer's own data from entries inside it. ``local`` says whether the
    content is in the local store (for a directory: its listing), None if that was not asked.
    """

    path: str
    kind: Literal["file", "executable", "symlink", "directory"]
    size: int
    files: int
    oid: str
    target: bool = False
    local: bool | None = None


@dataclass(frozen=True, slots=True)
class LsResult:
    """The entries in path order; ``size`` and ``files`` sum them (nothing is counted twice)."""

    rev: str | None
    entries: tuple[LsEntry, ...]
    size: int
    files: int
