"""New directories: filled under a temporary name beside their place, then renamed into it."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys

from dver.base import clock, fsio
from dver.base.dataclass import dataclass
from dver.base.errors import DverError, RefusedError
from dver.base.osat import NATIVE, OPEN_DIR, osat
from dver.store.walk import join
from dver.workspace.plan import NewDirectory
from dver.workspace.safedir import SafeRoot, remove_tree, split
from dver.workspace.writing import check_unchanged

_TEMP = fsio.TEMP_PREFIX.encode()
_LEFTOVER = re.compile(re.escape(_TEMP) + rb"[0-9a-f]{16}")
#: A temporary file older than this belongs to no running command.
_STALE_NS = 3600 * 1_000_000_000


@dataclass(slots=True)
class Staged:
    """A new directory under its temporary name; ``fd`` holds a lock that tells it is in use."""

    new: NewDirectory
    temp: bytes
    fd: int

    def actual(self, path: bytes) -> bytes:
        """Return where a path of the new directory is for now."""
        return self.temp + path[len(self.new.path) :]

    def unlock(self) -> None:
        """Let go of the lock."""
        if self.fd >= 0:
            osat.close(self.fd)
            self.fd = -1


def stage(safe: SafeRoot, new: NewDirectory) -> Staged:
    """Make the directories of a new directory. Raises OSError or RefusedError, leaving nothing."""
    parent, _ = split(new.path)
    temp = _TEMP + os.urandom(8).hex().encode()
    parent_fd = safe.open(parent, make=True)
    fsio.step("mkdir")
    osat.mkdir(temp, dir_fd=parent_fd)
    staged = Staged(new, join(parent, temp), osat.open(temp, OPEN_DIR, dir_fd=parent_fd))
    try:
        _lock(staged.fd)
        for batch in new.batches[1:]:
            directory, name = split(staged.actual(batch.path))
            fsio.step("mkdir")
            osat.mkdir(name, dir_fd=safe.open(directory))
    except BaseException:
        staged.unlock()
        with contextlib.suppress(OSError, DverError):
            discard(safe, staged)
        raise
    return staged


def publish(safe: SafeRoot, staged: Staged) -> None:
    """Rename a filled directory into place. Raises OSError or RefusedError if it is taken."""
    directory, name = split(staged.new.path)
    temp = split(staged.temp)[1]
    parent_fd = safe.open(directory)
    if staged.new.replaced is not None:
        check_unchanged(parent_fd, name, staged.new.replaced)
        fsio.step("unlink")
        with contextlib.suppress(FileNotFoundError):
            osat.unlink(name, dir_fd=parent_fd)
    fsio.step("rename")
    if not NATIVE:  # what is open has to keep its name there
        staged.unlock()
    try:
        # An empty directory gives way; anything else that came meanwhile makes this fail.
        osat.rename(temp, name, src_dir_fd=parent_fd, dst_dir_fd=parent_fd)
    except (FileExistsError, NotADirectoryError) as error:
        raise RefusedError("something else took its name during the checkout") from error
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            raise RefusedError("something else took its name during the checkout") from error
        raise
    safe.forget()


def discard(safe: SafeRoot, staged: Staged) -> None:
    """Remove a directory under its temporary name, with all that is in it."""
    directory, name = split(staged.temp)
    safe.forget()
    if not NATIVE:
        staged.unlock()
    remove_tree(safe.open(directory), name)


def clean_leftovers(safe: SafeRoot, directory: bytes) -> None:
    """Remove what a checkout that was killed left in a directory under temporary names."""
    try:
        dir_fd = safe.open(directory)
        names = [os.fsencode(name) for name in osat.listdir(dir_fd) if name.startswith(".dver")]
    except (OSError, DverError):
        return
    for name in names:
        if _LEFTOVER.fullmatch(name):
            with contextlib.suppress(OSError):
                if _is_stale(dir_fd, name):
                    remove_tree(dir_fd, name)


def _is_stale(dir_fd: int, name: bytes) -> bool:
    found = osat.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        return found.st_mtime_ns < clock.now_ns() - _STALE_NS
    if not NATIVE:
        from dver.base.pathwise import is_pinned

        used = is_pinned(name, dir_fd=dir_fd)
        return found.st_mtime_ns < clock.now_ns() - _STALE_NS if used is None else not used
    fd = osat.open(name, OPEN_DIR, dir_fd=dir_fd)
    try:
        return _lock(fd)
    finally:
        osat.close(fd)


def _lock(fd: int) -> bool:
    if NATIVE and sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True  # a file system without locks
    # Elsewhere the open directory itself tells that it is in use.
    return True
