"""All records in a form that can be asked in both directions: what made this, what used this.

It is a cache in ``<git common dir>/dver/lineage/``, made of the record files in git, which alone
count. A damaged one is made anew. Only records that were not seen yet are read.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

from dver.base import fsio
from dver.base.errors import FormatError, SystemFailure
from dver.base.oid import Oid, oid_of
from dver.base.osat import osat
from dver.formats import record, recordpath
from dver.formats.record import Record
from dver.lineage.finding import record_files

if TYPE_CHECKING:
    from dver.repo import Repo

V = TypeVar("V")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    num INTEGER PRIMARY KEY, id BLOB UNIQUE, created TEXT, kind TEXT, step TEXT, exit INTEGER,
    origin TEXT, data BLOB
);
CREATE TABLE IF NOT EXISTS edge (
    record INTEGER, made INTEGER, oid BLOB, role TEXT, path TEXT, kind TEXT, size INTEGER
);
CREATE TABLE IF NOT EXISTS parent (id TEXT, record INTEGER);
CREATE TABLE IF NOT EXISTS seen (tip TEXT PRIMARY KEY) WITHOUT ROWID;
"""
#: Made once the first records are in: that is far faster than to keep them in order meanwhile.
_INDEXES = """
CREATE INDEX IF NOT EXISTS edge_oid ON edge (oid, made, record);
CREATE INDEX IF NOT EXISTS edge_record ON edge (record);
CREATE INDEX IF NOT EXISTS parent_id ON parent (id);
"""
_VERSION = 2
#: So many files are read into the index at once.
_BATCH = 2000
#: So many values are asked for in one query.
_AT_ONCE = 500


_RELATED = (
    "SELECT edge.oid, created, record.id, record.num FROM edge"
    " JOIN record ON record.num = edge.record WHERE oid IN (?) AND made = ?"
)
_EDGES = (
    "SELECT record, made, oid, role, path, kind, size FROM edge WHERE record IN (?)"
    " ORDER BY record, rowid"
)
#: The number of a record, whether it made an object, that object, its role, path, kind and size.
EdgeRow = tuple[int, int, Oid, str, str | bytes, str, int]


class LineageIndex:
    """The records of one repository. Use it in a ``with`` block; it is brought up to date first.

    Records that only a remote has are known once they were taken in by :meth:`take`.
    """

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
                osat.unlink(self._path)
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
            "SELECT id FROM record WHERE step = ? AND kind IN ('run', 'import')"
            " AND (exit = 0 OR exit IS NULL) ORDER BY created DESC, id",
            (_text(step),),
        )
        return [Oid(row[0]) for row in rows]

    def about(self, record_id: Oid) -> list[Oid]:
        """Return the records that name another one as their parent."""
        rows = self._base.execute(
            "SELECT record.id FROM parent JOIN record ON record.num = parent.record"
            " WHERE parent.id = ?",
            (record_id.hex(),),
        )
        return [Oid(row[0]) for row in rows]

    def origins(self, record_ids: Iterable[Oid]) -> dict[Oid, str]:
        """Return the names of the remotes that some records are from; those in git are left out."""
        found: dict[Oid, str] = {}
        for some in _chunks(list(record_ids)):
            rows = self._base.execute(
                _among("SELECT id, origin FROM record WHERE origin != '' AND id IN (?)", some), some
            )
            found |= {Oid(row[0]): row[1] for row in rows}
        return found

    def plain(self, record_ids: Iterable[Oid]) -> Iterator[tuple[Oid, Any]]:
        """Yield (id, the plain JSON object) of records; those that are altered are left out."""
        for some in _chunks(list(record_ids)):
            query = _among("SELECT id, data FROM record WHERE id IN (?)", some)
            found = {Oid(row[0]): row[1] for row in self._base.execute(query, some)}
            for one in some:
                if oid_of(found[one]) == one:
                    yield one, json.loads(found[one])

    def objects(self) -> set[Oid]:
        """Return everything that is an input or output of some record."""
        return {Oid(row[0]) for row in self._base.execute("SELECT DISTINCT oid FROM edge")}

    def trees(self) -> set[Oid]:
        """Return every directory that is an input or output of some record."""
        rows = self._base.execute("SELECT DISTINCT oid FROM edge WHERE kind = 'tree'")
        return {Oid(row[0]) for row in rows}

    def beginning_with(self, digits: str) -> list[Oid]:
        """Return the records whose id begins with some hex digits."""
        rows = self._base.execute(
            "SELECT id FROM record WHERE substr(lower(hex(id)), 1, ?) = ?",
            (len(digits), digits.lower()),
        )
        return [Oid(row[0]) for row in rows]

    def _ask(self, oid: Oid, *, made: bool) -> list[Oid]:
        return list(self.related([oid], made=made).get(oid, {}))

    def related(self, oids: Sequence[Oid], *, made: bool) -> dict[Oid, dict[Oid, int]]:
        """Return for each of some objects the records that made (or used) it, newest first.

        With each record comes its number in this index.
        """
        found: dict[Oid, list[tuple[str, Oid, int]]] = {}
        for some in _chunks(oids):
            query = _among(_RELATED, some)
            for oid, *row in self._base.execute(query, (*some, int(made))):
                found.setdefault(oid, []).append(tuple(row))
        for rows in found.values():
            if len(rows) > 1:
                rows.sort(key=lambda row: row[1])
                rows.sort(key=lambda row: row[0], reverse=True)
        return {oid: {row[1]: row[2] for row in rows} for oid, rows in found.items()}

    def edges(self, nums: Sequence[int]) -> dict[int, list[EdgeRow]]:
        """Return what some records, by their numbers, were made of and made, in their order."""
        found: dict[int, list[EdgeRow]] = {num: [] for num in nums}
        for some in _chunks(nums):
            for row in self._base.execute(_among(_EDGES, some), some):
                found[row[0]].append(row)
        return found

    def number(self, record_id: Oid) -> int | None:
        """Return the number of a record in this index, None if it is not known."""
        row = self._base.execute("SELECT num FROM record WHERE id = ?", (record_id,)).fetchone()
        return None if row is None else int(row[0])

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
        files = (
            (record_id, data)
            for path, data, _ in record_files(self._repo, revs)
            if (record_id := recordpath.id_of(path)) is not None
        )
        self.take(files, "")
        with self._base:
            self._base.executemany("INSERT OR IGNORE INTO seen VALUES (?)", [(tip,) for tip in new])
        self._base.executescript(_INDEXES)

    def take(self, files: Iterable[tuple[Oid, bytes]], origin: str) -> None:
        """Take in records that are not known yet; ``origin`` is the remote that has them.

        Bytes that are no record of that id count for nothing; fsck names them.
        """
        for batch in _batches(files):
            known = self._known([one for one, _ in batch])
            found = []
            for record_id, data in batch:
                if record_id in known:
                    continue
                known[record_id] = origin
                with contextlib.suppress(FormatError):
                    found.append((record_id, data, record.decode(data, record_id)))
            self._insert(found, origin)
            if not origin:
                # What came from a remote at first is in git now.
                here = [(one,) for one, _ in batch if known[one]]
                with self._base:
                    self._base.executemany("UPDATE record SET origin = '' WHERE id = ?", here)

    def unknown(self, record_ids: Iterable[Oid]) -> list[Oid]:
        """Return those of some records that are not known."""
        wanted = list(record_ids)
        known = self._known(wanted)
        return [one for one in wanted if one not in known]

    def _known(self, record_ids: Sequence[Oid]) -> dict[Oid, str]:
        found: dict[Oid, str] = {}
        for some in _chunks(record_ids):
            query = _among("SELECT id, origin FROM record WHERE id IN (?)", some)
            found |= {Oid(row[0]): row[1] for row in self._base.execute(query, some)}
        return found

    def _insert(self, batch: Sequence[tuple[Oid, bytes, Record]], origin: str) -> None:
        with self._base:
            (top,) = self._base.execute("SELECT ifnull(max(num), 0) FROM record").fetchone()
            numbered = list(enumerate(batch, top + 1))
            self._base.executemany(
                "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        *(num, one, _text(value.created), value.kind, _text(value.step)),
                        *(_exit(value), origin, data),
                    )
                    for num, (one, data, value) in numbered
                ],
            )
            self._base.executemany(
                "INSERT INTO edge VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (num, made, item.oid, _text(item.role), _path(item.path), item.kind, item.size)
                    for num, (_, _, value) in numbered
                    for made, items in ((0, value.inputs), (1, value.outputs))
                    for item in items
                ],
            )
            self._base.executemany(
                "INSERT INTO parent VALUES (?, ?)",
                [
                    (_text(parent.id), num)
                    for num, (_, _, value) in numbered
                    for parent in value.parents
                ],
            )


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode()


def _exit(value: Record) -> int | None:
    return None if value.run is None else value.run.exit


def _path(value: str) -> str | bytes:
    """Return a path as SQLite can keep it: bytes that are no UTF-8 are kept as bytes."""
    return value if value.isascii() else _odd(value)


def path_of(value: str | bytes) -> str:
    """Return a path that was kept by :func:`_path`."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogatepass")


def _odd(value: str) -> str | bytes:
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")
    return value


def _among(query: str, values: Sequence[object]) -> str:
    """Return a query with as many question marks between parentheses as there are values."""
    return query.replace("(?)", f"({', '.join('?' * len(values))})")


def _chunks(values: Sequence[V]) -> Iterator[Sequence[V]]:
    for at in range(0, len(values), _AT_ONCE):
        yield values[at : at + _AT_ONCE]


def _batches(items: Iterable[V]) -> Iterator[list[V]]:
    items = iter(items)
    while batch := list(itertools.islice(items, _BATCH)):
        yield batch
