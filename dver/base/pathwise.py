"""Calls of :mod:`os` that take an open directory, for systems whose own take none (Windows).

An open directory is a number, as elsewhere, that stands for an absolute path. Each call looks at
what it is given by path, so between a look and a call somebody might put a symlink in the way. On
Windows an open directory is therefore pinned (:mod:`dver.base.handles`): nobody can rename, remove
or replace it until it is closed. Where that cannot be done, each directory on the way is looked at
again before every change, and must still be the one that was opened; see
``docs/design/windows.md`` for what remains.

Names of one component only are taken, and nothing goes through a symlink or junction but the path
of a root, which the user named.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat as modes
from collections.abc import Callable
from typing import TypeVar

from dver.base import handles
from dver.base.dataclass import dataclass

_T = TypeVar("_T")

#: What asks :func:`open` for a directory, and for no symlink, where the system has no such flags.
DIRECTORY, NOFOLLOW = 1 << 30, 1 << 29
#: Numbers of open directories begin here, far from descriptors of files.
_FIRST = 1 << 24
_MASK = (1 << 64) - 1
#: Reparse points with this bit stand for another place: symlinks, junctions.
_SURROGATE = 0x2000_0000
_WINDOWS = os.name == "nt"
#: How long (seconds) to wait before trying again what another process may stand in the way of.
_PAUSES = (0.001, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)


@dataclass(frozen=True, slots=True)
class _Directory:
    path: bytes
    parent: _Directory | None
    identity: tuple[int, int]
    pin: handles.Pin


_directories: dict[int, _Directory] = {}
_numbers = itertools.count(_FIRST)


def is_directory(number: int) -> bool:
    """Say whether a number stands for an open directory of this module."""
    return number in _directories


# opening and closing


def open(  # noqa: A001 - as in os
    path: bytes, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
) -> int:
    """Open a directory if ``flags`` ask for one, otherwise a file, which must be no symlink."""
    if flags & getattr(os, "O_DIRECTORY", DIRECTORY):
        follow = dir_fd is None and not flags & getattr(os, "O_NOFOLLOW", NOFOLLOW)
        return _open_directory(path, dir_fd, follow=follow)
    whole = _below(dir_fd, path)
    flags &= ~NOFOLLOW
    if flags & os.O_EXCL and os.path.lexists(whole):
        # A symlink to nothing would be followed.
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    if not flags & os.O_EXCL and modes.S_ISLNK(os.lstat(whole).st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    fd = os.open(whole, flags, mode)
    try:
        found = os.lstat(whole)
        # Not the device: some versions of Python tell it in two ways on Windows.
        if modes.S_ISLNK(found.st_mode) or found.st_ino != os.fstat(fd).st_ino:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _open_directory(path: bytes, dir_fd: int | None, *, follow: bool) -> int:
    whole = extended(os.path.abspath(path)) if dir_fd is None else _below(dir_fd, path)
    pin = _persistently(lambda: handles.pin(whole, follow=follow), whole)
    try:
        found = os.stat(whole) if follow else os.lstat(whole)
        if not _is_plain_directory(found):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    except BaseException:
        handles.let_go(pin)
        raise
    number = next(_numbers)
    parent = None if dir_fd is None else _directory(dir_fd)
    _directories[number] = _Directory(whole, parent, (found.st_dev, found.st_ino), pin)
    return number


def close(fd: int) -> None:
    """Close a file or a directory."""
    one = _directories.pop(fd, None)
    if one is None:
        os.close(fd)
    else:
        handles.let_go(one.pin)


def _is_plain_directory(found: os.stat_result) -> bool:
    return modes.S_ISDIR(found.st_mode) and not getattr(found, "st_reparse_tag", 0) & _SURROGATE


def is_pinned(path: bytes, *, dir_fd: int) -> bool | None:
    """Say whether anybody has a directory open, None if that cannot be told. Raises OSError."""
    return handles.is_pinned(_below(dir_fd, path))


# looking


def stat(path: bytes, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
    """Return the stat of a name in a directory, of a symlink its own."""
    if dir_fd is None:
        return os.stat(path, follow_symlinks=follow_symlinks)
    return os.lstat(_join(_directory(dir_fd).path, path))


def fstat(fd: int) -> os.stat_result:
    """Return the stat of an open file or directory."""
    one = _directories.get(fd)
    return os.fstat(fd) if one is None else os.stat(one.path)


def listdir(fd: int) -> list[str]:
    """Return the names in an open directory."""
    _check(fd)
    return os.listdir(os.fsdecode(_directory(fd).path))


def readlink(path: bytes, *, dir_fd: int | None = None) -> bytes:
    r"""Return the text of a symlink, spelled as elsewhere: ``\`` becomes ``/``."""
    whole = path if dir_fd is None else _join(_directory(dir_fd).path, path)
    text = os.readlink(whole)
    return plain(text) if _WINDOWS else text


def stat_fields(found: os.stat_result) -> tuple[int, ...]:
    """Return the five integers of a stat result that tell whether a file is as it was.

    Windows makes up the bits for execution out of the name, in some calls and not in others, so
    they are left out. Files of some file systems have numbers of 128 bits. A junction, which is
    neither a directory of this place nor a symlink, is of no kind.
    """
    mode = found.st_mode
    if modes.S_ISREG(mode):
        mode &= ~0o111
    elif modes.S_ISDIR(mode) and not _is_plain_directory(found):
        mode = 0
    return mode, found.st_ino & _MASK, found.st_size, found.st_mtime_ns, found.st_ctime_ns


# changing


def mkdir(path: bytes, mode: int = 0o777, *, dir_fd: int) -> None:
    """Make a directory."""
    os.mkdir(_below(dir_fd, path), mode)


def unlink(path: str | bytes, *, dir_fd: int | None = None) -> None:
    """Remove a file or symlink, also a read-only one."""
    whole = _below(dir_fd, path)
    _persistently(lambda: os.unlink(whole), whole)


def rmdir(path: str | bytes, *, dir_fd: int | None = None) -> None:
    """Remove an empty directory."""
    whole = _below(dir_fd, path)
    _persistently(lambda: os.rmdir(whole), whole)


def rename(
    src: str | bytes,
    dst: str | bytes,
    *,
    src_dir_fd: int | None = None,
    dst_dir_fd: int | None = None,
) -> None:
    """Give a file a name that may be another file's, or a directory one that is free or empty."""
    source, target = _below(src_dir_fd, src), _below(dst_dir_fd, dst)
    if modes.S_ISDIR(os.lstat(source).st_mode):
        with contextlib.suppress(FileNotFoundError):
            if not _is_plain_directory(os.lstat(target)):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), dst)
            os.rmdir(target)
        _persistently(lambda: os.rename(source, target), source)
    else:
        _persistently(lambda: os.replace(source, target), target)


def symlink(src: bytes, dst: bytes, *, dir_fd: int) -> None:
    """Make a symlink; one to a directory, if that is there by now."""
    whole = _below(dir_fd, dst)
    text = src.replace(b"/", b"\\") if _WINDOWS else src
    is_directory = os.path.isdir(os.path.join(_directory(dir_fd).path, text))
    os.symlink(text, whole, target_is_directory=is_directory)


replace = rename


def rename_new(source: str | bytes, target: str | bytes) -> None:
    """Give a file a name that is free. Raises FileExistsError if it is not."""
    _persistently(lambda: os.rename(source, target), target)


def _persistently(do: Callable[[], _T], path: str | bytes) -> _T:
    """Do what fails while another process, such as a scanner for viruses, has a file open."""
    from dver.base import clock

    for pause in _PAUSES:
        try:
            return do()
        except PermissionError:
            if not _make_writable(path):
                clock.sleep(pause)
    return do()


def _make_writable(path: str | bytes) -> bool:
    """Take away what keeps a file from being removed or replaced on Windows: being read-only."""
    with contextlib.suppress(OSError):
        mode = os.lstat(path).st_mode
        if modes.S_ISREG(mode) and not mode & modes.S_IWUSR:
            os.chmod(path, modes.S_IMODE(mode) | modes.S_IWUSR)
            return True
    return False


# paths


def _directory(number: int) -> _Directory:
    one = _directories.get(number)
    if one is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return one


def _below(dir_fd: int | None, name: str | bytes) -> bytes:
    """Return the path of a name in a directory that is still the one that was opened."""
    name = os.fsencode(name)
    if dir_fd is None:
        return name
    _check(dir_fd)
    return _join(_directory(dir_fd).path, name)


def _check(number: int) -> None:
    """Raise NotADirectoryError if an open directory, or one above it, is another one by now."""
    one: _Directory | None = _directory(number)
    while one is not None and one.pin is None:
        found = os.stat(one.path) if one.parent is None else os.lstat(one.path)
        if not _is_plain_directory(found) or (found.st_dev, found.st_ino) != one.identity:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), one.path)
        one = one.parent


def _join(directory: bytes, name: bytes) -> bytes:
    if name == b".":
        return directory
    forbidden = b"/\0\\:" if _WINDOWS else b"/\0"
    if name in (b"", b"..") or any(byte in forbidden for byte in name):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
    return os.path.join(directory, name)


def extended(path: bytes, *, windows: bool = _WINDOWS) -> bytes:
    r"""Return an absolute path in the form that Windows takes at any length, ``\\?\C:\...``."""
    if not windows or path.startswith((b"\\\\?\\", b"\\\\.\\")):
        return path
    path = path.replace(b"/", b"\\")
    if path.startswith(b"\\\\"):
        return b"\\\\?\\UNC" + path[1:]
    return b"\\\\?\\" + path


def plain(text: bytes) -> bytes:
    r"""Return a symlink's text as other systems spell it, without the prefix ``\\?\``."""
    if text.startswith(b"\\\\?\\UNC\\"):
        text = b"\\\\" + text[8:]
    return text.removeprefix(b"\\\\?\\").replace(b"\\", b"/")
