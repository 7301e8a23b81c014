"""Stop tracking targets, and remove their data from the workspace unless it is to stay."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import (
    DverError,
    MissingContentError,
    NotFoundError,
    RefusedError,
    RepositoryError,
    UsageError,
)
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.git import ignorefile
from dver.git.pointers import at_revision, data_path, is_pointer_path, pointer_path
from dver.ops.data.add import AddedTarget, record
from dver.ops.data.restoring import Restorer, Wish, failure
from dver.ops.targets import naming, worktree
from dver.ops.targets.placed import note_placed
from dver.ops.targets.pointerstate import pointer_state
from dver.ops.targets.selection import Job
from dver.ops.targets.target import Target, load_targets, present_targets, usable
from dver.store import walk

if TYPE_CHECKING:
    from dver.repo import Repo


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


def rm(repo: Repo, options: RmOptions, reporter: Reporter) -> RmResult:
    """Stop tracking targets, and take paths inside tracked directories out of them.

    Data goes from the workspace only if its content is in the store and a commit names it; files
    in a tracked directory that were never tracked stay. Nothing is removed from the store: older
    versions can still be checked out.

    Raises NotFoundError for what is not tracked and RefusedError, with nothing changed, if data
    would be lost; ``force`` and ``keep_data`` are the two ways out.
    """
    repo.require_init()
    if repo.git.is_bare:
        raise RepositoryError("a bare repository has no working tree to remove from")
    if not options.paths:
        raise UsageError("nothing to remove was named", hint="dver rm PATH...")
    with worktree.hold_worktree(repo):
        chosen, parts = _select(repo, options.paths)
        there = {one.path for one in chosen if os.path.lexists(repo.absolute(one.path))}
        if not options.keep_data:
            if not options.force:
                _refuse_uncommitted(repo, chosen)
            _delete_data(repo, options, chosen, parts, reporter)
        data: Literal["removed", "kept"] = "kept" if options.keep_data else "removed"
        removed = [
            _describe(repo, target, data if target.path in there else "absent") for target in chosen
        ]
        changed = _forget(repo, chosen)
        updated: tuple[AddedTarget, ...] = ()
        if parts:
            jobs = [
                Job(target.path, target.pointer, True, inside, dict.fromkeys(inside))
                for target, inside in parts
            ]
            recorded = record(repo, jobs, reporter, stage=False)
            updated = recorded.targets
            changed += [pointer_path(target.path) for target, _ in parts]
        changed = worktree.known_to_git(repo, list(dict.fromkeys(changed)))
        staged = worktree.stage(repo, changed, options.stage)
    return RmResult(
        targets=tuple(removed),
        updated=updated,
        to_stage=() if staged else tuple(repo.display(path) for path in changed),
        staged=staged,
    )


Parts = list[tuple[Target, tuple[bytes, ...]]]


def _select(repo: Repo, typed: Sequence[str]) -> tuple[list[Target], Parts]:
    def is_target(arg: str) -> bool:
        return os.path.lexists(repo.absolute(pointer_path(repo.locate(arg))))

    args = naming.expand(str(repo.cwd), typed, is_target, repo.is_path)
    located = [repo.locate(arg) for arg in args]
    paths = sorted({data_path(path) if is_pointer_path(path) else path for path in located})
    targets = present_targets(load_targets(repo, paths))
    whole = [path for path in paths if path in targets]
    parts: dict[bytes, list[bytes]] = {}
    for path in paths:
        holder = naming.holder(targets, path)
        if holder is None:
            raise _not_tracked(repo, targets, path)
        if holder != path and holder not in whole:
            parts.setdefault(holder, []).append(path[len(holder) + 1 :])
    return [targets[path] for path in whole], [
        (targets[path], _recorded_parts(repo, targets[path], inside))
        for path, inside in parts.items()
    ]


def _not_tracked(repo: Repo, targets: Mapping[bytes, Target], path: bytes) -> Exception:
    shown = show(repo.display(path))
    inner = naming.below(sorted(targets), path)
    if inner:
        return RefusedError(
            f"{shown} is not tracked itself, but holds data that is",
            hint="name what is to be removed",
            paths=[repo.display(one) for one in inner],
        )
    if path and repo.git.tracked_by_git([path]):
        return RefusedError(f"{shown} is tracked by git, not by dver", hint=f"git rm {shown}")
    return naming.not_found("nothing is tracked at", path, str(repo.root), targets, repo.display)


def _recorded_parts(repo: Repo, target: Target, inside: Sequence[bytes]) -> tuple[bytes, ...]:
    """Check that the parts are recorded in a tracked directory; drop those inside others."""
    pointer = usable(repo, target)
    for part in inside:
        shown = show(repo.display(target.path + b"/" + part))
        try:
            found = pointer.kind == "tree" and walk.find(repo.store, pointer.oid, part)
        except MissingContentError as error:
            raise MissingContentError(
                f"the recorded listing around {shown} is not in the local store",
                hint=f"dver fetch {show(repo.display(target.path))}",
            ) from error
        if not found:
            raise NotFoundError(
                f"{shown} is not recorded in the tracked directory",
                hint=f"dver ls -R {show(repo.display(target.path))}",
            )
    ordered = sorted(inside)
    return tuple(
        part for part in ordered if not any(part.startswith(other + b"/") for other in ordered)
    )


def _refuse_uncommitted(repo: Repo, chosen: Sequence[Target]) -> None:
    """Raise RefusedError if only the work tree's pointer tells where some content is."""
    here = [target for target in chosen if os.path.lexists(repo.absolute(target.path))]
    head = repo.git.head() if here else None
    committed: dict[bytes, str] = {}
    if head is not None:
        committed = dict(at_revision(repo.git, head, [target.path for target in here]))
    lost = [
        target
        for target in here
        if pointer_state(target, committed.get(target.file.path))[0] != "unchanged"
    ]
    if lost:
        raise RefusedError(
            "the current state of the pointer was never committed, so that nothing would tell"
            " where the content is",
            hint="'git commit' it first; or '--keep-data' keeps the data, '--force' gives it up",
            paths=[repo.display(target.file.path) for target in lost],
        )


def _delete_data(
    repo: Repo, options: RmOptions, chosen: Sequence[Target], parts: Parts, reporter: Reporter
) -> None:
    wishes = [Wish(target.path, target.pointer) for target in chosen]
    wishes += [
        Wish(target.path, target.pointer, part) for target, inside in parts for part in inside
    ]
    with repo.store.hold():
        repo.store.refresh()
        restorer = Restorer(repo, reporter, force=options.force, link="copy")
        try:
            restorer.restore(wishes, repo.config.number("core.workers"))
        except RefusedError as error:
            error.hint = "'--keep-data' keeps the data, '--force' gives it up"
            raise
    failed = failure(repo, wishes)
    if failed is not None:
        raise failed


def _describe(
    repo: Repo, target: Target, data: Literal["removed", "kept", "absent"]
) -> RemovedTarget:
    pointer = target.pointer
    return RemovedTarget(
        path=repo.display(target.path),
        pointer=repo.display(target.file.path),
        kind=None if pointer is None else pointer.kind,
        data=data,
        size=0 if pointer is None else pointer.size,
        files=0 if pointer is None else pointer.files,
    )


def _forget(repo: Repo, chosen: Sequence[Target]) -> list[bytes]:
    """Remove pointers, .gitignore lines and what is remembered; return the files that changed.

    A pointer goes after its line, so that the command can be run again if either cannot be written.
    """
    from dver.workspace.statindex import StatIndex

    ignores = ignorefile.remove(repo.git, [target.path for target in chosen])
    try:
        for target in chosen:
            fsio.remove(repo.absolute(target.file.path))
    except BaseException:
        left = [one for one in chosen if os.path.lexists(repo.absolute(one.file.path))]
        with contextlib.suppress(DverError):
            ignorefile.add(repo.git, [target.path for target in left])
        raise
    for directory in {os.path.dirname(repo.absolute(target.file.path)) for target in chosen}:
        fsio.sync_dir(directory)
    index = StatIndex(repo.state_dir)
    for target in chosen:
        index.remove(target.path)
    index.save()
    note_placed(repo.state_dir, (), [target.path for target in chosen])
    return [*(target.file.path for target in chosen), *ignores]
