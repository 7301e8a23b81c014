"""Writing verified content into the workspace, one directory at a time.

This is what runs in the worker processes of a checkout. Every file is written under a temporary
name, or into a directory that nobody sees yet, and gets its name only when its bytes were verified.
Existing files are replaced by renaming, never written into: they may be hardlinks.
"""

from __future__ import annotations

import contextlib
import os
import struct
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, DverError, RefusedError, SystemFailure
from dver.base.fsio import OPEN_FLAGS, TEMP_PREFIX
from dver.base.oid import OID_SIZE, Oid
from dver.base.osat import NATIVE, NOFOLLOW, osat
from dver.base.quoting import show
from dver.formats.statindex import NO_ROW, ROW_SIZE, STAT_FIELDS, Buffer
from dver.formats.tree import EXECUTABLE
from dver.store.store import Store
from dver.store.walk import join
from dver.store.windows import OtherCopyNeeded, copy_content, windows
from dver.workspace.links import LinkCache, LinkMode, place_link
from dver.workspace.reading import read_small
from dver.workspace.safedir import SafeRoot
from dver.workspace.state import CTIME, Row, stat_row

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS | NOFOLLOW
#: Content up to this length (bytes) is read whole, anything longer in pieces.
_WHOLE = 1 << 20

_put_row = struct.Struct(f"={STAT_FIELDS}Q").pack_into

#: A ctime that no file has, so that its row is never trusted.
_NEVER = (1 << 64) - 1

#: (position in the job, name of the error's class, message)
Failure = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class Group:
    """Files to write into one directory, by column; see :class:`~dver.workspace.plan.Batch`.

    ``directory`` is where to write now, which may be inside a temporary directory; ``path`` is
    where it will be, for messages. Both are relative to the root.
    """

    directory: bytes
    names: Sequence[bytes]
    kinds: bytes
    sizes: array[int]
    oids: bytes
    replaces: Sequence[Row | None] | None
    path: bytes

    def shown(self, i: int) -> bytes:
        """Return the path of the i-th file, for messages."""
        return join(self.path, self.names[i])

    def pack(self) -> tuple[object, ...]:
        """Return the group as values that can travel between processes."""
        names = b"\0".join(self.names)
        replaces = None if self.replaces is None else list(self.replaces)
        sizes = self.sizes.tobytes()
        return self.directory, names, self.kinds, sizes, self.oids, replaces, self.path

    def oid(self, i: int) -> Oid:
        """Return the oid of the i-th file."""
        return Oid(self.oids[i * OID_SIZE : (i + 1) * OID_SIZE])

    @classmethod
    def unpack(cls, packed: tuple[Any, ...]) -> Group:
        """Return the group of packed values."""
        directory, names, kinds, sizes, oids, replaces, path = packed
        return cls(directory, names.split(b"\0"), kinds, array("Q", sizes), oids, replaces, path)


class GroupWriter:
    """Writes groups of files below one root, out of one store."""

    def __init__(self, root: SafeRoot, store: Store, modes: Sequence[LinkMode]) -> None:
        self._root = root
        self._store = store
        self._modes = [mode for mode in modes if mode != "copy"]
        self._cache = LinkCache(store.local_directory()) if self._modes else None

    def __call__(self, group: Group) -> tuple[bytes, list[Failure]]:
        """Write a group; return 40 bytes of stat row per file, zeros for those that failed.

        A full disk or the like ends all work and raises SystemFailure; what concerns one file
        only is returned as a failure.
        """
        count = len(group.names)
        try:
            dir_fd = self._root.open(group.directory)
        except (DverError, OSError) as error:
            kind, message = describe(error, group.directory)
            return NO_ROW * count, [(i, kind, message) for i in range(count)]
        rows = bytearray(NO_ROW * count)
        failures: list[Failure] = []
        put = self._write if group.replaces is None else self._replace
        for i, content in self._contents(group):
            try:
                row = put(dir_fd, group, i, content)
            except (DverError, OSError) as error:
                path = group.shown(i)
                _give_up_if_hopeless(error, path)
                failures.append((i, *describe(error, path)))
            else:
                _put_row(rows, i * ROW_SIZE, *row)
        return bytes(rows), failures

    def _contents(self, group: Group) -> Iterator[tuple[int, Buffer | None]]:
        if self._modes:
            return ((i, None) for i in range(len(group.names)))
        return read_small(self._store, [group.oid(i) for i in range(len(group.names))])

    def _write(self, dir_fd: int, group: Group, i: int, content: Buffer | None) -> Row:
        """Create a new file and return its stat row."""
        name = group.names[i]
        if content is not None and len(content) == group.sizes[i]:
            return _write_whole(dir_fd, group, i, content)
        if self._modes and self._link(dir_fd, name, group, i):
            return stat_row(osat.stat(name, dir_fd=dir_fd, follow_symlinks=False))
        fd = self._copy(dir_fd, name, group, i, content)
        try:
            row = stat_row(os.fstat(fd))
        finally:
            os.close(fd)
        return row if NATIVE else _closed_row(dir_fd, name)

    def _replace(self, dir_fd: int, group: Group, i: int, content: Buffer | None) -> Row:
        """Give a name to a new file, if the name still has what was planned for."""
        name = group.names[i]
        old = group.replaces[i] if group.replaces is not None else None
        temp = TEMP_PREFIX.encode() + os.urandom(8).hex().encode()
        fd = -1
        try:
            if self._modes and self._link(dir_fd, temp, group, i):
                check_unchanged(dir_fd, name, old)
                _rename(dir_fd, temp, name)
                return stat_row(osat.stat(name, dir_fd=dir_fd, follow_symlinks=False))
            fd = self._copy(dir_fd, temp, group, i, content)
            before = stat_row(os.fstat(fd))
            check_unchanged(dir_fd, name, old)
            if not NATIVE:  # an open file has to keep its name there
                os.close(fd)
                fd = -1
            _rename(dir_fd, temp, name)
            # Renaming moves the ctime; anything else that moved was not done here.
            after = stat_row(os.fstat(fd)) if NATIVE else _closed_row(dir_fd, name)
            return after if before[:CTIME] == after[:CTIME] else (*after[:CTIME], _NEVER)
        finally:
            if fd >= 0:
                os.close(fd)
            # Two hardlinks of one file are not renamed over each other, and an error leaves it.
            with contextlib.suppress(OSError):
                osat.unlink(temp, dir_fd=dir_fd)

    def _link(self, dir_fd: int, name: bytes, group: Group, i: int) -> bool:
        cache, oid, executable = self._cache, group.oid(i), group.kinds[i] == EXECUTABLE
        if cache is None:
            return False
        size = group.sizes[i]
        source = cache.find(oid, size, executable=executable)
        if source is None:
            try:
                pieces = windows(self._store, oid)
                source = cache.fill(oid, size, pieces, executable=executable)
            except OtherCopyNeeded:
                source = cache.fill(oid, size, self._store.stream(oid), executable=executable)
        if source is None:
            return False
        file_mode = 0o777 if executable else 0o666
        return any(place_link(mode, source, dir_fd, name, file_mode) for mode in self._modes)

    def _copy(self, dir_fd: int, name: bytes, group: Group, i: int, content: Buffer | None) -> int:
        """Create a file with verified content; return a descriptor of it. A failure leaves none."""
        size = group.sizes[i]
        if content is None and size <= _WHOLE:
            content = self._store.read(group.oid(i), limit=_WHOLE)
        if content is not None and len(content) != size:
            raise _wrong_size(group.oid(i), size)
        fsio.step("create")
        mode = 0o777 if group.kinds[i] == EXECUTABLE else 0o666
        fd = osat.open(name, _CREATE, mode, dir_fd=dir_fd)
        try:
            if content is not None:
                fsio.write_all(fd, content, group.shown(i))
            else:
                copy_content(self._store, group.oid(i), size, fd, group.shown(i))
        except BaseException:
            os.close(fd)
            with contextlib.suppress(OSError):
                osat.unlink(name, dir_fd=dir_fd)
            raise
        return fd


def _write_whole(dir_fd: int, group: Group, i: int, content: Buffer) -> Row:
    """Do what ``_copy`` does in fewer steps: nearly all files of a checkout go this way."""
    name = group.names[i]
    fsio.step("create")
    mode = 0o777 if group.kinds[i] == EXECUTABLE else 0o666
    fd = osat.open(name, _CREATE, mode, dir_fd=dir_fd)
    try:
        try:
            fsio.write_all(fd, content, name)
            row = stat_row(os.fstat(fd))
        finally:
            os.close(fd)
    except BaseException as error:
        with contextlib.suppress(OSError):
            osat.unlink(name, dir_fd=dir_fd)
        if isinstance(error, SystemFailure) and isinstance(error.__cause__, OSError):
            raise fsio.failure(error.__cause__, "write", group.shown(i)) from error.__cause__
        raise
    return row if NATIVE else _closed_row(dir_fd, name)


def _closed_row(dir_fd: int, name: bytes) -> Row:
    """Return the stat row of a file that was written and closed: on Windows closing moves times."""
    return stat_row(osat.stat(name, dir_fd=dir_fd, follow_symlinks=False))


def check_unchanged(dir_fd: int, name: bytes, expected: Row | None) -> None:
    """Raise RefusedError unless a name still has the planned stat row, or nothing for None."""
    try:
        found = stat_row(osat.stat(name, dir_fd=dir_fd, follow_symlinks=False))
    except FileNotFoundError:
        return
    # A hardlink's ctime moves with every other name that is made for the file.
    if expected is not None and found[:CTIME] == expected[:CTIME]:
        return
    raise RefusedError("it changed during the checkout")


def _rename(dir_fd: int, temp: bytes, name: bytes) -> None:
    fsio.step("rename")
    osat.rename(temp, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)


def _wrong_size(oid: Oid, size: int) -> CorruptError:
    return CorruptError(f"the object {oid.hex()} is not {size} bytes long, as its tree says")


def _give_up_if_hopeless(error: Exception, path: bytes) -> None:
    """Raise what would befall every other file too, such as a full disk."""
    import errno

    cause = error.__cause__ if isinstance(error, SystemFailure) else error
    number = cause.errno if isinstance(cause, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE):
        if isinstance(error, OSError):
            raise fsio.failure(error, "write", path) from error
        raise error


def describe(error: Exception, name: bytes) -> tuple[str, str]:
    """Return the class name and the message of the error that tells what happened to a name."""
    if isinstance(error, FileExistsError):
        error = RefusedError("something else took its name during the checkout")
    elif isinstance(error, OSError):
        error = fsio.failure(error, "write", name)
    message = error.message if isinstance(error, DverError) else str(error)
    return type(error).__name__, message


def write_job(
    write: GroupWriter, job: tuple[int, list[tuple[Any, ...]]]
) -> tuple[bytes, list[Failure]]:
    """Write the groups of a job; positions of failures count over all of them."""
    rows: list[bytes] = []
    failures: list[Failure] = []
    done = 0
    for packed in job[1]:
        group = Group.unpack(packed)
        got, failed = write(group)
        rows.append(got)
        failures += [(done + i, kind, message) for i, kind, message in failed]
        done += len(group.names)
    return b"".join(rows), failures


class Worker:
    """What a worker process runs: a group writer of its own over the root and the store."""

    def __init__(self, setup: tuple[bytes, tuple[int, int], str, list[LinkMode]]) -> None:
        from dver.storage.local import LocalStorage

        root, identity, store_directory, modes = setup
        self._root = SafeRoot(root)
        if self._root.identity() != identity:
            self._root.close()
            raise RefusedError(f"{show(root)} was replaced during the checkout")
        self._write = GroupWriter(self._root, Store.open(LocalStorage(store_directory)), modes)

    def __call__(self, job: tuple[int, list[tuple[Any, ...]]]) -> tuple[bytes, list[Failure]]:
        """Write the groups of a job; see :func:`write_job`."""
        return write_job(self._write, job)

    def close(self) -> None:
        """Release the root."""
        self._root.close()
