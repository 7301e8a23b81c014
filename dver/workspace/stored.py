"""Whether what is remembered of the workspace is still in the store."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dver.base.oid import OID_SIZE, Oid
from dver.formats.kinds import DIRECTORY
from dver.formats.statindex import NO_OID, KnownTree
from dver.workspace.state import DirState, Scan

if TYPE_CHECKING:
    from dver.store.store import Store

_OID = struct.Struct(f"{OID_SIZE}s")
#: So many entries are looked up together.
_AT_ONCE = 1 << 18


def is_stored(known: KnownTree, store: Store) -> bool:
    """Tell whether all that is remembered was found in the store's index as it is now."""
    return known.stored != 0 and known.stored == store.index.state


def forget_unstored(scan: Scan, store: Store) -> None:
    """Take back the oids that a scan remembers of content which the store does not have."""
    group: list[DirState] = []
    count = 0
    for state in scan.dirs:
        group.append(state)
        count += len(state.kinds)
        if count >= _AT_ONCE:
            _forget_absent(group, store)
            group, count = [], 0
    _forget_absent(group, store)


def _forget_absent(group: Sequence[DirState], store: Store) -> None:
    wanted: set[Oid] = set()
    for state in group:
        wanted.update(_oids(state))
    wanted.discard(NO_OID)
    absent = store.index.absent(wanted)
    if not absent:
        return
    for state in group:
        for i, (kind, oid) in enumerate(zip(state.kinds, _oids(state), strict=True)):
            if oid in absent and kind != DIRECTORY:
                state.set_oid(i, NO_OID)
                state.tree = None


def _oids(state: DirState) -> Iterator[Oid]:
    oids = state.oids if state.remembered is None else state.remembered.oids
    return itertools.chain.from_iterable(_OID.iter_unpack(oids))
