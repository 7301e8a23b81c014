"""Opening what must be an ordinary file, whatever somebody has put in its place."""

from __future__ import annotations

import errno
import os
import stat

from dver.base.errors import CorruptError
from dver.base.fsio import OPEN_FLAGS, PathLike, show

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
        fd = os.open(path, _FLAGS)
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


def _irregular(path: PathLike) -> CorruptError:
    return CorruptError(f"{show(path)} is no regular file")
