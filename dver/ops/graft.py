"""Putting a path into a tree, or taking one out, without touching anything else in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dver.base.oid import Oid, oid_of
from dver.formats import tree as trees
from dver.formats.tree import DIRECTORY, EMPTY, Entry, Tree
from dver.store.walk import TreeSource


@dataclass(frozen=True, slots=True)
class Graft:
    """What is to stand at a path: an entry (its name is not looked at), or None for nothing.

    ``files`` is the number of files and symlinks that the entry holds: 1, or a tree's count.
    """

    entry: Entry | None
    files: int = 0


@dataclass(frozen=True, slots=True)
class Grafted:
    """The new top, its decoded tree, and every new tree encoded, children before parents."""

    oid: Oid
    tree: Tree
    encoded: dict[Oid, bytes]


def graft(source: TreeSource, top: Oid | None, changes: Mapping[bytes, Graft]) -> Grafted:
    """Return the tree ``top`` with what is at some paths replaced, added or removed.

    Paths are relative to the top, non-empty, and none is below another. Directories on the way
    are made where they are missing; a file that stands where one is needed is replaced. A
    directory that loses its last entry stays, empty, as the workspace shows it. ``top`` None
    stands for a tree that does not exist yet.
    """
    encoded: dict[Oid, bytes] = {}
    tree = EMPTY if top is None else source.read_tree(top)
    split = [(path.split(b"/"), change) for path, change in changes.items()]
    new = _apply(source, tree, split, encoded)
    data = trees.encode(new)
    oid = oid_of(data)
    encoded[oid] = data
    return Grafted(oid, new, encoded)


def _apply(
    source: TreeSource,
    tree: Tree,
    changes: list[tuple[list[bytes], Graft]],
    encoded: dict[Oid, bytes],
) -> Tree:
    entries = {entry.name: entry for entry in tree}
    own = sum(1 for entry in entries.values() if entry.kind != DIRECTORY)
    below = tree.files - own
    deeper: dict[bytes, list[tuple[list[bytes], Graft]]] = {}
    for parts, change in changes:
        if len(parts) > 1:
            deeper.setdefault(parts[0], []).append((parts[1:], change))
            continue
        old = entries.pop(parts[0], None)
        below -= _files_below(source, old)
        if change.entry is not None:
            new = change.entry
            entries[parts[0]] = Entry(new.kind, parts[0], new.size, new.oid)
            below += change.files if new.kind == DIRECTORY else 0
    for name, inner in deeper.items():
        old = entries.get(name)
        is_dir = old is not None and old.kind == DIRECTORY
        if not is_dir and all(change.entry is None for _, change in inner):
            continue
        child = source.read_tree(old.oid) if old is not None and is_dir else EMPTY
        new_child = _apply(source, child, inner, encoded)
        data = trees.encode(new_child)
        oid = oid_of(data)
        encoded[oid] = data
        entries[name] = Entry(DIRECTORY, name, new_child.size, oid)
        below += new_child.files - child.files
    return trees.build(list(entries.values()), below)


def _files_below(source: TreeSource, entry: Entry | None) -> int:
    return source.read_tree(entry.oid).files if entry is not None and entry.kind == DIRECTORY else 0
