"""Locks on Windows: of one byte of a file, beyond its text, which others can still read.

``LockFileEx`` is asked, which knows shared locks. They belong to what opened the file, and go when
that is closed or its process ends.
"""

from __future__ import annotations

import errno
import functools
import os
from typing import Any

#: Where the byte is. There need not be one.
_AT = 1 << 20
_FAIL_IMMEDIATELY, _EXCLUSIVE = 1, 2
_LOCK_VIOLATION, _IO_PENDING = 33, 997
_NOT_LOCKED = 158


def try_lock(fd: int, exclusive: bool) -> bool:
    """Take the lock, and return whether it was free. Raises OSError."""
    flags = _FAIL_IMMEDIATELY | (_EXCLUSIVE if exclusive else 0)
    reason = _call("LockFileEx", fd, (flags, 0))
    if reason in (_LOCK_VIOLATION, _IO_PENDING):
        return False
    if reason:
        raise _failure(reason)
    return True


def unlock(fd: int) -> None:
    """Let the lock go. Raises OSError."""
    reason = _call("UnlockFileEx", fd, (0,))
    if reason not in (0, _NOT_LOCKED):
        raise _failure(reason)


def _failure(reason: int) -> OSError:
    import ctypes

    make: Any = getattr(ctypes, "WinError", None)
    if make is None:
        return OSError(errno.EIO, os.strerror(errno.EIO))
    error: OSError = make(reason)
    return error


def _call(name: str, fd: int, before: tuple[int, ...]) -> int:
    """Call a function of Windows on the byte; return 0, or the number of what went wrong."""
    import ctypes
    import importlib

    kernel, place = _kernel()
    handle = importlib.import_module("msvcrt").get_osfhandle(fd)
    where = place(0, 0, _AT, 0, None)
    if getattr(kernel, name)(handle, *before, 1, 0, ctypes.byref(where)):
        return 0
    last: Any = getattr(ctypes, "get_last_error", int)
    return int(last()) or -1


@functools.cache
def _kernel() -> tuple[Any, Any]:
    """Return the library with the two functions, and the structure that tells a place in a file."""
    import ctypes
    from ctypes import wintypes

    class Place(ctypes.Structure):
        _fields_ = (
            ("Internal", ctypes.c_void_p),
            ("InternalHigh", ctypes.c_void_p),
            ("Offset", wintypes.DWORD),
            ("OffsetHigh", wintypes.DWORD),
            ("hEvent", wintypes.HANDLE),
        )

    load: Any = getattr(ctypes, "WinDLL")  # noqa: B009 - on Windows only, as mypy knows
    kernel = load("kernel32", use_last_error=True)
    word, place = wintypes.DWORD, ctypes.POINTER(Place)
    kernel.LockFileEx.argtypes = [wintypes.HANDLE, word, word, word, word, place]
    kernel.UnlockFileEx.argtypes = [wintypes.HANDLE, word, word, word, place]
    kernel.LockFileEx.restype = kernel.UnlockFileEx.restype = wintypes.BOOL
    return kernel, Place
