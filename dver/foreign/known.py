"""What the names of other tools were found to be: a cache, from MD5 or SHA-256 to dver's oids.

``<git common dir>/dver/foreign.db``. Each line stands for content that was read and hashed here.
Losing it costs time only. Whether the store still has an object must be asked of the store.
"""

from __future__ import annotations

import contextlib
import sqlite3
from array import array
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

from dver.base.errors import SystemFailure
from dver.base.fsio import make_dirs
from dver.base.oid import OID_SIZE, Oid
from dver.base.osat import osat
from dver.store.sums import LENGTHS

NAME = "foreign.db"
_NOTHING = bytes(OID_SIZE)
#: Up to so many names are looked for one by one.
_FEW = 16
_SCHEMA = """
CREATE TABLE IF NOT EXISTS tree (
    algorithm TEXT, digest BLOB, oid BLOB, size INTEGER, files INTEGER,
    PRIMARY KEY (digest, algorithm)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY, algorithm TEXT, digests BLOB, oids BLOB, sizes BLOB
);
PRAGMA user_version = 1;
"""


class Row(NamedTuple):
    """One content: its old name, and what it is in dver."""

    algorithm: str
    digest: bytes
    oid: Oid
    size: int
    files: int = 1


class Columns(NamedTuple):
    """Files by column: joined digests and oids, and sizes in bytes. Lines may be left out of use.

    An oid of zeros stands for a file that is not known.
    """

    algorithm: str
    digests: bytes
    oids: bytes
    sizes: array[int]


class Known:
    """The cache, in a directory. Use it in a ``with`` block."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME
        self._base = sqlite3.connect(":memory:")

    def __enter__(self) -> Self:
        self._base.close()
        make_dirs(self._path.parent)
        try:
            self._base = self._open()
        except sqlite3.DatabaseError:
            # It is damaged.
            with contextlib.suppress(OSError):
                osat.unlink(self._path)
            try:
                self._base = self._open()
            except sqlite3.Error as error:
                raise SystemFailure(f"cannot open {self._path}: {error}") from error
        return self

    def __exit__(self, *exc: object) -> None:
        self._base.close()

    def _open(self) -> sqlite3.Connection:
        base = sqlite3.connect(self._path, timeout=60.0)
        base.executescript(_SCHEMA)
        base.execute("SELECT count(*) FROM tree WHERE digest = x''").fetchone()
        return base

    def tree(self, algorithm: str, digest: bytes) -> Row | None:
        """Return what is known of a directory by the digest of its listing."""
        found = self._base.execute(
            "SELECT oid, size, files FROM tree WHERE digest = ? AND algorithm = ?",
            (digest, algorithm),
        ).fetchone()
        return None if found is None else Row(algorithm, digest, Oid(found[0]), *found[1:])

    def file(self, algorithm: str, digest: bytes) -> Row | None:
        """Return what is known of a file."""
        return next(self.files(algorithm, {digest}), None)

    def files(self, algorithm: str, digests: Collection[bytes]) -> Iterator[Row]:
        """Yield what is known of some files, in any order; those read last come first."""
        width = LENGTHS[algorithm]
        query = "SELECT digests, oids, sizes FROM files WHERE algorithm = ? ORDER BY id DESC"
        for names, oids, packed in self._base.execute(query, (algorithm,)):
            sizes = array("Q", packed)
            for i in _places(names, digests, width):
                oid = oids[i * OID_SIZE : (i + 1) * OID_SIZE]
                if oid != _NOTHING:
                    yield Row(algorithm, names[i * width : (i + 1) * width], Oid(oid), sizes[i])

    def add(self, trees: Iterable[Row], files: Iterable[Columns]) -> None:
        """Remember what was found, once the store has it for good."""
        try:
            with self._base:
                self._base.executemany("INSERT OR REPLACE INTO tree VALUES (?, ?, ?, ?, ?)", trees)
                self._base.executemany(
                    "INSERT INTO files (algorithm, digests, oids, sizes) VALUES (?, ?, ?, ?)",
                    [(*one[:3], one.sizes.tobytes()) for one in files],
                )
        except sqlite3.Error as error:
            raise SystemFailure(f"cannot write {self._path}: {error}") from error


def _places(names: bytes, digests: Collection[bytes], width: int) -> Iterator[int]:
    """Yield where some names stand in a column of them."""
    if len(digests) > _FEW:
        for at in range(0, len(names), width):
            if names[at : at + width] in digests:
                yield at // width
        return
    for digest in digests:
        at = names.find(digest)
        while at >= 0 and at % width:
            at = names.find(digest, at + 1)
        if at >= 0:
            yield at // width
