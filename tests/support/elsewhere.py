"""This system made to look like one whose Python takes no open directories, as on Windows.

``pytest -p tests.support.elsewhere TESTS`` runs tests so; what tests POSIX itself fails there, of
course. It is no Windows: paths, encodings and file names stay what they are. What it takes away
are ``dir_fd``, descriptors of directories, ``fcntl``, the calls and modes that Windows lacks, and
the right to rename or delete what this process has open or mapped.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import errno
import fcntl
import functools
import os
import shutil
import stat
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

try:
    import pytest
except ImportError:  # a bare worker has the standard library only
    pytest = None

#: Calls that Windows does not have.
_MISSING = (
    "fchmod", "fchown", "chown", "lchown", "geteuid", "getegid", "statvfs",
    "fstatvfs", "pread", "preadv", "pwrite", "pwritev", "writev", "readv", "posix_fadvise",
    "posix_fallocate", "sched_getaffinity", "sendfile", "copy_file_range", "mkfifo", "fork",
    "killpg", "getpgid", "setsid", "uname", "sysconf", "sync", "getloadavg", "nice",
)  # fmt: skip
#: Calls that take a directory, or a descriptor for a path, elsewhere only.
_TAKES_DIRECTORY = (
    "open", "stat", "lstat", "mkdir", "unlink", "remove", "rmdir", "rename", "replace", "link",
    "symlink", "readlink", "chmod", "utime", "access",
)  # fmt: skip
_TAKES_NO_DESCRIPTOR = ("listdir", "scandir", "chdir", "utime", "chmod")
#: Calls that Windows refuses for what is open.
_MOVES = ("unlink", "remove", "rename", "replace", "rmdir")

#: What modules of dver have from elsewhere by its name.
_TURNED = ("NATIVE", "HAS_MODES", "osat", "stat_fields", "pread")

#: What a worker process runs first.
BOOT = (
    "import sys; sys.path.insert(0, {tests!r}); sys.path.insert(0, sys.argv[1]);"
    "from tests.support import elsewhere; elsewhere.become({pinning!r});"
)

_real = types.SimpleNamespace(**{name: getattr(os, name) for name in dir(os)})


class _Forever:
    """What takes a monkeypatch's place in a worker, where nothing is undone."""

    def setattr(self, target: Any, name: str, value: Any, raising: bool = True) -> None:
        setattr(target, name, value)

    def delattr(self, target: Any, name: str, raising: bool = True) -> None:
        if hasattr(target, name):
            delattr(target, name)

    def setitem(self, target: Any, name: str, value: Any) -> None:
        target[name] = value


def become(pinning: bool, patch: Any = None) -> None:
    """Make this process and the workers that it starts such a system; ``patch`` undoes it."""
    from dver.base import fsio  # noqa: F401 - which takes what this system has

    patch = patch or _Forever()
    for name in _MISSING:
        patch.delattr(os, name, raising=False)
    for name in {*_TAKES_DIRECTORY, *_TAKES_NO_DESCRIPTOR}:
        patch.setattr(os, name, _without_directories(name, getattr(_real, name)))
    patch.setattr(os, "fsync", _fsync)
    patch.setattr(os, "supports_dir_fd", set())
    patch.setattr(shutil, "_use_fd_functions", False)
    patch.setattr(shutil, "disk_usage", _disk_usage)
    patch.setattr(ctypes, "byref", lambda fields: fields)
    patch.setattr(ctypes, "get_last_error", lambda: 33, raising=False)
    patch.setitem(sys.modules, "msvcrt", _msvcrt())
    patch.setitem(sys.modules, "fcntl", None)
    patch.setitem(sys.modules, "_winapi", _winapi() if pinning else None)
    _turn(patch, pinning)


def _turn(patch: Any, pinning: bool) -> None:
    """Give the modules of dver that are loaded what they would have got there."""
    from dver.base import bytelocks, fsio, locking, osat, pathwise, workers
    from dver.storage import files

    patch.setattr(fsio, "NATIVE", False)
    patch.setattr(fsio, "osat", pathwise)
    patch.setattr(osat, "NATIVE", False)
    patch.setattr(osat, "HAS_MODES", False)
    patch.setattr(osat, "osat", pathwise)
    patch.setattr(osat, "stat_fields", pathwise.stat_fields)
    patch.setattr(pathwise, "_PAUSES", (0.0, 0.001))
    patch.setattr(files, "_in_kernel", lambda *_: False)
    patch.setattr(fsio, "pread", _pread)
    patch.setattr(locking, "_try_lock", bytelocks.try_lock)
    patch.setattr(locking, "_unlock", bytelocks.unlock)
    patch.setattr(bytelocks, "_kernel", lambda: (_Kernel, lambda *fields: fields))
    patch.setattr(fsio, "sync_dir", lambda path: None)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    boot = BOOT.format(tests=root, pinning=pinning)
    if "elsewhere" not in workers._BOOT:
        patch.setattr(workers, "_BOOT", boot + workers._BOOT)
    for module, attribute in _turned():
        patch.setattr(module, attribute, getattr(_source(attribute), attribute))


def _turned() -> Iterator[tuple[types.ModuleType, str]]:
    """Yield the modules of dver that have something from elsewhere, and what it is called."""
    from dver.base import fsio, osat, pathwise

    for name, module in list(sys.modules.items()):
        if name.startswith("dver.") and module not in (fsio, osat, pathwise, None):
            for attribute in _TURNED:
                value = getattr(module, attribute, osat)
                if value is not osat:  # the package has a module of that name
                    yield module, attribute


def _source(attribute: str) -> types.ModuleType:
    from dver.base import fsio, osat

    return fsio if attribute == "pread" else osat


def _fsync(fd: int) -> None:
    if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    _real.fsync(fd)


def _disk_usage(path: Any) -> Any:
    found = _real.statvfs(path)
    return types.SimpleNamespace(free=found.f_bavail * found.f_frsize)


def _pread(fd: int, length: int, offset: int, /) -> bytes:
    return _real.pread(fd, length, offset)


def _without_directories(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def call(*args: Any, **kwargs: Any) -> Any:
        for key in ("dir_fd", "src_dir_fd", "dst_dir_fd"):
            if kwargs.get(key) is not None:
                raise NotImplementedError(f"{key} unavailable on this platform")
        if name in _TAKES_NO_DESCRIPTOR and args and isinstance(args[0], int):
            raise TypeError(f"{name}: path should be string, bytes or os.PathLike, not int")
        if name == "open" and _is_directory(args[0]):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), args[0])
        if name in _MOVES and sys.modules["_winapi"] and any(map(_is_held, args[:2])):
            raise PermissionError(errno.EACCES, "it is open", args[-1])
        if name == "rename" and os.path.lexists(args[1]):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), args[1])
        if name in ("unlink", "remove", "replace") and _is_read_only(args[-1]):
            raise PermissionError(errno.EACCES, "it is read-only", args[-1])
        return real(*args, **kwargs)

    return call


def _is_directory(path: Any) -> bool:
    return not isinstance(path, int) and os.path.isdir(path)


def _is_read_only(path: Any) -> bool:
    with contextlib.suppress(OSError):
        mode = _real.lstat(path).st_mode
        return stat.S_ISREG(mode) and not mode & stat.S_IWUSR
    return False


def _is_held(path: Any) -> bool:
    """Say whether this process has a file open or mapped, or a directory in it pinned."""
    try:
        found = _real.lstat(path)
    except OSError:
        return False
    if stat.S_ISDIR(found.st_mode):
        whole = os.path.join(os.path.abspath(os.fsencode(path)), b"")
        return any(os.path.join(one, b"").startswith(whole) for one in _pinned.values())
    if not stat.S_ISREG(found.st_mode):
        return False
    for fd in _real.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            same = os.path.samestat(found, _real.stat(f"/proc/self/fd/{fd}"))
            if same and _shared.get(int(fd)) != found.st_ino:
                return True
    with builtins.open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x} {found.st_ino} "
        return any(device in line for line in file)


_pinned: dict[int, bytes] = {}
#: Descriptors that were opened so that the file can be deleted, and the file's number.
_shared: dict[int, int] = {}


def _winapi() -> types.ModuleType:
    """Return what CPython has of Windows' calls, as far as directories are pinned with it."""
    module = types.ModuleType("_winapi")

    def create(
        name: str, access: int, share: int, sec: int, how: int, flags: int, like: int
    ) -> int:
        assert (sec, how, like) == (0, 3, 0)
        if access == 0x8000_0000:
            assert (share, flags) == (7, 0)
            fd = os.open(name, os.O_RDONLY)
            _shared[fd] = os.fstat(fd).st_ino
            return fd
        assert access == 1
        assert flags & 0x0200_0000
        path = os.path.abspath(os.fsencode(name))
        _real.lstat(path)
        if share == 0 and path in _pinned.values():
            error = PermissionError(errno.EACCES, "it is in use", name)
            error.winerror = 32
            raise error
        handle = max(_pinned, default=99) + 1
        _pinned[handle] = path
        return handle

    module.CreateFile = create
    module.CloseHandle = _pinned.__delitem__
    return module


class _Kernel:
    """The locks of Windows: of bytes, bound to what opened the file."""

    @staticmethod
    def LockFileEx(  # noqa: N802 - as Windows has it
        fd: int, flags: int, zero: int, low: int, high: int, place: tuple[Any, ...]
    ) -> int:
        assert (zero, low, high, place) == (0, 1, 0, (0, 0, 1 << 20, 0, None)) and flags & 1
        try:
            fcntl.flock(fd, fcntl.LOCK_NB | (fcntl.LOCK_EX if flags & 2 else fcntl.LOCK_SH))
        except BlockingIOError:
            return 0
        return 1

    @staticmethod
    def UnlockFileEx(  # noqa: N802 - as Windows has it
        fd: int, zero: int, low: int, high: int, place: tuple[Any, ...]
    ) -> int:
        assert (zero, low, high, place) == (0, 1, 0, (0, 0, 1 << 20, 0, None))
        fcntl.flock(fd, fcntl.LOCK_UN)
        return 1


def _msvcrt() -> types.ModuleType:
    module = types.ModuleType("msvcrt")
    module.get_osfhandle = lambda fd: fd
    module.open_osfhandle = lambda handle, flags: handle
    return module


def come_back() -> None:
    """Turn modules back that were first loaded there, after the patches were undone."""
    for module, attribute in _turned():
        setattr(module, attribute, getattr(_source(attribute), attribute))
    _pinned.clear()


if pytest is not None:

    @pytest.fixture(autouse=True)
    def _elsewhere() -> Any:
        """Run every test there, where this module is loaded as a plugin."""
        with pytest.MonkeyPatch.context() as patch:
            become(pinning=os.environ.get("DVER_TEST_PINNING", "1") == "1", patch=patch)
            yield
            left = dict(_pinned)
        come_back()
        assert not left, f"still pinned: {left}"
