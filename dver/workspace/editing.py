"""Changing single entries of a directory that is held by column."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping

from dver.base.oid import OID_SIZE
from dver.formats.statindex import NO_OID, STAT_FIELDS
from dver.workspace.state import DIR_ROW, DirState, FileState

#: Inserting entries one by one beats rebuilding the columns up to about so many.
_FEW = 64


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
