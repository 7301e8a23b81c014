"""Bring data, and with a revision pointers too, into the workspace."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from dver.base.dataclass import dataclass
from dver.base.errors import (
    CorruptError,
    FormatError,
    MissingContentError,
    RefusedError,
    RepositoryError,
)
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats.pointer import Pointer, origin_lines
from dver.formats.tree import DIRECTORY
from dver.git import ignorefile
from dver.ops.data.leftovers import find_leftovers
from dver.ops.data.restoring import Restorer, Wish, failure
from dver.ops.targets import naming
from dver.ops.targets.placed import note_placed
from dver.ops.targets.scope import Scope
from dver.ops.targets.target import (
    load_targets,
    present_targets,
    read_target,
    usable,
    write_pointers,
)
from dver.ops.targets.versions import typed_path, version_at
from dver.ops.targets.worktree import hold_worktree
from dver.store import walk
from dver.workspace.building import entry_of

if TYPE_CHECKING:
    from dver.repo import Repo

#: So many targets are named in a message.
_NAMED = 5

PointerChange = Literal["new", "updated", "unchanged"]


@dataclass(frozen=True, slots=True)
class CheckoutOptions:
    """What to check out.

    Without ``rev`` the workspace follows the pointers that are in it. With it, the pointers and
    the data of that revision are taken for ``paths``, or for all targets of the revision.
    ``force`` allows overwriting and deleting data that is not in the store. ``link`` is a link
    mode ("copy", "reflink", "hardlink", "symlink", "auto"); None leaves it to ``core.link``. With
    ``keep_edited`` targets in which something would be lost, and those of broken pointers, are left
    as they are with a warning, and all others brought.
    """

    rev: str | None = None
    paths: tuple[str, ...] = ()
    force: bool = False
    link: str | None = None
    keep_edited: bool = False


@dataclass(frozen=True, slots=True)
class CheckedOutTarget:
    """What happened to one target: numbers of files and symlinks, and bytes written.

    ``pointer_change`` tells what happened to its pointer file. ``removed`` says that the data was
    deleted as a whole because its pointer is gone. ``kept`` counts files in a tracked directory
    that its pointer does not know and that were never tracked, which stay as they are.
    """

    path: str
    kind: Literal["file", "tree"]
    written: int
    deleted: int
    unchanged: int
    bytes: int
    pointer_change: PointerChange = "unchanged"
    removed: bool = False
    kept: int = 0


@dataclass(frozen=True, slots=True)
class CheckoutResult:
    """All targets in path order; ``rev`` is the commit in full hex; ``link`` the mode used."""

    rev: str | None
    link: str
    targets: tuple[CheckedOutTarget, ...]


def checkout(repo: Repo, options: CheckoutOptions, reporter: Reporter) -> CheckoutResult:
    """Bring the workspace in line with its pointers, or with those of a revision.

    All paths are compared first. RefusedError is raised, with nothing changed, if data would be
    overwritten or deleted whose content is not in the store, unless ``force`` is set. If content
    is missing here or damaged, everything else is brought before MissingContentError or
    CorruptError names it; a pointer of a revision is written only when all of its data was. HEAD
    and git's index are never touched.

    Without a revision, data whose pointer git took away goes as well, if it is unchanged and some
    commit still names it.
    """
    repo.require_init()
    if repo.git.is_bare:
        raise RepositoryError("a bare repository has no working tree to check out into")
    scope = Scope([typed_path(repo, arg) for arg in options.paths])
    with hold_worktree(repo):
        rev = options.rev
        commit = None if rev is None else repo.git.resolve(rev)
        with repo.store.hold():
            repo.store.refresh()
            restorer = Restorer(
                repo,
                reporter,
                force=options.force,
                link=options.link,
                keep_edited=options.keep_edited,
                stop_at_damage=False,
            )
            wishes = (
                _from_work_tree(repo, scope, restorer, reporter, lenient=options.keep_edited)
                if rev is None
                else (_from_revision(repo, scope, rev))
            )
            _refuse_twins(repo, [wish.target for wish in wishes if wish.pointer is not None])
            restorer.restore(wishes, repo.config.number("core.workers"))
            changes = {} if rev is None else _write_pointers(repo, wishes)
            note_placed(
                repo.state_dir,
                [wish.target for wish in wishes if wish.pointer is not None and wish.is_done],
                [wish.target for wish in wishes if wish.pointer is None],
            )
    error = failure(repo, wishes, rev)
    if error is not None:
        _tell_of_part(repo, rev, changes, reporter)
        raise error
    told = [
        _told(repo, wish, changes.get(wish.path, "unchanged")) for wish in wishes if wish.is_done
    ]
    return CheckoutResult(commit, restorer.modes[0], tuple(told))


def _tell_of_part(
    repo: Repo, rev: str | None, changes: Mapping[bytes, PointerChange], reporter: Reporter
) -> None:
    """Say which targets are at the revision, where others could not be brought there."""
    done = [path for path, change in sorted(changes.items()) if change != "unchanged"]
    if rev is None or not done:
        return
    shown = ", ".join(show(repo.display(path)) for path in done[:_NAMED])
    more = f" and {len(done) - _NAMED:,} more" if len(done) > _NAMED else ""
    reporter.warn(
        f"only a part is at {show(rev)} now, data and pointers: {shown}{more}",
        hint="the same command does the rest once its content is here",
    )


# -- what is wanted --------------------------------------------------------------------------


def _from_work_tree(
    repo: Repo, scope: Scope, restorer: Restorer, reporter: Reporter, *, lenient: bool
) -> list[Wish]:
    targets = load_targets(repo, scope.paths or (b"",))
    pointers = {}
    for path, target in present_targets(targets).items():
        if scope.inside(path) is None:
            continue
        try:
            pointers[path] = usable(repo, target)
        except FormatError as error:
            if not lenient:
                raise
            reporter.warn(error.message, hint=error.hint)
    wishes = _wishes(repo, scope, pointers)
    wishes += find_leftovers(repo, scope, targets, restorer.index, reporter)
    _refuse_unmatched(repo, scope, pointers, "the work tree does not track")
    return wishes


def _from_revision(repo: Repo, scope: Scope, rev: str) -> list[Wish]:
    version = version_at(repo, rev, scope)
    pointers = version.pointers
    wishes = _wishes(repo, scope, pointers)
    for wish in wishes:
        wish.origin = version.origins.get(wish.target, b"")
    _refuse_unmatched(repo, scope, pointers, f"{rev} does not track")
    _refuse_overlaps(repo, [wish.target for wish in wishes if not wish.part], rev)
    return wishes


def _wishes(repo: Repo, scope: Scope, pointers: Mapping[bytes, Pointer]) -> list[Wish]:
    """Return a wish for every target of a scope, or for each part of it, in path order."""
    wishes = []
    for path in sorted(pointers):
        pointer = pointers[path]
        for part in scope.inside(path) or (b"",):
            wish = Wish(path, pointer, part)
            if not part:
                wish.desired = entry_of(pointer)
            elif not _find_part(repo, wish, pointer):
                continue
            wishes.append(wish)
            scope.matched([wish.path])
    return wishes


def _find_part(repo: Repo, wish: Wish, pointer: Pointer) -> bool:
    """Look a part up in the recorded tree; say whether it is there, as far as can be known."""
    if pointer.kind != "tree":
        return False
    try:
        wish.desired = walk.find(repo.store, pointer.oid, wish.part)
    except MissingContentError:
        wish.missing.append((wish.path, pointer.oid))
        return True
    except CorruptError as error:
        wish.damage = error
        return True
    return wish.desired is not None


def _refuse_unmatched(
    repo: Repo, scope: Scope, pointers: Mapping[bytes, Pointer], unknown: str
) -> None:
    for path in scope.unmatched():
        if path:
            raise naming.not_found(unknown, path, str(repo.root), pointers, repo.display)


def _refuse_twins(repo: Repo, paths: Sequence[bytes]) -> None:
    if len(paths) > 1:
        from dver.workspace.twins import refuse_twin_targets

        refuse_twin_targets(paths, os.fsencode(repo.root))


def _refuse_overlaps(repo: Repo, paths: Sequence[bytes], rev: str) -> None:
    """Raise RefusedError if data of a revision would come inside, or around, what is tracked."""
    present = present_targets(load_targets(repo, paths)) if paths else {}
    known = list(present)
    for path in paths:
        above = naming.holder(present, path)
        others = [above] if above not in (None, path) else list(naming.below(known, path))
        if others:
            shown = show(repo.display(path))
            raise RefusedError(
                f"{shown} is tracked as a whole at {rev} and overlaps with what is tracked now",
                hint=f"'dver get {shown} --rev {rev} -o OUT' writes it elsewhere",
                paths=[repo.display(one) for one in others if one is not None],
            )
    in_git = repo.git.tracked_by_git([path for path in paths if path not in present])
    if in_git:
        raise RefusedError(
            f"git tracks now what was tracked data at {rev}",
            hint=f"'dver get PATH --rev {rev} -o OUT' writes it elsewhere",
            paths=[repo.display(path) for path in in_git],
        )


# -- what was done ---------------------------------------------------------------------------


def _write_pointers(repo: Repo, wishes: Sequence[Wish]) -> dict[bytes, PointerChange]:
    """Write the pointers of targets whose data was brought whole; tell which changed."""
    done = [wish for wish in wishes if wish.is_done and not wish.part]
    changes: dict[bytes, PointerChange] = {}
    for wish in done:
        target = read_target(repo.absolute(b""), wish.target)
        if target.pointer != wish.pointer or origin_lines(target.raw) != wish.origin:
            changes[wish.target] = "updated" if target.present else "new"
    ignorefile.add(repo.git, [path for path, change in changes.items() if change == "new"])
    write_pointers(
        repo,
        {
            wish.target: wish.pointer
            for wish in done
            if wish.target in changes and wish.pointer is not None
        },
        {wish.target: wish.origin for wish in done},
    )
    return changes


def _told(repo: Repo, wish: Wish, change: PointerChange) -> CheckedOutTarget:
    applied, plan = wish.applied, wish.plan
    if applied is None or plan is None:
        raise ValueError("a path that was not checked out")
    kind: Literal["file", "tree"] = "file"
    if wish.desired is not None:
        kind = "tree" if wish.desired.kind == DIRECTORY else "file"
    elif wish.base is not None:
        kind = wish.base.kind
    return CheckedOutTarget(
        path=repo.display(wish.path),
        kind=kind,
        written=applied.written,
        deleted=applied.deleted,
        unchanged=plan.unchanged,
        bytes=applied.bytes,
        pointer_change=change,
        removed=wish.desired is None,
        kept=len(plan.kept),
    )
