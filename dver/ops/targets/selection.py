"""Which targets ``dver add`` is to record, whole or in part, from what was typed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import NotFoundError, RefusedError, UsageError
from dver.base.fsio import failure
from dver.base.quoting import show
from dver.formats import names
from dver.formats.pointer import Pointer
from dver.git.pointers import data_path, is_pointer_path, pointer_path
from dver.ops.targets import naming
from dver.ops.targets.target import Target, load_targets, present_targets, usable

if TYPE_CHECKING:
    from dver.repo import Repo

#: Files by which git and dver themselves are told what to do.
_SETTINGS = (b".gitignore", b".gitattributes", b".gitmodules", b".dverignore")


@dataclass(slots=True)
class Job:
    """One target to record: all of it, or with ``parts`` only those paths inside it.

    ``old`` is what its pointer says now, None if there is none or it cannot be read. ``modes``
    are the file modes found at the target (b"") or at its parts; None where nothing is any more.
    ``replaces`` says that what is here is all of it, also if more was recorded that never was here.
    """

    path: bytes
    old: Pointer | None
    tracked: bool
    parts: tuple[bytes, ...] = ()
    modes: dict[bytes, int | None] = field(default_factory=dict)
    replaces: bool = False


def select(repo: Repo, typed: Iterable[str]) -> list[Job]:
    """Return the jobs for paths as they were typed, in path order, each target once.

    Raises NotFoundError for what does not exist, UsageError for what makes no sense as a target
    and RefusedError for what must not become one; see :mod:`dver.ops.data.add`.
    """

    def is_target(arg: str) -> bool:
        return os.path.lexists(repo.absolute(pointer_path(repo.locate(arg))))

    args = naming.expand(str(repo.cwd), typed, is_target, repo.is_path)
    paths = _outermost(_without_pointers([repo.locate(arg) for arg in args]))
    for path in paths:
        check_place(repo, path)
    targets = present_targets(load_targets(repo, paths))
    jobs: dict[bytes, Job] = {}
    parts: dict[bytes, list[bytes]] = {}
    for path in paths:
        holder = naming.holder(targets, path)
        if holder is None or holder == path:
            jobs[path] = _whole(repo, path, targets)
        else:
            parts.setdefault(holder, []).append(path[len(holder) + 1 :])
    for path, inside in parts.items():
        jobs[path] = _partial(repo, targets[path], inside)
    _refuse_git_tracked(repo, paths)
    _refuse_ignored_pointers(repo, [job.path for job in jobs.values() if not job.tracked])
    return [jobs[path] for path in sorted(jobs)]


def select_tracked(repo: Repo, typed: Sequence[str]) -> list[Job]:
    """Return a job for every target at or below the typed paths whose data is there.

    No paths mean the whole repository. A path inside a tracked directory means that part of it.
    """
    paths = [
        data_path(path) if is_pointer_path(path) else path
        for path in (repo.locate(arg) for arg in typed)
    ] or [b""]
    targets = present_targets(load_targets(repo, paths))
    jobs: dict[bytes, Job] = {}
    parts: dict[bytes, list[bytes]] = {}
    for path in _outermost(paths):
        below = naming.below(list(targets), path)
        holder = naming.holder(targets, path)
        if holder is None and not below and path:
            raise _unknown(repo, path, targets)
        if holder is not None and holder != path:
            parts.setdefault(holder, []).append(path[len(holder) + 1 :])
            continue
        for target in [path] if holder == path else below:
            if _mode(repo, target) is not None:
                jobs[target] = _whole(repo, target, targets)
    for path, inside in parts.items():
        jobs[path] = _partial(repo, targets[path], inside)
    return [jobs[path] for path in sorted(jobs)]


def check_place(repo: Repo, path: bytes) -> None:
    """Raise unless data may be tracked at a path: whatever is there, or is not."""
    if not path:
        raise UsageError(
            "the whole repository cannot be tracked as data: it holds code and git itself",
            hint="name the data, for instance 'dver add data'; 'dver add -u' adds again"
            " whatever is tracked",
        )
    shown = show(repo.display(path))
    if is_pointer_path(path):
        raise UsageError(
            f"{shown} has the name of a pointer file, which belongs into git",
            hint=f"dver add {show(repo.display(data_path(path)))}",
        )
    for part in path.split(b"/"):
        reason = names.problem(part)
        if reason is not None:
            raise UsageError(f"{shown} cannot be tracked: the name {show(part)}: {reason}")
    name = path.rpartition(b"/")[2]
    if name in _SETTINGS:
        raise RefusedError(
            f"{shown} cannot be tracked as data: git or dver reads it from the work tree",
            hint=f"git add {shown}",
        )
    if len(pointer_path(name)) > names.MAX_NAME:
        raise RefusedError(
            f"{shown} cannot be tracked by itself: the name of its pointer would be longer than"
            f" {names.MAX_NAME} bytes",
            hint="rename it, or add the directory that it is in",
        )
    parent = path
    while parent := parent.rpartition(b"/")[0]:
        if os.path.islink(repo.absolute(parent)):
            raise RefusedError(
                f"{shown} lies beyond the symlink {show(repo.display(parent))}",
                hint="name it by the directory that it is really in",
            )
        if os.path.lexists(repo.absolute(parent + b"/.git")):
            raise RefusedError(
                f"{shown} lies in another git repository, {show(repo.display(parent))}",
                hint=f"dver -C {show(repo.display(parent))} add"
                f" {show(os.fsdecode(path[len(parent) + 1 :]))}",
            )


def _without_pointers(paths: Sequence[bytes]) -> list[bytes]:
    """Drop pointer files whose data is named too: a shell's ``*`` matches both."""
    named = set(paths)
    return [p for p in paths if not (is_pointer_path(p) and data_path(p) in named)]


def _outermost(paths: Iterable[bytes]) -> list[bytes]:
    """Return the distinct paths that do not lie below another one, ascending."""
    kept: list[bytes] = []
    for path in sorted(set(paths), key=lambda path: path.split(b"/") if path else []):
        if not kept or not (not kept[-1] or path.startswith(kept[-1] + b"/")):
            kept.append(path)
    return kept


def _whole(repo: Repo, path: bytes, targets: Mapping[bytes, Target]) -> Job:
    target = targets.get(path)
    shown = show(repo.display(path))
    mode = _mode(repo, path)
    if mode is None:
        if target is not None:
            raise NotFoundError(
                f"the data of {shown} is not in the workspace",
                hint=f"'dver checkout {shown}' brings it back, 'dver rm {shown}' stops tracking it",
            )
        raise _unknown(repo, path, targets)
    inner = [one for one in naming.below(sorted(targets), path) if _is_pointer(targets[one])]
    if inner:
        raise RefusedError(
            f"{shown} holds data that is tracked by itself, and nothing can be tracked twice",
            hint="add what is in it by name, or stop tracking the inner paths first with"
            " 'dver rm --keep-data'",
            paths=[repo.display(one) for one in inner],
        )
    pointer = target.pointer if target is not None else None
    return Job(path, pointer, target is not None, (), {b"": mode})


def _is_pointer(target: Target) -> bool:
    """Tell a pointer from somebody's file that merely has such a name."""
    in_git = target.file.blob is not None or target.file.unmerged
    return in_git or target.pointer is not None


def _partial(repo: Repo, target: Target, inside: Sequence[bytes]) -> Job:
    pointer = usable(repo, target)
    shown = show(repo.display(target.path))
    modes = {part: _mode(repo, target.path + b"/" + part) for part in inside}
    if pointer.kind != "tree":
        raise RefusedError(
            f"{shown} is tracked as a file, so that nothing inside it can be added",
            hint=f"dver add {shown}",
        )
    return Job(target.path, pointer, True, tuple(sorted(inside)), modes)


def _mode(repo: Repo, path: bytes) -> int | None:
    try:
        return os.lstat(repo.absolute(path)).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise failure(error, "look at", repo.display(path)) from error


def _unknown(repo: Repo, path: bytes, targets: Iterable[bytes]) -> NotFoundError:
    what = "there is no file or directory"
    return naming.not_found(what, path, str(repo.root), targets, repo.display, otherwise=None)


def refuse_symlink(repo: Repo, path: bytes, mode: int) -> None:
    """Raise RefusedError for a target that is itself a symlink: its text is not the data."""
    if stat.S_ISLNK(mode):
        shown = show(repo.display(path))
        text = os.fsdecode(os.readlink(repo.absolute(path)))
        raise RefusedError(
            f"{shown} is a symlink (to {show(text)}), and dver never follows one",
            hint="add what it leads to, copy the data in place of the link, or let git track"
            " the link itself",
        )


def _refuse_git_tracked(repo: Repo, paths: Sequence[bytes]) -> None:
    tracked = [path for path in repo.git.tracked_by_git(paths) if not is_pointer_path(path)]
    if not tracked:
        return
    first = next(path for path in paths if tracked[0] == path or tracked[0].startswith(path + b"/"))
    shown = show(repo.display(first))
    raise RefusedError(
        f"git already tracks {shown}"
        if first == tracked[0]
        else f"git already tracks files in {shown}",
        hint=f"git rm -r --cached -- {shown} && dver add {shown}",
        paths=[repo.display(path) for path in tracked],
    )


def _refuse_ignored_pointers(repo: Repo, paths: Sequence[bytes]) -> None:
    pointers = [pointer_path(path) for path in paths]
    hidden = repo.git.is_ignored(pointers)
    ignored = [path for path, yes in zip(pointers, hidden, strict=True) if yes]
    if ignored:
        raise RefusedError(
            "git ignores the place of a pointer, so that it could never be committed",
            hint=f"'git check-ignore -v {show(repo.display(ignored[0]))}' names the rule to change",
            paths=[repo.display(path) for path in ignored],
        )
