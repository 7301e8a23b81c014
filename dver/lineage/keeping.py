"""Putting what a record needs into the store: any file or directory, and the tree of all of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dver.base.errors import NotFoundError
from dver.base.fsio import show
from dver.base.oid import Oid
from dver.formats import pack
from dver.formats import tree as trees
from dver.formats.kinds import DIRECTORY, EXECUTABLE, FILE
from dver.formats.record import Item, Keep
from dver.formats.tree import Entry
from dver.workspace.building import build_trees, pointer_of
from dver.workspace.filescan import scan_file
from dver.workspace.hashing import fill_files, fill_scan
from dver.workspace.ignore import load_rules
from dver.workspace.links import LinkCache
from dver.workspace.scan import scan_directory
from dver.workspace.statindex import StatIndex
from dver.workspace.stored import forget_unstored, is_stored

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.store.writer import Writer


class Keeper:
    """Stores paths of a work tree as they are now. ``writer`` belongs to the store of ``repo``.

    What the stat index remembers of tracked data, and the store still has, is not read again.
    """

    def __init__(self, repo: Repo, writer: Writer) -> None:
        self._repo = repo
        self._writer = writer
        self._index = StatIndex(repo.state_dir)
        self._links = LinkCache(repo.store.local_directory())

    def keep(self, path: bytes, target: bytes = b"") -> Item:
        """Store a file or directory and return it as an item.

        ``path`` is relative to the repository; ``target`` is the tracked target that it is or
        lies in, if there is one. Raises NotFoundError if nothing is there.
        """
        absolute = self._repo.absolute(path)
        try:
            mode = os.stat(absolute).st_mode
        except FileNotFoundError as error:
            shown = show(self._repo.display(path))
            raise NotFoundError(f"there is no {shown}", hint=f"dver pull {shown}") from error
        name = os.fsdecode(path)
        if stat.S_ISDIR(mode):
            return self._directory(name, path, target)
        known = self._index.load_file(path) if target == path else None
        state = scan_file(absolute, known, links=self._links)
        if state is None:
            raise NotFoundError(f"there is no {show(self._repo.display(path))}")
        if state.oid is not None and not self._repo.store.is_complete(state.oid):
            state.oid = None
        fill_files([(absolute, state)], self._writer)
        if state.oid is None:
            raise NotFoundError(f"{show(self._repo.display(path))} could not be read")
        executable = state.kind == EXECUTABLE
        return Item(name, state.oid, "file", state.size, 1, executable)

    def _directory(self, name: str, path: bytes, target: bytes) -> Item:
        known = self._index.load_tree(target) if target else None
        top = target or path
        scan = scan_directory(
            self._repo.absolute(top),
            known,
            load_rules(self._repo.absolute(b""), path),
            target=top,
            start=path[len(top) + 1 :],
            links=self._links,
        )
        if known is not None and not is_stored(known, self._repo.store):
            forget_unstored(scan, self._repo.store)
        fill_scan(scan, self._writer)
        for _, data in build_trees(scan, known=self._repo.store.has):
            self._writer.add(data, pack.TREE)
        pointer = pointer_of(scan)
        return Item(name, pointer.oid, "tree", pointer.size, pointer.files)

    def text(self, data: bytes) -> Oid:
        """Store some bytes."""
        return self._writer.add(data, pack.BLOB)


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
