"""All records in a form that can be asked in both directions: what made this, what used this.

It is a cache in ``<git common dir>/dver/lineage/``, made of the record files in git, which alone
count. A damaged one is made anew. Only records that were not seen yet are read.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Self

from dver.base import fsio
from dver.base.errors import FormatError, SystemFailure
from dver.base.oid import Oid, oid_of
from dver.formats import record, recordpath
from dver.formats.record import Record
from dver.lineage.finding import record_files

if TYPE_CHECKING:
    from dver.repo import Repo

_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    id BLOB PRIMARY KEY, created TEXT, kind TEXT, step TEXT, exit INTEGER, data BLOB
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS edge (
    oid BLOB, made INTEGER, record BLOB, path TEXT, tree INTEGER
);
CREATE INDEX IF NOT EXISTS edge_oid ON edge (oid, made);
CREATE TABLE IF NOT EXISTS parent (id BLOB, record BLOB);
CREATE INDEX IF NOT EXISTS parent_id ON parent (id);
CREATE TABLE IF NOT EXISTS seen (tip TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_VERSION = 1
_BATCH = 2000


class LineageIndex:
    """The records of one repository. Use it in a ``with`` block; it is brought up to date first."""

    def __init__(self, repo: Repo) -> None:
        self._repo = repo
        self._path = repo.common_state_dir / "lineage" / f"index-{_VERSION}.db"
        self._base = sqlite3.connect(":memory:")

    def __enter__(self) -> Self:
        try:
            self._start()
        except sqlite3.DatabaseError:
            # It is damaged.
            self._base.close()
            with contextlib.suppress(OSError):
                os.unlink(self._path)
            self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def _start(self) -> None:
        self._base.close()
        self._base = self._open()
        self._refresh()

    # asking

    def record(self, record_id: Oid) -> Record | None:
        """Return a record by its id, None if it is not known."""
        row = self._base.execute("SELECT data FROM record WHERE id = ?", (record_id,)).fetchone()
        if row is None or oid_of(row[0]) != record_id:
            return None
        return record.decode_checked(row[0])

    def data(self, record_id: Oid) -> bytes | None:
        """Return a record's own bytes, of which its id is the hash; None if it is not known."""
        row = self._base.execute("SELECT data FROM record WHERE id = ?", (record_id,)).fetchone()
        return None if row is None else bytes(row[0])

    def records(self) -> Iterator[tuple[Oid, Record]]:
        """Yield every record, oldest first."""
        for record_id, data in self._base.execute(
            "SELECT id, data FROM record ORDER BY created, id"
        ):
            yield Oid(record_id), record.decode_checked(data)

    def makers(self, oid: Oid) -> list[Oid]:
        """Return the records that have an object among their outputs, newest first."""
        return self._ask(oid, made=True)

    def users(self, oid: Oid) -> list[Oid]:
        """Return the records that have an object among their inputs, newest first."""
        return self._ask(oid, made=False)

    def of_step(self, step: str) -> list[Oid]:
        """Return the records of runs of a step that ended well, newest first."""
        rows = self._base.execute(
            "SELECT id FROM record WHERE step = ? AND kind IN ('run', 'import') AND (exit = 0 OR exit IS NULL)"
            " ORDER BY created DESC, id",
            (_text(step),),
        )
        return [Oid(row[0]) for row in rows]

    def about(self, record_id: Oid) -> list[Oid]:
        """Return the records that name another one as their parent."""
        rows = self._base.execute("SELECT record FROM parent WHERE id = ?", (record_id.hex(),))
        return [Oid(row[0]) for row in rows]

    def objects(self) -> set[Oid]:
        """Return everything that is an input or output of some record."""
        return {Oid(row[0]) for row in self._base.execute("SELECT DISTINCT oid FROM edge")}

    def trees(self) -> set[Oid]:
        """Return every directory that is an input or output of some record."""
        rows = self._base.execute("SELECT DISTINCT oid FROM edge WHERE tree = 1")
        return {Oid(row[0]) for row in rows}

    def beginning_with(self, digits: str) -> list[Oid]:
        """Return the records whose id begins with some hex digits."""
        rows = self._base.execute(
            "SELECT id FROM record WHERE substr(lower(hex(id)), 1, ?) = ?",
            (len(digits), digits.lower()),
        )
        return [Oid(row[0]) for row in rows]

    def _ask(self, oid: Oid, *, made: bool) -> list[Oid]:
        rows = self._base.execute(
            "SELECT DISTINCT record, created FROM edge JOIN record ON record.id = edge.record"
            " WHERE oid = ? AND made = ? ORDER BY created DESC, record",
            (oid, int(made)),
        )
        return [Oid(row[0]) for row in rows]

    # bringing up to date

    def _open(self) -> sqlite3.Connection:
        try:
            fsio.make_dirs(os.fspath(self._path.parent))
            base = sqlite3.connect(self._path, timeout=30.0)
            # It is a cache: losing the last changes costs reading some records again.
            base.execute("PRAGMA synchronous = OFF")
            base.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            if not isinstance(error, sqlite3.OperationalError):
                raise
        except SystemFailure:
            pass
        else:
            return base
        # Where nothing can be written, all records are read each time.
        base = sqlite3.connect(":memory:")
        base.executescript(_SCHEMA)
        return base

    def _refresh(self) -> None:
        tips = sorted({ref.commit for ref in self._repo.git.refs() if ref.commit})
        head = self._repo.git.head()
        tips += [head] if head is not None and head not in tips else []
        seen = {row[0] for row in self._base.execute("SELECT tip FROM seen")}
        new = [tip for tip in tips if tip not in seen]
        revs = ["--ignore-missing", *new, *(f"^{tip}" for tip in seen)] if new else []
        for batch in _batches(self._new_records(revs)):
            self._take(batch)
        with self._base:
            self._base.executemany("INSERT OR IGNORE INTO seen VALUES (?)", [(tip,) for tip in new])

    def _new_records(self, revs: Sequence[str]) -> Iterator[tuple[Oid, bytes, Record]]:
        for path, data, _ in record_files(self._repo, revs):
            record_id = recordpath.id_of(path)
            if record_id is None or self._has(record_id):
                continue
            try:
                yield record_id, data, record.decode(data, record_id)
            except FormatError:
                continue  # it proves nothing; fsck names it

    def _has(self, record_id: Oid) -> bool:
        found = self._base.execute("SELECT 1 FROM record WHERE id = ?", (record_id,)).fetchone()
        return found is not None

    def _take(self, batch: Sequence[tuple[Oid, bytes, Record]]) -> None:
        with self._base:
            self._base.executemany(
                "INSERT OR IGNORE INTO record VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (one, _text(value.created), value.kind, _text(value.step), _exit(value), data)
                    for one, data, value in batch
                ],
            )
            self._base.executemany(
                "INSERT INTO edge VALUES (?, ?, ?, ?, ?)",
                [
                    (item.oid, made, one, item.path.encode("utf-8", "surrogateescape"), tree)
                    for one, _, value in batch
                    for made, items in ((0, value.inputs), (1, value.outputs))
                    for item in items
                    for tree in (int(item.kind == "tree"),)
                ],
            )
            self._base.executemany(
                "INSERT INTO parent VALUES (?, ?)",
                [(_text(parent.id), one) for one, _, value in batch for parent in value.parents],
            )


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode()


def _exit(value: Record) -> int | None:
    return None if value.run is None else value.run.exit


def _batches(
    items: Iterable[tuple[Oid, bytes, Record]],
) -> Iterator[list[tuple[Oid, bytes, Record]]]:
    batch: list[tuple[Oid, bytes, Record]] = []
    for one in items:
        batch.append(one)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
