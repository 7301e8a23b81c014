"""Reaching directories below a root without ever going through a symlink.

Every component is opened relative to the one before with ``O_NOFOLLOW | O_DIRECTORY``. Whoever
swaps a directory for a symlink meanwhile gets an error, or changes a directory that nobody looks
at any more, but never sees a write outside the root. On Windows, which has no such calls, what was
opened cannot be swapped: see :mod:`dver.base.pathwise`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Self

from dver.base import fsio
from dver.base.errors import RefusedError
from dver.base.osat import DIRECTORY, OPEN_DIR, osat
from dver.base.quoting import show

# Descriptors kept open on the way to the last directory; deeper ones are found again when needed.
_KEPT = 48


class SafeRoot:
    """The directories below one root, by relative path. Use it in a ``with`` block.

    The root itself may be reached through symlinks: the user named it. Not for several threads.
    """

    def __init__(self, root: bytes) -> None:
        self.root = root
        with fsio.explained("open the directory", root):
            self._fds = [osat.open(root, os.O_RDONLY | DIRECTORY | fsio.OPEN_FLAGS)]
        self._parts: list[bytes] = []
        self._last = -1
        self._last_path: bytes | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every descriptor."""
        self._forget(0)
        for fd in self._fds:
            osat.close(fd)
        self._fds.clear()

    def open(self, path: bytes, *, make: bool = False) -> int:
        """Return a descriptor of a directory, with ``make`` after making what is missing.

        It stays this object's own, and is valid until the next call. Raises FileNotFoundError if
        it is not there, and RefusedError if anything on the way is a symlink or no directory.
        """
        if path == self._last_path:
            return self._last
        parts = path.split(b"/") if path else []
        common = 0
        for one, other in zip(self._parts, parts, strict=False):
            if one != other:
                break
            common += 1
        self._forget(common)
        fd = self._fds[-1]
        for depth in range(common, len(parts)):
            fd = self._step(fd, parts, depth, make)
        self._last, self._last_path = fd, path
        return fd

    def identity(self) -> tuple[int, int]:
        """Return the device and inode of the root, which no other directory has."""
        found = osat.fstat(self._fds[0])
        return found.st_dev, found.st_ino

    def forget(self) -> None:
        """Look every directory up anew from now on, since some were renamed or removed."""
        self._forget(0)

    def _step(self, fd: int, parts: list[bytes], depth: int, make: bool) -> int:
        name = parts[depth]
        if make:
            with contextlib.suppress(FileExistsError):
                fsio.step("mkdir")
                osat.mkdir(name, dir_fd=fd)
        try:
            inner = osat.open(name, OPEN_DIR, dir_fd=fd)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
                raise _in_the_way(b"/".join(parts[: depth + 1])) from error
            raise
        if len(self._fds) <= _KEPT:
            self._fds.append(inner)
            self._parts.append(name)
            return inner
        # Beyond that only the last one stays open.
        if self._last >= 0 and self._last not in self._fds:
            osat.close(self._last)
        self._last = inner
        return inner

    def _forget(self, count: int) -> None:
        if self._last >= 0 and self._last not in self._fds:
            osat.close(self._last)
        self._last, self._last_path = -1, None
        while len(self._parts) > count:
            self._parts.pop()
            osat.close(self._fds.pop())


def _in_the_way(path: bytes) -> RefusedError:
    return RefusedError(
        f"{show(path)} is a symlink or a file where a directory is needed,"
        " and dver never writes through symlinks",
        hint="move it away and run the same command again",
        paths=[os.fsdecode(path)],
    )


def split(path: bytes) -> tuple[bytes, bytes]:
    """Return (directory, name) of a relative path."""
    directory, _, name = path.rpartition(b"/")
    return directory, name


def remove_tree(dir_fd: int, name: bytes) -> None:
    """Remove a file, or a directory with all that is in it, without following symlinks.

    What is gone already is fine. Other failures raise OSError with part of it removed.
    """
    try:
        mode = osat.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        fsio.step("unlink")
        with contextlib.suppress(FileNotFoundError):
            osat.unlink(name, dir_fd=dir_fd)
        return
    fd = osat.open(name, OPEN_DIR, dir_fd=dir_fd)
    try:
        for inner in osat.listdir(fd):
            remove_tree(fd, os.fsencode(inner))
    finally:
        osat.close(fd)
    fsio.step("rmdir")
    with contextlib.suppress(FileNotFoundError):
        osat.rmdir(name, dir_fd=dir_fd)
