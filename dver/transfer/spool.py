"""A directory for packs on their way, so that an interrupted transfer goes on where it stopped.

Each transfer has a directory of its own, ``spool/<remote>/<session>/`` in the local store, and
holds a lock in it. Directories whose lock is free belong to transfers that died; the next transfer
with the same remote takes over what is in them. Nothing in a spool is trusted: a pack is hashed
before it is used, and its name must be the hash.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from dver.base import fsio
from dver.base.clearing import clear_away
from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, LockedError
from dver.base.locking import Lock
from dver.base.oid import Hasher
from dver.base.osat import osat
from dver.base.quoting import show
from dver.base.regular import read_regular
from dver.formats import pack
from dver.store import layout

_PACK = ".pack"
_ROWS = ".rows"
_AT_ONCE = 1 << 20
_LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Spooled:
    """A pack in the spool, or only its footer rows if the pack was sent already.

    ``path`` is None for the latter. ``size`` is the length of the pack in bytes.
    """

    name: bytes
    size: int
    path: str | None


class Spool:
    """One transfer's directory. Use it in a ``with`` block, which removes it at a clean end."""

    def __init__(self, store_directory: str, remote: str, session: str) -> None:
        self._parent = Path(store_directory, "spool", remote)
        self.directory = self._parent / session
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        lock = self.directory / _LOCK
        while True:
            self._held.enter_context(Lock(lock, exclusive=True))
            if lock.exists():
                break
            # Somebody took the new directory for a dead one's before the lock was on it.
            self._held.close()
        for other in sorted(self._parent.iterdir()):
            if other != self.directory:
                self._take_over(other)
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None or not any(self.packs()):
            clear_away(self.directory, ignore_errors=True)
        self._held.close()

    def _take_over(self, other: Path) -> None:
        with contextlib.suppress(LockedError, OSError):
            if not other.is_dir():
                return
            with Lock(other / _LOCK, exclusive=True, timeout=0):
                for path in other.iterdir():
                    if path.suffix in (_PACK, _ROWS):
                        path.rename(self.directory / path.name)
                clear_away(other, ignore_errors=True)

    def packs(self) -> Iterator[Spooled]:
        """Yield what is in the spool, in order of names."""
        for path in sorted(self.directory.iterdir()):
            if path.suffix == _PACK and (name := layout.name_of(path.stem)) is not None:
                yield Spooled(name, path.stat().st_size, str(path))
            elif path.suffix == _ROWS:
                text, _, size = path.stem.partition("-")
                if (name := layout.name_of(text)) is not None and size.isdigit():
                    yield Spooled(name, int(size), None)

    def pack_path(self, name: bytes) -> Path:
        """Return where a whole pack of that name lies, or is to lie."""
        return self.directory / (name.hex() + _PACK)

    def rows(self, spooled: Spooled) -> bytes:
        """Return the footer rows of a pack that was sent already."""
        return read_regular(self._rows_path(spooled.name, spooled.size), limit=pack.MAX_PACK)

    def keep_rows(self, name: bytes, size: int, rows: bytes) -> None:
        """Replace a pack that was sent by its footer rows."""
        fsio.write_atomic(self._rows_path(name, size), rows, durable=False)
        self.drop(name)

    def drop(self, name: bytes) -> None:
        """Remove a pack."""
        with contextlib.suppress(OSError):
            osat.unlink(self.pack_path(name))

    def _rows_path(self, name: bytes, size: int) -> Path:
        return self.directory / f"{name.hex()}-{size}{_ROWS}"


def hash_file(path: str | Path) -> bytes:
    """Return the BLAKE3 of a file's bytes. Raises CorruptError if it is none, or OSError."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise CorruptError(f"{show(path)} is no regular file")
    hasher = Hasher()
    # Mapped, it would count as memory of this process.
    with open(path, "rb", buffering=0) as file:
        while data := file.read(_AT_ONCE):
            hasher.update(data)
    return hasher.digest()
