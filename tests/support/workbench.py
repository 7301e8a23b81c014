"""A workspace with a store and a stat index, driven the way the operations drive them."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from dver.formats import pack
from dver.formats.pointer import Pointer
from dver.formats.tree import EXECUTABLE, Entry
from dver.storage.local import LocalStorage
from dver.store.store import Store
from dver.workspace.building import build_trees, entry_of, finish_trees, pointer_of
from dver.workspace.checkout import apply_plan
from dver.workspace.filescan import scan_file
from dver.workspace.hashing import fill_files, fill_scan
from dver.workspace.ignore import load_rules
from dver.workspace.links import LinkCache, LinkMode
from dver.workspace.plan import Applied, CheckoutPlan
from dver.workspace.planning import plan_checkout
from dver.workspace.scan import scan_directory
from dver.workspace.state import FileState, Scan
from dver.workspace.statindex import StatIndex

#: A description of a directory: path to the bytes of a file, a Link, a Program or EMPTY_DIR.
Files = Mapping[bytes, object]


class Link(bytes):
    """A symlink's text, in a description of files."""


class Program(bytes):
    """An executable file's content, in a description of files."""


#: An empty directory, in a description of files.
EMPTY_DIR = None
#: The moment that trusts every stat.
ALWAYS = 1 << 63


class Workbench:
    """A root directory, a store beside it, and the verbs of a workspace."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.root = os.fsencode(base / "work")
        os.makedirs(self.root, exist_ok=True)
        (base / "store").mkdir(exist_ok=True)
        self.store = Store.create(LocalStorage(base / "store"))
        self.index = StatIndex(base / "state")
        self.links = LinkCache(base / "store")

    def path(self, name: bytes) -> bytes:
        """Return an absolute path."""
        return os.path.join(self.root, name)

    def write(self, files: Files, under: bytes = b"data") -> None:
        """Create or replace files."""
        for name, content in files.items():
            put(os.path.join(self.root, under, name), content)

    def scan(self, target: bytes = b"data", **options: object) -> Scan:
        """Scan a directory target with what is remembered of it."""
        return scan_directory(
            self.path(target),
            self.index.load_tree(target),
            load_rules(self.root, target),
            target=target,
            links=self.links,
            **options,
        )

    def add(self, target: bytes = b"data", *, moment: int | None = None) -> Pointer:
        """Store a target and remember its stats; return its pointer."""
        before = self.index.moment(self.root) if moment is None else moment
        if os.path.isdir(self.path(target)):
            scan = self.scan(target)
            with self.store.writer() as writer:
                fill_scan(scan, writer, workers=1)
                for _, data in build_trees(scan, known=self.store.has):
                    writer.add(data, pack.TREE)
                writer.commit()
            self.index.save_tree(target, scan, moment=before, base=pointer_of(scan))
            return pointer_of(scan)
        state = scan_file(self.path(target))
        assert state is not None
        with self.store.writer() as writer:
            fill_files([(self.path(target), state)], writer)
            writer.commit()
        assert state.oid is not None
        pointer = Pointer("file", state.oid, state.size, 1, state.kind == EXECUTABLE)
        self.index.set_file(target, state, moment=before, base=pointer)
        self.index.save()
        return pointer

    def now(self, target: bytes = b"data", *, read: bool = True) -> tuple[Pointer, int]:
        """Return what a target's pointer would say now, and how many files were unknown."""
        scan = self.scan(target, lenient=True)
        unknown = sum(1 for _ in scan.unknown())
        if read:
            fill_scan(scan, None, workers=1, lenient=True)
        return finish_trees(scan), unknown

    def current(self, path: bytes) -> Scan | FileState | None:
        """Return the state of a path as planning wants it."""
        if os.path.isdir(self.path(path)) and not os.path.islink(self.path(path)):
            scan = self.scan(path, lenient=True)
            fill_scan(scan, None, workers=1, lenient=True)
            finish_trees(scan)
            return scan
        state = scan_file(self.path(path), self.index.load_file(path), links=self.links)
        if state is not None:
            fill_files([(self.path(path), state)], None)
        return state

    def plan(
        self,
        desired: Pointer | Entry | None,
        path: bytes = b"data",
        *,
        base: Pointer | Entry | None = None,
        force: bool = False,
    ) -> CheckoutPlan:
        """Plan a checkout of a path; the base is what the index remembers unless given."""
        base = base or self.index.base(path)
        return plan_checkout(
            path,
            self.current(path),
            entry_of(desired) if isinstance(desired, Pointer) else desired,
            self.store,
            base=entry_of(base) if isinstance(base, Pointer) else base,
            force=force,
        )

    def checkout(
        self,
        desired: Pointer | None,
        path: bytes = b"data",
        *,
        base: Pointer | Entry | None = None,
        force: bool = False,
        modes: Sequence[LinkMode] = ("copy",),
        workers: int = 1,
    ) -> Applied:
        """Plan and carry out a checkout of a target, and remember the result."""
        before = self.index.moment(self.root)
        plan = self.plan(desired, path, base=base, force=force)
        applied = apply_plan(
            plan, self.root, self.store, modes=modes, moment=before, workers=workers
        )
        if isinstance(applied.state, Scan):
            self.index.save_tree(path, applied.state, moment=applied.moment, base=desired)
        elif isinstance(applied.state, FileState):
            self.index.set_file(path, applied.state, moment=applied.moment, base=desired)
            self.index.save()
        else:
            self.index.remove(path)
        return applied

    def read(self, under: bytes = b"data") -> dict[bytes, object]:
        """Return a description of what is in a directory."""
        return read_back(os.path.join(self.root, under))

    def put_tree(self, data: bytes) -> bytes:
        """Store bytes as a tree, whatever they are; return their oid."""
        with self.store.writer() as writer:
            oid = writer.add(data, pack.TREE)
            writer.commit()
        return oid

    def put_blob(self, data: bytes) -> bytes:
        """Store a blob; return its oid."""
        with self.store.writer() as writer:
            oid = writer.add(data)
            writer.commit()
        return oid


def put(path: bytes, content: object) -> None:
    """Create or replace what a description of files says, at a path."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if content is EMPTY_DIR:
        os.makedirs(path, exist_ok=True)
        return
    if os.path.lexists(path):
        os.unlink(path)
    if isinstance(content, Link):
        os.symlink(bytes(content), path)
        return
    assert isinstance(content, bytes)
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, 0o755 if isinstance(content, Program) else 0o644)


def read_back(top: bytes) -> dict[bytes, object]:
    """Return a description of a directory: files, links, programs and empty directories."""
    found: dict[bytes, object] = {}
    for directory, dirs, files in os.walk(top):
        inner = os.path.relpath(directory, top)
        prefix = b"" if inner == b"." else inner + b"/"
        if prefix and not dirs and not files:
            found[prefix[:-1]] = EMPTY_DIR
        for name in [*files, *(d for d in dirs if os.path.islink(os.path.join(directory, d)))]:
            path = os.path.join(directory, name)
            found[prefix + name] = _content(path)
    return found


def _content(path: bytes) -> object:
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return Link(os.readlink(path))
    with open(path, "rb") as file:
        data = file.read()
    return Program(data) if mode & stat.S_IXUSR else data


def kinds(files: Files) -> dict[bytes, tuple[str, object]]:
    """Return a description with the kinds spelled out, since they compare equal as bytes."""
    return {name: (type(content).__name__, content) for name, content in files.items()}
