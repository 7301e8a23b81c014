"""Whether a store has all of something: a file with its chunks, a directory with all below it."""

from __future__ import annotations

from dver.base.errors import MissingContentError
from dver.base.oid import Oid
from dver.formats.kinds import DIRECTORY
from dver.store.store import Store
from dver.store.walk import distinct


def is_whole(store: Store, oid: Oid, *, tree: bool = True) -> bool:
    """Say whether a store has an object and all that it needs; nothing is read but trees."""
    if not tree:
        return store.is_complete(oid)
    try:
        return all(
            kind == DIRECTORY or store.is_complete(listed.oid(i))
            for _, listed in distinct(store, [oid])
            for i, kind in enumerate(listed.kinds)
        )
    except MissingContentError:
        return False
