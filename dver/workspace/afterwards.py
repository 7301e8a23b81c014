"""What is in the workspace after a checkout, worked out from what was there and what was done."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence

from dver.base.oid import OID_SIZE
from dver.formats.statindex import NO_OID, STAT_FIELDS
from dver.formats.tree import DIRECTORY
from dver.store.walk import join
from dver.workspace.building import finish_trees
from dver.workspace.jobs import Output
from dver.workspace.plan import CheckoutPlan
from dver.workspace.safedir import split
from dver.workspace.state import CTIME, DIR_ROW, MTIME, DirState, FileState, Scan

#: Inserting entries one by one beats rebuilding the columns up to about so many.
_FEW = 64

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

    ``made`` are the outputs of each new directory, ``removed`` the directories that are gone.
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
    for column in (MTIME, CTIME):
        values = state.stats[column::STAT_FIELDS]
        if values and max(values) >= moment:
            for i, value in enumerate(values):
                if value >= moment:
                    state.set_row(i, (0,) * STAT_FIELDS)


def _made(output: Output, path: bytes) -> DirState:
    batch = output.batch
    state = DirState(
        path,
        list(batch.names),
        bytearray(batch.kinds),
        array("Q", batch.sizes),
        bytearray(batch.oids),
        output.rows,
    )
    at = state.kinds.find(DIRECTORY)
    while at >= 0:
        state.set_row(at, DIR_ROW)
        at = state.kinds.find(DIRECTORY, at + 1)
    modes = state.stats[0::STAT_FIELDS]
    if 0 in modes:
        state.remove([i for i, mode in enumerate(modes) if not mode])
    return state


def edit(state: DirState, changes: Mapping[bytes, FileState | None]) -> None:
    """Replace, add and take out entries of a directory by name."""
    state.tree = None
    names = state.names
    fresh: dict[bytes, FileState] = {}
    gone = []
    for name, new in changes.items():
        at = bisect_left(names, name)
        there = at < len(names) and names[at] == name
        if new is None:
            gone += [at] if there else []
        elif there:
            _set(state, at, new)
        else:
            fresh[name] = new
    if len(gone) + len(fresh) > _FEW:
        _rebuild(state, set(gone), fresh)
        return
    if gone:
        state.remove(gone)
    for name, new in fresh.items():
        at = bisect_left(names, name)
        names.insert(at, name)
        state.kinds.insert(at, 0)
        state.sizes.insert(at, 0)
        state.oids[at * OID_SIZE : at * OID_SIZE] = NO_OID
        state.stats[at * STAT_FIELDS : at * STAT_FIELDS] = array("Q", DIR_ROW)
        _set(state, at, new)


def _set(state: DirState, at: int, new: FileState) -> None:
    state.kinds[at], state.sizes[at] = new.kind, new.size
    state.set_oid(at, new.oid or NO_OID)
    state.set_row(at, new.row)


def _rebuild(state: DirState, gone: set[int], fresh: Mapping[bytes, FileState]) -> None:
    """Make all columns anew in one pass."""
    old = {name: i for i, name in enumerate(state.names) if i not in gone}
    order = sorted([*old, *fresh])
    kinds, sizes, oids, stats = state.kinds, state.sizes, state.oids, state.stats
    state.kinds, state.sizes, state.oids = bytearray(), array("Q"), bytearray()
    state.stats = array("Q")
    for name in order:
        new = fresh.get(name)
        if new is not None:
            state.kinds.append(new.kind)
            state.sizes.append(new.size)
            state.oids += new.oid or NO_OID
            state.stats.extend(new.row)
            continue
        i = old[name]
        state.kinds.append(kinds[i])
        state.sizes.append(sizes[i])
        state.oids += oids[i * OID_SIZE : (i + 1) * OID_SIZE]
        state.stats += stats[i * STAT_FIELDS : (i + 1) * STAT_FIELDS]
    state.names = order


def note_directory(edits: Edits, path: bytes, *, gone: bool) -> None:
    """Note in its parent that a directory was made, or is gone."""
    parent, name = split(path)
    mark = None if gone else FileState(DIRECTORY, 0, DIR_ROW)
    edits.setdefault(parent, {})[name] = mark
