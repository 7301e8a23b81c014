"""Refusing to record as gone what was never brought here.

Whoever has only a part of a directory did not delete the rest. Nor does a listing that is not in
the local store say that there was nothing in it, whatever anybody's word of a purge tells: that
word comes from the remote, and may be made up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dver.base.errors import MissingContentError, RefusedError
from dver.base.oid import Oid, format_oid
from dver.formats.pointer import Pointer
from dver.formats.statindex import KnownTree
from dver.formats.tree import DIRECTORY, EMPTY, Tree
from dver.ops.data.purgedhere import was_purged
from dver.ops.targets.placement import Placement
from dver.store import walk
from dver.store.treediff import diff_trees

if TYPE_CHECKING:
    from dver.store.store import Store


def refuse_dropping(
    store: Store,
    old: Pointer,
    new: Pointer,
    known: KnownTree | None,
    built: walk.TreeSource,
    shown: str,
) -> None:
    """Raise RefusedError if recorded files of a directory would go that were never brought here.

    ``known`` is what the stat index remembers of the directory, ``built`` has the new listings that
    are not stored yet, and ``shown`` is its path as people see it.
    """
    base = known.base if known is not None else None
    if old == new or (old == base and not store.has(old.oid)):
        return
    here = _ListingsHere(store, base)
    # Where all of some version was here once, what is not there now was deleted.
    partial = base is None
    placement = Placement(store, known, old)
    absent = 0
    # Of what was never here, one object that was purged.
    purged: Oid | None = None
    try:
        for change in diff_trees(walk.Layered([built, store, here]), old.oid, new.oid):
            gone = change.old if change.new is None else None
            if gone is None or gone.kind == DIRECTORY:
                continue
            if was_purged(store, gone.oid):
                if placement.had(change.path):
                    continue
                purged = gone.oid
            absent += not store.has(gone.oid) or (partial and not placement.had(change.path))
    except MissingContentError:
        absent += 1
        purged = here.purged or purged
    if absent:
        raise _refusal(store, shown, purged)


class _ListingsHere:
    """A source of trees behind a store: what was purged after all of it was here is empty.

    Nothing brings that back, and whoever had it can tell that it is gone. That it was here is told
    by ``base``, what the directory was last added or checked out as.
    """

    def __init__(self, store: Store, base: Pointer | None) -> None:
        self._store = store
        self._base = base
        self._named: set[Oid] | None = None
        self.purged: Oid | None = None

    def read_tree(self, oid: Oid) -> Tree:
        """Return an empty tree for such a one. Raises MissingContentError for others."""
        if was_purged(self._store, oid):
            if oid in self._were_here():
                return EMPTY
            self.purged = oid
        raise MissingContentError(f"the tree {format_oid(oid)} is not here")

    def _were_here(self) -> set[Oid]:
        if self._named is None:
            self._named = set()
            if self._base is not None and self._base.kind == "tree":
                tops = [self._base.oid]
                for _ in walk.distinct(self._store, tops, seen=self._named, missing=lambda _: None):
                    pass
        return self._named


def _refusal(store: Store, shown: str, purged: Oid | None) -> RefusedError:
    ways = f"'dver add {shown}/PATH' records one path, 'dver add --replace {shown}' what is here"
    if purged is None:
        why, ways = "", f"'dver pull {shown}' brings them, {ways}"
    else:
        from dver.store.tombstones import explain

        words = explain(store.local_directory(), purged) or "purged"
        why = f"; {format_oid(purged)} was {words}"
        ways += (
            " and nothing else; if that word is wrong, 'dver purge --lift"
            f" {format_oid(purged)}' takes it back, and 'dver pull {shown}' brings the rest"
        )
    return RefusedError(
        f"not all of {shown} is here: to record its present state would drop"
        f" files that were never fetched{why}",
        hint=ways,
    )
