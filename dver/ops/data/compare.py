"""Comparing two sets of pointers, down to single files: what ``diff`` is made of."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Literal

from dver.base.dataclass import dataclass
from dver.base.errors import MissingContentError
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY, EMPTY_OID, EXECUTABLE, FILE, Entry
from dver.ops.targets.scope import Scope
from dver.store import walk
from dver.store.treediff import Change, diff_entries
from dver.store.walk import TreeSource
from dver.workspace.building import entry_of

Word = Literal["added", "removed", "modified", "renamed", "mode"]


@dataclass(frozen=True, slots=True)
class FileDelta:
    """One file that differs; ``path`` is its new one, ``old_path`` is set where it was renamed."""

    path: bytes
    target: bytes
    word: Word
    old: Entry | None
    new: Entry | None
    old_path: bytes | None = None


@dataclass(frozen=True, slots=True)
class TargetDelta:
    """One target that differs. ``listed`` is False when its trees could not be read."""

    path: bytes
    word: Word
    old: Pointer | None
    new: Pointer | None
    old_path: bytes | None = None
    listed: bool = True


@dataclass(slots=True)
class Comparison:
    """All that differs, targets in path order and files in the order of their targets."""

    targets: list[TargetDelta] = field(default_factory=list)
    files: list[FileDelta] = field(default_factory=list)


def compare(
    old: Mapping[bytes, Pointer],
    new: Mapping[bytes, Pointer],
    source: TreeSource,
    scope: Scope,
    *,
    renames: bool = True,
) -> Comparison:
    """Compare two sets of pointers by the paths of their data.

    A target whose trees ``source`` does not have is told as a whole. Paths of ``scope`` that
    neither side knows are left unmatched there.
    """
    result = Comparison()
    moved = _moved_trees(old, new, scope) if renames else {}
    sources = set(moved.values())
    for path in sorted(old.keys() | new.keys()):
        if path in sources:
            continue
        inside = scope.inside(path)
        if inside is None:
            continue
        before, after = old.get(path), new.get(path)
        if path in moved:
            origin = moved[path]
            result.targets.append(TargetDelta(path, "renamed", old[origin], after, origin))
        else:
            _compare_target(result, path, before, after, source, inside, scope)
    if renames:
        result.files = match_renames(result.files)
        result.targets = _rename_file_targets(result)
    return result


def _compare_target(
    result: Comparison,
    path: bytes,
    before: Pointer | None,
    after: Pointer | None,
    source: TreeSource,
    inside: Sequence[bytes],
    scope: Scope,
) -> None:
    old = None if before is None else entry_of(before)
    new = None if after is None else entry_of(after)
    if not inside and old == new:
        return
    word = _word(old, new)
    try:
        files = [
            FileDelta(change.path, path, _word(change.old, change.new), change.old, change.new)
            for change in _changes(source, path, old, new, inside, scope)
        ]
    except MissingContentError:
        scope.matched(walk.join(path, part) for part in inside)
        if old != new:
            result.targets.append(TargetDelta(path, word, before, after, listed=False))
        return
    if files or (not inside and word != "modified"):
        result.targets.append(TargetDelta(path, word, before, after))
        result.files += files


def _changes(
    source: TreeSource,
    path: bytes,
    old: Entry | None,
    new: Entry | None,
    inside: Sequence[bytes],
    scope: Scope,
) -> Iterable[Change]:
    if not inside:
        yield from diff_entries(source, old, new, path)
    for part in inside:
        one, other = (_within(source, entry, part) for entry in (old, new))
        if one is not None or other is not None:
            where = walk.join(path, part)
            scope.matched([where])
            yield from diff_entries(source, one, other, where)


def _within(source: TreeSource, entry: Entry | None, part: bytes) -> Entry | None:
    if entry is None or entry.kind != DIRECTORY:
        return None
    return walk.find(source, entry.oid, part)


def _word(old: Entry | None, new: Entry | None) -> Word:
    if old is None:
        return "added"
    if new is None:
        return "removed"
    if old.oid == new.oid and {old.kind, new.kind} == {FILE, EXECUTABLE}:
        return "mode"
    return "modified"


def _moved_trees(
    old: Mapping[bytes, Pointer], new: Mapping[bytes, Pointer], scope: Scope
) -> dict[bytes, bytes]:
    """Return new path -> old path of tracked directories that moved unchanged."""
    origins: dict[bytes, list[bytes]] = {}
    for path in sorted(old.keys() - new.keys(), reverse=True):
        if old[path].kind == "tree" and old[path].oid != EMPTY_OID and scope.inside(path) == ():
            origins.setdefault(old[path].oid, []).append(path)
    moved = {}
    for path in sorted(new.keys() - old.keys()):
        if new[path].kind == "tree" and scope.inside(path) == () and origins.get(new[path].oid):
            moved[path] = origins[new[path].oid].pop()
    return moved


def match_renames(files: list[FileDelta]) -> list[FileDelta]:
    """Pair each added file with a removed one of equal content, of the same last name if any.

    Empty files and directories are all alike, so that pairing them would tell nothing.
    """
    # Those of the same last name choose first, so that a moved directory stays in order.
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for by_name in (True, False):
        origins: dict[bytes, deque[int]] = {}
        for i, delta in enumerate(files):
            if (
                delta.word == "removed"
                and i not in taken
                and (key := _key(delta.path, delta.old, by_name))
            ):
                origins.setdefault(key, deque()).append(i)
        if not origins:
            break
        for i, delta in enumerate(files):
            if delta.word != "added" or i in pairs:
                continue
            candidates = origins.get(_key(delta.path, delta.new, by_name))
            if candidates:
                pairs[i] = candidates.popleft()
                taken.add(pairs[i])
    out = []
    for i, delta in enumerate(files):
        if i in pairs:
            origin = files[pairs[i]]
            out.append(replace(delta, word="renamed", old=origin.old, old_path=origin.path))
        elif i not in taken:
            out.append(delta)
    return out


def _key(path: bytes, entry: Entry | None, by_name: bool) -> bytes:
    if entry is None or entry.kind == DIRECTORY or entry.size == 0:
        return b""
    kind = FILE if entry.kind == EXECUTABLE else entry.kind
    return entry.oid + bytes([kind]) + (path.rpartition(b"/")[2] if by_name else b"")


def _rename_file_targets(result: Comparison) -> list[TargetDelta]:
    """Fold the removal and addition of a single-file target into one rename of the target."""
    whole = {
        delta.path: delta.old_path
        for delta in result.files
        if delta.word == "renamed" and delta.path == delta.target and delta.old_path is not None
    }
    origins = {t.path: t for t in result.targets if t.word == "removed"}
    moved = {path: origins[old] for path, old in whole.items() if old in origins}
    gone = {origin.path for origin in moved.values()}
    out = []
    for target in result.targets:
        if target.path in moved and target.word == "added":
            origin = moved[target.path]
            out.append(replace(target, word="renamed", old=origin.old, old_path=origin.path))
        elif target.path not in gone:
            out.append(target)
    return out
