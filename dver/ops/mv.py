"""Rename tracked targets: the data, the pointer, the .gitignore line, what is remembered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class MvOptions:
    """What to move where, as typed; several sources need a directory as destination.

    ``stage`` tells git about it; None leaves that to the setting ``core.autostage``.
    """

    sources: tuple[str, ...]
    destination: str
    stage: bool | None = None


@dataclass(frozen=True, slots=True)
class MovedTarget:
    """One target's old and new place. ``kind`` is "inside" for a path in a tracked directory.

    Such a path was renamed in the workspace only; the directory's own state is recorded by the
    next ``dver add``.
    """

    old_path: str
    path: str
    pointer: str | None
    kind: Literal["file", "tree", "inside"]


@dataclass(frozen=True, slots=True)
class MvResult:
    """All moves in the order asked. ``to_stage`` and ``staged`` are as in AddResult."""

    targets: tuple[MovedTarget, ...]
    to_stage: tuple[str, ...]
    staged: bool
