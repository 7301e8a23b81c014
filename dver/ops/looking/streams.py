"""Files of any version as Python's own binary files: to be read, and sought in."""

from __future__ import annotations

import io
import os
import tempfile
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dver.base import fsio
from dver.base.errors import CorruptError, DverError
from dver.base.oid import Hasher, Oid, finish, format_oid
from dver.base.quoting import show
from dver.base.regular import open_regular
from dver.ops.looking.view import IsDirectoryError, Node, View

if TYPE_CHECKING:
    from dver.store.ranged import ObjectReader

#: How much is read at least for a caller that takes a few bytes at a time (bytes).
BUFFER = 16 << 10
#: How much must have been read in one go before reading ahead is worth a try: a caller that skips
#: about takes less (bytes).
_WARM = 256 << 10
#: How much is read ahead at first, and at most, while reading goes on forwards (bytes): of packs of
#: this machine enough to read neighbours at once, of a remote what hides the way there and back.
_FIRST = 128 << 10
_MOST_LOCAL = 1 << 20
_MOST_DISTANT = 8 << 20
#: Longer content of git's goes through a temporary file (bytes).
_IN_MEMORY = 16 << 20


class VersionFile(io.BufferedReader):
    """A file of a version, open for reading. For several threads, which share its position.

    ``size`` is in bytes, ``oid`` that of tracked data in text form (None for what git has itself),
    ``path`` that from the repository's root. What it gives was verified: see ``docs/python.md``.
    """

    def __init__(self, raw: io.RawIOBase, node: Node, size: int) -> None:
        super().__init__(raw, BUFFER)
        self.path = os.fsdecode(node.path)
        self.size = size
        self.oid = None if node.oid is None else format_oid(node.oid)

    @property
    def mode(self) -> str:
        """How the file is open."""
        return "rb"

    @property
    def name(self) -> str:
        """The path."""
        return self.path


class _Window:
    """A piece of the content that was read ahead, by the caller's thread or by one of its own."""

    def __init__(self, reader: ObjectReader, start: int, data: bytearray) -> None:
        self.start = start
        self.end = min(start + len(data), reader.size)
        self._reader, self._data = reader, data
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None
        self._done = False

    def begin(self) -> None:
        """Start to read behind the caller's back."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._read()
        except Exception as error:  # noqa: BLE001 - raised in the caller's thread
            self._failure = error

    def _read(self) -> None:
        view = memoryview(self._data)[: self.end - self.start]
        self._reader.read_into(self.start, view)
        self._done = True

    def copy(self, start: int, view: memoryview) -> int:
        """Fill a view with what begins at a position inside; return how many bytes that were."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._failure is not None:
            raise self._failure
        if not self._done:  # or its thread belonged to a process that this one was forked from
            self._read()
        length = min(len(view), self.end - start)
        at = start - self.start
        view[:length] = memoryview(self._data)[at : at + length]
        return length


class _Content(io.RawIOBase):
    """The content of an object as a raw file.

    While reading goes on where it ended, more and more is read at once; from a remote the next
    piece comes while the one before is used. If the content is ``distant``, its chunk list came
    from a remote: whoever read all of it in order hears at its end, with CorruptError, if the whole
    is not what its oid promises.
    """

    def __init__(self, reader: ObjectReader, shown: str, *, distant: bool) -> None:
        self._reader = reader
        self._shown = shown
        self._at = self._next = 0
        self._run = self._ahead = 0
        self._most = _MOST_DISTANT if distant else _MOST_LOCAL
        self._window: _Window | None = None
        self._following: _Window | None = None
        self._distant = distant
        self._hasher = Hasher() if distant and reader.is_chunked else None
        self._hashed = 0
        self._lock = threading.Lock()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        self._check()
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._check()
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._reader.size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._at = base + offset
        return self._at

    # RawIOBase takes any writable buffer, for which Python 3.11 has no type to name.
    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._check()
        view = memoryview(buffer).cast("B")
        with self._lock:
            got = self._read_some(view)
            self._took(view[:got])
        return got

    def readall(self) -> bytes:
        self._check()
        with self._lock:
            data = self._reader.read(self._at, self._reader.size)
            self._took(memoryview(data))
        return data

    def prepare(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Bring what many (start, end) need, in as few requests as can be, to be read next."""
        self._reader.prepare(ranges)

    def _read_some(self, view: memoryview) -> int:
        """Fill a view, or its beginning, with what comes at the position."""
        window = self._window
        if window is None or not window.start <= self._at < window.end:
            window = self._following
            self._following = None
            if window is None or not window.start <= self._at < window.end:
                goes_on = self._run >= _WARM and self._at == self._next
                self._ahead = min(max(_FIRST, 2 * self._ahead), self._most) if goes_on else 0
                if len(view) >= self._ahead:
                    self._window = None
                    return self._reader.read_into(self._at, view)
                window = _Window(self._reader, self._at, bytearray(self._ahead))
            self._window = window
            if self._distant and window.end < self._reader.size:
                self._ahead = min(2 * self._ahead, self._most)
                self._following = _Window(self._reader, window.end, bytearray(self._ahead))
                self._following.begin()
        try:
            return window.copy(self._at, view)
        except DverError:
            # What is wrong with one chunk is no reason to keep back those that lie before it.
            self._window = self._following = None
            self._run = self._ahead = 0
            return self._reader.read_into(self._at, view)

    def _took(self, data: memoryview) -> None:
        if self._hasher is not None and self._at == self._hashed and data:
            self._hasher.update(data)
            self._hashed += len(data)
            if self._hashed == self._reader.size and finish(self._hasher) != self._reader.oid:
                self._hashed = -1
                raise CorruptError(
                    f"the content of {self._shown} is not what its pointer promises",
                    paths=[format_oid(self._reader.oid)],
                    hint="'dver fsck --full -r NAME' tells what is damaged in a remote",
                )
        self._run = len(data) + (self._run if self._at == self._next else 0)
        self._at += len(data)
        self._next = self._at

    def _check(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")


def open_node(view: View, node: Node) -> VersionFile:
    """Open a file of a version for reading; a symlink is followed within the version.

    Nothing is read yet but what tells where the content lies.
    Raises IsDirectoryError for a directory, MissingContentError if the content is nowhere.
    """
    node = view.resolve(node)
    if node.is_directory:
        raise IsDirectoryError(f"{show(node.path or b'.')} is a directory in {view.label}")
    if node.oid is not None:
        return _open_data(view, node, node.oid)
    if node.blob:
        raw = _of_git(view, node)
        return VersionFile(raw, node, _size(raw))
    path = view.repo.absolute(node.path)
    with fsio.explained("read", path):
        raw = io.FileIO(open_regular(path), "rb")
        return VersionFile(raw, node, os.fstat(raw.fileno()).st_size)


def _open_data(view: View, node: Node, oid: Oid) -> VersionFile:
    reader = view.contents.reader(oid, node.size)
    distant = bool(node.size) and not view.contents.is_local(oid)
    return VersionFile(_Content(reader, show(node.path), distant=distant), node, node.size)


def _of_git(view: View, node: Node) -> io.RawIOBase:
    args = ("cat-file", "blob", node.blob)
    if node.size <= _IN_MEMORY:
        return _Bytes(view.repo.git.run(*args))
    file: Any = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the caller closes it
    with view.repo.git.pipe(*args) as out:
        while piece := out.read(1 << 20):
            file.write(piece)
    file.seek(0)
    raw: io.RawIOBase = file
    return raw


def _size(raw: io.RawIOBase) -> int:
    size = raw.seek(0, os.SEEK_END)
    raw.seek(0)
    return size


class _Bytes(io.RawIOBase):
    """Bytes in memory as a raw file."""

    def __init__(self, data: bytes) -> None:
        self._inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        return self._inner.tell()

    # RawIOBase takes any writable buffer, for which Python 3.11 has no type to name.
    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._inner.readinto(buffer)
