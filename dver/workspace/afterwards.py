"""What is in the workspace after a checkout, worked out from what was there and what was done."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from dver.formats.statindex import STAT_FIELDS
from dver.formats.tree import DIRECTORY
from dver.store.walk import join
from dver.workspace.building import finish_trees
from dver.workspace.editing import edit
from dver.workspace.jobs import Output
from dver.workspace.plan import CheckoutPlan
from dver.workspace.safedir import split
from dver.workspace.state import CTIME, DIR_ROW, MTIME, DirState, FileState, Scan

#: By directory and name: what an entry became, None if it is gone. Paths are the repository's.
Edits = dict[bytes, dict[bytes, FileState | None]]


def scan_after(
    plan: CheckoutPlan,
    root: bytes,
    moment: int,
    made: Sequence[Sequence[Output]],
    edits: Edits,
    removed: set[bytes],
) -> Scan | None:
    """Return the state of the plan's path if it is a directory now, with its trees built.

    ``made`` are the outputs of each new directory, ``removed`` the directories that are gone. The
    plan is used up: columns of its batches become those of the state.
    """
    current = plan.current
    states: dict[bytes, DirState] = {}
    prefix = plan.path
    if isinstance(current, Scan):
        if current.start:
            prefix = plan.path[: -len(current.start) - 1]
        for state in current.dirs:
            path = join(prefix, state.path) if state.path else prefix
            if path not in removed:
                distrust(state, moment)
                states[path] = state
    start = b"" if not isinstance(current, Scan) else current.start
    for outputs in made:
        for output in outputs:
            path = output.batch.path
            states[path] = _made(output, path[len(prefix) + 1 :])
    for path, changes in edits.items():
        if path in states:
            edit(states[path], changes)
    if plan.path not in states:
        return None
    order = sorted(states, key=lambda path: path.split(b"/"))
    scan_root = current.root if isinstance(current, Scan) else root + b"/" + plan.path
    scan = Scan(scan_root, start, [states[path] for path in order])
    finish_trees(scan)
    return scan


def distrust(state: DirState, moment: int) -> None:
    """Forget the stat rows of entries touched too late to tell a later change."""
    if state.remembered is not None:
        return  # rows are remembered only if they will do
    for column in (MTIME, CTIME):
        values = state.stats[column::STAT_FIELDS]
        if values and max(values) >= moment:
            for i, value in enumerate(values):
                if value >= moment:
                    state.set_row(i, (0,) * STAT_FIELDS)


def _made(output: Output, path: bytes) -> DirState:
    batch = output.batch
    # The state's columns can be changed. The plan has them from now on too, since otherwise a
    # million files would take 50 MiB twice.
    batch.names, batch.sizes = names, sizes = list(batch.names), array("Q", batch.sizes)
    batch.kinds, batch.oids = kinds, oids = bytearray(batch.kinds), bytearray(batch.oids)
    state = DirState(path, names, kinds, sizes, oids, output.rows)
    at = state.kinds.find(DIRECTORY)
    while at >= 0:
        state.set_row(at, DIR_ROW)
        at = state.kinds.find(DIRECTORY, at + 1)
    modes = state.stats[0::STAT_FIELDS]
    if 0 in modes:
        state.remove([i for i, mode in enumerate(modes) if not mode])
    return state


def note_directory(edits: Edits, path: bytes, *, gone: bool) -> None:
    """Note in its parent that a directory was made, or is gone."""
    parent, name = split(path)
    mark = None if gone else FileState(DIRECTORY, 0, DIR_ROW)
    edits.setdefault(parent, {})[name] = mark
