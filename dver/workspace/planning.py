"""What a checkout has to do: the difference between what is there and what should be.

Nothing is changed here. Beside the work, a plan holds two kinds of obstacle:

- *conflicts*: content that would have to be overwritten or deleted and is not in the store
- *kept*: files in a tracked directory that the version does not have and nobody tracked before;
  they are somebody's work, like untracked files in git, and stay

With ``force`` both are overwritten and deleted.
"""

from __future__ import annotations

import stat
from array import array
from bisect import bisect_left
from typing import Literal, Protocol

from dver.base.errors import FormatError, MissingContentError
from dver.base.oid import Oid
from dver.formats.statindex import NO_OID
from dver.formats.tree import DIRECTORY, EMPTY, EMPTY_OID, EXECUTABLE, FILE, SYMLINK, Entry, Tree
from dver.store.store import Store
from dver.store.treediff import unequal
from dver.store.walk import Budget, TreeSource, directories, join
from dver.workspace.plan import Batch, CheckoutPlan, NewDirectory, Obstacle, Removal
from dver.workspace.state import DIR_ROW, MODE, DirState, FileState, Row, Scan

Origin = Literal["tracked", "untracked", "unknown"]

#: As ``base``: it is known that nothing was tracked there before.
NOTHING = Entry(DIRECTORY, b"", 0, EMPTY_OID)
UNSAVED = "its content is not in the store"
UNTRACKED = "it was never tracked"


class Objects(TreeSource, Protocol):
    """What planning needs of a store."""

    def has(self, oid: Oid) -> bool:
        """Say whether an object is there."""


def plan_checkout(
    path: bytes,
    current: Scan | FileState | None,
    desired: Entry | None,
    store: Objects,
    *,
    base: Entry | None = None,
    files: int | None = None,
    force: bool = False,
) -> CheckoutPlan:
    """Return what turns ``current`` into ``desired`` at a path of the repository.

    The path is that of a target, or of something inside a tracked directory. ``current`` is its
    scan, with the trees built, or the state of the file there. None stands for nothing, on either
    side. ``base`` is what was last added or checked out there, None if that is not known: extra
    files that it does not have were never tracked, and are kept. Where it is not known, extra
    files go if the store has their content. ``files`` is how many files and symlinks a directory
    is said to have, None if nobody says. Raises MissingContentError if a tree that is needed is not
    in the store, and FormatError for a tree that is not of the size that is claimed for it.
    """
    if isinstance(store, Store) and store.index.foreign_packs:
        # What is overwritten because the store has it must really be there.
        from dver.store.vouching import Vouching

        store = Vouching(store)
    plan = CheckoutPlan(path, current, desired)
    planner = _Planner(plan, store, force, files)
    directory, _, name = path.rpartition(b"/")
    wanted = None if desired is None else Entry(desired.kind, name, desired.size, desired.oid)
    if isinstance(current, Scan):
        planner.over_directory(current, directory, wanted, base)
        return plan
    if current is None:
        planner.leaf(directory, None, None, wanted, "unknown")
    elif current.oid is None and not stat.S_ISLNK(current.row[MODE]):
        raise ValueError("the content of the file was not read")
    else:
        old = Entry(current.kind, name, current.size, current.oid or NO_OID)
        if wanted is not None and (old.kind, old.oid) == (wanted.kind, wanted.oid):
            plan.unchanged = 1
        else:
            planner.leaf(directory, old, current.row, wanted, _origin_of_file(base))
    planner.close_batch()
    return plan


def _origin_of_file(base: Entry | None) -> Origin:
    if base is None:
        return "unknown"
    return "untracked" if base.kind == DIRECTORY else "tracked"


class _Planner:
    """One plan being made. Inner paths are relative to the plan's own path."""

    def __init__(self, plan: CheckoutPlan, store: Objects, force: bool, files: int | None) -> None:
        self.plan = plan
        self._states: dict[bytes, DirState] = {}
        self._touched = 0
        self._store = store
        self._force = force
        self._files = files
        self._budget = Budget()
        self._batch: Batch | None = None

    # directories

    def over_directory(
        self, scan: Scan, directory: bytes, wanted: Entry | None, base: Entry | None
    ) -> None:
        """Plan for a path where a directory is."""
        plan = self.plan
        skip = len(scan.start) + 1 if scan.start else 0
        self._states = {state.path[skip:]: state for state in scan.dirs}
        prefix = plan.path[: len(plan.path) - len(scan.start)] if scan.start else plan.path + b"/"
        plan.leftovers = [prefix + one for one in scan.leftovers]
        base_oid = None
        if base is not None:
            base_oid = base.oid if base.kind == DIRECTORY else EMPTY_OID
        if wanted is not None and wanted.kind == DIRECTORY:
            if scan.top.tree != wanted.oid:
                self._directory(b"", wanted.oid, wanted.size, base_oid, 0)
            else:
                self._check(wanted.oid, scan.top.size, wanted.size, scan.top.files, 0)
        elif self._clear(b"", base_oid, in_the_way=wanted is not None) and wanted is not None:
            self._write(directory, wanted, DIR_ROW)
        self.close_batch()
        there = sum(len(one.kinds) - one.kinds.count(DIRECTORY) for one in scan.dirs)
        plan.unchanged = there - self._touched

    def _directory(
        self, inner: bytes, wanted: Oid, size: int, base: Oid | None, depth: int
    ) -> None:
        state = self._states[inner]
        tree = self._read(wanted, size, depth)
        base_tree = self._base_tree(base)
        where = self._path(inner)
        deeper: list[tuple[bytes, Oid, int, Oid | None]] = []
        for old, new in unequal(state.as_tree(), tree):
            if old is None:
                self.leaf(where, None, None, new, "unknown", depth)
                continue
            origin, base_below = _origin(base_tree, old.name)
            row = state.row(bisect_left(state.names, old.name))
            below = join(inner, old.name)
            if old.kind != DIRECTORY:
                self.leaf(where, old, row, new, origin, depth)
            elif new is not None and new.kind == DIRECTORY:
                deeper.append((below, new.oid, new.size, base_below))
            elif new is not None:
                if self._clear(below, base_below, in_the_way=True):
                    self._write(where, new, row)
            else:
                self._clear_extra(below, base_below, origin)
        self.close_batch()
        for below, oid, below_size, base_below in deeper:
            self._directory(below, oid, below_size, base_below, depth + 1)

    def _read(self, oid: Oid, size: int, depth: int) -> Tree:
        """Return a tree that is to have files of so many bytes in it, at a depth."""
        tree = self._store.read_tree(oid)
        self._budget.spend(tree, depth)
        self._check(oid, tree.size, size, tree.files, depth)
        return tree

    def _check(self, oid: Oid, size: int, claimed: int, files: int, depth: int) -> None:
        hint = None if depth else "take the pointer back from a commit: it was edited or damaged"
        if size != claimed:
            raise FormatError(
                f"the tree {oid.hex()} has {size:,} bytes of files, and {claimed:,} are claimed",
                hint=hint,
            )
        if not depth and self._files not in (None, files):
            raise FormatError(
                f"the tree {oid.hex()} has {files:,} files, and {self._files:,} are claimed",
                hint=hint,
            )

    def _clear(self, inner: bytes, base: Oid | None, *, in_the_way: bool) -> bool:
        """Plan to delete a directory that is there; return whether all of it may go."""
        state = self._states[inner]
        base_tree = self._base_tree(base)
        whole = True
        for i, name in enumerate(state.names):
            below = join(inner, name)
            origin, base_below = _origin(base_tree, name)
            if state.kinds[i] != DIRECTORY:
                entry = Entry(state.kinds[i], name, state.sizes[i], state.oid(i))
                whole &= self._delete(self._path(below), entry, state.row(i), origin, in_the_way)
            elif in_the_way:
                whole &= self._clear(below, base_below, in_the_way=True)
            else:
                whole &= self._clear_extra(below, base_below, origin)
        if whole:
            self._removal(in_the_way).directories.append(self._path(inner))
        return whole

    def _clear_extra(self, inner: bytes, base: Oid | None, origin: Origin) -> bool:
        if origin == "untracked" and not self._states[inner].names and not self._force:
            self.plan.kept.append(Obstacle(self._path(inner), UNTRACKED))
            return False
        return self._clear(inner, base, in_the_way=False)

    # files

    def leaf(
        self,
        directory: bytes,
        old: Entry | None,
        row: Row | None,
        new: Entry | None,
        origin: Origin,
        depth: int = 0,
    ) -> None:
        """Plan for a name where a file, a symlink or nothing is."""
        if old is not None and row is not None:
            path = join(directory, old.name)
            if new is None:
                self._delete(path, old, row, origin, in_the_way=False)
                return
            self._touched += 1
            if _only_mode_differs(old, new) and not self._is_shared(old, row):
                self.plan.modes.append((path, new.kind == EXECUTABLE, row))
                return
            if not self._may_go(old, row):
                self.plan.conflicts.append(Obstacle(path, UNSAVED))
                return
        if new is None:
            return
        if new.kind == DIRECTORY:
            # What is wanted at the plan's own path is at depth 0, whatever is there now.
            top = join(directory, new.name) == self.plan.path
            self.plan.new.append(self._new(directory, new, row, 0 if top else depth + 1))
        else:
            self._write(directory, new, row)

    def _delete(self, path: bytes, old: Entry, row: Row, origin: Origin, in_the_way: bool) -> bool:
        self._touched += 1
        safe = self._may_go(old, row)
        if self._force or (safe and (in_the_way or origin != "untracked")):
            self._removal(in_the_way).files.append((path, row))
            return True
        if in_the_way or origin == "tracked":
            self.plan.conflicts.append(Obstacle(path, UNSAVED))
        else:
            self.plan.kept.append(Obstacle(path, UNTRACKED if safe else UNSAVED))
        return False

    def _may_go(self, old: Entry, row: Row) -> bool:
        if self._force:
            return True
        if old.oid == NO_OID:
            # A symlink of ours into the link cache, whose file is gone: nothing is lost with it.
            return stat.S_ISLNK(row[MODE]) and old.kind != SYMLINK
        return self._store.has(old.oid)

    def _is_shared(self, old: Entry, row: Row) -> bool:
        """Say whether a file may share its inode with the link cache, which must keep its mode."""
        mode = row[MODE]
        return not stat.S_ISREG(mode) or (not mode & stat.S_IWUSR and self._store.has(old.oid))

    # work

    def _removal(self, in_the_way: bool) -> Removal:
        return self.plan.before if in_the_way else self.plan.after

    def _write(self, directory: bytes, entry: Entry, replaced: Row | None) -> None:
        batch = self._batch
        if batch is None or batch.path != directory:
            self.close_batch()
            batch = Batch(directory, [], bytearray(), array("Q"), bytearray(), [])
            self._batch = batch
        batch.names.append(entry.name)
        batch.kinds += bytes([entry.kind])
        batch.sizes.append(entry.size)
        batch.oids += entry.oid
        if batch.replaces is not None:
            batch.replaces.append(replaced)

    def close_batch(self) -> None:
        """Finish the directory that files were planned for."""
        if self._batch is not None:
            self.plan.batches.append(self._batch)
            self._batch = None

    def _new(
        self, directory: bytes, entry: Entry, replaced: Row | None, depth: int
    ) -> NewDirectory:
        path = join(directory, entry.name)
        batches = []
        stack: list[tuple[bytes, Oid, int, int]] = [(path, entry.oid, entry.size, depth)]
        while stack:
            where, tree_oid, size, level = stack.pop()
            tree = self._read(tree_oid, size, level)
            batches.append(Batch(where, tree.names, tree.kinds, tree.sizes, tree.oids))
            stack.extend(
                (join(where, tree.names[i]), tree.oid(i), tree.sizes[i], level + 1)
                for i in reversed(directories(tree))
            )
        return NewDirectory(path, batches, replaced)

    def _base_tree(self, base: Oid | None) -> Tree | None:
        if base is None:
            return None
        if base == EMPTY_OID:
            return EMPTY
        try:
            return self._store.read_tree(base)
        except MissingContentError:
            return None

    def _path(self, inner: bytes) -> bytes:
        return join(self.plan.path, inner) if inner else self.plan.path


def _only_mode_differs(old: Entry, new: Entry) -> bool:
    return old.oid == new.oid and {old.kind, new.kind} == {FILE, EXECUTABLE}


def _origin(base_tree: Tree | None, name: bytes) -> tuple[Origin, Oid | None]:
    """Return where an entry comes from, and the base of what is below it."""
    if base_tree is None:
        return "unknown", None
    entry = base_tree.find(name)
    if entry is None:
        return "untracked", EMPTY_OID
    return "tracked", entry.oid if entry.kind == DIRECTORY else EMPTY_OID
