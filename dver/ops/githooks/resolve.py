"""Settling pointers that a merge left in conflict."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Literal

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import (
    DverError,
    FormatError,
    NotFoundError,
    RefusedError,
    RepositoryError,
)
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats import conflict
from dver.formats.names import problem
from dver.formats.pointer import Pointer
from dver.git import ignorefile
from dver.git.pointers import data_path, is_pointer_path, pointer_path, read_blobs
from dver.git.unmerged import Unmerged, unmerged_pointers
from dver.ops.data.checkout import CheckoutOptions, checkout
from dver.ops.githooks.merging import PointerMerge, merge_origins, merge_pointers, store_trees
from dver.ops.targets import worktree
from dver.ops.targets.scope import Scope
from dver.ops.targets.sources import RemoteBehind
from dver.ops.targets.target import (
    decode_at,
    load_targets,
    read_pointer,
    refuse_symlinks_above,
    write_pointers,
)
from dver.store.treemerge import OURS, THEIRS, Choice

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class ResolveOptions:
    """Which conflicts to settle: at or below ``paths``, none means all, and how.

    ``choice`` says what to take of what both sides changed: "ours", "theirs" or "both". None takes
    neither: then only what both sides changed in different places is merged. ``remote`` is asked
    for lists of files that are not here, None is the default one. ``stage`` runs ``git add`` on the
    result, None leaves that to ``core.autostage``.
    """

    paths: tuple[str, ...] = ()
    choice: Choice | None = None
    remote: str | None = None
    stage: bool | None = None


@dataclass(frozen=True, slots=True)
class ResolvedTarget:
    """One target that is settled.

    ``how`` is "merged" when no file was changed by both sides, else the choice. ``chosen`` are the
    files that it was made for, ``size`` and ``files`` those of the result. ``kept`` are the
    targets that both versions were given, where the target itself is one file.
    """

    path: str
    how: Literal["merged", "ours", "theirs", "both"]
    size: int
    files: int
    chosen: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnresolvedTarget:
    """One target that is still in conflict, and the files that both sides changed."""

    path: str
    conflicts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResolveResult:
    """What is settled and what is not, in path order, and what ``git add`` should be run on.

    ``to_stage`` names also the pointers that were settled before and not staged since.
    """

    resolved: tuple[ResolvedTarget, ...]
    unresolved: tuple[UnresolvedTarget, ...]
    to_stage: tuple[str, ...]
    staged: bool


@dataclass(slots=True)
class _Case:
    """One target in conflict; ``files`` are the pointers that are to stand for it.

    ``origin`` are the lines that say where it was imported from; None if both sides changed them.
    """

    path: bytes
    base: Pointer | None
    ours: Pointer
    theirs: Pointer
    origin: bytes | None
    merge: PointerMerge | None = None
    files: dict[bytes, Pointer] = field(default_factory=dict)

    def inner(self) -> list[bytes]:
        """Return the paths that both sides changed."""
        found = () if self.merge is None else self.merge.conflicts
        if self.origin is None and not found:
            return [self.path]
        return [self.path + b"/" + one.path if one.path else self.path for one in found]


def resolve(repo: Repo, options: ResolveOptions, reporter: Reporter) -> ResolveResult:
    """Write a pointer for each target in conflict, and bring the data along as far as it is here.

    Raises NotFoundError for a path that is not in conflict, RefusedError where one side removed the
    pointer, and MissingContentError if a list of files is to be had nowhere; nothing was changed
    then.
    """
    repo.require_init()
    if repo.git.is_bare:
        raise RepositoryError("a bare repository has no working tree with conflicts")
    with worktree.hold_worktree(repo), repo.store.hold():
        repo.store.refresh()
        cases, waiting = _cases(repo, options)
        with RemoteBehind(repo, options.remote) as source:
            for case in cases:
                case.merge = merge_pointers(
                    source, case.base, case.ours, case.theirs, choice=options.choice or "ours"
                )
        settled = [one for one in cases if options.choice or not one.inner()]
        for case in settled:
            _find_names(repo, case, options.choice)
        store_trees(repo.store, [one.merge for one in settled if one.merge is not None])
        changed = _write(repo, settled)
    to_stage = worktree.known_to_git(repo, changed)
    staged = worktree.stage(repo, to_stage, options.stage)
    to_stage = [*([] if staged else to_stage), *waiting]
    _bring(repo, settled, reporter, staged=staged)
    return ResolveResult(
        tuple(_told(repo, one, options.choice) for one in settled),
        tuple(
            UnresolvedTarget(repo.display(one.path), tuple(map(repo.display, one.inner())))
            for one in cases
            if one not in settled
        ),
        tuple(map(repo.display, to_stage)),
        staged,
    )


def _cases(repo: Repo, options: ResolveOptions) -> tuple[list[_Case], list[bytes]]:
    """Return what is in conflict, and the pointers that only wait for ``git add``.

    The latter were settled by hand or by an earlier call, and count as a case only if named.
    """
    paths = [repo.locate(arg) for arg in options.paths]
    paths = [data_path(path) if is_pointer_path(path) else path for path in paths]
    scope = Scope(paths)
    under = scope.paths or (b"",)
    cases, waiting = [], []
    unmerged = {data_path(one.path): one for one in unmerged_pointers(repo.git, under)}
    sides = [blob for one in unmerged.values() for blob in one[1:] if blob is not None]
    blobs = read_blobs(repo.git, sides)
    targets = load_targets(repo, under)
    for path, one in unmerged.items():
        if scope.inside(path) != ():
            continue
        if path not in paths and path in targets and targets[path].pointer is not None:
            waiting.append(one.path)
        else:
            cases.append(_from_index(repo, path, one, blobs, options.choice))
    for path, target in targets.items():
        if path not in unmerged and target.problem is not None and scope.inside(path) == ():
            case = _from_markers(repo, path, options.choice)
            cases += [] if case is None else [case]
    known = {one.path for one in cases} | {data_path(path) for path in waiting}
    for typed, path in zip(options.paths, paths, strict=True):
        if path and not any(one == path or one.startswith(path + b"/") for one in known):
            raise NotFoundError(
                f"{show(typed)} is not in conflict", hint="dver resolve, without a path, finds all"
            )
    return sorted(cases, key=lambda one: one.path), waiting


def _from_index(
    repo: Repo, path: bytes, one: Unmerged, blobs: dict[str, bytes], choice: Choice | None
) -> _Case:
    if one.ours is None or one.theirs is None:
        shown = show(repo.display(pointer_path(path)))
        raise RefusedError(
            f"one side of the merge removed or renamed {shown}, and the other changed it",
            hint=f"'git add {shown}' keeps it, 'git rm {shown}' removes it; then 'dver checkout'",
        )
    base = None if one.base is None else blobs[one.base]
    return _case(repo, path, base, blobs[one.ours], blobs[one.theirs], choice)


def _from_markers(repo: Repo, path: bytes, choice: Choice | None) -> _Case | None:
    """Return the case of a pointer whose conflict was committed or staged, markers and all."""
    data = read_pointer(repo.absolute(pointer_path(path))) or b""
    sides = conflict.take_apart(data) if conflict.has_markers(data) else None
    if sides is None:
        return None
    if sides.base is None and choice in (None, "both"):
        shown = show(repo.display(pointer_path(path)))
        raise RefusedError(
            f"the conflict in {shown} was staged, and its markers do not tell what both sides"
            " began with",
            hint=f"'git checkout -m -- {shown}' brings the conflict back; or take one side whole"
            " with --ours or --theirs",
        )
    if sides.base is None:
        side = sides.ours if choice == "ours" else sides.theirs
        return _case(repo, path, None, side, side, choice)
    return _case(repo, path, sides.base or None, sides.ours, sides.theirs, choice)


def _case(
    repo: Repo,
    path: bytes,
    base: bytes | None,
    ours: bytes,
    theirs: bytes,
    choice: Choice | None,
) -> _Case:
    try:
        before = decode_at(path, base) if base else None
    except FormatError:
        before = None  # what git merged of several ancestors may itself be in conflict
    try:
        sides = decode_at(path, ours), decode_at(path, theirs)
    except FormatError as error:
        shown = show(repo.display(pointer_path(path)))
        raise FormatError(
            f"a side of the conflict in {shown} is no pointer: {error.message}",
            hint=f"'git checkout --ours {shown}' or '--theirs' takes the other side",
        ) from error
    return _Case(path, before, *sides, merge_origins(base or b"", ours, theirs, choice))


# -- writing ---------------------------------------------------------------------------------


def _find_names(repo: Repo, case: _Case, choice: Choice | None) -> None:
    """Decide which pointers stand for a target: one, or with "both" one for each version."""
    if case.merge is None:
        return
    whole = any(not one.path for one in case.merge.conflicts)
    if not whole or choice != "both":
        case.files = {case.path: case.merge.pointer}
        return
    for suffix, pointer in ((OURS, case.ours), (THEIRS, case.theirs)):
        name = case.path + suffix
        number = 1
        while any(os.path.lexists(repo.absolute(one)) for one in (name, pointer_path(name))):
            number += 1
            name = case.path + suffix + b"~%d" % number
        if (reason := problem(pointer_path(name).rpartition(b"/")[2])) is not None:
            raise RefusedError(
                f"both versions of {show(repo.display(case.path))} cannot be kept under names of"
                f" their own: {reason}",
                hint="choose a side with --ours or --theirs",
            )
        case.files[name] = pointer


def _write(repo: Repo, cases: Sequence[_Case]) -> list[bytes]:
    """Write the pointers, and remove those that two others stand for; return what changed."""
    wanted = {path: pointer for case in cases for path, pointer in case.files.items()}
    refuse_symlinks_above(os.fsencode(repo.root), wanted)
    changed = ignorefile.add(repo.git, [path for path in wanted if path])
    changed += write_pointers(repo, wanted, {case.path: case.origin or b"" for case in cases})
    for case in cases:
        if case.path not in case.files:
            name = pointer_path(case.path)
            fsio.remove(repo.absolute(name))
            changed.append(name)
    return list(dict.fromkeys(changed))


def _bring(repo: Repo, cases: Sequence[_Case], reporter: Reporter, *, staged: bool) -> None:
    """Let the data follow, if it is here and nobody's work is in the way."""
    paths = [path for case in cases for path in case.files]
    # What two others stand for now is left behind, and goes if nobody changed it. As long as git's
    # index has its pointer, it counts as tracked: then the checkout after 'git add' removes it.
    paths += [
        case.path
        for case in cases
        if staged and case.path not in case.files and os.path.lexists(repo.absolute(case.path))
    ]
    typed = tuple(os.fsdecode(repo.absolute(path)) for path in paths)
    try:
        if typed:
            checkout(repo, CheckoutOptions(paths=typed, keep_edited=True), reporter)
    except DverError as error:
        reporter.warn(f"the data does not follow yet: {error.message}", hint=error.hint)


def _told(repo: Repo, case: _Case, choice: Choice | None) -> ResolvedTarget:
    pointers = list(case.files.values())
    chosen = tuple(map(repo.display, case.inner()))
    kept = () if case.path in case.files else tuple(map(repo.display, case.files))
    return ResolvedTarget(
        repo.display(case.path),
        choice if choice is not None and chosen else "merged",
        sum(one.size for one in pointers),
        sum(one.files for one in pointers),
        chosen,
        kept,
    )
