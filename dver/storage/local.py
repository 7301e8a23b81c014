"""A storage in a local directory, or one that is mounted."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from dver.base import fsio
from dver.base.errors import AlreadyExists, CorruptError, ObjectNotFound, SystemFailure
from dver.base.osat import osat
from dver.base.quoting import show
from dver.base.regular import open_regular
from dver.storage import files
from dver.storage.base import Entry, Facts, Storage, check_key, valid_key

# One read of Linux transfers at most 2 GiB less a page.
_MAX_READ = 1 << 30


class LocalStorage(Storage):
    """Keys are files below ``root``, which is created by the first put.

    A put writes a temporary file beside the final one, syncs it, renames or links it into place,
    and syncs the directory. Where there are no hard links, ``if_absent`` is not atomic.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = os.path.abspath(root)
        self.description = show(self.root)
        self.facts = Facts(conditional_create=True, connections=4, local=True)

    def local_path(self, key: str) -> str:
        """Return the file that holds a key; it need not exist."""
        check_key(key)
        return os.path.join(self.root, *key.split("/"))

    # -- reading --------------------------------------------------------------------------------

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return ``length`` bytes from ``start``, or everything from there on."""
        with self._opened(key) as (fd, path):
            size = os.fstat(fd).st_size
            wanted = size - start if length is None else length
            if start + wanted > size or wanted < 0:
                raise self._short(key, size, start)
            with fsio.explained("read", path):
                return _read(fd, start, wanted, lambda: self._short(key, size, start))

    def get_file(self, key: str, path: Path) -> int:
        """Write a key's bytes to a local file, not synced; return how many there were."""
        with self._opened(key) as (source, _), files.created(path) as target:
            return files.copy(source, target, path)

    @contextlib.contextmanager
    def _opened(self, key: str) -> Iterator[tuple[int, str]]:
        path = self.local_path(key)
        try:
            fd = open_regular(path)
        except (FileNotFoundError, NotADirectoryError, CorruptError) as error:
            raise self._missing(key) from error
        except OSError as error:
            raise fsio.failure(error, "read", path) from error
        try:
            yield fd, path
        finally:
            os.close(fd)

    def _missing(self, key: str) -> ObjectNotFound:
        return ObjectNotFound(f"{key} is not in {self.description}")

    def _short(self, key: str, size: int, start: int) -> CorruptError:
        return CorruptError(
            f"{key} in {self.description} has {size} bytes, and ends before those wanted at {start}"
        )

    def head(self, key: str) -> Entry | None:
        """Return a key's entry, or None if it does not exist."""
        path = self.local_path(key)
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:
                return None
            raise fsio.failure(error, "look up", path) from error
        return _entry(key, found) if stat.S_ISREG(found.st_mode) else None

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield every key that begins with ``prefix``.

        A root that is not there is an error: it may be a disk that is not mounted.
        """
        directory = prefix.rpartition("/")[0]
        if directory:
            check_key(directory)
        if not os.path.isdir(self.root):
            raise SystemFailure(
                f"cannot list {self.description}: there is no such directory",
                hint="mount the disk that holds it, or correct the path",
            )
        yield from self._walk(directory, prefix)

    def _walk(self, directory: str, prefix: str) -> Iterator[Entry]:
        path = os.path.join(self.root, *directory.split("/")) if directory else self.root
        try:
            with os.scandir(path) as found:
                # A name that is replaced meanwhile may be read twice.
                entries = {entry.name: entry for entry in found}
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise fsio.failure(error, "list", path) from error
        for name in sorted(entries):
            key = f"{directory}/{name}" if directory else name
            if name.startswith(fsio.TEMP_PREFIX) or not valid_key(key):
                continue
            entry = entries[name]
            if entry.is_dir(follow_symlinks=False):
                if f"{key}/".startswith(prefix) or prefix.startswith(f"{key}/"):
                    yield from self._walk(key, prefix)
            elif key.startswith(prefix):
                try:
                    status = os.stat(entry.path)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    if error.errno == errno.ELOOP:
                        continue
                    raise fsio.failure(error, "look up", entry.path) from error
                if stat.S_ISREG(status.st_mode):
                    yield _entry(key, status)

    # -- writing --------------------------------------------------------------------------------

    def put(self, key: str, data: bytes | memoryview, *, if_absent: bool = False) -> None:
        """Store bytes under a key; see :class:`~dver.storage.base.Storage`."""
        path = self.local_path(key)
        self._place(key, path, lambda fd: fsio.write_all(fd, data, path), if_absent=if_absent)

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file's bytes under a key, sharing its blocks where that is possible."""
        final = self.local_path(key)
        with fsio.explained("read", path):
            source = os.open(path, os.O_RDONLY | fsio.OPEN_FLAGS)
        try:
            self._place(key, final, lambda fd: _copied(source, fd, final), if_absent=False)
        finally:
            os.close(source)

    def _place(self, key: str, final: str, fill: Callable[[int], None], *, if_absent: bool) -> None:
        directory = os.path.dirname(final)
        fd, temp = fsio.create_temp(directory)
        try:
            try:
                fill(fd)
                fsio.sync_file(fd, final)
            finally:
                # Network file systems may report a failed write only now.
                with fsio.explained("write", final):
                    os.close(fd)
            placed = fsio.publish(temp, final, replace=not if_absent)
        except BaseException:
            with contextlib.suppress(OSError):
                osat.unlink(temp)
            raise
        fsio.sync_dir(directory)
        if not placed:
            raise self._taken(key)

    def _taken(self, key: str) -> AlreadyExists:
        return AlreadyExists(f"{key} is already in {self.description}")

    def delete(self, key: str) -> None:
        """Remove a key; a missing one is fine."""
        path = self.local_path(key)
        if self.head(key) is not None and fsio.remove(path):
            fsio.sync_dir(os.path.dirname(path))


def _copied(source: int, target: int, path: str) -> None:
    files.copy(source, target, path)


def _entry(key: str, found: os.stat_result) -> Entry:
    return Entry(key, found.st_size, found.st_mtime)


def _read(fd: int, start: int, length: int, short: Callable[[], CorruptError]) -> bytes:
    data = fsio.pread(fd, min(length, _MAX_READ), start)
    if len(data) == length:
        return data
    pieces = [data]
    got = len(data)
    while got < length:
        piece = fsio.pread(fd, min(length - got, _MAX_READ), start + got)
        if not piece:
            raise short()
        pieces.append(piece)
        got += len(piece)
    return b"".join(pieces)
