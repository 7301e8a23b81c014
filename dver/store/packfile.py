"""Writing one pack to a temporary file, and taking frames out of packs."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.errors import CorruptError, FormatError
from dver.base.oid import Hasher, Oid, checksum, list_name_of, oid_of
from dver.formats import pack
from dver.store.codec import Buffer, decompress

if TYPE_CHECKING:
    from concurrent.futures import Future

_FLUSH = 1 << 20
_FRAME_SIZE = pack.FRAME.size
_frame = pack.FRAME.pack
_row = pack.ROW.pack


@dataclass(frozen=True, slots=True)
class FinishedPack:
    """A complete pack in a temporary file: its name, size in bytes, and footer rows."""

    temp: str
    name: bytes
    size: int
    rows: bytes


class Background:
    """Two threads that write and sync packs while the caller computes.

    One writes, so that the bytes of a pack stay in order; the other waits for the disk.
    """

    def __init__(self) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self.writing = ThreadPoolExecutor(1, "dver-write")
        self.syncing = ThreadPoolExecutor(1, "dver-sync")

    def close(self) -> None:
        """Wait for both threads to end."""
        self.writing.shutdown()
        self.syncing.shutdown()


class PackBuilder:
    """One pack being written. Not for several threads at once.

    ``size`` is the bytes so far. Call :meth:`finish` and then :meth:`result` to get a durable
    file, or :meth:`abandon`. With a :class:`Background` the writing overlaps the caller's work.
    """

    #: How many flushes (of a mebibyte or a window each) may wait for the writing thread.
    _MAX_WAITING = 8

    def __init__(self, directory: str, background: Background | None = None) -> None:
        self._fd, self.temp = fsio.create_temp(directory, mode=0o444)
        self._header = pack.encode_header(os.urandom(16))
        self._pending: list[Buffer] = [self._header]
        self._pending_size = 0
        self._hasher = Hasher()
        self._rows: list[bytes] = []
        self._background = background
        self._waiting: deque[Future[None]] = deque()
        self._closing: Future[None] | None = None
        self.size = len(self._header)

    def add(self, oid: Oid, kind: int, codec: int, stored: Buffer, raw_length: int) -> None:
        """Append one frame. ``stored`` must not change before the next :meth:`flush`."""
        length = len(stored)
        check = checksum(stored)
        self._pending.append(
            _frame(pack.FRAME_MAGIC, kind, codec, 0, length, raw_length, check, oid)
        )
        self._pending.append(stored)
        self._rows.append(_row(oid, self.size, length, raw_length, kind, codec, 0, check))
        self.size += length + _FRAME_SIZE
        self._pending_size += length + _FRAME_SIZE
        if self._pending_size >= _FLUSH:
            self.flush()

    def flush(self) -> None:
        """Copy what is pending and hand the copy on, towards the disk."""
        data = b"".join(self._pending)
        self._pending.clear()
        self._pending_size = 0
        if self._background is None:
            self._write(data)
            return
        while len(self._waiting) >= self._MAX_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._background.writing.submit(self._write, data))

    def _write(self, data: bytes) -> None:
        self._hasher.update(data)
        fsio.write_all(self._fd, data, self.temp)

    def finish(self) -> None:
        """Write the footer and begin to make the file durable; nothing can be added any more."""
        rows = b"".join(self._rows)
        trailer = pack.encode_trailer(self._header, rows)
        self._pending += [rows, trailer]
        self.size += len(rows) + len(trailer)
        self.flush()
        if self._background is not None:
            written = list(self._waiting)
            self._closing = self._background.syncing.submit(self._sync, written)

    def _sync(self, written: list[Future[None]]) -> None:
        for one in written:
            one.result()
        fsio.sync_file(self._fd, self.temp)

    def result(self) -> FinishedPack:
        """Wait until the finished pack is durable, close it and describe it."""
        if self._closing is not None:
            self._closing.result()
        else:
            self._sync([])
        self._close()
        return FinishedPack(self.temp, self._hasher.digest(), self.size, b"".join(self._rows))

    def abandon(self) -> None:
        """Remove the file."""
        for one in self._waiting:
            with contextlib.suppress(Exception):
                one.result()
        if self._closing is not None:
            with contextlib.suppress(Exception):
                self._closing.result()
        self._close()
        with contextlib.suppress(OSError):
            os.unlink(self.temp)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def open_frame(
    data: Buffer, where: str = "", *, oid: Oid | None = None
) -> tuple[pack.Frame, Buffer]:
    """Check a frame's header and checksum and return (frame, decompressed content).

    ``data`` is the frame header and the stored bytes. With ``oid`` the frame must carry that oid.
    The content's own hash is not checked here. Raises CorruptError that begins with ``where``, if
    that is given.
    """
    view = memoryview(data)
    try:
        frame = pack.decode_frame(view, 0)
        if len(view) != frame.end:
            raise FormatError("a frame has the wrong length")
        stored = view[pack.FRAME.size :]
        if checksum(stored) != frame.checksum:
            raise CorruptError("a frame does not match its checksum")
        if oid is not None and frame.oid != oid:
            raise CorruptError("a frame holds another object than the index says")
        return frame, decompress(frame.codec, stored, frame.raw)
    except CorruptError as error:
        raise CorruptError(f"{where}: {error.message}" if where else error.message) from error


def is_named_by(kind: int, content: Buffer, name: Oid) -> bool:
    """Say whether a frame's content has the name it is stored under.

    The top list of a chunked object is named by the whole content, so alone it always passes.
    """
    if kind in (pack.BLOB_LIST, pack.TREE_LIST):
        return True
    return name == (list_name_of(content) if kind == pack.LIST else oid_of(content))


def verify_frame(data: Buffer, where: str) -> tuple[pack.Frame, Buffer]:
    """Like :func:`open_frame`, and check the content's hash too, where one frame holds it all.

    The top list of a chunked object is named by the whole content and cannot be checked alone.
    """
    frame, content = open_frame(data, where)
    if not is_named_by(frame.kind, content, frame.oid):
        raise CorruptError(f"{where}: the content of {frame.oid.hex()} has another hash")
    return frame, content


def read_footer(path: str) -> list[pack.Frame]:
    """Return the frames that a local pack file lists. Raises CorruptError, or OSError."""
    with open(path, "rb", buffering=0) as file:
        fd = file.fileno()
        try:
            return _footer(lambda length, at: fsio.pread(fd, length, at), os.fstat(fd).st_size)
        except CorruptError as error:
            raise type(error)(f"{fsio.show(path)}: {error.message}") from error


def parse_footer(data: bytes) -> list[pack.Frame]:
    """Return the frames that a pack held in memory lists. Raises CorruptError."""
    return _footer(lambda length, at: data[at : at + length], len(data))


def _footer(read: Callable[[int, int], bytes], size: int) -> list[pack.Frame]:
    if size < pack.HEADER.size + pack.TRAILER.size:
        raise FormatError("a pack is shorter than its header and trailer")
    trailer = read(pack.TRAILER.size, size - pack.TRAILER.size)
    length = pack.footer_length(trailer, size)
    pack.check_header(read(pack.HEADER.size, 0), trailer)
    rows = read(length, size - pack.TRAILER.size - length)
    return pack.decode_footer(rows, trailer, size)
