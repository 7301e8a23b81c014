"""The file system's own clock, and which files are old enough to be recognised by their times.

A file that is written twice within one tick of that clock can keep its size, inode and times, and
still have changed. So a file's stat stands for its content only if it was last touched a margin
before the moment from which on nobody but us can have read it unnoticed.
"""

from __future__ import annotations

import contextlib
import os

from dver.base import clock, fsio
from dver.base.fsio import OPEN_FLAGS, TEMP_PREFIX
from dver.base.osat import osat

#: A file touched less than this before the moment may still change within the same tick.
MARGIN_NS = 20_000_000
#: The same where the file system keeps whole seconds only, or may have another machine's clock.
COARSE_MARGIN_NS = 2_000_000_000
_SECOND = 1_000_000_000


def trusted_before(touched: os.stat_result, device: int) -> int:
    """Return the time in ns before which a file must have been touched to be trusted.

    ``touched`` is the stat of a file made right now, ``device`` that of the files in question.
    """
    now = touched.st_mtime_ns
    if touched.st_dev != device:
        return min(now, clock.now_ns()) - COARSE_MARGIN_NS
    return now - (MARGIN_NS if now % _SECOND else COARSE_MARGIN_NS)


def moment_in(dir_fd: int) -> int:
    """Return :func:`trusted_before` for files in an open directory; 0 if it cannot be written."""
    name = TEMP_PREFIX.encode() + os.urandom(8).hex().encode()
    fsio.step("create")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS
        fd = osat.open(name, flags, 0o600, dir_fd=dir_fd)
    except OSError:
        return 0
    try:
        return trusted_before(os.fstat(fd), osat.fstat(dir_fd).st_dev)
    finally:
        os.close(fd)
        with contextlib.suppress(OSError):
            osat.unlink(name, dir_fd=dir_fd)
