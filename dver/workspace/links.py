"""Link modes: a cache of whole files, out of which a checkout reflinks, hardlinks or symlinks.

The cache lies in ``<store>/links/<2 hex>/<62 hex>``, with ``-x`` added for executables. It only
repeats what the packs hold, so any file in it may be deleted at any time. Files in it are
read-only, and were verified when they were written.

A hardlinked file can still be edited by whoever makes it writable, and that would change the
cache and every other workspace that shares it. So each cache file carries a stamp: the nanoseconds
of its mtime are a hash of its oid and the seconds. Writing to the file moves the mtime, and the
stamp is gone; such a file is never used again, and never deleted either, since it may be somebody's
only copy of the edit.

A failing disk changes bytes and no stamp, so a file is hashed once more before a checkout makes
another name for it. One that is not what it was is moved to the store's ``quarantine/``, and the
cache is filled anew from the packs.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from dver.base import clock, fsio
from dver.base.dataclass import dataclass
from dver.base.errors import DverError, SystemFailure
from dver.base.oid import Hasher, Oid, finish, oid_of
from dver.base.osat import DIRECTORY, NATIVE, fchmod
from dver.formats.kinds import EXECUTABLE, FILE
from dver.formats.statindex import NO_OID, Buffer
from dver.workspace.stamp import SECOND, stamp_of

LinkMode = Literal["copy", "reflink", "hardlink", "symlink"]
LINK_MODES: tuple[LinkMode, ...] = ("copy", "reflink", "hardlink", "symlink")

_NAME = rb"/([0-9a-f]{2})/([0-9a-f]{62})(-x)?"
#: Larger files are hashed in pieces of so many bytes.
_WINDOW = 1 << 20
# From <linux/fs.h>: _IOW(0x94, 9, int).
_FICLONE = 0x40049409
_NO_LINK = {
    errno.EXDEV,
    errno.EMLINK,
    errno.EPERM,
    errno.EACCES,
    errno.EINVAL,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.ENOTTY,
    errno.ENOENT,
}


@dataclass(frozen=True, slots=True)
class Linked:
    """The file that a symlink into the cache stands for; ``oid`` is NO_OID if it is unusable."""

    kind: int
    size: int
    oid: Oid


class LinkCache:
    """The cache of whole files beside the packs of one local store."""

    def __init__(self, store_directory: str | bytes) -> None:
        self._store = os.path.realpath(os.fsencode(store_directory))
        self.directory = os.path.join(self._store, b"links")
        self._verified: set[bytes] = set()

    def path(self, oid: Oid, *, executable: bool) -> bytes:
        """Return where the cache keeps a file's content."""
        text = oid.hex().encode()
        return b"%b/%b/%b%b" % (self.directory, text[:2], text[2:], b"-x" if executable else b"")

    def find(self, oid: Oid, size: int, *, executable: bool) -> bytes | None:
        """Return the path of a usable cache file, or None if there is none.

        It is hashed, once for each of these objects; a damaged one is moved out of the way.
        """
        path = self.path(oid, executable=executable)
        try:
            found = os.lstat(path)
            if not _intact(found, oid, executable):
                return None
            sound = path in self._verified or is_content(path, oid)
        except OSError:
            return None
        if not sound:
            self.set_aside(path)
            return None
        self._verified.add(path)
        return path if found.st_size == size else None

    def _find(self, oid: Oid, size: int, *, executable: bool) -> bytes | None:
        path = self.path(oid, executable=executable)
        try:
            found = os.lstat(path)
        except OSError:
            return None
        return path if found.st_size == size and _intact(found, oid, executable) else None

    def key(self, path: bytes) -> str:
        """Return the key of a cache file in its store."""
        return os.fsdecode(os.path.relpath(path, self._store)).replace(os.sep, "/")

    def set_aside(self, path: bytes) -> str | None:
        """Move a cache file to the store's quarantine; return its key there, None if it stays."""
        from dver.store import quarantine

        try:
            return quarantine.set_aside(os.fsdecode(self._store), self.key(path))
        except SystemFailure:
            return None

    def damaged(self) -> Iterator[tuple[bytes, Oid]]:
        """Yield (path, oid) of files that have their stamp and are not what they should be.

        Reads all of them. A file that somebody edited has no stamp, and is not told.
        """
        for path, _, intact in self.files():
            match = re.fullmatch(_NAME, path[len(self.directory) :])
            if intact and match is not None:
                oid = Oid(bytes.fromhex((match[1] + match[2]).decode()))
                with contextlib.suppress(FileNotFoundError):
                    if not is_content(path, oid):
                        yield path, oid

    def fill(
        self, oid: Oid, size: int, pieces: Iterable[Buffer], *, executable: bool
    ) -> bytes | None:
        """Write verified content to the cache and return its path.

        Returns None if that cannot be: the file is there but spoilt, belongs to somebody else, or
        the file system does not keep nanoseconds. ``pieces`` raises CorruptError at its end if
        the content is not that of ``oid``, and then nothing is kept.
        """
        path = self.path(oid, executable=executable)
        if os.path.lexists(path):
            return self._find(oid, size, executable=executable)
        fd, temp = fsio.create_temp(os.path.dirname(path))
        try:
            for piece in pieces:
                fsio.write_all(fd, piece, path)
            fchmod(fd, 0o555 if executable else 0o444)
            now = clock.now_ns() // SECOND
            when = now * SECOND + stamp_of(oid, now)
            os.utime(fd, ns=(when, when))
            kept = _intact(os.fstat(fd), oid, executable)
        except BaseException:
            os.close(fd)
            os.unlink(temp)
            raise
        os.close(fd)
        if not kept:
            os.unlink(temp)
            return None
        # Not synced: after a power cut a file without its bytes is also without its length.
        fsio.publish(temp, path)
        self._verified.add(path)
        return self._find(oid, size, executable=executable)

    def resolve(self, target: bytes) -> Linked | None:
        """Return what a symlink with that text stands for, or None if it leads elsewhere."""
        if not target.startswith(self.directory):
            return None
        match = re.fullmatch(_NAME, target[len(self.directory) :])
        if match is None:
            return None
        oid = Oid(bytes.fromhex((match[1] + match[2]).decode()))
        executable = match[3] is not None
        kind = EXECUTABLE if executable else FILE
        try:
            found = os.lstat(target)
        except OSError:
            return Linked(kind, 0, NO_OID)
        return Linked(kind, found.st_size, oid if _intact(found, oid, executable) else NO_OID)

    def files(self) -> Iterator[tuple[bytes, int, bool]]:
        """Yield (path, size in bytes, whether it is intact) of every file in the cache."""
        for part in _listed(self.directory):
            for name in _listed(os.path.join(self.directory, part)):
                path = os.path.join(self.directory, part, name)
                match = re.fullmatch(_NAME, b"/%b/%b" % (part, name))
                if match is not None:
                    oid = Oid(bytes.fromhex((match[1] + match[2]).decode()))
                    with contextlib.suppress(FileNotFoundError):
                        found = os.lstat(path)
                        yield path, found.st_size, _intact(found, oid, match[3] is not None)

    def drop(
        self, oid: Oid, *, only_unused: bool = False, dry_run: bool = False
    ) -> Iterator[tuple[bytes, int, bool]]:
        """Delete an object's files; yield (path, size in bytes, whether it went) of each.

        One that somebody edited stays, since it may be the only copy of the edit. With
        ``only_unused`` one that has another name, in a workspace, stays as well.
        """
        for executable in (False, True):
            path = self.path(oid, executable=executable)
            try:
                found = os.lstat(path)
            except OSError:
                continue
            gone = _intact(found, oid, executable) and not (only_unused and found.st_nlink > 1)
            if gone and not dry_run:
                fsio.remove(path)
            yield path, found.st_size, gone


def is_content(path: bytes, oid: Oid) -> bool:
    """Say whether a file of the cache holds an object. Raises OSError."""
    with open(path, "rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size <= _WINDOW:
            return oid_of(file.read()) == oid
        # What is mapped instead would all count as this process's memory, and would kill it if
        # somebody made the file shorter meanwhile. More cores do not help: the copy takes longer.
        hasher = Hasher()
        with mmap.mmap(-1, _WINDOW) as window, memoryview(window) as view:
            while count := file.readinto(view):
                hasher.update(view[:count])
        return finish(hasher) == oid


def place_link(mode: LinkMode, source: bytes, dir_fd: int, name: bytes, file_mode: int) -> bool:
    """Make a new name in a directory for the content of a cache file.

    Returns False, with nothing made, if that mode does not work between the two places. A name
    that is taken raises FileExistsError.
    """
    if not NATIVE:
        # A read-only file cannot be replaced on Windows, and it is so under all of its names.
        return False
    fsio.step("link")
    try:
        if mode == "symlink":
            os.symlink(source, name, dir_fd=dir_fd)
        elif mode == "hardlink":
            os.link(source, name, dst_dir_fd=dir_fd, follow_symlinks=False)
        else:
            _reflink(source, dir_fd, name, file_mode)
    except OSError as error:
        if error.errno in _NO_LINK:
            return False
        raise
    return True


def _reflink(source: bytes, dir_fd: int, name: bytes, file_mode: int) -> None:
    if sys.platform == "linux":
        import fcntl

        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | fsio.OPEN_FLAGS
        source_fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | fsio.OPEN_FLAGS)
        try:
            fd = os.open(name, flags, file_mode, dir_fd=dir_fd)
            try:
                fcntl.ioctl(fd, _FICLONE, source_fd)
            except OSError:
                os.unlink(name, dir_fd=dir_fd)
                raise
            finally:
                os.close(fd)
        finally:
            os.close(source_fd)
    else:
        raise OSError(errno.ENOTSUP, "reflinks are made on Linux only")


def probe_link_modes(directory: bytes, store_directory: bytes) -> list[LinkMode]:
    """Return the link modes that work from a store into a directory, found by trying each.

    "copy" always does. Two temporary files are made and removed.
    """
    working: list[LinkMode] = ["copy"]
    if not NATIVE:
        return working
    try:
        fd, source = fsio.create_temp(store_directory)
    except DverError:
        return working
    try:
        with contextlib.suppress(OSError):
            os.write(fd, b"dver")
        os.close(fd)
        working += [mode for mode in LINK_MODES[1:] if _works(mode, source, directory)]
    finally:
        with contextlib.suppress(OSError):
            os.unlink(source)
    return working


def _works(mode: LinkMode, made: str, directory: bytes) -> bool:
    source = os.path.abspath(os.fsencode(made))
    name = os.path.basename(source) + mode.encode()
    try:
        dir_fd = os.open(directory, os.O_RDONLY | DIRECTORY | fsio.OPEN_FLAGS)
    except OSError:
        return False
    try:
        if not place_link(mode, source, dir_fd, name, 0o600):
            return False
        os.unlink(name, dir_fd=dir_fd)
    except OSError:
        return False
    finally:
        os.close(dir_fd)
    return True


def usable_modes(wanted: Sequence[LinkMode], working: Sequence[LinkMode]) -> list[LinkMode]:
    """Return the wanted modes that work, in order of preference, with copy at the end."""
    modes: list[LinkMode] = []
    for mode in wanted:
        if mode == "copy":
            break
        if mode in working:
            modes.append(mode)
    return [*modes, "copy"]


def _intact(found: os.stat_result, oid: Oid, executable: bool) -> bool:
    seconds, fraction = divmod(found.st_mtime_ns, SECOND)
    return (
        stat.S_ISREG(found.st_mode)
        and stat.S_IMODE(found.st_mode) == (0o555 if executable else 0o444)
        and (not hasattr(os, "geteuid") or found.st_uid == os.geteuid())
        and seconds >= 0
        and fraction == stamp_of(oid, seconds)
    )


def _listed(directory: bytes) -> list[bytes]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
