"""Large files: read once in windows, hashed whole, cut, and stored chunk by chunk.

Reading, hashing the whole and cutting take about as long as hashing, compressing and writing the
chunks, so two processes share the work when it is worth starting one. This one reads into windows
of a mapped file that both see, hashes them in a thread, and sends the worker the borders of the
chunks in each. What is done chunk by chunk is not for threads: they would spend half as long again
on handing the interpreter's lock back and forth.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections import deque
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, Self

from dver.base import fsio
from dver.base.oid import Hasher, Oid, finish, split_oids
from dver.base.osat import NATIVE, osat
from dver.base.workers import Worker
from dver.formats.chunklist import Row
from dver.formats.pack import MAX_FRAME
from dver.store.chunking import cut
from dver.store.packfile import FinishedPack
from dver.store.source import check_unchanged, open_source, stat_row, unreadable
from dver.store.writer import PackSet, Writer

if TYPE_CHECKING:
    from concurrent.futures import Future

    from dver.store.sums import Sums

#: How much is read at once (bytes), into one of so many windows. All of them fit a shared cache.
_WINDOW = 1 << 20
_WINDOWS = 8
#: What a window's first bytes may be: the end of the one before, at most a chunk.
_ROOM = _WINDOW + MAX_FRAME
#: From so many bytes on a second process is started (it takes 0.1 s to start).
_WORTH = 192 << 20


class LargeFiles:
    """Reads large files one after the other and, with a writer, stores them.

    ``total`` is about how many bytes will come, ``workers`` how many processes may work at once.
    Call :meth:`finish` inside the ``with`` block, or what was stored is undone.
    """

    def __init__(self, writer: Writer | None, total: int, workers: int) -> None:
        self._writer = writer
        self._stack = contextlib.ExitStack()
        self._store: _Here | _Elsewhere | None = None
        self._threads = max(workers, 1)
        if writer is not None and workers > 1 and total >= _WORTH:
            self._store = self._stack.enter_context(_Elsewhere(writer))
            self._threads = workers - 1
        elif writer is not None:
            self._store = _Here(writer.packs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def add(self, path: bytes, sums: Sums | None = None) -> tuple[Oid | None, tuple[int, ...]]:
        """Return the oid and the stat row of one file; no oid if it has not the sum it should."""
        other = _hasher(sums)
        fd = open_source(path)
        with open(fd, "rb", buffering=0) as file:
            try:
                before = stat_row(os.fstat(fd))
                if self._store is None:
                    oid, length = self._hash(file, other)
                else:
                    oid, length, rows = self._read(file, self._store, other)
                after = stat_row(os.fstat(fd))
            except OSError as error:
                raise unreadable(error, path) from error
        check_unchanged(path, before, after, length)
        if sums is not None and other.digest() != sums.digests:
            return None, after  # its chunks are nobody's, and go when garbage is collected
        if self._store is not None:
            self._store.add_list(oid, rows)
        return oid, after

    def finish(self) -> None:
        """Let the writer have everything that was stored."""
        if self._store is not None:
            self._store.finish()

    def _hash(self, file: IO[bytes], other: Any) -> tuple[Oid, int]:
        whole = Hasher(max_threads=self._threads)
        view = fsio.buffer(_WINDOW * 4)
        total = 0
        while got := _fill(file, view):
            whole.update(view[:got])
            if other is not None:
                other.update(view[:got])
            total += got
        return finish(whole), total

    def _read(
        self, file: IO[bytes], store: _Here | _Elsewhere, other: Any
    ) -> tuple[Oid, int, list[Row]]:
        whole = Hasher(max_threads=self._threads)
        lengths: list[int] = []
        carry = b""
        total = 0
        last = False
        while not last:
            view = store.window()
            view[: len(carry)] = carry
            got = _fill(file, view[len(carry) : len(carry) + _WINDOW])
            end = len(carry) + got
            last = got < _WINDOW
            total += got
            store.hash(whole, view[len(carry) : end])
            if other is not None:
                store.hash(other, view[len(carry) : end])
            pieces = [length for _, length in cut(view[:end], store.chunker, last=last)]
            carry = bytes(view[sum(pieces) : end])
            store.take(pieces)
            lengths += pieces
        oids = store.oids()
        return finish(whole), total, list(zip(oids, lengths, strict=True))


def _hasher(sums: Sums | None) -> Any:
    if sums is None:
        return None
    from dver.store.sums import hasher

    return hasher(sums.algorithm)


def _fill(file: Any, view: memoryview) -> int:
    filled = 0
    while filled < len(view):
        got = file.readinto(view[filled:])
        if not got:
            break
        filled += got
    return filled


def _store_chunks(packs: PackSet, view: memoryview, lengths: Sequence[int]) -> bytes:
    """Store the chunks that a window begins with, and return their oids, joined."""
    oids = []
    at = 0
    for length in lengths:
        oids.append(packs.add_chunk(view[at : at + length])[0])
        at += length
    packs.flush()
    return b"".join(oids)


class _Here:
    """Stores chunks in this process. ``window`` and ``take`` are called in turns."""

    def __init__(self, packs: PackSet) -> None:
        self.chunker = packs.chunker
        self._packs = packs
        self._view = fsio.buffer(_ROOM)
        self._oids: list[bytes] = []

    def window(self) -> memoryview:
        """Return the memory to read into."""
        return self._view

    def hash(self, whole: Any, view: memoryview) -> None:
        """Feed a part of the window to the hash of the file."""
        whole.update(view)

    def take(self, lengths: Sequence[int]) -> None:
        """Store the chunks of these lengths that the window begins with."""
        self._oids.append(_store_chunks(self._packs, self._view, lengths))

    def oids(self) -> list[Oid]:
        """Return the oids of all chunks since the last call."""
        joined = b"".join(self._oids)
        self._oids.clear()
        return list(split_oids(joined))

    def add_list(self, oid: Oid, rows: list[Row]) -> None:
        """Store the list of a file's chunks."""
        self._packs.add_list(oid, rows)

    def finish(self) -> None:
        """Nothing is left to do: the writer has the packs."""


class _Elsewhere:
    """Stores chunks in a worker process, several windows behind this one."""

    def __init__(self, writer: Writer) -> None:
        self.chunker = writer.packs.chunker
        self._writer = writer
        self._oids: list[bytes] = []
        self._unanswered: deque[bool] = deque()
        self._hashes: deque[Future[object]] = deque()
        self._number = -1

    def __enter__(self) -> Self:
        from concurrent.futures import ThreadPoolExecutor

        with contextlib.ExitStack() as stack:
            self._hashing = stack.enter_context(ThreadPoolExecutor(1, "dver-hash"))
            fd, path = fsio.create_temp(self._writer.temp)
            self._path = path
            stack.callback(_drop, path)
            try:
                # Written, not just as long: a full disk shows here, and not by a signal later.
                fsio.write_all(fd, bytes(_ROOM * _WINDOWS), path)
                self._memory = mmap.mmap(fd, 0)
            finally:
                os.close(fd)
            setup = (self._writer.directory, path)
            self._worker = stack.enter_context(Worker("dver.store.largefiles:Keeper", setup))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()
        if not NATIVE:
            with contextlib.suppress(BufferError, OSError):
                self._memory.close()
                osat.unlink(self._path)

    def window(self) -> memoryview:
        """Return memory to read into, as soon as its last content is stored."""
        self._number += 1
        while len(self._unanswered) >= _WINDOWS:
            self._receive()
        while len(self._hashes) >= _WINDOWS:
            self._hashes.popleft().result()
        return _window(self._memory, self._number)

    def hash(self, whole: Any, view: memoryview) -> None:
        """Have a part of the window fed to the hash of the file, after those before it."""
        self._hashes.append(self._hashing.submit(whole.update, view))

    def take(self, lengths: Sequence[int]) -> None:
        """Have the chunks of these lengths stored that the window begins with."""
        self._worker.send((self._number, list(lengths)))
        self._unanswered.append(True)

    def _receive(self) -> None:
        self._oids.append(self._worker.receive())
        self._unanswered.popleft()

    def oids(self) -> list[Oid]:
        """Return the oids of all chunks since the last call, when the file is hashed too."""
        while self._unanswered:
            self._receive()
        while self._hashes:
            self._hashes.popleft().result()
        joined = b"".join(self._oids)
        self._oids.clear()
        return list(split_oids(joined))

    def add_list(self, oid: Oid, rows: list[Row]) -> None:
        """Store the list of a file's chunks."""
        self._worker.send((oid, [tuple(row) for row in rows]))
        self._worker.receive()

    def finish(self) -> None:
        """Take over the worker's packs."""
        packs, stored, new = self._worker.close()
        self._writer.stored_bytes += stored
        self._writer.new_objects += new
        for temp, name, size, rows in packs:
            self._writer.adopt(FinishedPack(temp, name, size, rows))


def _drop(path: str) -> None:
    # Windows keeps a file that is still mapped; it goes after that, or with a collection.
    with contextlib.suppress(OSError):
        os.unlink(path)


def _window(memory: mmap.mmap, number: int) -> memoryview:
    at = number % _WINDOWS * _ROOM
    return memoryview(memory)[at : at + _ROOM]


class Keeper:
    """What the worker process runs: stores chunks out of windows that the other process filled."""

    def __init__(self, setup: tuple[str, str]) -> None:
        from dver.storage.local import LocalStorage
        from dver.store.store import Store

        directory, windows = setup
        with fsio.explained("read", windows), open(windows, "rb") as file:
            self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        store = Store.open(LocalStorage(directory))
        self._packs = PackSet(store, os.path.join(directory, "tmp"))
        self._packs.sync_in_background()

    def __call__(self, job: tuple[int, list[int]] | tuple[Oid, list[Row]]) -> bytes:
        """Store the chunks of a window, given its number and their lengths; or a chunk list."""
        if isinstance(job[0], int):
            return _store_chunks(self._packs, _window(self._memory, job[0]), job[1])
        return self._packs.add_list(job[0], job[1])

    def close(self) -> tuple[list[tuple[str, bytes, int, bytes]], int, int]:
        """Finish the packs and return them, with the bytes and objects they hold."""
        finished = [(one.temp, one.name, one.size, one.rows) for one in self._packs.finish()]
        return finished, self._packs.stored_bytes, self._packs.new_objects

    def abandon(self) -> None:
        """Remove what was written."""
        self._packs.abandon()
