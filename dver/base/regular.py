"""Opening what must be an ordinary file, whatever is in its place, and keeping it open."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections import OrderedDict

from dver.base.errors import CorruptError
from dver.base.fsio import OPEN_FLAGS
from dver.base.osat import NATIVE
from dver.base.quoting import PathLike, show

#: With O_NONBLOCK a FIFO that nobody writes to opens at once; of regular files it changes nothing.
_FLAGS = os.O_RDONLY | OPEN_FLAGS | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
#: What sockets, devices without a driver, and symlinks in a circle answer.
_IRREGULAR = frozenset((errno.ENXIO, errno.ENODEV, errno.ELOOP, errno.EISDIR))


def open_regular(path: PathLike) -> int:
    """Open an existing regular file for reading; return a descriptor that the caller closes.

    Never waits. A symlink is followed. Raises CorruptError for a directory, a FIFO, a device or
    whatever else is no regular file, and OSError if the file cannot be opened.
    """
    try:
        fd = os.open(path, _FLAGS) if NATIVE else _open_shared(path)
    except OSError as error:
        if error.errno in _IRREGULAR or os.path.isdir(path):
            raise _irregular(path) from error
        raise
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    raise _irregular(path)


def _open_shared(path: PathLike) -> int:
    from dver.base.handles import open_shared

    fd = open_shared(os.fsdecode(path))
    return os.open(path, _FLAGS) if fd is None else fd


def read_regular(path: PathLike, *, limit: int) -> bytes:
    """Return the bytes of an existing regular file; see :func:`open_regular`.

    What is longer than ``limit`` bytes is cut one byte later, so that it can be told.
    """
    with open(open_regular(path), "rb") as file:
        return file.read(limit + 1)


def _irregular(path: PathLike) -> CorruptError:
    return CorruptError(f"{show(path)} is no regular file")


class OpenFile:
    """An open file, closed when the last thread that reads from it lets go of it."""

    __slots__ = ("fd", "path")

    def __init__(self, path: str) -> None:
        self.fd = -1
        self.path = path
        self.fd = open_regular(path)

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


class OpenFiles:
    """Files by name, of which at most ``most`` stay open, those used last. For several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._files: OrderedDict[bytes, OpenFile] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: bytes) -> OpenFile | None:
        """Return a file if it is open."""
        with self._lock:
            file = self._files.get(name)
            if file is not None:
                self._files.move_to_end(name)
            return file

    def open(self, name: bytes, path: str) -> OpenFile:
        """Open a file, and keep it so. Raises CorruptError, or OSError."""
        file = OpenFile(path)
        with self._lock:
            while len(self._files) >= self._most:
                self._files.popitem(last=False)
            return self._files.setdefault(name, file)

    def close(self) -> None:
        """Let go of all of them."""
        with self._lock:
            self._files.clear()
