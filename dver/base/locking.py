"""Advisory locks between processes of one machine."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

from dver.base import clock
from dver.base.errors import LockedError
from dver.base.fsio import OPEN_FLAGS, SYNC_UNSUPPORTED, explained, make_dirs, share
from dver.base.quoting import show

#: After so many seconds of waiting it is told.
_PATIENCE = 2.0
#: So many holders are named.
_SHOWN = 3
_tell: Callable[[str], None] | None = None


def tell_of_waiting(tell: Callable[[str], None] | None) -> None:
    """Let whoever waits for a lock, and has for some seconds, say for what, and who holds it."""
    global _tell
    _tell = tell


class Lock:
    """An advisory lock on a file, shared or exclusive, freed by the kernel when the holder dies.

    The file is never deleted, since deleting a lock file races with its next taker. It carries
    the process id and command of the last exclusive holder, for messages only. A lock is not
    re-entrant: taking it twice in one process waits like any other taker. On a read-only file
    system, where nobody can write, a shared lock is granted without a file.
    """

    def __init__(self, path: Path, *, exclusive: bool, timeout: float = 60.0) -> None:
        self.path = path
        self.exclusive = exclusive
        self.timeout = timeout
        self._fd = -1

    def __enter__(self) -> Self:
        with explained("open the lock", self.path):
            try:
                self._fd = self._open()
            except OSError as error:
                if self.exclusive or error.errno != errno.EROFS:
                    raise
                return self
        try:
            with explained("take the lock", self.path):
                self._wait()
                if self.exclusive:
                    self._sign()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                _unlock(self._fd)
        self._close()

    def _open(self) -> int:
        try:
            return self._create()
        except FileNotFoundError:
            make_dirs(self.path.parent)
            return self._create()
        except PermissionError:
            if self.exclusive:
                raise
            # A reader of somebody else's store: a descriptor open for reading locks as well.
            return os.open(self.path, os.O_RDONLY | OPEN_FLAGS)

    def _create(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | OPEN_FLAGS)
        except FileNotFoundError:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | OPEN_FLAGS, 0o666)
            share(fd, self.path.parent, 0o666)
            return fd

    def _wait(self) -> None:
        began = clock.monotonic()
        wait = 0.01
        told = _tell is None
        while not _try_lock(self._fd, self.exclusive):
            now = clock.monotonic()
            if not told and now >= began + _PATIENCE and _tell is not None:
                told = True
                _tell(f"waiting for {show(self.path)}{self._holder()}")
            if now >= began + self.timeout:
                raise LockedError(
                    f"{show(self.path)} is locked{self._holder()}",
                    hint="wait for the other command to end, then run this one again",
                )
            clock.sleep(wait)
            wait = min(wait * 2, 0.5)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _sign(self) -> None:
        # Only plain words of the command line: an argument may be a URL, which may hold a secret.
        words = [os.path.basename(sys.argv[0])] + [word for word in sys.argv[1:3] if word.isalpha()]
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.write(self._fd, f"{os.getpid()} {' '.join(words)}\n".encode(errors="replace"))

    def _holder(self) -> str:
        """Return who holds the lock, as far as that can be told, as the end of a message."""
        try:
            os.lseek(self._fd, 0, os.SEEK_SET)
            text = os.read(self._fd, 100).decode(errors="replace").strip()
        except OSError:
            text = ""
        text = "".join(char if char.isprintable() else "?" for char in text)
        holders = _holders(self._fd)
        if not holders:
            return f" (last held by process {text})" if text else ""
        # Who holds it exclusively has signed; of who shares it only the process is known.
        named = [
            text if text.partition(" ")[0] == str(pid) else f"{pid}{_words_of(pid)}"
            for pid in holders[:_SHOWN]
        ]
        more = f" and {len(holders) - _SHOWN} more" if len(holders) > _SHOWN else ""
        return f" (held by process {', '.join(named)}{more})"


def _words_of(pid: int) -> str:
    """Return the plain words that a process was started with: others may be secret."""
    try:
        args = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    for at, arg in enumerate(args[:4]):
        if os.path.basename(arg) == "dver":
            words = [word for word in args[at + 1 : at + 3] if word.isalpha() and word.isascii()]
            return " ".join(["", "dver", *words])
    return ""


_LOCK_UNSUPPORTED = SYNC_UNSUPPORTED | {errno.ENOLCK, errno.ENOSYS}

if sys.platform == "win32":
    from dver.base.bytelocks import try_lock as _try_lock
    from dver.base.bytelocks import unlock as _unlock

    def _holders(fd: int) -> list[int]:  # noqa: ARG001 - the system does not tell
        return []
else:

    def _holders(fd: int) -> list[int]:
        """Return the processes that hold a lock on an open file, where the system tells (Linux)."""
        try:
            found = os.fstat(fd)
            with open("/proc/locks", encoding="ascii", errors="replace") as file:
                rows = [line.split() for line in file]
        except OSError:
            return []
        place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        # '1: FLOCK ADVISORY READ 4711 08:01:1234 0 EOF'; one who waits has '->' behind the number.
        pids = {
            int(row[4])
            for row in rows
            if len(row) == 8 and row[1] == "FLOCK" and row[5] == place and row[4].isdecimal()
        }
        return sorted(pids - {0, os.getpid()})

    def _try_lock(fd: int, exclusive: bool) -> bool:
        import fcntl

        try:
            fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _LOCK_UNSUPPORTED:
                return True
            raise
        return True

    def _unlock(fd: int) -> None:
        import fcntl

        # Closing is not enough while a child process still shares the descriptor.
        fcntl.flock(fd, fcntl.LOCK_UN)
