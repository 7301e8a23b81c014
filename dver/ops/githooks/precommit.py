"""What dver's pre-commit hook looks at: what the next commit would hold that it had better not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats import conflict
from dver.git.pointers import data_path, is_pointer_path, pointer_path, read_blobs
from dver.git.staged import Staged, blob_sizes, staged_files, tracked_pointers
from dver.ops.targets.target import decode_at

if TYPE_CHECKING:
    from dver.repo import Repo

_UNITS = {"K": 10, "M": 20, "G": 30}

Problem = Literal["conflict", "broken", "tracked-data", "large", "stale"]


@dataclass(frozen=True, slots=True)
class CommitProblem:
    """One file that should not be committed as it is.

    ``problem`` is "conflict": a pointer with conflict markers; "broken": a pointer that cannot be
    read; "tracked-data": data that a pointer stands for, put into git itself; "large": a file over
    ``hooks.max_file_size``; "stale": data that was changed and whose pointer was not written anew.
    ``size`` is in bytes, None where it does not matter. ``refused`` is False for a mere warning.
    """

    path: str
    problem: Problem
    message: str
    hint: str
    size: int | None = None
    refused: bool = True


@dataclass(frozen=True, slots=True)
class CommitCheck:
    """All problems of the next commit, in the order of their paths."""

    problems: tuple[CommitProblem, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Whether the commit should not be made."""
        return any(one.refused for one in self.problems)


def check_commit(repo: Repo, reporter: Reporter) -> CommitCheck:
    """Look at git's index, and as far as ``hooks.stale`` asks for it at the workspace."""
    staged = staged_files(repo.git)
    pointers = tracked_pointers(repo.git)
    found = [
        *_bad_pointers(repo, [one for one in staged if is_pointer_path(one.path)]),
        *_bad_files(repo, [one for one in staged if not is_pointer_path(one.path)], pointers),
    ]
    if pointers:
        is_about_data = any(is_pointer_path(one.path) for one in staged)
        found += _stale(repo, reporter, None if is_about_data else pointers)
    return CommitCheck(tuple(sorted(found, key=lambda one: one.path)))


def _bad_pointers(repo: Repo, staged: Sequence[Staged]) -> list[CommitProblem]:
    blobs = read_blobs(repo.git, (one.blob for one in staged))
    found = []
    for one in staged:
        data = blobs[one.blob]
        try:
            decode_at(data_path(one.path), data)
        except FormatError as error:
            name = repo.display(one.path)
            target = show(repo.display(data_path(one.path)))
            if conflict.has_markers(data):
                hint = f"dver resolve [--ours|--theirs|--both] {target}"
                found.append(CommitProblem(name, "conflict", "it has conflict markers", hint))
            elif data.startswith(b"dver"):
                hint = f"'git restore --staged {show(name)}' takes it out of the commit"
                found.append(CommitProblem(name, "broken", error.message, error.hint or hint))
    return found


def _bad_files(
    repo: Repo, staged: Sequence[Staged], pointers: frozenset[bytes]
) -> list[CommitProblem]:
    limit = max_file_size(repo)
    sizes = blob_sizes(repo.git, (one.blob for one in staged)) if limit else {}
    found = []
    for one in staged:
        name = repo.display(one.path)
        shown = show(name)
        holder = _holder(one.path, pointers)
        if holder is not None:
            found.append(
                CommitProblem(
                    name,
                    "tracked-data",
                    f"{show(repo.display(pointer_path(holder)))} stands for this data in git",
                    f"git rm --cached -- {shown}",
                )
            )
        elif limit and sizes.get(one.blob, 0) > limit:
            size = sizes[one.blob]
            found.append(
                CommitProblem(
                    name,
                    "large",
                    f"it is larger than the {repo.config.text('hooks.max_file_size')} that"
                    " hooks.max_file_size lets into git",
                    f"git rm --cached -- {shown} && dver add --stage {shown}",
                    size,
                )
            )
    return found


def _holder(path: bytes, pointers: frozenset[bytes]) -> bytes | None:
    """Return the target that a path is or lies in."""
    while path:
        if pointer_path(path) in pointers:
            return path
        path = path.rpartition(b"/")[0]
    return None


def max_file_size(repo: Repo) -> int:
    """Return the largest file that may go into git itself, in bytes; 0 for any."""
    text = repo.config.text("hooks.max_file_size") or "0"
    return int(text.rstrip("KMG")) << _UNITS.get(text[-1], 0)


def _stale(
    repo: Repo, reporter: Reporter, pointers: frozenset[bytes] | None
) -> list[CommitProblem]:
    """Return what was changed and not added; of a commit without data all ``pointers`` are given.

    Who wants commits to be refused for it wants to be sure, so that every file is looked at.
    """
    policy = repo.config.text("hooks.stale")
    if policy == "off":
        return []
    paths: tuple[str, ...] = ()
    if policy == "warn" and pointers is not None:
        from dver.ops.githooks.unadded import worth_a_look

        near = worth_a_look(repo, pointers)
        if near == []:
            return []
        paths = tuple(os.fsdecode(repo.absolute(path)) for path in near or ())
    from dver.ops.data.status import StatusOptions, status

    whole = repo.at(repo.root) if repo.cwd != repo.root else repo
    told = status(whole, StatusOptions(paths=paths, no_remote=True, details=0), reporter)
    changed = [
        repo.locate(str(repo.root / one.path))
        for one in told.targets
        if one.data_state in ("modified", "retyped")
    ]
    return [
        CommitProblem(
            repo.display(path),
            "stale",
            "it was changed and not added, so that the commit names the data as it was",
            f"dver add --stage {show(repo.display(path))}",
            refused=policy == "refuse",
        )
        for path in changed
    ]
