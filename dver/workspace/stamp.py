"""The stamp in the mtime of a link cache's file, which tells that its content is what it was.

The nanoseconds are a hash of the oid and the seconds. Whoever writes to the file moves its mtime,
and the stamp is gone; see :mod:`dver.workspace.links`.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence

from dver.base.oid import Oid, checksum

SECOND = 1_000_000_000


def stamp_of(oid: Oid, seconds: int) -> int:
    """Return the nanoseconds that the mtime of an oid's file has in those seconds."""
    return checksum(oid + seconds.to_bytes(8, "little")) % SECOND


def is_stamped(row: Sequence[int], oid: Oid) -> bool:
    """Say whether a stat row is that of an intact cache file of an oid, whatever its ctime.

    The ctime of a hardlink moves whenever another one is made, and its content does not.
    """
    mode, _, _, mtime, _ = row
    if mode & 0o222 or not stat.S_ISREG(mode):
        return False
    seconds, fraction = divmod(mtime, SECOND)
    return seconds < 1 << 62 and fraction == stamp_of(oid, seconds)
