"""From files to objects: opened once, read once, hashed, cut, compressed and packed.

Small files are spread over worker processes in batches, each worker with a pack of its own; the
interpreter costs more per small file than hashing it does. Large files are read one after the other
(:mod:`dver.store.largefiles`).
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from dver.base.dataclass import dataclass
from dver.base.oid import OID_SIZE, Oid, oid_of
from dver.base.osat import stat_fields
from dver.base.reporter import Task
from dver.base.workers import run_jobs, usable_cores
from dver.formats.pack import BLOB
from dver.store.packfile import FinishedPack
from dver.store.source import (
    READ_FLAGS,
    SIZE,
    STAT_FIELDS,
    check_unchanged,
    open_source,
    stat_row,
    unreadable,
)

if TYPE_CHECKING:
    from dver.store.sums import Sums
    from dver.store.writer import PackSet, Writer

#: Files at least this long (bytes) are read in windows, by this process.
_LARGE = 4 << 20
#: A batch for a worker ends at so many files, or at so many bytes.
_BATCH_FILES = 2048
_BATCH_BYTES = 32 << 20
#: Below so many small files, or bytes in them, starting workers takes longer than the work.
_WORTH_FILES = 3000
_WORTH_BYTES = 64 << 20
_NOTHING = bytes(OID_SIZE)


#: Gives rows as in ``Ingested.stats``, of neighbours among the files: first, and one past the last.
Expected = Callable[[int, int], "array[int]"]


class Taker(Protocol):
    """Whoever is told what became of the files."""

    def put(self, first: int, oids: bytes, stats: array[int]) -> None:
        """Take what reading some neighbours told, from the ``first`` on, as in :class:`Ingested`.

        Not called for several at the same time.
        """


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of the files, in their order.

    ``oids`` holds 32 bytes per file, zeros for one that has not the sum it should have; ``stats``
    five integers per file: mode, inode, size in bytes, mtime and ctime in nanoseconds, as they were
    when the content was read.
    """

    oids: bytearray
    stats: array[int]

    @classmethod
    def of(cls, count: int) -> Ingested:
        """Return room for so many files."""
        return cls(bytearray(OID_SIZE * count), array("Q", bytes(8 * STAT_FIELDS)) * count)

    def put(self, first: int, oids: bytes, stats: array[int]) -> None:
        """Take what reading some neighbours told, from the ``first`` on."""
        end = first + len(oids) // OID_SIZE
        self.oids[first * OID_SIZE : end * OID_SIZE] = oids
        self.stats[first * STAT_FIELDS : end * STAT_FIELDS] = stats

    def oid(self, i: int) -> Oid:
        """Return the oid of the i-th file."""
        return Oid(bytes(self.oids[i * OID_SIZE : (i + 1) * OID_SIZE]))


def ingest_files(
    writer: Writer | None,
    paths: Sequence[bytes],
    sizes: Sequence[int],
    *,
    task: Task,
    workers: int | None = None,
    expected: Expected | None = None,
    sums: Sums | None = None,
) -> Ingested:
    """Hash regular files, and store them with a writer, as :func:`ingest_into` does."""
    got = Ingested.of(len(paths))
    ingest_into(got, writer, paths, sizes, task=task, workers=workers, expected=expected, sums=sums)
    return got


def ingest_into(
    taker: Taker,
    writer: Writer | None,
    paths: Sequence[bytes],
    sizes: Sequence[int],
    *,
    task: Task,
    workers: int | None = None,
    expected: Expected | None = None,
    sums: Sums | None = None,
) -> None:
    """Hash regular files and, with a writer, store what the store does not have.

    ``paths`` are absolute; ``sizes`` are the expected lengths in bytes, which only steer the work.
    ``expected`` gives rows from just before: a file that still has that row when its content was
    read needs no other check that it did not change meanwhile.
    ``sums`` are what other names promise of the files: one that breaks its promise is not stored,
    and has no oid in the result. Symlinks are never followed. A file that vanishes or changes while
    it is read raises RefusedError, one that cannot be read SystemFailure; then the ``taker`` may
    have been told of others. ``task`` advances by files.
    """

    def place(at: Sequence[int], got: tuple[bytes, bytes]) -> None:
        oids, rows = got[0], array("Q", got[1])
        if at[-1] + 1 - at[0] == len(at):
            taker.put(at[0], oids, rows)
        else:
            for i, where in enumerate(at):
                row = rows[i * STAT_FIELDS : (i + 1) * STAT_FIELDS]
                taker.put(where, oids[i * OID_SIZE : (i + 1) * OID_SIZE], row)
        task.advance(len(at))

    large = [i for i, size in enumerate(sizes) if size >= _LARGE]
    # A list of a million numbers takes 40 MB.
    small: Sequence[int] = range(len(sizes))
    if large:
        small = array("Q", (i for i, size in enumerate(sizes) if size < _LARGE))
    count = min(workers or usable_cores(), 16)
    if count > 1 and _worth_workers(small, sizes):
        jobs = _Jobs(_batches(small, sizes), paths, expected, sums)
        _small_in_workers(writer, jobs, count, place)
    else:
        reader = _SmallFiles(writer.packs if writer else None)
        for batch in _batches(small, sizes):
            part = None if sums is None else sums.part(batch)
            place(batch, reader([paths[i] for i in batch], _rows(expected, batch), part))
    if large:
        from dver.store.largefiles import LargeFiles

        with LargeFiles(writer, sum(sizes[i] for i in large), count) as big:
            for i in large:
                oid, row = big.add(paths[i], None if sums is None else sums.part([i]))
                place([i], (oid or _NOTHING, array("Q", row).tobytes()))
            big.finish()


def _worth_workers(small: Sequence[int], sizes: Sequence[int]) -> bool:
    if len(small) >= _WORTH_FILES:
        return True
    return len(small) > 16 and sum(sizes[i] for i in small) >= _WORTH_BYTES


def _batches(indices: Sequence[int], sizes: Sequence[int]) -> Iterator[Sequence[int]]:
    start = total = 0
    for n, i in enumerate(indices):
        total += sizes[i]
        if n + 1 - start >= _BATCH_FILES or total >= _BATCH_BYTES:
            yield indices[start : n + 1]
            start, total = n + 1, 0
    if start < len(indices):
        yield indices[start:]


def _small_in_workers(writer: Writer | None, jobs: _Jobs, count: int, place: Any) -> None:
    directory = writer.directory if writer else None
    closing = run_jobs(
        "dver.store.ingest:Worker",
        directory,
        jobs,
        workers=count,
        answered=lambda job, answer: place(jobs.indices.pop(job[0]), answer),
    )
    for packs, stored, new in closing:
        if writer:
            writer.stored_bytes += stored
            writer.new_objects += new
            for temp, name, size in packs:
                writer.adopt(FinishedPack(temp, name, size))


def _rows(expected: Expected | None, batch: Sequence[int]) -> array[int] | None:
    """Return the expected rows of a batch, if there are any and they lie together."""
    first, end = batch[0], batch[-1] + 1
    if expected is None or end - first != len(batch):
        return None
    return expected(first, end)


class _Jobs:
    """The batches as jobs: (number, paths joined by NUL, expected rows or nothing, sums or None).

    Remembers which files each job has.
    """

    def __init__(
        self,
        batches: Iterator[Sequence[int]],
        paths: Sequence[bytes],
        expected: Expected | None,
        sums: Sums | None,
    ) -> None:
        self._batches = batches
        self._paths = paths
        self._expected = expected
        self._sums = sums
        self.indices: dict[int, Sequence[int]] = {}

    def __iter__(self) -> Iterator[tuple[int, bytes, bytes, tuple[str, bytes] | None]]:
        for number, batch in enumerate(self._batches):
            self.indices[number] = batch
            rows = _rows(self._expected, batch)
            paths = b"\0".join([self._paths[i] for i in batch])
            sums = None
            if self._sums is not None:
                sums = self._sums.algorithm, self._sums.part(batch).digests
            yield number, paths, b"" if rows is None else rows.tobytes(), sums


class Worker:
    """What a worker process runs: one pack set of its own over the store in a directory."""

    def __init__(self, directory: str | None) -> None:
        self._packs: PackSet | None = None
        if directory is not None:
            from dver.storage.local import LocalStorage
            from dver.store.store import Store
            from dver.store.writer import PackSet

            store = Store.open(LocalStorage(directory))
            self._packs = PackSet(store, os.path.join(directory, "tmp"))
        self._read = _SmallFiles(self._packs)

    def __call__(self, job: tuple[int, bytes, bytes, Any]) -> tuple[bytes, bytes]:
        """Ingest one batch and return its oids and stat rows."""
        rows = array("Q", job[2]) if job[2] else None
        if job[3] is None:
            return self._read(job[1].split(b"\0"), rows)
        from dver.store.sums import Sums

        return self._read(job[1].split(b"\0"), rows, Sums(*job[3]))

    def close(self) -> tuple[list[tuple[str, bytes, int]], int, int]:
        """Finish the packs and return them, with the bytes and objects they hold.

        Their rows are in the files; all at once, a million would take 72 MiB in the caller.
        """
        if self._packs is None:
            return [], 0, 0
        finished = [(one.temp, one.name, one.size) for one in self._packs.finish()]
        return finished, self._packs.stored_bytes, self._packs.new_objects

    def abandon(self) -> None:
        """Remove what was written."""
        if self._packs is not None:
            self._packs.abandon()


class _SmallFiles:
    """Reads whole files, one after the other, and stores what the store lacks."""

    def __init__(self, packs: PackSet | None) -> None:
        self._packs = packs
        self._largest = packs.chunker.max_size if packs is not None else 0

    def __call__(
        self, paths: Sequence[bytes], expected: array[int] | None, sums: Sums | None = None
    ) -> tuple[bytes, bytes]:
        """Return the oids and stat rows of some files."""
        if sums is not None:
            return self._compared(paths, expected, sums)
        if expected is None:
            oids, rows = bytearray(), array("Q")
            for path in paths:
                oid, row = self._carefully(path)
                oids += oid
                rows.extend(row)
            return bytes(oids), rows.tobytes()
        return self._quickly(paths, expected)

    def _quickly(self, paths: Sequence[bytes], expected: array[int]) -> tuple[bytes, bytes]:
        """Read files that are probably as they were a moment ago, and check that afterwards."""
        oids: list[bytes] = []
        stats: list[int] = []
        take, opened, read, fstat, close = self._take, os.open, os.read, os.fstat, os.close
        for path, size in zip(paths, expected[SIZE::STAT_FIELDS], strict=True):
            try:
                fd = opened(path, READ_FLAGS)
                try:
                    data = read(fd, size + 1)
                    stats += stat_fields(fstat(fd))
                finally:
                    close(fd)
            except OSError as error:
                raise unreadable(error, path) from error
            if len(data) == size:
                oids.append(take(data))
            else:
                # It is not as expected, or came in pieces: its row shall not match either.
                oids.append(_NOTHING)
                stats[-STAT_FIELDS] = 0
        rows = _as_rows(stats)
        if rows != expected:
            for i, path in enumerate(paths):
                part = slice(i * STAT_FIELDS, (i + 1) * STAT_FIELDS)
                if rows[part] != expected[part]:
                    oids[i], row = self._carefully(path)
                    rows[part] = array("Q", row)
        return b"".join(oids), rows.tobytes()

    def _compared(
        self, paths: Sequence[bytes], expected: array[int] | None, sums: Sums
    ) -> tuple[bytes, bytes]:
        """Read files, and take those that have the sums they should have."""
        from dver.store.sums import LENGTHS, checker

        is_right, length = checker(sums.algorithm), LENGTHS[sums.algorithm]
        oids: list[bytes] = []
        stats: list[int] = []
        at, digests, take = 0, sums.digests, self._take
        sizes = expected[SIZE::STAT_FIELDS] if expected is not None else [None] * len(paths)
        for path, size in zip(paths, sizes, strict=True):
            data, row = self._content(path) if size is None else self._likely(path, size)
            right = is_right(data, digests[at : at + length])
            oids.append(take(data) if right else _NOTHING)
            stats += row
            at += length
        return b"".join(oids), _as_rows(stats).tobytes()

    def _likely(self, path: bytes, size: int) -> tuple[bytes, tuple[int, ...]]:
        """Read a file that is probably as long as it was a moment ago.

        That it did not change meanwhile is left to its sum: content that has it is the one wanted.
        """
        try:
            fd = os.open(path, READ_FLAGS)
            try:
                data = os.read(fd, size + 1)
                row = stat_fields(os.fstat(fd))
            finally:
                os.close(fd)
        except OSError as error:
            raise unreadable(error, path) from error
        return (data, row) if len(data) == size == row[SIZE] else self._content(path)

    def _carefully(self, path: bytes) -> tuple[Oid, tuple[int, ...]]:
        """Read and take a file."""
        data, row = self._content(path)
        return self._take(data), row

    def _content(self, path: bytes) -> tuple[bytes, tuple[int, ...]]:
        """Read a file between two looks at its stats."""
        fd = open_source(path)
        try:
            before = stat_row(os.fstat(fd))
            data = _read_exactly(fd, before[SIZE] + 1)
            after = stat_row(os.fstat(fd))
        except OSError as error:
            raise unreadable(error, path) from error
        finally:
            os.close(fd)
        check_unchanged(path, before, after, len(data))
        return data, after

    def _take(self, data: bytes) -> Oid:
        """Store a content if it is new, and return its oid."""
        oid = oid_of(data)
        packs = self._packs
        if packs is not None and oid not in packs:
            if len(data) <= self._largest:
                packs.put(oid, BLOB, data)
                packs.new_objects += 1
            else:
                packs.add(data)
        return oid


def _as_rows(stats: list[int]) -> array[int]:
    try:
        return array("Q", stats)
    except OverflowError:  # a time before 1970
        return array("Q", [value & (1 << 64) - 1 for value in stats])


def _read_exactly(fd: int, length: int) -> bytes:
    data = os.read(fd, length)
    if len(data) == length - 1 or not data:
        return data
    pieces = [data]
    left = length - len(data)
    while left and (data := os.read(fd, left)):
        pieces.append(data)
        left -= len(data)
    return b"".join(pieces)
