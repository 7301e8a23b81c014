"""Bring data, and with a revision pointers too, into the workspace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from dver.base.errors import NotFoundError, UsageError
from dver.base.fsio import show


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


def split_arguments(
    args: Sequence[str],
    after_dashes: int | None,
    *,
    is_revision: Callable[[str], bool],
    is_path: Callable[[str], bool],
) -> tuple[str | None, tuple[str, ...]]:
    """Tell the revision from the paths on a command line, by git's rules.

    ``after_dashes`` is how many of the arguments stood after ``--``, None if there was none. What
    stands before it is a revision, what stands after it are paths. Without it the first argument
    is whichever of the two it names; if it names both, UsageError asks for ``--``.
    """
    if after_dashes is not None:
        before = args[: len(args) - after_dashes]
        if len(before) > 1:
            raise UsageError(
                f"only one revision can stand before '--', not {len(before)}",
                hint="dver checkout [REV] -- PATH...",
            )
        return (before[0] if before else None), tuple(args[len(before) :])
    if not args:
        return None, ()
    first = args[0]
    if is_revision(first):
        if is_path(first):
            raise UsageError(
                f"{show(first)} is both a revision and a path",
                hint=f"'dver checkout {show(first)} --' takes the revision,"
                f" 'dver checkout -- {show(first)}' the path",
            )
        return first, tuple(args[1:])
    if not is_path(first):
        raise NotFoundError(
            f"{show(first)} is neither a revision nor a tracked path",
            hint="'dver ls' lists what is tracked, 'git log --oneline --all' the revisions",
        )
    return None, tuple(args)
