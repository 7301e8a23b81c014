"""Asking a storage what time it is there, and whether anything can be deleted."""

from __future__ import annotations

import errno

from dver.base import clock
from dver.base.errors import DverError, RefusedError, RemoteError
from dver.transfer.remote import Remote

#: By so much the storage's clock may differ from this machine's (seconds).
MAX_SKEW = 300
_PROBE = "tmp/gc-"


def ask_time(remote: Remote, own: str) -> int:
    """Return what time it is where the remote is (seconds since 1970).

    Raises RefusedError if nobody may delete anything there, or a clock is far off.
    """
    storage = remote.storage
    key = _PROBE + own
    before = clock.now_ns() / 1e9
    storage.put(key, b"what time is it?\n")
    after = clock.now_ns() / 1e9
    entry = storage.head(key)
    if entry is None:
        raise RemoteError(
            f"{remote.description} said it stored {key}, and does not have it",
            hint="check its URL and endpoint with 'dver remote check'",
        )
    try:
        storage.delete(key)
    except DverError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno not in (errno.EACCES, errno.EPERM):
            raise  # it is the disk, and no lack of rights
        raise RefusedError(
            f"nothing can be deleted in {remote.description}: {error.message}",
            hint="whoever collects garbage needs the right to delete",
        ) from error
    there = after if entry.modified is None else entry.modified
    skew = max(min(before, after) - there, there - max(before, after))
    if skew > MAX_SKEW:
        raise RefusedError(
            f"the clock of {remote.description} differs from this machine's by"
            f" {skew:.0f} seconds, so nothing says how old things are",
            hint="set the clock that is wrong",
        )
    return int(there)
