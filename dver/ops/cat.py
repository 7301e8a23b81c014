"""The bytes of one file of any version, to a stream."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CatOptions:
    """Which file: a target that is a file, or a file inside a tracked directory.

    ``rev`` None reads the pointers in the work tree. ``remote`` is where content that is not here
    is read from (the default remote if None).
    """

    path: str
    rev: str | None = None
    remote: str | None = None


@dataclass(frozen=True, slots=True)
class CatResult:
    """What was streamed: all ``size`` bytes are those of ``oid`` (text form)."""

    path: str
    oid: str
    size: int
