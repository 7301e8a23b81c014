"""Reading what a scan did not know: files through the store's ingest, symlinks here."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dver.base.errors import RefusedError
from dver.base.fsio import failure
from dver.base.oid import OID_SIZE, Oid, oid_of
from dver.base.osat import HAS_MODES, osat
from dver.base.reporter import Task
from dver.formats.statindex import STAT_FIELDS
from dver.formats.tree import SYMLINK
from dver.store.ingest import Ingested, ingest_files, ingest_into
from dver.store.writer import Writer
from dver.workspace.state import MODE, SIZE, FileState, Scan, kind_of_mode, stat_row

if TYPE_CHECKING:
    from dver.store.sums import Sums

#: Entries of one directory of a scan, one after the other: its number, the first, and one past
#: the last.
Run = tuple[int, int, int]

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
    runs: list[Run] = []
    spoilt: list[tuple[int, int, bytes]] = []
    for d, first, end in list(scan.unknown_runs()):
        state = scan.dirs[d]
        modes = state.stats[first * STAT_FIELDS + MODE : end * STAT_FIELDS : STAT_FIELDS]
        if not any(map(stat.S_ISLNK, set(modes))):
            runs.append((d, first, end))
            continue
        for i in range(first, end):
            if state.kinds[i] == SYMLINK:
                _fill_symlink(scan, d, i, writer, lenient)
                task.advance()
            elif not stat.S_ISLNK(modes[i - first]):
                runs.append((d, i, i + 1))
            else:
                target = _spoilt_cache_file(os.path.join(scan.root, state.path, state.names[i]))
                if target is not None:
                    spoilt.append((d, i, target))
    files = _Files(scan, runs)
    if lenient and writer is None:
        _fill_leniently(files, task, workers)
    elif len(files):
        # Nothing is gathered beside the scan: of a million files that would be 70 MiB.
        ingest_into(
            files, writer, files, files.sizes, task=task, workers=workers, expected=files.rows
        )
    _fill_spoilt(scan, spoilt, writer, task, lenient=lenient)
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
                text = osat.readlink(path)
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
        state.oid = got.oid(n)
        state.size = row[SIZE]
        if not stat.S_ISLNK(state.row[MODE]):
            state.row, state.kind = row, kind_of_mode(row[MODE]) if HAS_MODES else state.kind


def _spoilt_cache_file(path: bytes) -> bytes | None:
    """Return the cache file that a workspace symlink leads to, if there still is one.

    It was edited through the link, so that what it holds is the workspace's content.
    """
    with contextlib.suppress(OSError):
        target = osat.readlink(path)
        if stat.S_ISREG(os.lstat(target).st_mode):
            return target
    return None


def fill_compared(
    scan: Scan,
    runs: Sequence[Run],
    writer: Writer,
    sums: Sums,
    *,
    task: Task | None = None,
    workers: int | None = None,
) -> Ingested:
    """Read files of a scan that should have certain sums; those that have not stay unknown."""
    files = _Files(scan, runs)
    got = ingest_files(
        writer,
        files,
        files.sizes,
        task=task or Task(),
        workers=workers,
        expected=files.rows,
        sums=sums,
    )
    files.take(got)
    return got


class _Files(Sequence[bytes]):
    """The files of some runs: their absolute paths, made only when they are asked for.

    ``sizes`` are those of the scan, in the same order.
    """

    def __init__(self, scan: Scan, runs: Sequence[Run]) -> None:
        self.scan = scan
        self.runs = runs
        self.sizes = array("Q")
        #: Before each run, the number of files in those before it.
        self._starts = [0]
        self._prefix: tuple[int, bytes] = (-1, b"")
        for d, first, end in runs:
            self.sizes += scan.dirs[d].sizes[first:end]
            self._starts.append(len(self.sizes))

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, at: Any) -> Any:
        if not 0 <= at < len(self):
            raise IndexError(at)
        n = bisect_right(self._starts, at) - 1
        d, first, _ = self.runs[n]
        if self._prefix[0] != d:
            self._prefix = (d, os.path.join(self.scan.root, self.scan.dirs[d].path, b""))
        return self._prefix[1] + self.scan.dirs[d].names[first + at - self._starts[n]]

    def rows(self, first: int, end: int) -> array[int]:
        """Return the stat rows of neighbouring files, as the scan found them."""
        rows: array[int] = array("Q")
        for d, a, b in self._clipped(first, end):
            rows += self.scan.dirs[d].stats[a * STAT_FIELDS : b * STAT_FIELDS]
        return rows

    def part(self, first: int, end: int) -> _Files:
        """Return some of the files."""
        return _Files(self.scan, list(self._clipped(first, end)))

    def _clipped(self, first: int, end: int) -> Iterator[Run]:
        n = bisect_right(self._starts, first) - 1
        while n < len(self.runs) and self._starts[n] < end:
            d, a, b = self.runs[n]
            before = self._starts[n]
            yield d, a + max(first - before, 0), min(b, a + end - before)
            n += 1

    def take(self, got: Ingested) -> None:
        """Put what reading all of them told into the scan."""
        self.put(0, got.oids, got.stats)

    def put(self, first: int, oids: bytes | bytearray, stats: array[int]) -> None:
        """Put what reading some neighbours told into the scan."""
        n = 0
        for d, a, b in self._clipped(first, first + len(oids) // OID_SIZE):
            state, count = self.scan.dirs[d], b - a
            rows = stats[n * STAT_FIELDS : (n + count) * STAT_FIELDS]
            modes = rows[MODE::STAT_FIELDS]
            kinds = {mode: kind_of_mode(mode) for mode in set(modes)}
            state.oids[a * OID_SIZE : b * OID_SIZE] = oids[n * OID_SIZE : (n + count) * OID_SIZE]
            state.sizes[a:b] = rows[SIZE::STAT_FIELDS]
            if HAS_MODES:
                state.kinds[a:b] = bytes(map(kinds.__getitem__, modes))
            state.stats[a * STAT_FIELDS : b * STAT_FIELDS] = rows
            n += count


def _fill_spoilt(
    scan: Scan,
    spoilt: Sequence[tuple[int, int, bytes]],
    writer: Writer | None,
    task: Task,
    *,
    lenient: bool,
) -> None:
    """Read cache files that were edited through links of the workspace, whose rows stay."""
    for d, i, target in spoilt:
        try:
            got = ingest_files(writer, [target], [0], task=task, workers=1)
        except RefusedError:
            if not lenient:
                raise
            continue
        scan.dirs[d].set_oid(i, got.oid(0))
        scan.dirs[d].sizes[i] = got.stats[SIZE]


def _fill_symlink(scan: Scan, d: int, i: int, writer: Writer | None, lenient: bool) -> None:
    state = scan.dirs[d]
    path = os.path.join(scan.root, state.path, state.names[i])
    try:
        with _explained(path):
            text = osat.readlink(path)
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


def _fill_leniently(files: _Files, task: Task, workers: int | None) -> None:
    if not len(files):
        return
    try:
        got = ingest_files(
            None, files, files.sizes, task=task, workers=workers, expected=files.rows
        )
    except RefusedError:
        _fill_one_by_one(files)
        return
    files.take(got)


def _fill_one_by_one(files: _Files) -> None:
    """Read small groups, and those where a file changed one by one, leaving that one unknown."""
    for start in range(0, len(files), _BATCH):
        end = min(start + _BATCH, len(files))
        for a, b in ((start, end), *((n, n + 1) for n in range(start, end))):
            part = files.part(a, b)
            try:
                got = ingest_files(None, part, part.sizes, task=Task(), workers=1)
            except RefusedError:
                continue
            part.take(got)
            if b - a == end - start:
                break


def _drop_vanished(scan: Scan) -> None:
    gone: dict[int, list[int]] = {}
    for d, i in scan.unknown():
        state = scan.dirs[d]
        if not os.path.lexists(os.path.join(scan.root, state.path, state.names[i])):
            gone.setdefault(d, []).append(i)
    for d, positions in gone.items():
        scan.dirs[d].remove(positions)
