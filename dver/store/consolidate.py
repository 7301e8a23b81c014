"""Merging many small packs and segments, as ``git gc --auto`` does.

Every add makes a pack or two and a segment, so a store that sees many small adds would get slow.
Once there are too many, all small packs are copied into large ones and all segments into one. If
anybody else is using the store just then, nothing happens: the next add will try again.
"""

from __future__ import annotations

from dver.base.errors import LockedError
from dver.store.gc import Plan, sweep
from dver.store.mark import Marks
from dver.store.store import Store

#: With more segments than this, or more small packs, they are merged.
_MAX_SEGMENTS = 24
_MAX_SMALL_PACKS = 64
#: Packs below this length count as small (bytes).
_SMALL = 8 << 20


def consolidate(store: Store) -> bool:
    """Merge small packs and segments if there are many of them; say whether that was done."""
    if len(store.index.segments) <= _MAX_SEGMENTS and len(_small(store)) <= _MAX_SMALL_PACKS:
        return False
    try:
        with store.hold(exclusive=True, timeout=0.0):
            store.refresh()
            small = _small(store)
            todo = Plan((), tuple(small) if len(small) > 8 else (), (), 0, 0, 0, 0)
            sweep(store, Marks.everything(store), todo)
    except LockedError:
        return False
    return True


def _small(store: Store) -> list[bytes]:
    return sorted(name for name, size in store.index.packs().items() if size < _SMALL)
