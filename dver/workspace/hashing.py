"""Reading what a scan did not know: files through the store's ingest, symlinks here."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from array import array
from collections.abc import Sequence
from typing import Any

from dver.base.errors import RefusedError
from dver.base.fsio import failure
from dver.base.oid import OID_SIZE, Oid, oid_of
from dver.base.reporter import Task
from dver.formats.statindex import STAT_FIELDS
from dver.formats.tree import SYMLINK
from dver.store.ingest import Ingested, ingest_files
from dver.store.writer import Writer
from dver.workspace.state import MODE, SIZE, FileState, Scan, kind_of_mode, stat_row

#: How many files a lenient reading redoes at once when one of them changed.
_BATCH = 256


def fill_scan(
    scan: Scan,
    writer: Writer | None,
    *,
    task: Task | None = None,
    workers: int | None = None,
    lenient: bool = False,
) -> None:
    """Find the oid of every entry of a scan that is unknown; with a writer, store the content.

    Stats, kinds and sizes become those of the moment of reading. A file that changes or vanishes
    meanwhile raises RefusedError. A ``lenient`` reading leaves a changed one unknown and takes a
    vanished one out. ``task`` advances by files.
    """
    task = task or Task()
    dirs, entries = array("L"), array("L")
    spoilt: dict[int, bytes] = {}
    for d, i in scan.unknown():
        state = scan.dirs[d]
        if state.kinds[i] == SYMLINK:
            _fill_symlink(scan, d, i, writer, lenient)
            task.advance()
            continue
        if stat.S_ISLNK(state.stats[i * STAT_FIELDS + MODE]):
            target = _spoilt_cache_file(os.path.join(scan.root, state.path, state.names[i]))
            if target is None:
                continue
            spoilt[len(dirs)] = target
        dirs.append(d)
        entries.append(i)
    paths = _Paths(scan, dirs, entries, spoilt)
    sizes = [scan.dirs[d].sizes[i] for d, i in zip(dirs, entries, strict=True)]
    if lenient and writer is None:
        _fill_leniently(scan, paths, sizes, task, workers)
    elif dirs:
        got = ingest_files(writer, paths, sizes, task=task, workers=workers)
        _take(scan, dirs, entries, got)
    if lenient:
        _drop_vanished(scan)


def fill_files(
    files: Sequence[tuple[bytes, FileState]],
    writer: Writer | None,
    *,
    task: Task | None = None,
    workers: int | None = None,
) -> None:
    """Find the oids of single files and symlinks, given by absolute path; see fill_scan."""
    task = task or Task()
    regular = []
    for path, state in files:
        if state.oid is not None:
            continue
        if state.kind == SYMLINK:
            with _explained(path):
                text = os.readlink(path)
                state.row = stat_row(os.lstat(path))
            state.oid, state.size = _put(text, writer), len(text)
            task.advance()
        elif not stat.S_ISLNK(state.row[MODE]):
            regular.append((path, state))
        elif (target := _spoilt_cache_file(path)) is not None:
            regular.append((target, state))
    if not regular:
        return
    paths = [path for path, _ in regular]
    sizes = [state.size for _, state in regular]
    got = ingest_files(writer, paths, sizes, task=task, workers=workers)
    for n, (_, state) in enumerate(regular):
        row = tuple(got.stats[n * STAT_FIELDS : (n + 1) * STAT_FIELDS])
        state.oid = Oid(got.oids[n * OID_SIZE : (n + 1) * OID_SIZE])
        state.size = row[SIZE]
        if not stat.S_ISLNK(state.row[MODE]):
            state.row, state.kind = row, kind_of_mode(row[MODE])


def _spoilt_cache_file(path: bytes) -> bytes | None:
    """Return the cache file that a workspace symlink leads to, if there still is one.

    It was edited through the link, so that what it holds is the workspace's content.
    """
    with contextlib.suppress(OSError):
        target = os.readlink(path)
        if stat.S_ISREG(os.lstat(target).st_mode):
            return target
    return None


class _Paths(Sequence[bytes]):
    """The absolute paths of entries of a scan, made only when they are asked for."""

    def __init__(
        self, scan: Scan, dirs: array[int], entries: array[int], other: dict[int, bytes]
    ) -> None:
        self._scan = scan
        self.dirs = dirs
        self.entries = entries
        self._other = other
        self._prefix: tuple[int, bytes] = (-1, b"")

    def __len__(self) -> int:
        return len(self.dirs)

    def __getitem__(self, at: Any) -> Any:
        if at in self._other:
            return self._other[at]
        d = self.dirs[at]
        if self._prefix[0] != d:
            self._prefix = (d, os.path.join(self._scan.root, self._scan.dirs[d].path, b""))
        return self._prefix[1] + self._scan.dirs[d].names[self.entries[at]]


def _fill_symlink(scan: Scan, d: int, i: int, writer: Writer | None, lenient: bool) -> None:
    state = scan.dirs[d]
    path = os.path.join(scan.root, state.path, state.names[i])
    try:
        with _explained(path):
            text = os.readlink(path)
            row = stat_row(os.lstat(path))
    except RefusedError:
        if not lenient:
            raise
        return
    state.set_oid(i, _put(text, writer))
    state.set_row(i, row)
    state.sizes[i] = len(text)


def _put(text: bytes, writer: Writer | None) -> Oid:
    return oid_of(text) if writer is None else writer.add(text)


@contextlib.contextmanager
def _explained(path: bytes) -> Any:
    try:
        yield
    except FileNotFoundError as error:
        raise _changed(path) from error
    except OSError as error:
        # EINVAL: it is no symlink any more.
        raise (
            _changed(path) if error.errno == errno.EINVAL else failure(error, "read", path)
        ) from error


def _changed(path: bytes) -> RefusedError:
    return RefusedError(
        "a symlink changed while it was being added, so nothing was recorded",
        hint="run the same command again when nothing writes to it",
        paths=[os.fsdecode(path)],
    )


def _take(scan: Scan, dirs: Sequence[int], entries: Sequence[int], got: Ingested) -> None:
    oids, stats = got.oids, got.stats
    for n, (d, i) in enumerate(zip(dirs, entries, strict=True)):
        state = scan.dirs[d]
        state.oids[i * OID_SIZE : (i + 1) * OID_SIZE] = oids[n * OID_SIZE : (n + 1) * OID_SIZE]
        at = n * STAT_FIELDS
        state.sizes[i] = stats[at + SIZE]
        if stat.S_ISLNK(state.stats[i * STAT_FIELDS + MODE]):
            continue  # the row of a workspace symlink is not that of the cache file
        state.kinds[i] = kind_of_mode(stats[at + MODE])
        state.stats[i * STAT_FIELDS : (i + 1) * STAT_FIELDS] = stats[at : at + STAT_FIELDS]


def _fill_leniently(
    scan: Scan, paths: _Paths, sizes: Sequence[int], task: Task, workers: int | None
) -> None:
    if not paths:
        return
    try:
        got = ingest_files(None, paths, sizes, task=task, workers=workers)
    except RefusedError:
        _fill_one_by_one(scan, paths, sizes)
        return
    _take(scan, paths.dirs, paths.entries, got)


def _fill_one_by_one(scan: Scan, paths: _Paths, sizes: Sequence[int]) -> None:
    """Read small groups, and those where a file changed one by one, leaving that one unknown."""
    for start in range(0, len(paths), _BATCH):
        group = range(start, min(start + _BATCH, len(paths)))
        for part in (group, *([n] for n in group)):
            try:
                got = ingest_files(
                    None, [paths[n] for n in part], [sizes[n] for n in part], task=Task(), workers=1
                )
            except RefusedError:
                continue
            dirs, entries = [paths.dirs[n] for n in part], [paths.entries[n] for n in part]
            _take(scan, dirs, entries, got)
            if part is group:
                break


def _drop_vanished(scan: Scan) -> None:
    gone: dict[int, list[int]] = {}
    for d, i in scan.unknown():
        state = scan.dirs[d]
        if not os.path.lexists(os.path.join(scan.root, state.path, state.names[i])):
            gone.setdefault(d, []).append(i)
    for d, positions in gone.items():
        scan.dirs[d].remove(positions)
