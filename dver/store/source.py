"""Opening the files that are to be stored, and what may go wrong with them meanwhile."""

from __future__ import annotations

import os
import stat

from dver.base import fsio
from dver.base.errors import RefusedError
from dver.base.osat import stat_fields

#: Mode, inode, size (bytes), mtime and ctime (nanoseconds): the row that a reading returns.
STAT_FIELDS = 5
SIZE = 2
#: How a file is opened: never through a symlink in its last component.
READ_FLAGS = os.O_RDONLY | fsio.OPEN_FLAGS | getattr(os, "O_NOFOLLOW", 0)


def open_source(path: bytes) -> int:
    """Return a descriptor of a file, never following a symlink."""
    try:
        return os.open(path, READ_FLAGS)
    except OSError as error:
        raise unreadable(error, path) from error


def stat_row(result: os.stat_result) -> tuple[int, ...]:
    """Return the five fields, as unsigned 64-bit integers."""
    row: tuple[int, ...] = stat_fields(result)
    # Times before 1970 wrap around.
    return row if min(row) >= 0 else tuple(value & (1 << 64) - 1 for value in row)


def check_unchanged(
    path: bytes, before: tuple[int, ...], after: tuple[int, ...], length: int
) -> None:
    """Raise RefusedError unless the ``length`` bytes read between two stats are the file's."""
    if before != after or length != after[SIZE] or not stat.S_ISREG(after[0]):
        raise changed(path)


def changed(path: bytes) -> RefusedError:
    """Return the error for a file that does not stay as it is."""
    return RefusedError(
        "a file changed while it was being added, so nothing was recorded",
        hint="run the same command again when nothing writes to it",
        paths=[os.fsdecode(path)],
    )


def unreadable(error: OSError, path: bytes) -> Exception:
    """Return the error for a file that cannot be opened or read."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return changed(path)
    return fsio.failure(error, "read", path)
