"""Rename tracked targets: the data, the pointer, the .gitignore line, what is remembered."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING, Literal

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import DverError, NotFoundError, RefusedError, RepositoryError, UsageError
from dver.base.osat import osat
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.git import ignorefile
from dver.git.pointers import data_path, is_pointer_path, pointer_path
from dver.ops.targets import naming, worktree
from dver.ops.targets.placed import note_placed
from dver.ops.targets.selection import check_place
from dver.ops.targets.target import Target, load_targets, present_targets, read_pointer, usable
from dver.workspace.statindex import StatIndex

if TYPE_CHECKING:
    from dver.repo import Repo


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


@dataclass(slots=True)
class _Move:
    """One rename to make; ``target`` is None for a path inside a tracked directory."""

    source: bytes
    goal: bytes
    target: Target | None
    holders: list[bytes] = field(default_factory=list)
    #: The new pointer is there already, from a move that was killed.
    begun: bool = False


def mv(repo: Repo, options: MvOptions, reporter: Reporter) -> MvResult:
    """Rename targets, or paths inside tracked directories.

    If the destination is a directory the sources go into it. Everything is checked before the
    first rename. Data that is not in the workspace is no obstacle: then only the pointer moves.

    Raises NotFoundError for what is not tracked, and RefusedError if something is in the way or a
    target would come to lie inside another one.
    """
    repo.require_init()
    if repo.git.is_bare:
        raise RepositoryError("a bare repository has no working tree to rename in")
    if not options.sources:
        raise UsageError("nothing to move was named", hint="dver mv SOURCE... DESTINATION")
    with worktree.hold_worktree(repo):
        moves = _plan(repo, options)
        changed: list[bytes] = []
        index = StatIndex(repo.state_dir)
        for move in moves:
            if move.target is None:
                _rename(repo, move)
                continue
            changed += _move_target(repo, move, move.target)
            index.rename(move.source, move.goal)
        index.save()
        whole = [move for move in moves if move.target is not None]
        note_placed(repo.state_dir, [one.goal for one in whole], [one.source for one in whole])
        to_stage = worktree.known_to_git(repo, list(dict.fromkeys(changed)))
        staged = worktree.stage(repo, to_stage, options.stage)
    holders = {holder for move in moves for holder in move.holders}
    if holders:
        names = " ".join(show(repo.display(holder)) for holder in sorted(holders))
        reporter.note(f"to record the change inside, run: dver add {names}")
    return MvResult(
        targets=tuple(_told(repo, move) for move in moves),
        to_stage=() if staged else tuple(repo.display(path) for path in to_stage),
        staged=staged,
    )


def _plan(repo: Repo, options: MvOptions) -> list[_Move]:
    sources = []
    for arg in options.sources:
        path = repo.locate(arg)
        sources.append(data_path(path) if is_pointer_path(path) else path)
    destination = repo.locate(options.destination)
    into = _is_directory(repo, destination)
    if into and len(sources) == 1:
        there = present_targets(load_targets(repo, [*sources, destination]))
        into = not _is_begun(repo, there, sources[0], destination)
    if not into and (len(sources) > 1 or options.destination.endswith(("/", os.sep))):
        raise NotFoundError(f"there is no directory {show(repo.display(destination))} to move into")
    goals = [_inside(destination, source) if into else destination for source in sources]
    targets = present_targets(load_targets(repo, [*sources, *goals]))
    moves: list[_Move] = []
    for source, goal in zip(sources, goals, strict=True):
        check_place(repo, source)
        check_place(repo, goal)
        move = _check(repo, targets, source, goal)
        if any(goal == other.goal or source == other.source for other in moves):
            raise UsageError(f"two sources cannot both become {show(repo.display(goal))}")
        moves.append(move)
    return moves


def _inside(directory: bytes, source: bytes) -> bytes:
    name = source.rpartition(b"/")[2]
    return directory + b"/" + name if directory else name


def _check(repo: Repo, targets: dict[bytes, Target], source: bytes, goal: bytes) -> _Move:
    shown, shown_goal = show(repo.display(source)), show(repo.display(goal))
    holder, new_holder = naming.holder(targets, source), naming.holder(targets, goal)
    if holder is None:
        raise _not_tracked(repo, targets, source)
    if goal == source or goal.startswith(source + b"/"):
        raise UsageError(f"{shown} cannot be moved to {shown_goal}")
    begun = _is_begun(repo, targets, source, goal)
    if not begun and (os.path.lexists(repo.absolute(goal)) or goal in targets):
        raise RefusedError(f"{shown_goal} exists already", hint="choose another name")
    if not _is_directory(repo, goal.rpartition(b"/")[0]):
        parent = goal.rpartition(b"/")[0]
        raise NotFoundError(
            f"there is no directory {show(repo.display(parent))}",
            hint=f"mkdir -p {show(repo.display(parent))}",
        )
    if holder == source:
        if new_holder is not None and not begun:
            raise RefusedError(
                f"{shown_goal} lies in the tracked directory {show(repo.display(new_holder))}",
                hint=f"'dver rm --keep-data {shown}', then move it and add the directory",
            )
        usable(repo, targets[source])
        return _Move(source, goal, targets[source], begun=begun)
    if new_holder is None:
        raise RefusedError(
            f"{shown} is part of {show(repo.display(holder))} and would be tracked no more",
            hint=f"mv {shown} {shown_goal} && dver add {show(repo.display(holder))} {shown_goal}",
        )
    if not os.path.lexists(repo.absolute(source)):
        raise NotFoundError(
            f"{shown} is not in the workspace", hint=f"dver checkout {show(repo.display(holder))}"
        )
    return _Move(source, goal, None, [holder, new_holder])


def _is_begun(repo: Repo, targets: dict[bytes, Target], source: bytes, goal: bytes) -> bool:
    """Say whether a move was killed halfway: two equal pointers, and data at one place at most."""
    if source not in targets or goal not in targets or targets[source].raw != targets[goal].raw:
        return False
    return not all(os.path.lexists(repo.absolute(path)) for path in (source, goal))


def _not_tracked(repo: Repo, targets: dict[bytes, Target], source: bytes) -> Exception:
    shown = show(repo.display(source))
    inner = naming.below(sorted(targets), source)
    if inner:
        return RefusedError(
            f"{shown} is not tracked itself, but holds data that is",
            hint=f"'git mv' moves {shown} with all that is in it",
            paths=[repo.display(path) for path in inner],
        )
    if repo.git.tracked_by_git([source]):
        return RefusedError(f"{shown} is tracked by git, not by dver", hint=f"git mv {shown} ...")
    return naming.not_found("nothing is tracked at", source, str(repo.root), targets, repo.display)


def _is_directory(repo: Repo, path: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(repo.absolute(path)).st_mode)
    except OSError:
        return False


def _move_target(repo: Repo, move: _Move, target: Target) -> list[bytes]:
    """Rename one target; return the pointers and .gitignore files that changed.

    The new pointer comes first and the old one goes last, so that a crash leaves both. What fails
    is undone; where that fails as well, the rest stays, and the same command finishes the move.
    """
    old, new = pointer_path(move.source), pointer_path(move.goal)
    undo: list[Callable[[], object]] = []
    try:
        changed = ignorefile.add(repo.git, [move.goal])
        if changed:
            undo.append(lambda: ignorefile.remove(repo.git, [move.goal]))
        if not move.begun:
            _write_pointer(repo, new, target.raw)
            undo.append(lambda: fsio.remove(repo.absolute(new)))
        if os.path.lexists(repo.absolute(move.source)):
            _rename(repo, move)
            undo.append(lambda: _rename(repo, _Move(move.goal, move.source, None)))
        shown = ignorefile.remove(repo.git, [move.source])
        if shown:
            undo.append(lambda: ignorefile.add(repo.git, [move.source]))
        fsio.remove(repo.absolute(old))
    except BaseException:
        with contextlib.suppress(DverError, OSError):
            for call in reversed(undo):
                call()
        raise
    fsio.sync_dir(os.path.dirname(repo.absolute(old)))
    return [old, new, *changed, *shown]


def _write_pointer(repo: Repo, path: bytes, raw: bytes) -> None:
    """Write a new pointer. Raises RefusedError if there is one, and leaves none if it fails."""
    absolute = repo.absolute(path)
    try:
        placed = fsio.write_atomic(absolute, raw, replace=False)
    except DverError:
        # It may have its name already, and be not durable.
        with contextlib.suppress(DverError):
            if read_pointer(absolute) == raw:
                fsio.remove(absolute)
        raise
    if not placed:
        raise RefusedError(f"{show(repo.display(path))} exists already", hint="choose another name")


def _rename(repo: Repo, move: _Move) -> None:
    fsio.step("rename")
    try:
        osat.rename(repo.absolute(move.source), repo.absolute(move.goal))
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise RefusedError(
                f"{show(repo.display(move.goal))} is on another file system",
                hint="copy the data there, then 'dver add' the copy and 'dver rm' the original",
            ) from error
        raise fsio.failure(error, "rename", repo.display(move.source)) from error


def _told(repo: Repo, move: _Move) -> MovedTarget:
    pointer = move.target.pointer if move.target is not None else None
    return MovedTarget(
        old_path=repo.display(move.source),
        path=repo.display(move.goal),
        pointer=None if pointer is None else repo.display(pointer_path(move.goal)),
        kind="inside" if pointer is None else pointer.kind,
    )
