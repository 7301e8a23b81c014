"""Whether a store really has something, in a store that other accounts write to as well.

Whoever may write to it can name any content in an index. Before the only other copy of something
is given up because the store has it, what lies in the packs of others is read and hashed.
"""

from __future__ import annotations

from dver.base.errors import CorruptError, MissingContentError
from dver.base.oid import Oid
from dver.formats.pack import LIST_KINDS
from dver.formats.tree import Tree
from dver.store.store import Store


class Vouching:
    """A store whose ``has`` takes nobody's word; each object is read once at most."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sound: dict[Oid, bool] = {}

    def read_tree(self, oid: Oid) -> Tree:
        """Return a tree. Raises MissingContentError or CorruptError."""
        return self._store.read_tree(oid)

    def has(self, oid: Oid) -> bool:
        """Say whether an object is there, and is what it should be if others put it there."""
        foreign = self._store.index.foreign_packs
        if not foreign:
            return self._store.has(oid)
        if oid not in self._sound:
            self._sound[oid] = self._is_sound(oid, foreign)
        return self._sound[oid]

    def _is_sound(self, oid: Oid, foreign: frozenset[bytes]) -> bool:
        try:
            place = self._store.place(oid)
            if place is None:
                return False
            if place.kind in LIST_KINDS:
                places = [part for _, part in self._store.parts(oid)]
                if foreign.isdisjoint(part.pack for part in places):
                    return True
            elif any(copy.pack not in foreign for copy in self._store.index.copies(oid)):
                return True
            for _ in self._store.stream(oid):
                pass
        except (CorruptError, MissingContentError):
            return False
        return True
