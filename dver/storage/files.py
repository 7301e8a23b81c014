"""Writing local files on behalf of a storage: plain new ones, and whole copies of others."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from dver.base import fsio

_PIECE = 1 << 20
# From <linux/fs.h>: _IOW(0x94, 9, int).
_FICLONE = 0x40049409
# Of these, the first way of copying says: not here. Others say that copying itself fails.
_NOT_HERE = frozenset(
    {
        errno.EXDEV,
        errno.EINVAL,
        errno.ENOSYS,
        errno.ENOTTY,
        errno.ENOTSUP,
        errno.EOPNOTSUPP,
        errno.EPERM,
        errno.ETXTBSY,
        errno.EBADF,
    }
)


@contextlib.contextmanager
def created(path: Path) -> Iterator[int]:
    """Create or empty a file and hand out its descriptor, open for writing; nothing is synced."""
    fsio.step("create")
    with fsio.explained("write", path):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | fsio.OPEN_FLAGS, 0o666)
    try:
        yield fd
    finally:
        os.close(fd)


def copy(source: int, target: int, path: os.PathLike[str] | str) -> int:
    """Copy all of one open file into another, empty one; return how many bytes there were.

    Shares the blocks where the file system can (XFS, Btrfs), else lets the kernel copy, else
    reads and writes. ``path`` names the target in errors. Nothing is synced.
    """
    fsio.step("write")
    size = os.fstat(source).st_size
    if _in_kernel(source, target, size, path):
        return size
    copied = 0
    while piece := _read(source, path):
        fsio.write_all(target, piece, path)
        copied += len(piece)
    return copied


def _read(source: int, path: os.PathLike[str] | str) -> bytes:
    with fsio.explained("copy to", path):
        return os.read(source, _PIECE)


if sys.platform == "linux":

    def _in_kernel(source: int, target: int, size: int, path: os.PathLike[str] | str) -> bool:
        """Copy without the bytes passing through this process; False if nothing was done."""
        import fcntl

        copied = 0
        try:
            with contextlib.suppress(OSError):
                fcntl.ioctl(target, _FICLONE, source)
                return True
            while copied < size:
                count = os.copy_file_range(source, target, size - copied)
                if count == 0:
                    # Some virtual file systems answer 0 at once, and want to be read.
                    break
                copied += count
        except OSError as error:
            if copied or error.errno not in _NOT_HERE:
                raise fsio.failure(error, "write", path) from error
            return False
        return copied == size and copied > 0

else:

    def _in_kernel(*_: object) -> bool:
        return False
