"""Every write, fsync, rename and lock on a local disk passes through here.

The order that makes a file durable is: write a temporary file in the same directory, fsync it,
rename it into place, fsync the directory. :func:`write_atomic` does all four for a small file;
large writers use :func:`create_temp`, :func:`sync_file`, :func:`publish` and :func:`sync_dir` so
that many files can share one directory sync.

Each of these steps calls :func:`step` first. That numbers the instants at which a crash leaves
something different on disk, and lets a test stop the process at any one of them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from dver.base import clock
from dver.base.errors import LockedError, SystemFailure

PathLike = str | bytes | os.PathLike[str]

TEMP_PREFIX = ".dver-tmp-"

_hook: Callable[[str], None] | None = None


def install_hook(hook: Callable[[str], None] | None) -> None:
    """Call ``hook(name)`` before each write step from now on; None removes it. For fault tests."""
    global _hook
    _hook = hook


def step(name: str) -> None:
    """Mark an instant at which a crash would leave a different state on disk."""
    if _hook is not None:
        _hook(name)


_REASONS = {
    errno.ENOSPC: ("no space left on the disk", "free some space and run the same command again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and run the same command again"),
    errno.EROFS: ("the file system is read-only", "mount it writable, or work on a copy"),
    errno.EACCES: ("permission denied", "check the owner and mode of the path"),
    errno.EPERM: ("operation not permitted", "check the owner and mode of the path"),
    errno.EIO: ("the disk reports an I/O error", "check the disk; run 'dver fsck --full'"),
    errno.EMFILE: ("too many open files", "raise the limit with 'ulimit -n 4096'"),
    errno.ENAMETOOLONG: ("the name is too long for this file system", None),
}


def failure(error: OSError, doing: str, path: PathLike) -> SystemFailure:
    """Return the error that says what could not be done to which path, and why."""
    text, hint = _REASONS.get(error.errno or 0, (os.strerror(error.errno or 0).lower(), None))
    return SystemFailure(f"cannot {doing} {show(path)}: {text}", hint=hint)


@contextlib.contextmanager
def explained(doing: str, path: PathLike) -> Iterator[None]:
    """Turn an OSError in the block into :class:`SystemFailure` about that path."""
    try:
        yield
    except OSError as error:
        raise failure(error, doing, path) from error


def show(path: PathLike) -> str:
    """Return a path as one line of printable text, quoted as git quotes when it needs to be."""
    text = os.fsdecode(path)
    if text.isprintable() and not text.startswith('"'):
        return text
    out = []
    for byte in os.fsencode(path):
        char = chr(byte)
        if char in _QUOTED:
            out.append(_QUOTED[char])
        elif 32 <= byte < 127:
            out.append(char)
        else:
            out.append(f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


_QUOTED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def create_temp(directory: PathLike, *, mode: int = 0o666) -> tuple[int, str]:
    """Create a new empty file in a directory and return (descriptor open for read/write, path).

    ``mode`` is subject to the umask. The directory is created when it is missing.
    """
    base = os.fsdecode(directory)
    while True:
        path = os.path.join(base, TEMP_PREFIX + secrets.token_hex(8))
        step("create")
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _CLOEXEC, mode), path
        except FileExistsError:
            continue
        except FileNotFoundError:
            make_dirs(base)
        except OSError as error:
            raise failure(error, "create a file in", base) from error


_CLOEXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def write_all(fd: int, data: bytes | bytearray | memoryview, path: PathLike) -> None:
    """Write all of ``data`` at the descriptor's position."""
    step("write")
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError as error:
        raise failure(error, "write", path) from error


_SYNC_UNSUPPORTED = {errno.ENOTSUP, errno.EINVAL, errno.ENOTTY, errno.EOPNOTSUPP}


def sync_file(fd: int, path: PathLike) -> None:
    """Make a file's bytes durable. File systems without fsync (some network mounts) are let pass."""
    step("fsync")
    try:
        if sys.platform == "darwin":
            import fcntl

            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        else:
            os.fsync(fd)
    except OSError as error:
        if error.errno not in _SYNC_UNSUPPORTED:
            raise failure(error, "make durable", path) from error


def sync_dir(path: PathLike) -> None:
    """Make the names in a directory durable. Does nothing where directories cannot be opened."""
    if os.name == "nt":
        return
    with explained("open", path):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _CLOEXEC)
    try:
        sync_file(fd, path)
    finally:
        os.close(fd)


def publish(temp: PathLike, final: PathLike, *, replace: bool = False) -> bool:
    """Give a finished temporary file its name; return False if the name was already taken.

    With ``replace`` an existing file is replaced in one step. Without it the existing file stays
    and the temporary one is removed: immutable files are named by their content, so the two are
    equal. The caller syncs the file before and the directory after.
    """
    step("rename")
    with explained("write", final):
        if replace or os.name == "nt":
            if not replace and os.path.exists(final):
                os.unlink(temp)
                return False
            os.replace(temp, final)
            return True
        try:
            os.link(temp, final)
        except FileExistsError:
            os.unlink(temp)
            return False
        except OSError:
            # Some file systems have no hard links (exFAT, some network mounts).
            if os.path.exists(final):
                os.unlink(temp)
                return False
            os.rename(temp, final)
            return True
        os.unlink(temp)
        return True


def write_atomic(
    path: PathLike,
    data: bytes,
    *,
    mode: int = 0o666,
    durable: bool = True,
    replace: bool = True,
) -> bool:
    """Create or replace a small file so that a crash leaves the old or the new one, never a mix.

    Returns False when ``replace`` is off and the name was taken. An existing file's permission
    bits are kept. With ``durable`` the new content survives a power cut once this returns.
    """
    final = os.fsdecode(path)
    directory = os.path.dirname(final) or "."
    fd, temp = create_temp(directory, mode=mode)
    try:
        write_all(fd, data, final)
        if replace and hasattr(os, "fchmod"):
            with contextlib.suppress(OSError):
                os.fchmod(fd, stat.S_IMODE(os.stat(final, follow_symlinks=False).st_mode))
        if durable:
            sync_file(fd, final)
        os.close(fd)
        fd = -1
        placed = publish(temp, final, replace=replace)
        temp = ""
        if durable:
            sync_dir(directory)
        return placed
    finally:
        if fd >= 0:
            os.close(fd)
        if temp:
            with contextlib.suppress(OSError):
                os.unlink(temp)


def make_dirs(path: PathLike, *, mode: int = 0o777) -> None:
    """Create a directory and its parents, each durable in its parent; existing ones are fine."""
    text = os.fsdecode(path)
    missing = []
    while text and not os.path.isdir(text):
        missing.append(text)
        parent = os.path.dirname(text)
        if parent == text:
            break
        text = parent
    for name in reversed(missing):
        step("mkdir")
        with explained("create the directory", name):
            try:
                os.mkdir(name, mode)
            except FileExistsError:
                if not os.path.isdir(name):
                    raise
        sync_dir(os.path.dirname(name) or ".")


def remove(path: PathLike) -> bool:
    """Remove a file; return False if there was none."""
    step("unlink")
    with explained("remove", path):
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
    return True


class Lock:
    """An advisory lock on a file, shared or exclusive, freed by the kernel when the holder dies.

    The file is never deleted, since deleting a lock file races with its next taker. It carries
    the process id and command of the last exclusive holder, for messages only.
    """

    def __init__(self, path: Path, *, exclusive: bool, timeout: float = 60.0) -> None:
        self.path = path
        self.exclusive = exclusive
        self.timeout = timeout
        self._fd = -1

    def __enter__(self) -> Lock:
        make_dirs(self.path.parent)
        with explained("open the lock", self.path):
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | _CLOEXEC, 0o666)
        deadline = clock.monotonic() + self.timeout
        wait = 0.01
        while not _try_lock(self._fd, self.exclusive):
            if clock.monotonic() >= deadline:
                holder = self._holder()
                os.close(self._fd)
                self._fd = -1
                raise LockedError(
                    f"{show(self.path)} is locked{holder}",
                    hint="wait for the other command to end, then run this one again",
                )
            clock.sleep(wait)
            wait = min(wait * 2, 0.5)
        if self.exclusive:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
                os.pwrite(self._fd, f"{os.getpid()} {' '.join(sys.argv[:3])}\n".encode(), 0)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _holder(self) -> str:
        try:
            text = os.pread(self._fd, 200, 0).decode(errors="replace").strip()
        except OSError:
            return ""
        return f" (last held by process {text})" if text else ""


if os.name == "nt":

    def _try_lock(fd: int, exclusive: bool) -> bool:
        import msvcrt

        os.lseek(fd, 1 << 20, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True

else:

    def _try_lock(fd: int, exclusive: bool) -> bool:
        import fcntl

        try:
            fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _SYNC_UNSUPPORTED or error.errno == errno.ENOLCK:
                return True
            raise
        return True
