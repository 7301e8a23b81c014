"""Merging two versions of a pointer by their common ancestor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.oid import Oid
from dver.formats import origin, pack
from dver.formats.pointer import Pointer
from dver.formats.tree import EXECUTABLE
from dver.store.treemerge import Choice, Conflict, merge_leaves, merge_trees
from dver.store.walk import TreeSource
from dver.workspace.building import entry_of

if TYPE_CHECKING:
    from dver.store.store import Store


@dataclass(frozen=True, slots=True)
class PointerMerge:
    """The outcome for one target.

    ``pointer`` is the merged one. ``conflicts`` are the paths inside the target that both sides
    changed, settled as was asked for; a path of b"" is the target itself. ``trees`` are to be
    stored before the pointer is written.
    """

    pointer: Pointer
    conflicts: tuple[Conflict, ...] = ()
    trees: Mapping[Oid, bytes] = field(default_factory=dict)


def merge_pointers(
    source: TreeSource,
    base: Pointer | None,
    ours: Pointer,
    theirs: Pointer,
    *,
    choice: Choice = "ours",
) -> PointerMerge:
    """Merge two pointers; ``base`` None means that both sides began to track the path.

    Two directories are merged file by file, see :func:`~dver.store.treemerge.merge_trees`. Files
    that both changed are a conflict of the target itself; then "both" gives ours, and the caller
    finds a place for theirs. Raises MissingContentError if a directory's list is not to be had.
    """
    if base in (ours, theirs) or ours == theirs:
        return PointerMerge(theirs if ours == base else ours)
    if ours.kind == "tree" and theirs.kind == "tree":
        below = base.oid if base is not None and base.kind == "tree" else None
        done = merge_trees(source, below, ours.oid, theirs.oid, choice=choice)
        merged = Pointer("tree", done.oid, done.size, done.files)
        return PointerMerge(merged, done.conflicts, done.trees)
    sides = [None if one is None else entry_of(one) for one in (base, ours, theirs)]
    entry = merge_leaves(*sides)
    if entry is not None:
        mode = entry.kind == EXECUTABLE
        return PointerMerge(Pointer("file", entry.oid, entry.size, 1, mode))
    return PointerMerge(theirs if choice == "theirs" else ours, (Conflict(b"", *sides),))


def merge_origins(base: bytes, ours: bytes, theirs: bytes, choice: Choice | None) -> bytes | None:
    """Return the merged origin lines of three pointer files: where imported data came from.

    They are merged as a whole. Returns None if both sides changed them and there is no choice; with
    "both" those of ours stay.
    """
    before, left, right = map(origin.raw, (base, ours, theirs))
    if left in (before, right):
        return right
    if right == before or choice in ("ours", "both"):
        return left
    return right if choice == "theirs" else None


def store_trees(store: Store, merges: Sequence[PointerMerge]) -> None:
    """Make the directories that merges made durable in the store, whose lock the caller holds."""
    if any(merge.trees for merge in merges):
        with store.writer() as writer:
            for merge in merges:
                for data in merge.trees.values():
                    writer.add(data, pack.TREE)
            writer.commit()
