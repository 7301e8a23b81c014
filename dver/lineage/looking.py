"""What is at some paths now, by content, reading as little as that takes and storing nothing.

The oids are those that a record of a run would have. What the stat index remembers of tracked data
is not read again, and neither is a file that was looked at before and has not changed.
"""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import DverError, FormatError, MissingContentError
from dver.base.oid import Oid
from dver.formats import pointer as pointers
from dver.formats.kinds import DIRECTORY, EXECUTABLE
from dver.formats.pointer import Pointer
from dver.formats.record import ItemKind
from dver.formats.statindex import KnownFile
from dver.git.pointers import pointer_path
from dver.store import walk
from dver.workspace.building import finish_trees, pointer_of
from dver.workspace.filescan import scan_file
from dver.workspace.hashing import fill_files, fill_scan
from dver.workspace.ignore import IgnoreRules, load_rules
from dver.workspace.links import LinkCache
from dver.workspace.scan import scan_directory
from dver.workspace.state import CTIME, MTIME, FileState, little
from dver.workspace.statindex import StatIndex

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class Seen:
    """What is at a path: its content, or if it was never brought here, what its pointer says."""

    oid: Oid
    kind: ItemKind
    size: int = 0
    files: int = 1
    executable: bool = False
    here: bool = True


class TooMuchToReadError(DverError):
    """To tell what is there, more would have to be read than whoever asks wants to wait for."""


class Looker:
    """Looks at paths of a work tree. It remembers what it saw until it is told to :meth:`forget`.

    What lies in the store need not be there; nothing is fetched. If more than ``limit`` bytes would
    have to be read in all, :class:`TooMuchToReadError` is raised instead.
    """

    def __init__(self, repo: Repo, limit: int | None = None) -> None:
        self._repo = repo
        self._left = limit
        self._links = LinkCache(repo.store.local_directory())
        self._index = StatIndex(repo.state_dir)
        self._seen: dict[bytes, Seen | None] = {}
        self._read: dict[bytes, KnownFile] = {}

    def forget(self) -> None:
        """Look anew from now on."""
        self._seen.clear()
        self._index = StatIndex(self._repo.state_dir)

    def look(self, paths: Iterable[bytes]) -> dict[bytes, Seen | None]:
        """Return what is at each of some paths; None where nothing is."""
        wanted = dict.fromkeys(paths)
        files: list[bytes] = []
        for path in wanted:
            if path in self._seen:
                continue
            try:
                mode = os.stat(self._repo.absolute(path)).st_mode
            except OSError:
                self._seen[path] = self._absent(path)
                continue
            if stat.S_ISDIR(mode):
                self._seen[path] = self._directory(path)
            else:
                files.append(path)
        self._look_at_files(files)
        return {path: self._seen[path] for path in wanted}

    def _look_at_files(self, files: list[bytes]) -> None:
        states: dict[bytes, FileState] = {}
        for path in files:
            known = self._read.get(path) or self._index.load_file(path)
            state = scan_file(self._repo.absolute(path), known, links=self._links)
            if state is None:
                self._seen[path] = None
            else:
                states[path] = state
        unknown = {path: state for path, state in states.items() if state.oid is None}
        if unknown:
            self._spend(sum(state.size for state in unknown.values()))
            moment = self._index.moment(self._repo.absolute(b""))
            fill_files([(self._repo.absolute(path), one) for path, one in unknown.items()], None)
            for path, state in unknown.items():
                # As in the stat index: what was touched just now can change and keep its times.
                if state.oid is not None and max(state.row[MTIME], state.row[CTIME]) < moment:
                    row = little(array("Q", state.row))
                    self._read[path] = KnownFile(state.kind, state.size, row, state.oid, None)
        for path, state in states.items():
            self._seen[path] = None
            if state.oid is not None:
                executable = state.kind == EXECUTABLE
                self._seen[path] = Seen(state.oid, "file", state.size, 1, executable)

    def _directory(self, path: bytes) -> Seen:
        target = self._holder(path)
        top = target or path
        scan = scan_directory(
            self._repo.absolute(top),
            self._index.load_tree(target) if target else None,
            rules_of(self._repo, path, target),
            target=top,
            start=path[len(top) + 1 :],
            links=self._links,
        )
        if self._left is not None:
            self._spend(sum(scan.dirs[d].sizes[i] for d, i in scan.unknown()))
        fill_scan(scan, None)
        finish_trees(scan)
        found = pointer_of(scan)
        return Seen(found.oid, "tree", found.size, found.files)

    def _spend(self, size: int) -> None:
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                raise TooMuchToReadError("much data changed since it was last looked at")

    def _holder(self, path: bytes) -> bytes:
        """Return the tracked target that a path is or lies in, b"" if there is none."""
        for above in _upwards(path):
            if os.path.lexists(self._repo.absolute(pointer_path(above))):
                return above
        return b""

    def _absent(self, path: bytes) -> Seen | None:
        """Return what a pointer says of a path that was never brought here."""
        target = self._holder(path)
        if not target or self._index.base(target) is not None:
            return None  # it was here, and somebody took it away
        pointer = self.pointer(target)
        if pointer is None:
            return None
        if path == target:
            one = pointer
            return Seen(one.oid, one.kind, one.size, one.files, one.executable, here=False)
        if pointer.kind != "tree":
            return None
        try:
            entry = walk.find(self._repo.store, pointer.oid, path[len(target) + 1 :])
            if entry is None:
                return None
            if entry.kind != DIRECTORY:
                executable = entry.kind == EXECUTABLE
                return Seen(entry.oid, "file", entry.size, 1, executable, here=False)
            tree = self._repo.store.read_tree(entry.oid)
        except MissingContentError:
            return None
        return Seen(entry.oid, "tree", entry.size, tree.files, here=False)

    def pointer(self, target: bytes) -> Pointer | None:
        """Return the pointer of a data path in the work tree, None if there is none to be read."""
        try:
            with open(self._repo.absolute(pointer_path(target)), "rb") as file:
                return pointers.decode(file.read(pointers.MAX_SIZE + 1))
        except (OSError, FormatError):
            return None


def rules_of(repo: Repo, path: bytes, target: bytes) -> IgnoreRules:
    """Return what is left out of a directory that is an input or output.

    What Python compiles on the way is no part of directories of code, which dver does not track.
    """
    rules = load_rules(repo.absolute(b""), path)
    return rules if target else rules.extended(b"", b"__pycache__/\n")


def _upwards(path: bytes) -> Iterator[bytes]:
    while path:
        yield path
        path = path.rpartition(b"/")[0]
