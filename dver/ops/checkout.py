"""Bring data, and with a revision pointers too, into the workspace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class CheckoutOptions:
    """What to check out.

    Without ``rev`` the workspace follows the pointers that are in it. With it, the pointers and
    the data of that revision are taken for ``paths``, or for all targets of the revision.
    ``force`` allows overwriting and deleting data that is not in the store. ``link`` is a link
    mode ("copy", "reflink", "hardlink", "symlink", "auto"); None leaves it to ``core.link``.
    """

    rev: str | None = None
    paths: tuple[str, ...] = ()
    force: bool = False
    link: str | None = None


@dataclass(frozen=True, slots=True)
class CheckedOutTarget:
    """What happened to one target: numbers of files and symlinks, and bytes written.

    ``pointer_change`` tells what happened to its pointer file. ``removed`` says that the data was
    deleted as a whole because its pointer is gone.
    """

    path: str
    kind: Literal["file", "tree"]
    written: int
    deleted: int
    unchanged: int
    bytes: int
    pointer_change: Literal["new", "updated", "unchanged"] = "unchanged"
    removed: bool = False


@dataclass(frozen=True, slots=True)
class CheckoutResult:
    """All targets in path order; ``rev`` is the commit in full hex; ``link`` the mode used."""

    rev: str | None
    link: str
    targets: tuple[CheckedOutTarget, ...]
