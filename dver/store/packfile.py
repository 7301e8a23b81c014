"""Writing one pack to a temporary file, and taking frames out of packs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, FormatError
from dver.base.oid import Checksummer, Oid, checksum, list_name_of, oid_of
from dver.base.osat import osat
from dver.base.quoting import show
from dver.base.regular import open_regular
from dver.formats import pack
from dver.formats.pack import TOP_KINDS
from dver.store.codec import Buffer, decompress

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

#: What is gathered before it is written, and what is read at once (bytes).
_FLUSH = 1 << 20
_READ = 4 << 20
#: More pieces than this are joined before they are written.
_MANY = 128
_FRAME_SIZE = pack.FRAME.size
_frame = pack.FRAME.pack
_row = pack.ROW.pack


@dataclass(frozen=True, slots=True)
class FinishedPack:
    """A complete pack in a file of its own: its name, size in bytes, and footer rows if at hand."""

    temp: str
    name: bytes
    size: int
    held: bytes | None = None

    @property
    def rows(self) -> bytes:
        """The footer rows; read from the file, if they are not at hand, and compared with the name.

        Raises CorruptError or SystemFailure if they cannot be read.
        """
        if self.held is not None:
            return self.held
        try:
            with open(open_regular(self.temp), "rb", buffering=0) as file:
                header, rows, trailer, _ = read_ends(file.fileno())
        except OSError as error:
            raise fsio.failure(error, "read", self.temp) from error
        if pack.name_of(header, rows, trailer) != self.name:
            raise CorruptError(f"{show(self.temp)}: a new pack is not as it was written")
        return rows

    @property
    def is_empty(self) -> bool:
        """Whether no rows count."""
        if self.held is not None:
            return not self.held
        return self.size <= pack.HEADER.size + pack.TRAILER.size


class PackBuilder:
    """One pack being written. Not for several threads at once.

    ``size`` is the bytes so far. Call :meth:`finish` and then :meth:`result` to get a durable
    file, or :meth:`abandon`. With ``syncing`` a thread of that pool waits for the disk.
    """

    def __init__(self, directory: str, syncing: ThreadPoolExecutor | None = None) -> None:
        self._fd, self.temp = fsio.create_temp(directory, mode=0o444)
        self._header = pack.encode_header(os.urandom(16))
        self._pending: list[Buffer] = []
        self._pending_size = 0
        self._written = Checksummer()
        self._rows: list[bytes] = []
        self._footer = b""
        self._syncing = syncing
        self._synced: Future[None] | None = None
        self._name = b""
        self.size = len(self._header)
        try:
            fsio.write_all(self._fd, self._header, self.temp)
        except BaseException:
            self.abandon()
            raise

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
        """Write what is pending."""
        pieces, self._pending = self._pending, []
        self._pending_size = 0
        if len(pieces) > _MANY:
            # Joining many short pieces costs less than handing over each of them twice.
            pieces = [b"".join(pieces)]
        for piece in pieces:
            self._written.update(piece)
        fsio.write_pieces(self._fd, pieces, self.temp)

    def finish(self) -> None:
        """Write the footer and begin to make the file durable; nothing can be added any more."""
        self.flush()
        rows = self._footer = b"".join(self._rows)
        self._rows.clear()
        trailer = pack.encode_trailer(self._header, self._written.intdigest(), rows)
        self._name = pack.name_of(self._header, rows, trailer)
        fsio.write_all(self._fd, rows + trailer, self.temp)
        self.size += len(rows) + len(trailer)
        if self._syncing is not None:
            self._synced = self._syncing.submit(fsio.sync_file, self._fd, self.temp)

    def result(self) -> FinishedPack:
        """Wait until the finished pack is durable, close it and describe it."""
        if self._synced is not None:
            self._synced.result()
        else:
            fsio.sync_file(self._fd, self.temp)
        self._close()
        return FinishedPack(self.temp, self._name, self.size, self._footer)

    def abandon(self) -> None:
        """Remove the file."""
        if self._synced is not None:
            with contextlib.suppress(Exception):
                self._synced.result()
        self._close()
        with contextlib.suppress(OSError):
            osat.unlink(self.temp)

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
    if kind in TOP_KINDS:
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


def read_rows(path: str | os.PathLike[str]) -> bytes:
    """Return a pack file's footer rows, unchecked. Raises CorruptError, or OSError."""
    with open(open_regular(path), "rb", buffering=0) as file:
        fd = file.fileno()
        return _ends(lambda length, at: fsio.pread(fd, length, at), os.fstat(fd).st_size)[1]


def read_ends(fd: int) -> tuple[bytes, bytes, bytes, int]:
    """Return a pack's (header, footer rows, trailer, size in bytes), unchecked.

    Raises CorruptError if it has no such parts, or OSError.
    """
    size = os.fstat(fd).st_size
    trailer, rows = _ends(lambda length, at: fsio.pread(fd, length, at), size)
    return fsio.pread(fd, pack.HEADER.size, 0), rows, trailer, size


def read_footer(path: str) -> list[pack.Frame]:
    """Return the frames that a local pack file lists. Raises CorruptError, or OSError."""
    with open(open_regular(path), "rb", buffering=0) as file:
        fd = file.fileno()
        try:
            return _footer(lambda length, at: fsio.pread(fd, length, at), os.fstat(fd).st_size)
        except CorruptError as error:
            raise type(error)(f"{show(path)}: {error.message}") from error


def walk_footer(path: str | os.PathLike[str]) -> Iterator[pack.Frame]:
    """Like :func:`read_footer`, one frame after the other, so that they need not fit into memory.

    That the footer is sound as a whole is only known at its end.
    """
    with open(open_regular(path), "rb", buffering=0) as file:
        fd = file.fileno()
        size = os.fstat(fd).st_size
        trailer, rows = _ends(lambda length, at: fsio.pread(fd, length, at), size)
        pack.check_header(fsio.pread(fd, pack.HEADER.size, 0), trailer)
    yield from pack.walk_footer(rows, trailer, size)


def check_pack(path: str | os.PathLike[str], name: bytes) -> bytes:
    """Return the footer rows of a pack file, every byte of it as it was when it was named.

    That is shown by the name and checksums, not by hashing contents: whoever does not trust the
    pack's writer must still compare each content with its oid. Raises CorruptError, or OSError.
    """
    with open(open_regular(path), "rb", buffering=0) as file:
        fd = file.fileno()
        size = os.fstat(fd).st_size
        trailer, rows = _ends(lambda length, at: fsio.pread(fd, length, at), size)
        header = fsio.pread(fd, pack.HEADER.size, 0)
        if pack.name_of(header, rows, trailer) != name:
            raise CorruptError("its header and footer do not hash to its name")
        found = Checksummer()
        buffer = memoryview(bytearray(_READ))
        left = size - len(header) - len(rows) - len(trailer)
        file.seek(len(header))
        while left and (got := file.readinto(buffer[: min(left, _READ)])):
            found.update(buffer[:got])
            left -= got
        if left or found.intdigest() != pack.frames_checksum(trailer):
            raise CorruptError("its frames do not match their checksum")
        return rows


def _footer(read: Callable[[int, int], bytes], size: int) -> list[pack.Frame]:
    trailer, rows = _ends(read, size)
    pack.check_header(read(pack.HEADER.size, 0), trailer)
    return pack.decode_footer(rows, trailer, size)


def _ends(read: Callable[[int, int], bytes], size: int) -> tuple[bytes, bytes]:
    """Return (trailer, footer rows), unchecked but for their lengths."""
    if size < pack.HEADER.size + pack.TRAILER.size:
        raise FormatError("a pack is shorter than its header and trailer")
    trailer = read(pack.TRAILER.size, size - pack.TRAILER.size)
    length = pack.footer_length(trailer, size)
    return trailer, read(length, size - pack.TRAILER.size - length)
