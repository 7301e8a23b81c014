"""Handles of Windows that Python's own calls do not ask for.

A directory can be pinned: nobody can rename, delete or replace it while it is open. That makes
a path as good as a descriptor, since what was looked at stays what it was. A file can be opened so
that others may still delete it, as they can elsewhere. Where there are no such handles nothing is
pinned, and paths are looked at again before they are used.
"""

from __future__ import annotations

import os
from typing import Any

# From the headers of Windows.
_FILE_LIST_DIRECTORY = 0x0001
_FILE_SHARE_READ, _FILE_SHARE_WRITE, _FILE_SHARE_DELETE = 0x0001, 0x0002, 0x0004
_GENERIC_READ = 0x8000_0000
_OPEN_EXISTING = 3
_FILE_FLAG_OPEN_REPARSE_POINT, _FILE_FLAG_BACKUP_SEMANTICS = 0x0020_0000, 0x0200_0000
_SHARING_VIOLATION = 32

#: A handle, or None where directories cannot be pinned.
Pin = int | None


def _windows() -> Any:
    """Return CPython's own way to a few calls of Windows, None on other systems."""
    try:
        import _winapi
    except ImportError:
        return None
    return _winapi


def pin(path: bytes, *, follow: bool = False) -> Pin:
    """Keep a directory from being renamed or deleted until it is let go. Raises OSError.

    A symlink or junction is pinned itself, unless it is to be followed.
    """
    api = _windows()
    if api is None:
        return None
    return _open(api, path, _FILE_SHARE_READ | _FILE_SHARE_WRITE, follow=follow)


def open_shared(path: str) -> int | None:
    """Open a file for reading so that others may rename or delete it. Raises OSError.

    Returns a descriptor, or None where there is no such handle.
    """
    api = _windows()
    if api is None:
        return None
    import importlib

    share = _FILE_SHARE_READ | _FILE_SHARE_WRITE | _FILE_SHARE_DELETE
    handle = api.CreateFile(path, _GENERIC_READ, share, 0, _OPEN_EXISTING, 0, 0)
    try:
        fd: int = importlib.import_module("msvcrt").open_osfhandle(handle, os.O_RDONLY)
    except BaseException:
        api.CloseHandle(handle)
        raise
    return fd


def let_go(handle: Pin) -> None:
    """Let a directory be renamed and deleted again."""
    if handle is not None:
        _windows().CloseHandle(handle)


def is_pinned(path: bytes) -> bool | None:
    """Say whether anybody has a directory pinned, None if that cannot be told. Raises OSError."""
    api = _windows()
    if api is None:
        return None
    try:
        handle = _open(api, path, 0, follow=False)
    except OSError as error:
        if getattr(error, "winerror", None) == _SHARING_VIOLATION:
            return True
        raise
    api.CloseHandle(handle)
    return False


def _open(api: Any, path: bytes, share: int, *, follow: bool) -> int:
    flags = _FILE_FLAG_BACKUP_SEMANTICS | (0 if follow else _FILE_FLAG_OPEN_REPARSE_POINT)
    # Without the right to list it Windows would not look at what is shared.
    handle: int = api.CreateFile(
        os.fsdecode(path), _FILE_LIST_DIRECTORY, share, 0, _OPEN_EXISTING, flags, 0
    )
    return handle
