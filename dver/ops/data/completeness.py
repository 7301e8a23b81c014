"""What of a pointer's content is here, and what a remote is known to have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dver.base.errors import CorruptError
from dver.base.oid import Oid, split_oids
from dver.base.regular import read_regular
from dver.formats.kinds import DIRECTORY
from dver.formats.pointer import Pointer

if TYPE_CHECKING:
    from dver.store.store import Store

#: No list of objects that were once fetched is longer (bytes).
_MAX_SEEN = 1 << 30


def missing_objects(store: Store, pointer: Pointer) -> list[Oid]:
    """Return the distinct objects that a pointer needs and the store lacks, as far as known.

    What lies below a tree that is missing itself is not known.
    """
    if pointer.kind == "file":
        return [] if store.is_complete(pointer.oid) else [pointer.oid]
    from dver.store import walk

    missing: dict[Oid, None] = {}
    index = store.index
    for _, tree in walk.distinct(
        store, [pointer.oid], missing=lambda oid: missing.update({oid: None})
    ):
        for i, kind in enumerate(tree.kinds):
            if kind != DIRECTORY and (oid := tree.oid(i)) not in index:
                missing[oid] = None
    return list(missing)


class Pushed:
    """What this clone knows a remote to have as a whole; roots are only read if need be."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._roots: set[Oid] | None = None
        try:
            data = read_regular(self._cache / "seen", limit=_MAX_SEEN)
        except (OSError, CorruptError):
            data = b""
        self._seen = frozenset(split_oids(data))

    def __contains__(self, oid: Oid) -> bool:
        if oid in self._seen:
            return True
        if self._roots is None:
            from dver.ops.targets.remembered import kept

            self._roots = kept(self._cache / "roots")
        return oid in self._roots
