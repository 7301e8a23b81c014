"""Stop tracking targets, and remove their data from the workspace unless it is to stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dver.ops.add import AddedTarget


@dataclass(frozen=True, slots=True)
class RmOptions:
    """What to remove, as typed.

    ``keep_data`` only stops tracking (``git rm --cached``). ``force`` deletes data that is not in
    the store. ``stage`` tells git about it; None leaves that to the setting ``core.autostage``.
    """

    paths: tuple[str, ...]
    keep_data: bool = False
    force: bool = False
    stage: bool | None = None


@dataclass(frozen=True, slots=True)
class RemovedTarget:
    """One target that is no longer tracked; ``data`` is "absent" if there was none to remove."""

    path: str
    pointer: str
    kind: Literal["file", "tree"] | None
    data: Literal["removed", "kept", "absent"]
    size: int
    files: int


@dataclass(frozen=True, slots=True)
class RmResult:
    """What is gone, in path order.

    ``updated`` are tracked directories of which only paths inside were removed. ``to_stage`` and
    ``staged`` are as in AddResult.
    """

    targets: tuple[RemovedTarget, ...]
    updated: tuple[AddedTarget, ...]
    to_stage: tuple[str, ...]
    staged: bool
