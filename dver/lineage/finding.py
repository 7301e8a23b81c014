"""Finding records: in the work tree, in all of git's history, and one by its id."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dver.base.errors import FormatError, MissingContentError
from dver.base.oid import Oid, oid_of
from dver.formats import record, recordpath
from dver.formats.record import Record
from dver.git.history import (
    changed_signatures,
    is_record_path,
    is_signature_path,
    record_history,
    uncommitted,
)
from dver.git.pointers import read_blobs
from dver.git.process import split_nul
from dver.lineage.signing import dsse
from dver.repo.naming import in_git

if TYPE_CHECKING:
    from dver.repo import Repo

#: So many records are read from git at once.
_AT_ONCE = 1000


def record_files(repo: Repo, revs: Sequence[str]) -> Iterator[tuple[bytes, bytes, str]]:
    """Yield (path, bytes, commit) of the records of some commits, and of uncommitted ones.

    ``revs`` are arguments for git; the commit is "" for records that are only in the work tree.
    The bytes are not checked in any way.
    """
    yield from RecordFiles(repo, revs).records()


class RecordFiles:
    """The records of some commits, and of uncommitted ones, and the files with their signatures.

    git is asked once for both.
    """

    def __init__(self, repo: Repo, revs: Sequence[str]) -> None:
        self._repo = repo
        changes = [change for change in record_history(repo.git, revs) if change.blob is not None]
        self._changes = changes
        self._uncommitted: list[bytes] = []
        # What is read of them is in the work tree, so without a directory there is nothing to ask.
        self._any_here = os.path.isdir(repo.absolute(recordpath.DIRECTORY))
        if self._any_here:
            self._uncommitted = uncommitted(repo.git)

    def records(self) -> Iterator[tuple[bytes, bytes, str]]:
        """Yield what :func:`record_files` does."""
        found: dict[bytes, tuple[str, str]] = {}
        for change in self._changes:
            if change.blob is not None and is_record_path(change.path):
                found.setdefault(change.path, (change.blob, change.commit.id))
        paths = list(found)
        for at in range(0, len(paths), _AT_ONCE):
            some = paths[at : at + _AT_ONCE]
            wanted = [found[path][0] for path in some]
            blobs = read_blobs(self._repo.git, wanted, limit=record.MAX_SIZE)
            for path in some:
                blob, commit = found[path]
                yield path, blobs[blob], commit
        for path in self._uncommitted:
            if path not in found and is_record_path(path):
                data = read_record_file(self._repo, path)
                if data is not None:
                    yield path, data, ""

    def signatures(self) -> Iterator[tuple[bytes, bytes, str]]:
        """Yield the same of the files with signatures.

        Of a file that was changed each content is told, since others may have signed in each.
        Those that are too large to be envelopes are left out.
        """
        repo = self._repo
        found: dict[tuple[bytes, str], str] = {}
        for change in self._changes:
            if change.blob is not None and is_signature_path(change.path):
                found.setdefault((change.path, change.blob), change.commit.id)
        blobs = read_blobs(repo.git, [blob for _, blob in found], limit=dsse.MAX_SIZE)
        for (path, blob), commit in found.items():
            if len(blobs[blob]) <= dsse.MAX_SIZE:
                yield path, blobs[blob], commit
        changed = changed_signatures(repo.git) if self._any_here else []
        for path in dict.fromkeys([*filter(is_signature_path, self._uncommitted), *changed]):
            data = read_record_file(repo, path, dsse.MAX_SIZE)
            if data is not None and len(data) <= dsse.MAX_SIZE:
                yield path, data, ""


def read_record_file(repo: Repo, path: bytes, limit: int = record.MAX_SIZE) -> bytes | None:
    """Return the bytes of a record file in the work tree, None if there is no such file.

    What is longer than ``limit`` bytes is cut one byte later, so that it can be told.
    """
    try:
        with open(repo.absolute(path), "rb", opener=_no_link) as file:
            data = file.read(limit + 1)
            # What git adds on checkout (core.autocrlf) is not in the file that has the name.
            return data.replace(b"\r\n", b"\n") if b"\r" in data else data
    except OSError:
        return None


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def all_revisions(repo: Repo) -> list[str]:
    """Return arguments for git to name every commit that any ref reaches."""
    return ["--all", *(["HEAD"] if repo.git.head() is not None else [])]


def load(repo: Repo, record_id: Oid) -> Record:
    """Return a record by its id: from the work tree, the store, or git's history.

    Raises MissingContentError if it is nowhere, and FormatError if it is not what its name says.
    """
    path = recordpath.path_of(record_id)
    data = read_record_file(repo, path)
    if data is None or oid_of(data) != record_id:
        data = None
        if repo.store.has(record_id):
            data = repo.store.read(record_id)
    if data is None:
        for change in record_history(repo.git, all_revisions(repo)):
            if change.path == path and change.blob is not None:
                data = read_blobs(repo.git, [change.blob], limit=record.MAX_SIZE)[change.blob]
                break
    if data is None:
        raise MissingContentError(
            f"the record {record_id.hex()[:10]} is not here",
            hint="'git fetch --all' brings the records of other branches",
        )
    return record.decode(data, record_id)


def records_at(repo: Repo, rev: str) -> Iterator[tuple[Oid, Record]]:
    """Yield the records that a revision holds, or with "" those in the work tree.

    What does not parse, or is not what its name says, is left out.
    """
    listed = _listed_at(repo, repo.git.resolve(rev)) if rev else _listed_here(repo)
    for path, data in listed:
        record_id = recordpath.id_of(path)
        if record_id is not None:
            with contextlib.suppress(FormatError):
                yield record_id, record.decode(data, record_id)


def _listed_at(repo: Repo, commit: str) -> Iterator[tuple[bytes, bytes]]:
    args = ("ls-tree", "-r", "-z", "--full-tree", commit, "--", recordpath.DIRECTORY)
    found: dict[bytes, str] = {}
    with repo.git.pipe(*args) as out:
        for entry in split_nul(out):
            facts, _, path = entry.partition(b"\t")
            if is_record_path(path):
                found[path] = facts.split()[2].decode()
    blobs = read_blobs(repo.git, found.values(), limit=record.MAX_SIZE)
    for path, blob in found.items():
        yield path, blobs[blob]


def _listed_here(repo: Repo) -> Iterator[tuple[bytes, bytes]]:
    top = repo.absolute(recordpath.DIRECTORY)
    for where, _, names in sorted(os.walk(top)):
        for name in sorted(names):
            full = os.path.join(os.fsdecode(where), os.fsdecode(name))
            path = os.fsencode(in_git(full, repo.root))
            data = read_record_file(repo, path) if is_record_path(path) else None
            if data is not None:
                yield path, data
