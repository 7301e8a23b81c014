"""From files to objects: opened once, read once, hashed, cut, compressed and packed.

Small files are spread over worker processes in batches, each worker with a pack of its own; the
interpreter costs more per small file than hashing it does. Large files are read in this process
one after the other, with reading, hashing, cutting and writing in threads of their own.
"""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Self

from dver.base import fsio
from dver.base.errors import RefusedError
from dver.base.oid import OID_SIZE, Hasher, Oid, finish, oid_of
from dver.base.reporter import Task
from dver.base.workers import run_jobs, usable_cores
from dver.formats.pack import BLOB
from dver.store.chunking import cut
from dver.store.packfile import FinishedPack

if TYPE_CHECKING:
    from concurrent.futures import Future

    from dver.store.writer import PackSet, Writer

STAT_FIELDS = 5
_stat_fields = attrgetter("st_mode", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
_READ = os.O_RDONLY | fsio.OPEN_FLAGS | getattr(os, "O_NOFOLLOW", 0)

#: Files at least this long (bytes) are read in windows, by this process.
_LARGE = 4 << 20
_WINDOW = 4 << 20
_WINDOWS = 4
#: A batch for a worker ends at so many files, or at so many bytes.
_BATCH_FILES = 2048
_BATCH_BYTES = 32 << 20
#: Below so many small files, or bytes in them, starting workers takes longer than the work.
_WORTH_FILES = 3000
_WORTH_BYTES = 64 << 20


def _stat_row(result: os.stat_result) -> tuple[int, ...]:
    row: tuple[int, ...] = _stat_fields(result)
    # Times before 1970 wrap around.
    return row if min(row) >= 0 else tuple(value & (1 << 64) - 1 for value in row)


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of the files, in their order.

    ``oids`` holds 32 bytes per file; ``stats`` five integers per file: mode, inode, size in bytes,
    mtime and ctime in nanoseconds, as they were when the content was read.
    """

    oids: bytes
    stats: array[int]


def ingest_files(
    writer: Writer | None,
    paths: Sequence[bytes],
    sizes: Sequence[int],
    *,
    task: Task,
    workers: int | None = None,
) -> Ingested:
    """Hash regular files and, with a writer, store what the store does not have.

    ``paths`` are absolute; ``sizes`` are the expected lengths in bytes, which only steer the work.
    Symlinks are never followed. A file that vanishes or changes while it is read raises
    RefusedError, one that cannot be read SystemFailure. ``task`` advances by files.
    """
    oids = bytearray(OID_SIZE * len(paths))
    stats = array("Q", bytes(8 * STAT_FIELDS * len(paths)))

    def place(at: Sequence[int], got: tuple[bytes, bytes]) -> None:
        batch_stats = array("Q", got[1])
        for i, where in enumerate(at):
            oids[where * OID_SIZE : (where + 1) * OID_SIZE] = got[0][i * OID_SIZE :][:OID_SIZE]
            row = batch_stats[i * STAT_FIELDS : (i + 1) * STAT_FIELDS]
            stats[where * STAT_FIELDS : (where + 1) * STAT_FIELDS] = row
        task.advance(len(at))

    small = [i for i, size in enumerate(sizes) if size < _LARGE]
    large = [i for i, size in enumerate(sizes) if size >= _LARGE]
    count = min(workers or usable_cores(), 16)
    if count > 1 and _worth_workers(small, sizes):
        _small_in_workers(writer, small, paths, sizes, count, place)
    else:
        reader = _SmallFiles(writer.packs if writer else None)
        for batch in _batches(small, sizes):
            place(batch, reader([paths[i] for i in batch]))
    if large:
        with _LargeFiles(writer) as big:
            for i in large:
                oid, row = big.add(paths[i])
                place([i], (oid, array("Q", row).tobytes()))
    return Ingested(bytes(oids), stats)


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


def _small_in_workers(
    writer: Writer | None,
    small: Sequence[int],
    paths: Sequence[bytes],
    sizes: Sequence[int],
    count: int,
    place: Any,
) -> None:
    batches = _batches(small, sizes)
    jobs = _Jobs(batches, paths)
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
            for temp, name, size, rows in packs:
                writer.adopt(FinishedPack(temp, name, size, rows))


class _Jobs:
    """The batches as jobs: (number, paths joined by NUL); remembers which files each has."""

    def __init__(self, batches: Iterator[Sequence[int]], paths: Sequence[bytes]) -> None:
        self._batches = batches
        self._paths = paths
        self.indices: dict[int, Sequence[int]] = {}

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        for number, batch in enumerate(self._batches):
            self.indices[number] = batch
            yield number, b"\0".join([self._paths[i] for i in batch])


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

    def __call__(self, job: tuple[int, bytes]) -> tuple[bytes, bytes]:
        """Ingest one batch and return its oids and stat rows."""
        try:
            return self._read(job[1].split(b"\0"))
        except BaseException:
            if self._packs is not None:
                self._packs.abandon()
            raise

    def close(self) -> tuple[list[tuple[str, bytes, int, bytes]], int, int]:
        """Finish the packs and return them, with the bytes and objects they hold."""
        if self._packs is None:
            return [], 0, 0
        finished = [(one.temp, one.name, one.size, one.rows) for one in self._packs.finish()]
        return finished, self._packs.stored_bytes, self._packs.new_objects


class _SmallFiles:
    """Reads whole files, one after the other."""

    def __init__(self, packs: PackSet | None) -> None:
        self._packs = packs

    def __call__(self, paths: Sequence[bytes]) -> tuple[bytes, bytes]:
        packs = self._packs
        oids: list[bytes] = []
        stats: list[int] = []
        largest = packs.chunker.max_size if packs is not None else 0
        for path in paths:
            try:
                fd = os.open(path, _READ)
            except OSError as error:
                raise _unreadable(error, path) from error
            try:
                before = os.fstat(fd)
                size = before.st_size
                data = _read_exactly(fd, size + 1)
                after = os.fstat(fd)
            except OSError as error:
                raise _unreadable(error, path) from error
            finally:
                os.close(fd)
            row = _stat_row(after)
            if len(data) != size or row != _stat_row(before) or not stat.S_ISREG(row[0]):
                raise _changed(path)
            oid = oid_of(data)
            if packs is not None and oid not in packs:
                if size <= largest:
                    packs.put(oid, BLOB, data)
                    packs.new_objects += 1
                else:
                    packs.add(data)
            oids.append(oid)
            stats += row
        return b"".join(oids), array("Q", stats).tobytes()


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


def _changed(path: bytes) -> RefusedError:
    return RefusedError(
        "a file changed while it was being added, so nothing was recorded",
        hint="run the same command again when nothing writes to it",
        paths=[os.fsdecode(path)],
    )


def _unreadable(error: OSError, path: bytes) -> Exception:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return _changed(path)
    return fsio.failure(error, "read", path)


class _LargeFiles:
    """Reads files in windows; hashing of the whole, of chunks, and writing overlap."""

    def __init__(self, writer: Writer | None) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._packs = writer.packs if writer is not None else None
        if self._packs is not None:
            self._packs.write_in_background()
        self._whole = ThreadPoolExecutor(1, "dver-hash")
        self._store = ThreadPoolExecutor(1, "dver-chunk")
        self._buffers = [bytearray(_WINDOW + (1 << 20)) for _ in range(_WINDOWS)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        self._whole.shutdown()
        self._store.shutdown()

    def add(self, path: bytes) -> tuple[Oid, tuple[int, ...]]:
        """Return the oid and the stat row of one file, stored if there is a writer."""
        try:
            fd = os.open(path, _READ)
        except OSError as error:
            raise _unreadable(error, path) from error
        with open(fd, "rb", buffering=0) as file:
            try:
                before = _stat_row(os.fstat(fd))
                oid, rows, length = self._read(file)
                after = _stat_row(os.fstat(fd))
            except OSError as error:
                raise _unreadable(error, path) from error
        if before != after or length != after[2] or not stat.S_ISREG(after[0]):
            raise _changed(path)
        if self._packs is not None:
            self._packs.add_list(oid, rows)
        return oid, after

    def _read(self, file: Any) -> tuple[Oid, list[tuple[Oid, int]], int]:
        whole = Hasher()
        rows: list[tuple[Oid, int]] = []
        busy: list[list[Future[Any]]] = [[] for _ in self._buffers]
        carry = b""
        total = number = 0
        while True:
            slot = number % len(self._buffers)
            for one in busy[slot]:
                one.result()
            view = memoryview(self._buffers[slot])
            view[: len(carry)] = carry
            got = _fill(file, view[len(carry) : len(carry) + _WINDOW])
            end = len(carry) + got
            last = got < _WINDOW
            total += got
            busy[slot] = [self._whole.submit(whole.update, view[len(carry) : end])]
            if self._packs is not None:
                pieces = list(cut(view[:end], self._packs.chunker, last=last))
                done = pieces[-1][0] + pieces[-1][1] if pieces else 0
                busy[slot].append(self._store.submit(self._add_chunks, view, pieces, rows))
                carry = bytes(view[done:end])
            number += 1
            if last:
                break
        for slot_work in busy:
            for one in slot_work:
                one.result()
        return finish(whole), rows, total

    def _add_chunks(
        self, view: memoryview, pieces: list[tuple[int, int]], rows: list[tuple[Oid, int]]
    ) -> None:
        packs = self._packs
        if packs is None:
            return
        rows += [packs.add_chunk(view[at : at + length]) for at, length in pieces]
        packs.flush()


def _fill(file: Any, view: memoryview) -> int:
    filled = 0
    while filled < len(view):
        got = file.readinto(view[filled:])
        if not got:
            break
        filled += got
    return filled
