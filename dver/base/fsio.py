"""Every write, fsync and rename on a local disk passes through here.

The order that makes a file durable is: write a temporary file in the same directory, fsync it,
rename it into place, fsync the directory. :func:`write_atomic` does all four for a small file;
large writers use :func:`create_temp`, :func:`sync_file`, :func:`publish` and :func:`sync_dir` so
that many files can share one directory sync.

What the system refuses is a SystemFailure that names the path and the cause.

Each of these steps calls :func:`step` first. That numbers the instants at which a crash leaves
something different on disk, and lets a test stop the process at any one of them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

from dver.base.errors import SystemFailure
from dver.base.osat import DIRECTORY, NATIVE, fchmod, osat
from dver.base.quoting import PathLike, show

TEMP_PREFIX = ".dver-tmp-"

#: What every ``os.open`` adds: not inherited by child processes, and binary on Windows.
OPEN_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

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
    number = error.errno
    text, hint = _REASONS.get(number or 0) or (
        os.strerror(number).lower() if number else str(error) or type(error).__name__,
        None,
    )
    return SystemFailure(f"cannot {doing} {show(path)}: {text}", hint=hint)


@contextlib.contextmanager
def explained(doing: str, path: PathLike) -> Iterator[None]:
    """Turn an OSError in the block into :class:`SystemFailure` about that path."""
    try:
        yield
    except OSError as error:
        raise failure(error, doing, path) from error


def symlink_above(
    root: bytes, path: bytes, seen: dict[bytes, bytes | None] | None = None
) -> bytes | None:
    """Return the first directory on the way from ``root`` to a relative path that is a symlink.

    None if none is. The path itself is not looked at. ``seen`` keeps what was found, for many
    paths at once.
    """
    parent = path.rpartition(b"/")[0]
    if not parent:
        return None
    if seen is not None and parent in seen:
        return seen[parent]
    found = symlink_above(root, parent, seen)
    if found is None and os.path.islink(os.path.join(root, parent)):
        found = parent
    if seen is not None:
        seen[parent] = found
    return found


def create_temp(directory: PathLike, *, mode: int = 0o666) -> tuple[int, str]:
    """Create a new empty file in a directory and return (descriptor open for read/write, path).

    ``mode`` is subject to the umask, but for what a group shares: see :func:`shared_bits`. The
    directory is created when it is missing.
    """
    base = os.fsdecode(directory) or "."
    attempts = 0
    while True:
        path = os.path.join(base, TEMP_PREFIX + os.urandom(8).hex())
        step("create")
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | OPEN_FLAGS, mode)
        except OSError as error:
            # A taken name is next to impossible; a directory may go between the two calls, or
            # be a deleted one that still answers. Neither may become an endless loop.
            attempts += 1
            if attempts == _ATTEMPTS or not isinstance(error, (FileExistsError, FileNotFoundError)):
                raise failure(error, "create a file in", base) from error
        else:
            share(fd, base, mode)
            return fd, path
        make_dirs(base)


_ATTEMPTS = 10


def shared_bits(directory: PathLike) -> int:
    """Return the mode bits that whatever is made in a directory owes to its group, 0 for none.

    They are those of a directory that hands its group on (setgid) and lets the group write: what
    one account makes there is to be of use to the others, whatever that account's umask is.
    """
    try:
        mode = os.stat(directory).st_mode
    except OSError:
        return 0
    wanted = stat.S_ISGID | stat.S_IWGRP
    return mode & (stat.S_ISGID | stat.S_IRWXG) if mode & wanted == wanted else 0


def share(fd: int, directory: PathLike, mode: int) -> None:
    """Give a new file the rights of the group that ``mode`` has, if its directory is shared."""
    wanted = shared_bits(directory) & mode & (stat.S_IRGRP | stat.S_IWGRP)
    if wanted:
        with contextlib.suppress(OSError):
            found = os.fstat(fd).st_mode
            if found & wanted != wanted:
                fchmod(fd, stat.S_IMODE(found) | wanted)


def write_all(fd: int, data: bytes | bytearray | memoryview, path: PathLike) -> None:
    """Write all of ``data`` at the descriptor's position."""
    step("write")
    try:
        written = os.write(fd, data) if data else 0
        if written == len(data):
            return
        view = memoryview(data).cast("B")[written:]
        while view:
            view = view[os.write(fd, view) :]
    except OSError as error:
        raise failure(error, "write", path) from error


def open_to_append(path: PathLike) -> int:
    """Open an existing file for reading and appending, never through a symlink. Raises OSError."""
    return os.open(path, os.O_RDWR | os.O_APPEND | OPEN_FLAGS | getattr(os, "O_NOFOLLOW", 0))


#: So many pieces are written at once; systems take 1,024 at most (IOV_MAX).
_PIECES = 512


def write_pieces(fd: int, pieces: Sequence[bytes | bytearray | memoryview], path: PathLike) -> None:
    """Write the pieces one after the other at the descriptor's position, without joining them."""
    if not hasattr(os, "writev"):
        write_all(fd, b"".join(pieces), path)
        return
    step("write")
    try:
        for first in range(0, len(pieces), _PIECES):
            some = pieces[first : first + _PIECES]
            written = os.writev(fd, some)
            if written != sum(map(len, some)):
                rest = memoryview(b"".join(some))[written:]
                while rest:
                    rest = rest[os.write(fd, rest) :]
    except OSError as error:
        raise failure(error, "write", path) from error


if sys.platform != "win32":
    pread = os.pread
else:
    _seeking = threading.Lock()

    def pread(fd: int, length: int, offset: int, /) -> bytes:
        """Read at an offset without using the descriptor's own position."""
        with _seeking:
            os.lseek(fd, offset, os.SEEK_SET)
            return os.read(fd, length)


def read_into(fd: int, buffers: Sequence[bytearray | memoryview], offset: int) -> int:
    """Fill buffers one after the other from an offset on; return how many bytes were read."""
    if hasattr(os, "preadv"):
        count: int = os.preadv(fd, buffers, offset)
        return count
    data = memoryview(pread(fd, sum(map(len, buffers)), offset))
    at = 0
    for part in buffers:
        piece = data[at : at + len(part)]
        memoryview(part)[: len(piece)] = piece
        at += len(part)
    return len(data)


def buffer(size: int) -> memoryview:
    """Return zeroed memory that begins with a page, to read large files into again and again.

    The kernel copies a file's pages to it at full speed. To memory that begins a few bytes into a
    page, as a large bytearray does, copying takes five times as long on some processors.
    """
    import mmap

    return memoryview(mmap.mmap(-1, size))


SYNC_UNSUPPORTED = {errno.ENOTSUP, errno.EINVAL, errno.ENOTTY, errno.EOPNOTSUPP}


def sync_file(fd: int, path: PathLike) -> None:
    """Make a file's bytes durable. Mounts that know no fsync are let pass."""
    step("fsync")
    try:
        if sys.platform == "darwin":
            import fcntl

            try:
                fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            except OSError as error:
                # Network mounts know only the plain one. After a true failure a second attempt
                # could succeed without the bytes, so it is not made.
                if error.errno not in SYNC_UNSUPPORTED:
                    raise
                os.fsync(fd)
        elif NATIVE:
            os.fsync(fd)
        else:
            _sync_written(fd, path)
    except OSError as error:
        if error.errno not in SYNC_UNSUPPORTED:
            raise failure(error, "make durable", path) from error


def _sync_written(fd: int, path: PathLike) -> None:
    """Sync a file on Windows, where its descriptor must be open for writing."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        again = os.open(path, os.O_RDWR | OPEN_FLAGS)
        try:
            os.fsync(again)
        finally:
            os.close(again)


def sync_dir(path: PathLike) -> None:
    """Make the names in a directory durable. Does nothing where directories cannot be opened."""
    if os.name == "nt":
        return
    with explained("open", path):
        fd = os.open(path, os.O_RDONLY | DIRECTORY | OPEN_FLAGS)
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
        if replace:
            osat.replace(temp, final)
            return True
        if not NATIVE:
            return _publish_new(temp, final)
        try:
            os.link(temp, final)
        except OSError as error:
            # Some file systems have no hard links (exFAT, some network mounts).
            if not isinstance(error, FileExistsError) and not os.path.lexists(final):
                os.rename(temp, final)
                return True
            placed = False
        else:
            placed = True
        step("unlink")
        os.unlink(temp)
        return placed


def _publish_new(temp: PathLike, final: PathLike) -> bool:
    """Publish on Windows, where a rename leaves alone what is there."""
    from dver.base.pathwise import rename_new

    try:
        rename_new(os.fspath(temp), os.fspath(final))
    except FileExistsError:
        osat.unlink(temp)
        return False
    return True


def write_atomic(
    path: PathLike,
    data: bytes | Sequence[bytes | bytearray | memoryview],
    *,
    mode: int = 0o666,
    durable: bool = True,
    replace: bool = True,
) -> bool:
    """Create or replace a small file so that a crash leaves the old or the new one, never a mix.

    ``data`` may be pieces, which are not joined in memory.

    Returns False when ``replace`` is off and the name was taken. An existing file's permission
    bits are kept; a symbolic link is itself replaced, never written through. With ``durable`` the
    new content survives a power cut once this returns.
    """
    final = os.fsdecode(path)
    directory = os.path.dirname(final) or "."
    fd, temp = create_temp(directory, mode=mode)
    try:
        if isinstance(data, bytes):
            write_all(fd, data, final)
        else:
            write_pieces(fd, data, final)
        if replace and hasattr(os, "fchmod"):
            with contextlib.suppress(OSError):
                old = os.stat(final, follow_symlinks=False).st_mode
                if stat.S_ISREG(old):
                    os.fchmod(fd, old & 0o777)
        if durable:
            sync_file(fd, final)
        closing, fd = fd, -1
        with explained("write", final):
            os.close(closing)
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
                osat.unlink(temp)


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
                bits = shared_bits(os.path.dirname(name) or ".")
                if bits:
                    os.chmod(name, stat.S_IMODE(os.stat(name).st_mode) | bits)
            except FileExistsError:
                if not os.path.isdir(name):
                    raise
        sync_dir(os.path.dirname(name) or ".")


def remove(path: PathLike) -> bool:
    """Remove a file; return False if there was none."""
    step("unlink")
    with explained("remove", path):
        try:
            osat.unlink(path)
        except FileNotFoundError:
            return False
    return True
