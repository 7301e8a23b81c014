"""What the names of other tools were found to be: a cache, from MD5 or SHA-256 to dver's oids.

``<git common dir>/dver/foreign.db``. Each line stands for content that was read and hashed here.
Losing it costs time only. Whether the store still has an object must be asked of the store.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from dver.base.errors import SystemFailure
from dver.base.fsio import make_dirs
from dver.base.oid import Oid

NAME = "foreign.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS known (
    algorithm TEXT, tree INTEGER, digest BLOB, oid BLOB, size INTEGER, files INTEGER,
    PRIMARY KEY (digest, tree, algorithm)
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
_AT_ONCE = 500


class Row(NamedTuple):
    """One content: its old name, and what it is in dver."""

    algorithm: str
    tree: bool
    digest: bytes
    oid: Oid
    size: int
    files: int = 1


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
                os.unlink(self._path)
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
        base.execute("SELECT count(*) FROM known WHERE digest = x''").fetchone()
        return base

    def find(self, algorithm: str, digest: bytes, *, tree: bool) -> Row | None:
        """Return what is known of one name."""
        return next(self.find_all(algorithm, [digest], tree=tree), None)

    def find_all(self, algorithm: str, digests: Sequence[bytes], *, tree: bool) -> Iterator[Row]:
        """Yield what is known of some names, in any order."""
        if self._base.execute("SELECT 1 FROM known LIMIT 1").fetchone() is None:
            return
        for at in range(0, len(digests), _AT_ONCE):
            some = digests[at : at + _AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"SELECT digest, oid, size, files FROM known WHERE digest IN ({marks})"  # noqa: S608
            query += " AND tree = ? AND algorithm = ?"
            asked = [*some, int(tree), algorithm]
            for digest, oid, size, files in self._base.execute(query, asked):
                yield Row(algorithm, tree, digest, Oid(oid), size, files)

    def add(self, rows: Iterable[Row]) -> None:
        """Remember what was found, once the store has it for good."""
        try:
            with self._base:
                self._base.executemany(
                    "INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?, ?, ?)", rows
                )
        except sqlite3.Error as error:
            raise SystemFailure(f"cannot write {self._path}: {error}") from error
