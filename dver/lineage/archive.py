"""The files of a git tree as a tree of dver's, so that code can be had without git's history.

A branch that is squashed or deleted takes its commits along; the store keeps what records need.
git's trees are hashes of their content, so each that was stored before is taken over as a whole.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from dver.base import fsio
from dver.base.errors import FormatError, SystemFailure
from dver.base.oid import Oid
from dver.formats import names, pack
from dver.formats import tree as trees
from dver.formats.kinds import DIRECTORY, EXECUTABLE, FILE, SYMLINK
from dver.formats.tree import Entry
from dver.git.pointers import read_blobs
from dver.git.process import split_nul
from dver.store.whole import is_whole

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.store.writer import Writer

#: Code is not larger than this (bytes); what is larger is data that lies in git.
MAX_TOTAL = 512 << 20
#: dver's own settings and records are no code, and no tree may have that name.
_OWN = b".dver"
_KINDS = {b"100644": FILE, b"100664": FILE, b"100755": EXECUTABLE, b"120000": SYMLINK}
_SCHEMA = """
CREATE TABLE IF NOT EXISTS stored (
    id TEXT PRIMARY KEY, oid BLOB, size INTEGER, files INTEGER
) WITHOUT ROWID;
"""
#: So many bytes of files are in memory at once.
_BATCH = 32 << 20


class Archiver:
    """Stores git trees; ``writer`` belongs to the store of ``repo``. Use it in a ``with`` block.

    What was stored before is remembered in ``<git common dir>/dver/lineage/``, a cache.
    """

    def __init__(self, repo: Repo, writer: Writer) -> None:
        self._repo = repo
        self._writer = writer
        self._sizes: dict[str, int] = {}
        self._blobs: dict[str, tuple[Oid, int]] = {}
        self._new: list[tuple[str, Oid, int, int]] = []
        self._base = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with contextlib.suppress(sqlite3.DatabaseError):
            if kind is None:
                with self._base:
                    self._base.executemany(
                        "INSERT OR REPLACE INTO stored VALUES (?, ?, ?, ?)", self._new
                    )
        self._base.close()

    def store(self, git_tree: str) -> tuple[Oid, int, int] | None:
        """Store a git tree; return the oid, size and files of dver's.

        None if it is too large, or has names that no tree of dver's may have.
        """
        known = self._known(git_tree)
        if known is not None:
            return known
        below = self._list(git_tree)
        if sum(self._sizes.values()) > MAX_TOTAL:
            return None
        self._store_blobs()
        try:
            return self._build(git_tree, b"", below)
        except FormatError:
            return None

    def _list(self, git_tree: str) -> dict[bytes, list[tuple[bytes, bytes, str]]]:
        """Return (mode, name, id) of the entries of each directory, by its path."""
        found: dict[bytes, list[tuple[bytes, bytes, str]]] = {b"": []}
        args = ("ls-tree", "-r", "-t", "-l", "-z", "--full-tree", git_tree)
        with self._repo.git.pipe(*args) as out:
            for entry in split_nul(out):
                facts, _, path = entry.partition(b"\t")
                mode, kind, name_of_object, size = facts.split()
                where, _, name = path.rpartition(b"/")
                text = name_of_object.decode()
                if path.startswith(_OWN + b"/"):
                    continue
                if kind == b"tree":
                    found[path] = []
                elif kind == b"blob":
                    self._sizes[text] = int(size)
                found[where].append((mode, name, text))
        return found

    def _store_blobs(self) -> None:
        wanted = [one for one in self._sizes if one not in self._blobs]
        for batch in _batches(wanted, self._sizes):
            for blob, data in read_blobs(self._repo.git, batch, limit=MAX_TOTAL).items():
                self._blobs[blob] = (self._writer.add(data, pack.BLOB), len(data))

    def _build(
        self, git_tree: str, path: bytes, below: dict[bytes, list[tuple[bytes, bytes, str]]]
    ) -> tuple[Oid, int, int]:
        entries, files = [], 0
        for mode, name, text in below[path]:
            if not path and name == _OWN:
                continue
            reason = names.problem(name)
            if reason is not None:
                raise FormatError(reason)
            if mode == b"040000":
                inner = path + b"/" + name if path else name
                oid, size, count = self._build(text, inner, below)
                entries.append(Entry(DIRECTORY, name, size, oid))
                files += count
            elif mode in _KINDS:
                oid, size = self._blobs[text]
                entries.append(Entry(_KINDS[mode], name, size, oid))
        tree = trees.build(entries, files)
        oid = self._writer.add(trees.encode(tree), pack.TREE)
        self._new.append((git_tree, oid, tree.size, tree.files))
        return oid, tree.size, tree.files

    def _known(self, git_tree: str) -> tuple[Oid, int, int] | None:
        row = self._base.execute(
            "SELECT oid, size, files FROM stored WHERE id = ?", (git_tree,)
        ).fetchone()
        if row is None or not is_whole(self._repo.store, Oid(row[0])):
            return None
        return Oid(row[0]), row[1], row[2]

    def _open(self) -> sqlite3.Connection:
        path = self._repo.common_state_dir / "lineage" / "code-1.db"
        with contextlib.suppress(sqlite3.DatabaseError, SystemFailure):
            fsio.make_dirs(os.fspath(path.parent))
            base = sqlite3.connect(path, timeout=30.0)
            base.execute("PRAGMA synchronous = OFF")
            base.executescript(_SCHEMA)
            return base
        base = sqlite3.connect(":memory:")
        base.executescript(_SCHEMA)
        return base


def _batches(blobs: list[str], sizes: dict[str, int]) -> Iterator[list[str]]:
    batch: list[str] = []
    total = 0
    for one in blobs:
        batch.append(one)
        total += sizes[one]
        if total >= _BATCH:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch
