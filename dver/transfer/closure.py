"""What a remote lacks of the objects that somebody wants to be there.

Three rules keep this right where other tools lost data:

- that a remote has a directory or a chunk list says nothing about what they name: each part is
  looked up on its own, unless a root names the object, because whoever wrote that root had
  stored all of it
- an index row counts only if its pack is in a listing made now, in its full size
- what this clone lacks and the remote has is fine; what neither has is reported, with its path
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import compress
from typing import Literal

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, MissingContentError
from dver.base.oid import Oid, split_oids
from dver.formats import pack
from dver.formats.pack import LIST_KINDS
from dver.formats.root import RootObject
from dver.formats.segment import Columns, Place, columns, oids_of
from dver.formats.tree import DIRECTORY, MAX_DEPTH, Tree
from dver.store.index import Segment, Striking
from dver.store.packfile import read_rows
from dver.store.store import Store
from dver.store.treediff import unequal
from dver.store.walk import join
from dver.transfer.ranges import Wanted

Reason = Literal["missing", "damaged", "purged"]

_LISTS = frozenset(LIST_KINDS)
_SOLID = bytes(kind not in LIST_KINDS for kind in range(256))


@dataclass(frozen=True, slots=True)
class Offer:
    """One file or directory that should be in a remote with all that it needs.

    What is ``required`` must be complete for a push to succeed; the rest is pushed if it can
    be. ``commit`` says where the version was found, for messages; empty means the workspace.
    """

    object: RootObject
    required: bool = True
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """Something that cannot be had: at which path, and why.

    ``path`` is relative to the repository, ``where`` names the places that were looked at.
    """

    path: str
    oid: Oid
    reason: Reason
    where: tuple[str, ...]
    commit: str = ""


class Presence:
    """Which objects a remote has, by its whole segments and a listing of its packs."""

    def __init__(
        self,
        segments: Sequence[Segment],
        lost: frozenset[bytes],
        spooled: frozenset[Oid] = frozenset(),
    ) -> None:
        self._segments = [
            (one, lost.intersection(name for name, _ in one.packs)) for one in segments
        ]
        self.spooled = spooled

    def find(self, oid: Oid) -> Place | None:
        """Return a place of an object in a pack that is there, or None."""
        for segment, lost in self._segments:
            place = segment.find(oid)
            if place is not None and place.pack not in lost:
                return place
        return None

    def __contains__(self, oid: Oid) -> bool:
        return oid in self.spooled or self.find(oid) is not None

    def strike(self, oids: set[bytes]) -> None:
        """Take out of a set what is there, but for lists, whose parts must be looked at too."""
        for segment, lost in self._segments:
            striking = Striking(oids)
            for rows in segment.among(oids):
                found = columns(rows)
                striking.add(map(found.oids.__getitem__, solid_rows(segment, found, lost)))
            striking.finish()


@dataclass(slots=True)
class _Scope:
    """What was found for one offer, until it is known to count."""

    wanted: Wanted
    seen: set[Oid]
    objects: int = 0
    lost: list[Lost] = field(default_factory=list)


class Closure:
    """Collects the local frames that a remote lacks, over any number of offers.

    ``kept`` are objects known to be in the remote with all they need. ``bases`` gives for a path
    such a directory: what an older version of it shares with a new one is not looked at again.
    What is ``purged`` counts as complete, and is not wanted. What of it is still here, and needed
    by required offers, is in ``withheld``; ``holed`` are the offered objects with such parts.
    """

    def __init__(
        self,
        local: Store,
        far: Store,
        presence: Presence,
        *,
        kept: Container[Oid],
        bases: Mapping[str, Oid],
        where: tuple[str, ...],
        purged: Iterable[Oid] = (),
    ) -> None:
        self.wanted = Wanted()
        self.objects = 0
        self._local = local
        self._far = far
        self._presence = presence
        self._kept = kept
        self._bases = bases
        self._where = where
        self._purged = frozenset(purged)
        self._seen: set[Oid] = set(self._purged)
        self.withheld: set[Oid] = set()
        self.holed: set[Oid] = set()
        self._met: set[Oid] = set()
        self._bad: dict[Oid, Reason] = {}
        self._scope = _Scope(self.wanted, self._seen)
        self._commit = ""

    def add(self, offer: Offer) -> list[Lost]:
        """Want what is offered, and return what of it neither side has: nothing, if all is well.

        What there is of something incomplete is wanted only if it is required.
        """
        self._met.clear()
        lost = self._add(offer)
        here = {oid for oid in self._met if self._local.has(oid)}
        if here:
            self.holed.add(offer.object.oid)
            if offer.required:
                self.withheld |= here
        return lost

    def _add(self, offer: Offer) -> list[Lost]:
        one = offer.object
        if one.oid in self._kept:
            return []
        self._commit = offer.commit
        if one.kind == "tree" and self._whole_tree(one.oid, self._bases.get(one.path)):
            return []
        if offer.required:
            self._scope = _Scope(self.wanted, self._seen)
        else:
            self._scope = _Scope(Wanted(), set())
        path = os.fsencode(one.path)
        if one.kind == "tree":
            self._tree(one.oid, self._bases.get(one.path), path, 0)
        else:
            self._object(one.oid, path)
        scope = self._scope
        if scope.wanted is not self.wanted and not scope.lost:
            self.wanted.update(scope.wanted)
            self._seen |= scope.seen
        if offer.required or not scope.lost:
            self.objects += scope.objects
        return scope.lost

    # a directory as a whole

    def _whole_tree(self, oid: Oid, base: Oid | None) -> bool:
        """Want a directory and all below it, found by going over whole indexes.

        If anything cannot be had, nothing is wanted and the answer is False.
        """
        needed = self._below(oid, base)
        if needed is None:
            return False
        left: set[bytes] = set(needed)
        self._withhold(self._purged.intersection(needed))
        left -= self._seen
        self._presence.strike(left)
        scope = self._scope = _Scope(Wanted(), self._seen)
        self._take(left, scope)
        # What is left are lists, and what is nowhere.
        if left and not all(self._frames(one, b"") for one in needed if one in left):
            return False
        scope.wanted.in_order_of(needed)
        self.wanted.update(scope.wanted)
        self.objects += scope.objects
        self._seen.update(needed)
        return True

    def _below(self, oid: Oid, base: Oid | None) -> dict[Oid, None] | None:
        """Return all trees and contents of a directory that may be new, or None if that fails."""
        needed: dict[Oid, None] = {}
        stack = [(oid, base, 0)]
        while stack:
            oid, base, depth = stack.pop()
            self._withhold((oid,))
            if oid in needed or oid in self._seen or oid in self._kept:
                continue
            needed[oid] = None
            tree = self._find_tree(oid) if depth <= MAX_DEPTH else None
            if not isinstance(tree, Tree):
                return None
            older = self._read_base(base)
            if older is not None or DIRECTORY in tree.kinds:
                for nearest, kind, _, below in _changed(older, tree):
                    if kind == DIRECTORY:
                        stack.append((below, nearest, depth + 1))
                    else:
                        needed[below] = None
            else:
                needed.update(dict.fromkeys(split_oids(tree.oids)))
        return needed

    def _take(self, oids: set[bytes], scope: _Scope) -> None:
        """Want the local frames of these objects, and take them out of the set, but for lists."""
        spooled = self._presence.spooled
        index = self._local.index
        for segment in index.segments:
            if self._take_whole(segment, oids, scope):
                continue
            packs = [name for name, _ in segment.packs]
            striking = Striking(oids)
            for rows in segment.among(oids):
                found = columns(rows)
                solid = solid_rows(segment, found, index.lost_packs)
                new = [i for i in solid if found.oids[i] not in spooled] if spooled else solid
                scope.wanted.extend(packs, found, new)
                scope.objects += len(new)
                striking.add(map(found.oids.__getitem__, solid))
            striking.finish()

    def _take_whole(self, segment: Segment, oids: set[bytes], scope: _Scope) -> bool:
        """Do the same at once for all that a segment names, if that is wanted; say whether it was.

        So it is when what was added is pushed for the first time. The footers of the packs have
        the frames in order already, where rows of the segment would have to be sorted by pack.
        """
        if len(segment) > len(oids) or self._presence.spooled or self._local.index.lost_packs:
            return False
        if not all(map(oids.__contains__, segment.oids())):
            return False
        wanted = Wanted()
        for (name, _), rows in zip(segment.packs, segment.rows_by_pack(), strict=True):
            try:
                footer = pack.columns(read_rows(self._local.pack_path(name)))
            except (OSError, CorruptError):
                return False
            # Frames that the index does not name were found to be unsound.
            if len(footer.kinds) != rows or not _LISTS.isdisjoint(footer.kinds):
                return False
            wanted.add_whole(name, footer)
        scope.wanted.update(wanted)
        scope.objects += len(segment)
        striking = Striking(oids)
        for _, block in segment.blocks():
            striking.add(oids_of(block))
        striking.finish()
        return True

    # one object after the other

    def _tree(self, oid: Oid, base: Oid | None, path: bytes, depth: int) -> bool:
        """Want a directory and all below it; say whether it is complete."""
        self._withhold((oid,))
        if oid in self._seen or oid in self._scope.seen or oid in self._kept:
            return True
        if depth > MAX_DEPTH:
            raise CorruptError(f"the directory {os.fsdecode(path)} nests deeper than {MAX_DEPTH}")
        complete = self._frames(oid, path)
        tree = self._read_tree(oid, path) if complete else None
        if tree is None:
            return False
        for nearest, kind, name, below in _changed(self._read_base(base), tree):
            if kind == DIRECTORY:
                here = self._tree(below, nearest, join(path, name), depth + 1)
            else:
                here = self._object(below, path, name)
            complete = complete and here
        if complete:
            self._scope.seen.add(oid)
        return complete

    def _read_tree(self, oid: Oid, path: bytes) -> Tree | None:
        found = self._find_tree(oid)
        if isinstance(found, Tree):
            return found
        self._lose(oid, path, found)
        return None

    def _find_tree(self, oid: Oid) -> Tree | Reason:
        reason: Reason = "missing"
        for store in (self._local, self._far):
            try:
                return store.read_tree(oid)
            except MissingContentError:
                continue
            except CorruptError:
                reason = "damaged"
        return reason

    def _read_base(self, base: Oid | None) -> Tree | None:
        if base is None or not self._local.has(base):
            return None
        try:
            return self._local.read_tree(base)
        except (MissingContentError, CorruptError):
            return None

    def _object(self, oid: Oid, path: bytes, name: bytes = b"") -> bool:
        self._withhold((oid,))
        if oid in self._seen or oid in self._scope.seen:
            return True
        complete = self._frames(oid, path, name)
        if complete:
            self._scope.seen.add(oid)
        return complete

    def _withhold(self, oids: Iterable[Oid]) -> None:
        """Note what is needed and is not sent, since it was purged."""
        if self._purged:
            self._met.update(oid for oid in oids if oid in self._purged)

    def _frames(self, oid: Oid, path: bytes, name: bytes = b"") -> bool:
        """Want the frames that make up one object; say whether all of them can be had."""
        if oid in self._bad:
            return self._lose(oid, path, self._bad[oid], name)
        far = self._presence.find(oid)
        if far is not None and far.kind not in LIST_KINDS:
            return True
        place = self._local.place(oid)
        if place is not None and place.kind not in LIST_KINDS:
            if oid not in self._presence.spooled:
                self._scope.objects += 1
                self._scope.wanted.add(oid, place)
            return True
        reason: Reason = "missing"
        if place is not None:
            try:
                self._parts(oid)
            except (MissingContentError, CorruptError) as error:
                reason = "missing" if isinstance(error, MissingContentError) else "damaged"
            else:
                return True
        if far is not None and self._far_has_all(oid):
            return True
        return self._lose(oid, path, reason, name)

    def _parts(self, oid: Oid) -> None:
        for part, place in self._local.parts(oid):
            if part not in self._presence:
                self._scope.wanted.add(part, place)
        self._scope.objects += oid not in self._presence

    def _far_has_all(self, oid: Oid) -> bool:
        try:
            return all(part in self._presence for part, _ in self._far.parts(oid))
        except (MissingContentError, CorruptError):
            return False

    def _lose(self, oid: Oid, path: bytes, reason: Reason, name: bytes = b"") -> bool:
        self._bad[oid] = reason
        path = join(path, name) if name else path
        self._scope.lost.append(Lost(os.fsdecode(path), oid, reason, self._where, self._commit))
        return False


def solid_rows(segment: Segment, rows: Columns, lost: Container[bytes]) -> list[int]:
    """Return the numbers of rows that stand for content in a pack that is not lost."""
    numbers = list(compress(range(len(rows.oids)), rows.kinds.translate(_SOLID)))
    gone = {i for i, (name, _) in enumerate(segment.packs) if name in lost}
    return [i for i in numbers if rows.ordinals[i] not in gone] if gone else numbers


def _changed(older: Tree | None, tree: Tree) -> Iterator[tuple[Oid | None, int, bytes, Oid]]:
    """Yield (oid of the older directory there, kind, name, oid) of what a tree has that is new."""
    if older is None:
        for oid, kind, name in zip(split_oids(tree.oids), tree.kinds, tree.names, strict=True):
            yield None, kind, name, oid
        return
    for old, new in unequal(older, tree):
        if new is not None:
            nearest = old.oid if old is not None and old.kind == DIRECTORY else None
            yield nearest, new.kind, new.name, new.oid
