"""Taking the outputs of an earlier run over, instead of making them again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dver.base.oid import Oid, format_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats.pointer import Pointer
from dver.formats.record import Item, Parent, Record
from dver.git import ignorefile, snapshot
from dver.git.pointers import pointer_path
from dver.lineage import running
from dver.lineage.environment import Captured
from dver.lineage.keeping import Keeper
from dver.ops.data.materialise import remove_all, scratch_beside
from dver.ops.data.restoring import Restorer, Wish, failure
from dver.ops.making.recordeditems import bring, is_here, write_out
from dver.ops.making.run import begun
from dver.ops.making.runplan import Plan, RunOptions
from dver.ops.targets import naming, worktree
from dver.ops.targets.placed import note_placed
from dver.ops.targets.target import load_targets, write_pointers
from dver.workspace.building import entry_of

if TYPE_CHECKING:
    from pathlib import Path

    from dver.repo import Repo

#: How long to wait for whoever else changes the work tree (seconds).
_PATIENCE = 3600.0


def restore(repo: Repo, items: Sequence[Item], reporter: Reporter) -> list[bytes] | None:
    """Put recorded outputs into the work tree as they were; return the files for git to know of.

    What lies there with other content is stored first, and then replaced. None, with nothing
    done, if not all is to be had, or an output lies in a larger target.
    """
    if not _all_here(repo, items, reporter):
        return None
    with worktree.hold_worktree(repo, timeout=_PATIENCE), repo.store.hold():
        repo.store.refresh()
        targets = load_targets(repo, [b""])
        paths = [os.fsencode(one.path) for one in items]
        if any(naming.holder(targets, path) not in (None, path) for path in paths):
            return None
        in_git = set(repo.git.tracked_by_git(paths))
        _make_room(repo, items, reporter)
        plain = [one for one in items if _is_plain(one, in_git)]
        tracked = {os.fsencode(one.path): _pointer(one) for one in items if one not in plain}
        for one in plain:
            _write(repo, one, reporter)
        return _check_out(repo, tracked, reporter)


def _all_here(repo: Repo, items: Sequence[Item], reporter: Reporter) -> bool:
    """Fetch what is not in the local store; say whether all is there now."""
    bring(repo, items, None, reporter)
    return all(is_here(repo, one) for one in items)


def take_over(
    repo: Repo,
    options: RunOptions,
    donor: tuple[Oid, Record],
    captured: Captured,
    reporter: Reporter,
) -> tuple[str, list[bytes]] | None:
    """Restore what an earlier run made, and record that; return the record's id and new files.

    None if that cannot be done: the inputs have changed since they were compared, or not all
    of the outputs are to be had.
    """
    record_id, value = donor
    if not _all_here(repo, value.outputs, reporter):
        return None
    plan = Plan(repo, options)
    with begun(repo, plan) as draft:
        recorded = {one.path: one.oid for one in value.inputs if one.role != "config"}
        read = {one.path: one.oid for one in draft.inputs if one.role != "config"}
        if recorded != read or draft.params != value.params:
            return None
        to_stage = restore(repo, value.outputs, reporter)
        if to_stage is None:
            return None
        roles = {**plan.outs, **plan.metrics}
        draft.outputs = tuple(
            replace(one, role=roles.get(os.fsencode(one.path), one.role)) for one in value.outputs
        )
        draft.metrics, draft.seeds = value.metrics, value.seeds
        draft.env, draft.packages = captured.environment, captured.packages
        draft.parents = (Parent(record_id.hex(), "reuses"),)
        store = repo.store
        with store.hold():
            store.refresh()
            with store.writer() as writer:
                new_id, data = running.finish(draft, writer)
                writer.commit()
            if draft.code is not None and draft.code.snapshot:
                snapshot.keep(repo.git, new_id.hex(), draft.code.snapshot)
            to_stage.append(running.write(repo, new_id, data))
    return new_id.hex(), to_stage


def _is_plain(one: Item, in_git: set[bytes]) -> bool:
    """Say whether an output is no target of dver's, but a file of git's or of nobody's."""
    return one.source != "dver" or os.fsencode(one.path) in in_git


def _pointer(one: Item) -> Pointer:
    return Pointer(one.kind, one.oid, one.size, one.files, one.executable)


def _make_room(repo: Repo, items: Sequence[Item], reporter: Reporter) -> None:
    """Store what lies in the place of an output with other content, and take it away."""
    for one in items:
        path = os.fsencode(one.path)
        place = repo.absolute(path)
        if not os.path.exists(place):
            continue
        with repo.store.writer() as writer:
            found = Keeper(repo, writer).keep(path)
            writer.commit()
        if (found.kind, found.oid) == (one.kind, one.oid):
            continue
        if writer.new_objects:  # nobody had recorded it
            shown = show(repo.display(path))
            reporter.note(
                f"what {shown} held is in the store as {format_oid(found.oid)} until the next gc"
            )
        remove_all(_path(place))


def _write(repo: Repo, one: Item, reporter: Reporter) -> None:
    place = _path(repo.absolute(os.fsencode(one.path)))
    with scratch_beside(place) as scratch:
        write_out(repo, one, place, scratch, reporter)


def _check_out(repo: Repo, wanted: dict[bytes, Pointer], reporter: Reporter) -> list[bytes]:
    """Bring tracked outputs and write their pointers; return the files that changed for git."""
    if not wanted:
        return []
    restorer = Restorer(repo, reporter, force=False, link=None)
    wishes = [Wish(path, one, b"", entry_of(one)) for path, one in wanted.items()]
    restorer.restore(wishes, repo.config.number("core.workers"))
    error = failure(repo, wishes)
    if error is not None:
        raise error
    targets = load_targets(repo, list(wanted))
    changed = {
        path: one
        for path, one in wanted.items()
        if path not in targets or targets[path].pointer != one
    }
    ignores = ignorefile.add(repo.git, list(changed))
    note_placed(repo.state_dir, wanted)
    write_pointers(repo, changed)
    return [*map(pointer_path, changed), *ignores]


def _path(absolute: bytes) -> Path:
    from pathlib import Path

    return Path(os.fsdecode(absolute))
