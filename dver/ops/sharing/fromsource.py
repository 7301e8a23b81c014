"""Content of imports that is neither here nor in the remote, brought from where it came from.

Only from sources that the user has agreed to in this clone, and only the very version that the
pointer names: what has another oid is not what was imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import DverError, FormatError, MissingContentError, NotFoundError
from dver.base.oid import format_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats.pointer import Pointer
from dver.ops.data.materialise import scratch_beside
from dver.ops.sharing import download, sourceurl
from dver.ops.sharing.provenance import (
    Imported,
    agree,
    as_seen,
    is_agreed,
    origin_of,
    place_of,
    write_import,
)
from dver.ops.sharing.sourcerepo import DEFAULT, Repositories
from dver.ops.targets import naming, worktree
from dver.ops.targets.target import load_targets, present_targets
from dver.store.whole import is_whole

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(slots=True)
class Brought:
    """What came: the targets, and the pointers that now name content nobody had seen before.

    ``unknown`` are the places that nobody has agreed to, with a target of each.
    """

    paths: list[bytes]
    changed: list[bytes]
    unknown: dict[str, bytes]


def bring_from_sources(
    repo: Repo, paths: Iterable[bytes], reporter: Reporter, *, trust: bool, unseen: bool
) -> Brought:
    """Bring the content of imports at, above or below some data paths, as far as it is to be had.

    With ``unseen`` that of imports which nobody has downloaded yet comes too, and their pointers
    are written. ``trust`` agrees to all sources. What fails is warned of, not raised.
    """
    found = _absent(repo, paths, reporter)
    brought = Brought([], [], {})
    if not found:
        return brought
    if trust:
        agree(repo, [one.origin for one in found])
    with (
        repo.store.hold(),
        scratch_beside(repo.common_state_dir / "imports" / "clone") as scratch,
        Repositories(repo, DEFAULT, Path(scratch), reporter) as others,
    ):
        for one in found:
            if not is_agreed(repo, one.origin):
                brought.unknown[place_of(one.origin)] = one.path
                continue
            if one.is_unseen and not unseen:
                continue
            try:
                _bring(repo, one, others, reporter, brought)
            except DverError as error:
                reporter.warn(
                    f"{show(repo.display(one.path))} could not be had from where it was imported:"
                    f" {error.message}",
                    hint=error.hint,
                )
    return brought


def trust_hint(repo: Repo, brought: Brought, command: str) -> str | None:
    """Return what to do about sources that nobody has agreed to, None if there are none."""
    if not brought.unknown:
        return None
    place = min(brought.unknown)
    shown = show(repo.display(brought.unknown[place]))
    return f"it was imported from {show(place)}; if you know that place: {command} --trust {shown}"


def _absent(repo: Repo, paths: Iterable[bytes], reporter: Reporter) -> list[Imported]:
    wanted = list(dict.fromkeys(paths))
    if not wanted:
        return []
    targets = present_targets(load_targets(repo, wanted))
    ordered = sorted(targets)
    chosen: dict[bytes, None] = {}
    for path in wanted:
        holder = naming.holder(targets, path)
        chosen.update(dict.fromkeys(naming.below(ordered, path) if holder is None else [holder]))
    found = []
    for path in chosen:
        target = targets[path]
        try:
            origin = origin_of(repo, target)
        except FormatError as error:
            reporter.warn(error.message, hint=error.hint)
            continue
        if origin is None or target.pointer is None:
            continue
        one = Imported(target, target.pointer, origin)
        if not is_whole(repo.store, one.pointer.oid, tree=one.pointer.kind == "tree"):
            found.append(one)
    return found


def _bring(
    repo: Repo, one: Imported, others: Repositories, reporter: Reporter, brought: Brought
) -> None:
    origin = one.origin
    if one.is_changed:
        raise MissingContentError("it was changed since, and that version was never there")
    if origin.repository:
        there = others.look(origin, origin.commit)
        pointer = others.pointer(there)
        _require_same(one, pointer)
        others.bring(there, repo.store)
    else:
        with sourceurl.opened(origin, repo.environ) as plain:
            now = sourceurl.recorded(plain, origin)
            if not one.is_unseen and not sourceurl.is_same(origin, now.origin):
                raise NotFoundError(
                    "the source has another version now",
                    hint=f"'dver update {show(repo.display(one.path))}' takes it",
                )
            pointer = download.bring(repo, plain, now, reporter)
            _require_same(one, pointer)
            if one.is_unseen:
                with worktree.hold_worktree(repo):
                    changed = write_import(repo, one.path, pointer, as_seen(now.origin, pointer))
                brought.changed += changed
    brought.paths.append(one.path)


def _require_same(one: Imported, pointer: Pointer) -> None:
    if not one.is_unseen and pointer.oid != one.pointer.oid:
        raise MissingContentError(
            f"the source has {format_oid(pointer.oid)} in place of {format_oid(one.pointer.oid)}"
        )
