"""What differs between two trees, in time that grows with the difference.

Subtrees of equal oid are never read. Inside a directory the columns are compared in runs of many
entries at a time, so that a hundred thousand equal entries cost a few comparisons of slices.
"""

from __future__ import annotations

from collections.abc import Iterator

from dver.base.dataclass import dataclass
from dver.base.oid import OID_SIZE, Oid
from dver.formats.tree import DIRECTORY, EMPTY, EMPTY_OID, Entry, Tree
from dver.store.walk import Budget, TreeSource, join

#: So many entries are compared at once while all of them are equal.
_LONGEST_RUN = 4096


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs. ``old`` is None where it was added, ``new`` where it was removed.

    Both are set where a file or symlink has other content or another kind. A directory comes by
    itself only when it is empty and was added or removed; otherwise its files come. Where a
    directory gave way to a file, or the other way round, removals and additions come apart.
    """

    path: bytes
    old: Entry | None
    new: Entry | None


def diff_trees(
    source: TreeSource,
    old: Oid | None,
    new: Oid | None,
    *,
    prefix: bytes = b"",
    budget: Budget | None = None,
) -> Iterator[Change]:
    """Yield what differs between two directories, in order of their names, depth first.

    None stands for a directory that is not there at all. Paths begin with ``prefix``. Raises
    MissingContentError at the first tree that is needed and is not there.
    """
    if old != new:
        yield from _diff(source, old, new, prefix, 0, budget or Budget())


def diff_entries(
    source: TreeSource,
    old: Entry | None,
    new: Entry | None,
    path: bytes,
    *,
    budget: Budget | None = None,
) -> Iterator[Change]:
    """Yield what differs between two entries, of any kind or absent, that stand for one path."""
    if old is None or new is None or old.oid != new.oid or old.kind != new.kind:
        yield from _pair(source, old, new, path, 0, budget or Budget())


def _diff(
    source: TreeSource, old: Oid | None, new: Oid | None, path: bytes, depth: int, budget: Budget
) -> Iterator[Change]:
    before = EMPTY if old is None else source.read_tree(old)
    after = EMPTY if new is None else source.read_tree(new)
    budget.spend(before, depth)
    budget.spend(after, depth)
    for one, other in unequal(before, after):
        # One of the two is there.
        name = one.name if one is not None else other.name  # type: ignore[union-attr]
        yield from _pair(source, one, other, join(path, name), depth + 1, budget)


def _pair(
    source: TreeSource,
    old: Entry | None,
    new: Entry | None,
    path: bytes,
    depth: int,
    budget: Budget,
) -> Iterator[Change]:
    old_dir, old_leaf = _part(old, new)
    new_dir, new_leaf = _part(new, old)
    if (
        old_leaf is not None
        and new_leaf is not None
        and DIRECTORY in (old_leaf.kind, new_leaf.kind)
    ):
        yield Change(path, old_leaf, None)
        old_leaf = None
    if old_dir is not None and new_leaf is not None:
        yield from _diff(source, old_dir, None, path, depth, budget)
        old_dir = None
    if old_leaf is not None or new_leaf is not None:
        yield Change(path, old_leaf, new_leaf)
    if old_dir is not None or new_dir is not None:
        yield from _diff(source, old_dir, new_dir, path, depth, budget)


def _part(entry: Entry | None, against: Entry | None) -> tuple[Oid | None, Entry | None]:
    """Return the directory to open, or the entry that is told by itself; one of them or none."""
    if entry is None or entry.kind != DIRECTORY:
        return None, entry
    if entry.oid == EMPTY_OID and (against is None or against.kind != DIRECTORY):
        return None, entry
    return entry.oid, None


def unequal(old: Tree, new: Tree) -> Iterator[tuple[Entry | None, Entry | None]]:
    """Yield the entries of two trees that differ in name, kind or oid, in order of their names.

    A name in one tree only comes with None for the other.
    """
    i = j = 0
    run = _LONGEST_RUN
    count_old, count_new = len(old), len(new)
    while i < count_old and j < count_new:
        run = min(run, count_old - i, count_new - j)
        if _equal_run(old, i, new, j, run):
            i += run
            j += run
            run = min(run * 4, _LONGEST_RUN)
        elif run > 1:
            run = max(run // 4, 1)
        else:
            one, other = old.names[i], new.names[j]
            yield (
                old.entry(i) if one <= other else None,
                new.entry(j) if other <= one else None,
            )
            i += one <= other
            j += other <= one
    for k in range(i, count_old):
        yield old.entry(k), None
    for k in range(j, count_new):
        yield None, new.entry(k)


def _equal_run(old: Tree, i: int, new: Tree, j: int, run: int) -> bool:
    return (
        old.names[i] == new.names[j]
        and old.kinds[i : i + run] == new.kinds[j : j + run]
        and old.oids[i * OID_SIZE : (i + run) * OID_SIZE]
        == new.oids[j * OID_SIZE : (j + run) * OID_SIZE]
        and old.names[i : i + run] == new.names[j : j + run]
    )
