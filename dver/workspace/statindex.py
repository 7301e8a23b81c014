"""What is remembered of the workspace between commands, so that only changed files are read.

Page: ``docs/format/stat-index.md``. It is a cache in ``<git dir>/dver/stat/``: one table for all
targets that are single files, and one file per target that is a directory, named by the BLAKE3 of
its path. A file that is damaged, or of another version, counts as absent. Files are replaced
whole but not synced: losing one costs reading the data again, and nothing else.

An entry is trusted only if it was not touched since shortly before it was read (see
:meth:`StatIndex.moment`), because a file that is written twice within one tick of the file system's
clock can keep its size and times and still change.
"""

from __future__ import annotations

import contextlib
import os
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dver.base import fsio
from dver.base.errors import CorruptError, FormatError, SystemFailure
from dver.base.oid import oid_of
from dver.base.osat import osat
from dver.base.regular import open_regular
from dver.formats import statindex as form
from dver.formats.pointer import Pointer
from dver.formats.statindex import (
    HEADER_SIZE,
    NO_OID,
    NO_ROW,
    ROW_SIZE,
    STAT_FIELDS,
    TREE,
    Buffer,
    KnownDir,
    KnownFile,
    KnownTree,
)
from dver.workspace.editing import edit
from dver.workspace.fsclock import trusted_before
from dver.workspace.stamp import is_stamped
from dver.workspace.state import CTIME, MTIME, DirState, FileState, Scan, little, little_view

_TABLE = "files"


class StatIndex:
    """The stat index of one worktree.

    Nothing here raises for what is on disk: what cannot be read is not known, and what cannot be
    written is not remembered. Whole directory targets are written at once; everything else is
    kept until :meth:`save`.
    """

    def __init__(self, state_dir: Path) -> None:
        self.directory = os.path.join(os.fspath(state_dir), "stat")
        self._table: Mapping[bytes, KnownFile] | None = None
        self._files: dict[bytes, KnownFile | None] = {}
        self._trees: dict[bytes, KnownTree] = {}

    def moment(self, root: bytes) -> int:
        """Return the time, in ns by the file system's clock, before which a change is seen later.

        Take it before the scan whose result is to be remembered: content that is read after it
        and has an mtime and ctime before it cannot change without moving these. An earlier moment
        serves as well. Returns 0, so that nothing is trusted, if the clock cannot be read.
        """
        try:
            fd, path = fsio.create_temp(self.directory)
        except SystemFailure:
            return 0
        try:
            return trusted_before(os.fstat(fd), os.stat(root).st_dev)
        except OSError:
            return 0
        finally:
            os.close(fd)
            with contextlib.suppress(OSError):
                osat.unlink(path)

    # targets that are directories

    def load_tree(self, target: bytes) -> KnownTree | None:
        """Return what is remembered of a directory target, or None."""
        if target in self._trees:
            return self._trees[target]
        data = _read(self._path(target))
        if data is None:
            return None
        try:
            return form.decode_tree(data)
        except FormatError:
            return None

    def saved(self, target: bytes) -> int:
        """Return when what is remembered of a directory target was written (ns), 0 for never."""
        try:
            return os.stat(self._path(target)).st_mtime_ns
        except OSError:
            return 0

    def save_tree(
        self,
        target: bytes,
        scan: Scan,
        *,
        moment: int,
        base: Pointer | None,
        known: KnownTree | None = None,
        stored: int = 0,
    ) -> None:
        """Remember a scan of a directory target, or of the part of it where the scan began.

        ``moment`` is from before the scan, or the one that a checkout returned with its state.
        ``base`` is what was last added or checked out there. For a part give what is ``known`` of
        the whole; without it the part is all that will be known. ``stored`` may be given for
        a whole target whose content is all in the store: its index's state, see
        :attr:`dver.store.index.Index.state`.
        """
        if not scan.start:
            self._trees.pop(target, None)
            dirs = {state.path: _known_dir(state, moment, kept=False) for state in scan.dirs}
            self._write(self._path(target), form.tree_pieces(KnownTree(dirs, base, stored)))
            return
        whole = known or KnownTree()
        whole.base, whole.stored = base, 0
        _forget_below(whole, scan.start)
        for state in scan.dirs:
            whole.dirs[state.path] = _known_dir(state, moment, kept=True)
        self._trees[target] = whole

    def save_entry(
        self,
        target: bytes,
        inner: bytes,
        state: FileState | None,
        *,
        moment: int,
        base: Pointer | None,
    ) -> None:
        """Remember one file inside a directory target, or that it is gone; keep all else."""
        known = self.load_tree(target) or KnownTree()
        known.base, known.stored = base, 0
        path, _, name = inner.rpartition(b"/")
        if path not in known.dirs and state is not None:
            known.dirs[path] = _known_dir(DirState.empty(path), moment, kept=True)
        if path in known.dirs:
            columns = DirState.as_remembered(known.dirs[path])
            edit(columns, {name: state})
            known.dirs[path] = _known_dir(columns, moment, kept=True)
        _forget_below(known, inner)
        self._trees[target] = known

    def set_base(self, target: bytes, base: Pointer | None) -> None:
        """Change what was last added or checked out at a target, and nothing else."""
        file = self.load_file(target)
        if file is not None:
            self._files[target] = KnownFile(file.kind, file.size, file.row, file.oid, base)
        if target in self._trees:
            self._trees[target].base = base
            return
        data = _read(self._path(target))
        if data is not None:
            with contextlib.suppress(FormatError):
                self._write(self._path(target), form.with_base(data, base))

    # targets that are single files

    def load_file(self, target: bytes) -> KnownFile | None:
        """Return what is remembered of a single-file target, or None."""
        return self._files[target] if target in self._files else self._stored().get(target)

    def set_file(
        self, target: bytes, state: FileState, *, moment: int, base: Pointer | None
    ) -> None:
        """Remember a single-file target; ``moment`` and ``base`` as in :meth:`save_tree`."""
        safe = state.oid is not None and (
            max(state.row[MTIME], state.row[CTIME]) < moment or is_stamped(state.row, state.oid)
        )
        row = little(array("Q", state.row)) if safe else NO_ROW
        new = KnownFile(state.kind, state.size, row, state.oid or NO_OID, base)
        if self.load_file(target) != new:
            self._files[target] = new

    # both

    def base(self, target: bytes) -> Pointer | None:
        """Return what was last added or checked out at a target, or None if that is not known."""
        known = self.load_file(target)
        if known is not None:
            return known.base
        if target in self._trees:
            return self._trees[target].base
        data = _read(self._path(target), HEADER_SIZE)
        if data is None:
            return None
        try:
            return form.decode_header(data, TREE)[1]
        except FormatError:
            return None

    def remove(self, target: bytes) -> None:
        """Forget a target, as a file and as a directory."""
        if self.load_file(target) is not None:
            self._files[target] = None
        self.remove_tree(target)

    def remove_tree(self, target: bytes) -> None:
        """Forget a target as a directory, since it is a file now."""
        self._trees.pop(target, None)
        with contextlib.suppress(OSError):
            osat.unlink(self._path(target))

    def rename(self, old: bytes, new: bytes) -> None:
        """Take over what is remembered of a target to its new path."""
        known = self.load_file(old)
        self.remove(new)
        if known is not None:
            self._files[old], self._files[new] = None, known
        if old in self._trees:
            self._trees[new] = self._trees.pop(old)
        with contextlib.suppress(OSError):
            osat.replace(self._path(old), self._path(new))

    def save(self) -> None:
        """Write everything that was kept until now."""
        for target, known in self._trees.items():
            self._write(self._path(target), form.tree_pieces(known))
        self._trees.clear()
        if not self._files:
            return
        table = {**self._stored(), **self._files}
        self._table = {path: one for path, one in table.items() if one is not None}
        self._files.clear()
        path = os.path.join(self.directory, _TABLE)
        self._write(path, form.encode_table(self._table.items()))

    def _stored(self) -> Mapping[bytes, KnownFile]:
        if self._table is None:
            self._table = {}
            data = _read(os.path.join(self.directory, _TABLE))
            if data is not None:
                with contextlib.suppress(FormatError):
                    self._table = form.decode_table(data)
        return self._table

    def _path(self, target: bytes) -> str:
        return os.path.join(self.directory, oid_of(target).hex())

    @staticmethod
    def _write(path: str, data: bytes | Sequence[form.Buffer]) -> None:
        with contextlib.suppress(SystemFailure):
            fsio.write_atomic(path, data, durable=False)


def _forget_below(known: KnownTree, inner: bytes) -> None:
    """Forget a directory inside a target, and all below it."""
    below = inner + b"/"
    for path in [path for path in known.dirs if path == inner or path.startswith(below)]:
        del known.dirs[path]


def _known_dir(state: DirState, moment: int, *, kept: bool) -> KnownDir:
    """Return what to remember of a directory. Unless it is ``kept``, it shares the columns."""
    if state.remembered is not None:
        return state.remembered
    hold: Callable[[Buffer], Buffer] = bytes if kept else memoryview
    stats = hold(little_view(state.stats))
    tree = state.tree or NO_OID
    untrusted = _untrusted(state, moment)
    if untrusted:
        stats, tree = bytearray(stats), NO_OID
        for i in untrusted:
            stats[i * ROW_SIZE : (i + 1) * ROW_SIZE] = NO_ROW
    return KnownDir(
        state.path,
        b"\0".join(state.names) + b"\0" if state.names else b"",
        hold(state.kinds),
        hold(little_view(state.sizes)),
        stats,
        hold(state.oids),
        tree,
        state.size if tree != NO_OID else 0,
        state.files if tree != NO_OID else 0,
        state.ignore,
    )


def _untrusted(state: DirState, moment: int) -> set[int]:
    """Return the entries that are unknown, or were touched too late to be told from a change."""
    found: set[int] = set()
    for field in (MTIME, CTIME):
        column = state.stats[field::STAT_FIELDS]
        if column and max(column) >= moment:
            late = (i for i, value in enumerate(column) if value >= moment)
            found.update(i for i in late if not is_stamped(state.row(i), state.oid(i)))
    if state.oids.find(NO_OID) >= 0:
        span = range(len(state.names))
        found.update(i for i in span if state.oid(i) == NO_OID)
    return found


def _read(path: str, length: int = -1) -> bytes | None:
    try:
        with open(open_regular(path), "rb", buffering=0) as file:
            return file.read(length)
    except (OSError, CorruptError):
        return None
