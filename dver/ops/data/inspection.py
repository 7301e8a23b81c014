"""Comparing the data in the workspace with pointers, reading as little as that takes.

Files whose stat is as remembered are not read. Of the others only those are that may turn out to
be as recorded: a file of another size has changed, and a new file need only be read if a recorded
one of its size is gone, since it may be that one under a new name.
"""

from __future__ import annotations

import functools
import itertools
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from dver.base.dataclass import dataclass
from dver.base.errors import LockedError, MissingContentError, SystemFailure
from dver.base.oid import OID_SIZE, Oid
from dver.base.reporter import Task
from dver.formats.kinds import DIRECTORY, EXECUTABLE, SYMLINK
from dver.formats.pointer import Pointer
from dver.formats.statindex import NO_OID, KnownTree
from dver.ops.targets.scope import Scope
from dver.ops.targets.worktree import hold_worktree
from dver.workspace.filescan import scan_file
from dver.workspace.state import FileState, Scan
from dver.workspace.statindex import StatIndex

if TYPE_CHECKING:
    from dver.formats.tree import Tree
    from dver.ops.data.compare import Comparison, FileDelta
    from dver.ops.targets.placement import Placement
    from dver.repo import Repo
    from dver.store.walk import TreeSource
    from dver.workspace.links import LinkCache

State = Literal["unchanged", "modified", "deleted", "absent", "retyped", "stale", "unknown"]

#: Remembering a directory again writes about this many bytes per entry, ...
_ENTRY_BYTES = 100
#: ... which pays if at least as much was read for want of it, opening a file counted as this much.
_OPEN_BYTES = 16384


@dataclass(slots=True)
class Finding:
    """How the data of one target compares with its pointer.

    ``deltas`` are the files that differ, for a directory that was modified. ``absent`` are those
    among the recorded files that are not there and, as far as is known, never were, or whose
    content is not in the local store either: nobody deleted them, or a checkout did not get that
    far. The state "absent" says of a whole target that it never was here.
    """

    state: State
    deltas: list[FileDelta]
    absent: int = 0


class Inspector:
    """Compares targets of one work tree with pointers; call :meth:`remember` at the end."""

    def __init__(self, repo: Repo, task: Task) -> None:
        self._repo = repo
        self._store = repo.store
        self._task = task
        self._learned_files: list[tuple[bytes, FileState, int]] = []
        self._learned_trees: list[tuple[bytes, Scan, int, Pointer, KnownTree | None]] = []
        self.index = StatIndex(repo.state_dir)

    def inspect(self, path: bytes, pointer: Pointer, scope: Scope) -> Finding:
        """Compare what is at a target with its pointer. ``scope`` restricts what is told."""
        absolute = self._repo.absolute(path)
        try:
            mode = os.lstat(absolute).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return Finding("absent" if self.index.base(path) is None else "deleted", [])
        if stat.S_ISDIR(mode):
            if pointer.kind != "tree":
                return Finding("retyped", [])
            return self._inspect_tree(path, pointer, scope)
        is_link = stat.S_ISLNK(mode)
        if pointer.kind == "tree" or not (stat.S_ISREG(mode) or is_link):
            return Finding("retyped", [])
        return self._inspect_file(path, pointer, is_link=is_link)

    @functools.cached_property
    def _links(self) -> LinkCache:
        from dver.workspace.links import LinkCache

        return LinkCache(self._store.local_directory())

    # single files

    def _inspect_file(self, path: bytes, pointer: Pointer, *, is_link: bool) -> Finding:
        known = self.index.load_file(path)
        base = known.base if known is not None else None
        absolute = self._repo.absolute(path)
        state = scan_file(absolute, known, links=self._links if is_link else None)
        if state is None:
            return Finding("deleted", [])
        if state.kind == SYMLINK:
            return Finding("retyped", [])
        if state.oid is None and state.size in {one.size for one in (pointer, base) if one}:
            from dver.workspace.hashing import fill_files

            moment = self.index.moment(absolute)
            fill_files([(absolute, state)], None, task=self._task, workers=1)
            self._learned_files.append((path, state, moment))
        if state.oid is None:
            return Finding("modified", [])
        here = Pointer("file", state.oid, state.size, 1, state.kind == EXECUTABLE)
        if here == pointer:
            return Finding("unchanged", [])
        return Finding("stale" if here == base else "modified", [])

    # directories

    def _inspect_tree(self, path: bytes, pointer: Pointer, scope: Scope) -> Finding:
        from dver.store.walk import EncodedTrees, Layered
        from dver.workspace.building import build_trees, pointer_of
        from dver.workspace.ignore import load_rules
        from dver.workspace.scan import scan_directory

        known = self.index.load_tree(path)
        base = known.base if known is not None else None
        scan = scan_directory(
            self._repo.absolute(path),
            known,
            load_rules(self._repo.absolute(b""), path),
            target=path,
            links=self._links,
            lenient=True,
            task=self._task,
        )
        guesses = self._read_candidates(path, scan, pointer, known)
        built = EncodedTrees(dict(build_trees(scan, known=self._store.has)))
        here = pointer_of(scan)
        if here.oid == pointer.oid:
            return Finding("unchanged", [])
        if base is not None and here.oid == base.oid:
            return Finding("stale", [])
        from dver.ops.data.compare import compare

        source = Layered([built, self._store])
        found = compare({path: pointer}, {path: here}, source, scope, renames=False)
        if any(not target.listed for target in found.targets):
            return Finding("unknown", [])
        from dver.ops.targets.placement import Placement

        placement = Placement(self._store, known, pointer)
        deltas, absent = self._without_absent(path, found, placement)
        deltas = self._with_renames(deltas, guesses)
        return Finding("modified" if deltas else "unchanged", deltas, absent)

    def _read_candidates(
        self, path: bytes, scan: Scan, pointer: Pointer, known: KnownTree | None
    ) -> Guesses:
        """Read the unknown files that may be as recorded; give the others oids that nothing has."""
        guesses = Guesses()
        base = known.base if known is not None else None
        recorded = _Recorded(self._store, pointer, base)
        files = size = 0
        for d, i in list(scan.unknown()):
            state = scan.dirs[d]
            if state.kinds[i] == SYMLINK or recorded.has(
                state.path, state.names[i], state.sizes[i]
            ):
                files += 1
                size += state.sizes[i]
            else:
                state.set_oid(i, guesses.next())
        if files:
            from dver.workspace.hashing import fill_scan

            moment = self.index.moment(scan.root)
            fill_scan(scan, None, task=self._task, lenient=True)
            for d, i in list(scan.unknown()):
                scan.dirs[d].set_oid(i, guesses.next())
            entries = sum(len(state.names) for state in scan.dirs)
            if size + files * _OPEN_BYTES >= entries * _ENTRY_BYTES:
                self._learned_trees.append((path, scan, moment, pointer, known))
        return guesses

    def _without_absent(
        self, path: bytes, found: Comparison, placement: Placement
    ) -> tuple[list[FileDelta], int]:
        kept = []
        for delta in found.files:
            old = delta.old if delta.word == "removed" else None
            if old is None or (
                self._store.has(old.oid) and placement.had(delta.path[len(path) + 1 :])
            ):
                kept.append(delta)
        return kept, len(found.files) - len(kept)

    def _with_renames(self, deltas: list[FileDelta], guesses: Guesses) -> list[FileDelta]:
        """Pair new files with removed ones of equal content, reading those of equal size."""
        from dver.ops.data.compare import match_renames
        from dver.workspace.hashing import fill_files

        sizes = {delta.old.size for delta in deltas if delta.word == "removed" and delta.old}
        sizes.discard(0)
        if not sizes:
            return deltas
        wanted = [
            (n, FileState(delta.new.kind, delta.new.size, (0, 0, 0, 0, 0)))
            for n, delta in enumerate(deltas)
            if delta.word == "added" and delta.new and delta.new.size in sizes
            if guesses.made(delta.new.oid)
        ]
        for n, state in wanted:
            try:
                fill_files([(self._repo.absolute(deltas[n].path), state)], None, task=self._task)
            except (MissingContentError, SystemFailure):
                continue
            new = deltas[n].new
            if state.oid is not None and new is not None:
                deltas[n] = replace(deltas[n], new=replace(new, oid=state.oid))
        return match_renames(deltas)

    # remembering

    def remember(self) -> None:
        """Remember what was read, unless somebody else holds the work tree; never an error."""
        if not self._learned_files and not self._learned_trees:
            return
        try:
            with hold_worktree(self._repo, timeout=0):
                for path, state, moment in self._learned_files:
                    base = self.index.base(path)
                    self.index.set_file(path, state, moment=moment, base=base)
                for path, scan, moment, pointer, known in self._learned_trees:
                    base = known.base if known is not None else None
                    forget_guesses(scan)
                    if known is not None and base != pointer:
                        from dver.ops.targets.placement import keep_vanished

                        keep_vanished(scan, known)
                    self.index.save_tree(path, scan, moment=moment, base=base)
                self.index.save()
        except (LockedError, SystemFailure):
            return


class Guesses:
    """Oids for content that was not read: each is new, and none is that of any content."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def next(self) -> Oid:
        """Return a new one."""
        return Oid(_GUESS + next(self._numbers).to_bytes(8, "big"))

    @staticmethod
    def made(oid: Oid) -> bool:
        """Tell whether an oid is one of these."""
        return oid.startswith(_GUESS)


_GUESS = b"\xffnot read, not known\xff\xff\xff\xff"


def forget_guesses(scan: Scan) -> None:
    """Make the entries of a scan that have such oids unknown again."""
    guessed: set[bytes] = set()
    for state in scan.dirs:
        if state.remembered is not None:
            continue
        at = state.oids.find(_GUESS)
        while at >= 0:
            if at % OID_SIZE == 0:
                state.set_oid(at // OID_SIZE, NO_OID)
                guessed.add(state.path)
            at = state.oids.find(_GUESS, at + 1)
    above = {path[:at] for path in guessed for at, byte in enumerate(path) if byte == ord("/")}
    for state in scan.dirs:
        if guessed and (state.path in guessed or state.path in above or not state.path):
            state.tree = None


class _Recorded:
    """The recorded directories, to ask whether one has a file of some name and size."""

    def __init__(self, source: TreeSource, pointer: Pointer, base: Pointer | None) -> None:
        self._source = source
        tops = [one.oid for one in (pointer, base) if one is not None and one.kind == "tree"]
        self._tops = list(dict.fromkeys(tops))
        self._path: bytes | None = None
        self._trees: list[Tree] = []

    def has(self, directory: bytes, name: bytes, size: int) -> bool:
        if self._path != directory:
            self._path = directory
            self._trees = list(self._read(directory))
        for tree in self._trees:
            entry = tree.find(name)
            if entry is not None and entry.kind != DIRECTORY and entry.size == size:
                return True
        return False

    def _read(self, directory: bytes) -> Iterator[Tree]:
        from dver.store.walk import find

        for top in self._tops:
            try:
                if not directory:
                    yield self._source.read_tree(top)
                    continue
                entry = find(self._source, top, directory)
                if entry is not None and entry.kind == DIRECTORY:
                    yield self._source.read_tree(entry.oid)
            except MissingContentError:
                continue
