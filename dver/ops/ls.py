"""What is tracked, and what is inside it, at any revision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dver.base.oid import format_oid
from dver.base.reporter import Reporter
from dver.formats.tree import DIRECTORY, EMPTY_OID, Entry
from dver.ops import naming
from dver.ops.compare import pointer_entry
from dver.ops.kinds import KindWord, kind_word
from dver.ops.scope import Scope
from dver.ops.sources import RemoteBehind
from dver.ops.versions import (
    Version,
    entry_at,
    find_located,
    no_such_path,
    typed_path,
    version_at,
)
from dver.store import walk

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
        listing = _Listing(repo, version, options, source)
        for path in paths:
            for at, entry, is_target in listing.of(path, typed=bool(options.paths)):
                task.advance()
                found[at] = listing.line(at, entry, is_target=is_target)
    entries = tuple(found[path] for path in sorted(found))
    return LsResult(
        options.rev,
        entries,
        sum(entry.size for entry in entries),
        sum(entry.files for entry in entries),
    )


class _Listing:
    """What one call of ls needs to list one path after the other."""

    def __init__(
        self, repo: Repo, version: Version, options: LsOptions, source: RemoteBehind
    ) -> None:
        self._repo = repo
        self._version = version
        self._options = options
        self._source = source
        self._targets = sorted(version.pointers)

    def of(self, path: bytes, *, typed: bool) -> Iterator[tuple[bytes, Entry, bool]]:
        """Yield (path, entry, is target) of all that one path lists."""
        located = find_located(self._version, path)
        if located is not None:
            entry = entry_at(self._repo, self._version, located, self._source)
            if entry.kind == DIRECTORY:
                yield from self._inside(path, entry)
            else:
                yield path, entry, not located.inside
            return
        below = naming.below(self._targets, path)
        if not below and path and typed:
            raise no_such_path(self._repo, self._version, path)
        for target in below:
            entry = pointer_entry(self._version.pointers[target])
            if self._options.recursive and entry.kind == DIRECTORY:
                yield from self._inside(target, entry)
            else:
                yield target, entry, True

    def _inside(self, path: bytes, entry: Entry) -> Iterator[tuple[bytes, Entry, bool]]:
        if not self._options.recursive:
            for child in self._source.read_tree(entry.oid):
                yield walk.join(path, child.name), child, False
            return
        if entry.oid == EMPTY_OID:
            yield path, entry, False
        for directory, _, tree in walk.walk(self._source, entry.oid, prefix=path):
            for child in tree:
                if child.kind != DIRECTORY or child.oid == EMPTY_OID:
                    yield walk.join(directory, child.name), child, False

    def line(self, path: bytes, entry: Entry, *, is_target: bool) -> LsEntry:
        """Return the entry as people see it."""
        files = 1
        if is_target:
            files = self._version.pointers[path].files
        elif entry.kind == DIRECTORY:
            files = 0 if entry.oid == EMPTY_OID else self._source.read_tree(entry.oid).files
        return LsEntry(
            path=self._repo.display(path),
            kind=kind_word(entry.kind),
            size=entry.size,
            files=files,
            oid=format_oid(entry.oid),
            target=is_target,
            local=self._repo.store.is_complete(entry.oid) if self._options.local else None,
        )
