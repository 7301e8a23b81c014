"""Putting what a record needs into the store: any file or directory, and the tree of all of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import NotFoundError
from dver.base.fsio import failure
from dver.base.oid import Hasher, Oid, finish
from dver.base.quoting import show
from dver.formats import pack
from dver.formats import tree as trees
from dver.formats.kinds import DIRECTORY, EXECUTABLE, FILE
from dver.formats.record import Item, Keep
from dver.formats.statindex import KnownFile
from dver.formats.tree import Entry
from dver.lineage.looking import rules_of
from dver.workspace.building import build_trees, pointer_of
from dver.workspace.filescan import scan_file
from dver.workspace.hashing import fill_files, fill_scan
from dver.workspace.links import LinkCache
from dver.workspace.scan import scan_directory
from dver.workspace.state import Scan
from dver.workspace.statindex import StatIndex
from dver.workspace.stored import forget_unstored, is_stored

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.store.store import Store
    from dver.store.writer import Writer


class Keeper:
    """Stores paths of a work tree as they are now. ``writer`` belongs to the store of ``repo``.

    What the stat index remembers of tracked data, and the store still has, is not read again.
    """

    def __init__(self, repo: Repo, writer: Writer) -> None:
        self._repo = repo
        self._store = repo.store
        self._writer = writer
        self._index = StatIndex(repo.state_dir)
        self._links = LinkCache(repo.store.local_directory())

    def keep(self, path: bytes, target: bytes = b"") -> Item:
        """Store a file or directory and return it as an item.

        ``path`` is relative to the repository; ``target`` is the tracked target that it is or
        lies in, if there is one. Raises NotFoundError if nothing is there.
        """
        absolute = self._repo.absolute(path)
        if not os.path.exists(absolute):
            shown = show(self._repo.display(path))
            raise NotFoundError(f"there is no {shown}", hint=f"dver pull {shown}")
        if not os.path.isdir(absolute):
            known = self._index.load_file(path) if target == path else None
            if known is not None and not self._store.is_complete(known.oid):
                known = None
            return _file(absolute, os.fsdecode(path), self._writer, known, self._links)
        top = target or path
        known_tree = self._index.load_tree(target) if target else None
        scan = scan_directory(
            self._repo.absolute(top),
            known_tree,
            rules_of(self._repo, path, target),
            target=top,
            start=path[len(top) + 1 :],
            links=self._links,
        )
        if known_tree is not None and not is_stored(known_tree, self._store):
            forget_unstored(scan, self._store)
        return _directory(scan, os.fsdecode(path), self._writer, self._store)


def keep_outside(place: Path, name: str, writer: Writer, store: Store) -> Item:
    """Store a file or directory that is in no repository, as an item of that name."""
    absolute = os.fsencode(place)
    if place.is_dir() and not place.is_symlink():
        return _directory(scan_directory(absolute), name, writer, store)
    return _file(absolute, name, writer)


def _file(
    absolute: bytes,
    name: str,
    writer: Writer,
    known: KnownFile | None = None,
    links: LinkCache | None = None,
) -> Item:
    state = scan_file(absolute, known, links=links)
    if state is not None:
        fill_files([(absolute, state)], writer)
    if state is None or state.oid is None:
        raise NotFoundError(f"{show(name)} vanished while it was read")
    return Item(name, state.oid, "file", state.size, 1, state.kind == EXECUTABLE)


def _directory(scan: Scan, name: str, writer: Writer, store: Store) -> Item:
    fill_scan(scan, writer)
    for _, data in build_trees(scan, known=store.has):
        writer.add(data, pack.TREE)
    pointer = pointer_of(scan)
    return Item(name, pointer.oid, "tree", pointer.size, pointer.files)


def content_of(path: str | Path) -> Oid:
    """Return the oid of a file's content. Raises SystemFailure if it cannot be read."""
    hasher = Hasher()
    try:
        with open(path, "rb") as file:
            while data := file.read(1 << 20):
                hasher.update(data)
    except OSError as error:
        raise failure(error, "read", path) from error
    return finish(hasher)


@dataclass(slots=True)
class _Directory:
    entries: dict[bytes, Entry] = field(default_factory=dict)
    below: dict[bytes, _Directory] = field(default_factory=dict)
    files: int = 0


class Bundle:
    """The tree of all that a record needs, path by path; see ``docs/format/record.md``."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._top = _Directory()

    def put(self, path: str, kind: str, oid: Oid, size: int, files: int = 1) -> None:
        """Put a file or tree that is stored at a path."""
        *parents, name = os.fsencode(path).split(b"/")
        at = self._top
        for parent in parents:
            at = at.below.setdefault(parent, _Directory())
        at.entries[name] = Entry(DIRECTORY if kind == "tree" else FILE, name, size, oid)
        at.files += files if kind == "tree" else 0

    def put_items(self, where: str, items: tuple[Item, ...]) -> None:
        """Put items by their position in the order of their paths."""
        for n, one in enumerate(sorted(items, key=lambda item: item.path)):
            self.put(f"{where}/{n:06}", one.kind, one.oid, one.size, one.files)

    def put_texts(self, texts: Mapping[str, bytes]) -> None:
        """Store texts and put them at their paths."""
        for path, data in texts.items():
            self.put(path, "file", self._writer.add(data, pack.BLOB), len(data))

    def finish(self) -> Keep:
        """Store the trees and return what a record says of the top one."""
        size, oid, files = self._build(self._top)
        return Keep(oid, size, files)

    def _build(self, directory: _Directory) -> tuple[int, Oid, int]:
        entries = dict(directory.entries)
        files = directory.files
        for name, below in directory.below.items():
            size, oid, inner = self._build(below)
            entries[name] = Entry(DIRECTORY, name, size, oid)
            files += inner
        tree = trees.build(list(entries.values()), files)
        return tree.size, self._writer.add(trees.encode(tree), pack.TREE), tree.files
