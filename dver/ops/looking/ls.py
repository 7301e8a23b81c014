"""What is tracked, and what is inside it, at any revision."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.oid import Oid, format_oid
from dver.base.reporter import Reporter, Task
from dver.formats.pack import LIST_KINDS
from dver.formats.tree import DIRECTORY, EMPTY_OID, Entry, Tree
from dver.ops.targets import naming
from dver.ops.targets.kinds import KindWord, kind_word
from dver.ops.targets.scope import Scope
from dver.ops.targets.sources import RemoteBehind
from dver.ops.targets.versions import (
    Version,
    entry_at,
    find_located,
    no_such_path,
    typed_path,
    version_at,
)
from dver.store import walk
from dver.workspace.building import entry_of

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class LsOptions:
    """What to list.

    ``paths`` are directories of the repository, targets, or paths inside a tracked directory;
    none means where the user stands. ``rev`` None reads the pointers in the work tree. A tracked
    directory among ``paths`` is opened; with ``recursive`` every directory is, and then only files,
    symlinks and empty directories are listed. ``remote`` is where trees that are not here are read
    from (the default remote if None). ``local`` asks whether each entry's content is here.
    """

    paths: tuple[str, ...] = ()
    rev: str | None = None
    recursive: bool = False
    remote: str | None = None
    local: bool = True


@dataclass(frozen=True, slots=True)
class LsEntry:
    """One target, or one entry of a tracked directory.

    ``size`` is in bytes; ``files`` counts files and symlinks, 1 for a file. ``oid`` is in text
    form. ``target`` tells a pointer's own data from entries inside it. ``local`` says whether the
    content is in the local store (for a directory: its listing), None if that was not asked.
    """

    path: str
    kind: KindWord
    size: int
    files: int
    oid: str
    target: bool = False
    local: bool | None = None


@dataclass(frozen=True, slots=True)
class LsResult:
    """The entries in path order; ``size`` and ``files`` sum them (nothing is counted twice)."""

    rev: str | None
    entries: tuple[LsEntry, ...]
    size: int
    files: int


def ls(repo: Repo, options: LsOptions, reporter: Reporter) -> LsResult:
    """List targets and what is inside tracked directories; files are never fetched.

    Raises NotFoundError for a path that the version does not have, and MissingContentError if
    a directory's listing is neither here nor in the remote.
    """
    paths = [typed_path(repo, path) for path in options.paths or (".",)]
    version = version_at(repo, options.rev, Scope(paths))
    found: dict[bytes, LsEntry] = {}
    with (
        RemoteBehind(repo, options.remote) as source,
        reporter.task("Listing", unit="files") as task,
    ):
        listing = _Listing(repo, version, options, source, found, task)
        for path in paths:
            listing.add(path, typed=bool(options.paths))
    entries = tuple(found[path] for path in sorted(found))
    return LsResult(
        options.rev,
        entries,
        sum(entry.size for entry in entries),
        sum(entry.files for entry in entries),
    )


class _Listing:
    """One call of ls: collects the lines of one path after the other in ``found``."""

    def __init__(
        self,
        repo: Repo,
        version: Version,
        options: LsOptions,
        source: RemoteBehind,
        found: dict[bytes, LsEntry],
        task: Task,
    ) -> None:
        self._repo = repo
        self._store = repo.store
        self._version = version
        self._options = options
        self._source = source
        self._found = found
        self._task = task
        self._targets = sorted(version.pointers)

    def add(self, path: bytes, *, typed: bool) -> None:
        """List one path."""
        located = find_located(self._version, path)
        if located is not None:
            entry = entry_at(self._repo, self._version, located, self._source)
            if entry.kind == DIRECTORY:
                self._inside(path, entry)
            else:
                self._line(path, entry, files=1, is_target=not located.inside)
            return
        below = naming.below(self._targets, path)
        if not below and path and typed:
            raise no_such_path(self._repo, self._version, path)
        for target in below:
            pointer = self._version.pointers[target]
            entry = entry_of(pointer)
            if self._options.recursive and entry.kind == DIRECTORY:
                self._inside(target, entry)
            else:
                self._line(target, entry, files=pointer.files, is_target=True)

    def _inside(self, path: bytes, entry: Entry) -> None:
        if not self._options.recursive:
            self._directory(path, self._source.read_tree(entry.oid))
            return
        if entry.oid == EMPTY_OID:
            self._line(path, entry, files=0)
        for directory, _, tree in walk.walk(self._source, entry.oid, prefix=path):
            self._directory(directory, tree)

    def _directory(self, path: bytes, tree: Tree) -> None:
        """List what is in one directory: all of it, or what has no lines of its own."""
        # What stands before every name, found with a name that cannot be.
        prefix = self._repo.display(walk.join(path, b"\0"))[:-1]
        flat = self._options.recursive
        for i, (name, kind) in enumerate(zip(tree.names, tree.kinds, strict=True)):
            oid = tree.oid(i)
            files = 1
            if kind == DIRECTORY:
                if flat and oid != EMPTY_OID:
                    continue
                files = 0 if oid == EMPTY_OID else self._source.read_tree(oid).files
            self._found[walk.join(path, name)] = LsEntry(
                prefix + os.fsdecode(name),
                kind_word(kind),
                tree.sizes[i],
                files,
                format_oid(oid),
                local=self._is_here(oid),
            )
        self._task.advance(len(tree))

    def _line(self, path: bytes, entry: Entry, *, files: int, is_target: bool = False) -> None:
        self._task.advance()
        self._found[path] = LsEntry(
            self._repo.display(path),
            kind_word(entry.kind),
            entry.size,
            files,
            format_oid(entry.oid),
            target=is_target,
            local=self._is_here(entry.oid),
        )

    def _is_here(self, oid: Oid) -> bool | None:
        if not self._options.local:
            return None
        place = self._store.place(oid)
        if place is None or place.kind not in LIST_KINDS:
            return place is not None
        return self._store.is_complete(oid)
