"""Another git repository as a source of imports: finding a path there, and bringing its content."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote_from_bytes, unquote

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import (
    DverError,
    MissingContentError,
    NotFoundError,
    RefusedError,
)
from dver.base.oid import Oid, format_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats.origin import UNSEEN, Origin
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY, EXECUTABLE, SYMLINK, Entry, Tree
from dver.ops.looking.bringing import bring, is_here
from dver.ops.looking.contents import Contents
from dver.ops.looking.elsewhere import GIVEN, Elsewhere, given_remote, open_elsewhere
from dver.ops.looking.gitfiles import InGit, in_git, write_out
from dver.ops.sharing.importshape import Read, here
from dver.ops.sharing.provenance import checked_url
from dver.ops.targets.versions import Located, Version, entry_at, find_located, version_of
from dver.store.store import Store
from dver.store.walk import Layered, TreeSource

if TYPE_CHECKING:
    from dver.repo import Repo

_COMMIT = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True, slots=True)
class Access:
    """How to read the content of another repository's data, beyond what it says itself.

    ``remote`` names one of its remotes, None its default; ``remote_url`` is used in place of any.
    ``settings`` are settings of the user's for it, as (key, value).
    """

    remote: str | None = None
    remote_url: str | None = None
    settings: tuple[tuple[str, str], ...] = ()
    jobs: int | None = None

    def overrides(self, cwd: Path) -> tuple[tuple[str, str], ...]:
        """Return the settings with which the other repository is opened from a directory."""
        if self.remote_url is None:
            return self.settings
        return (*self.settings, given_remote(self.remote_url, cwd))

    @property
    def name(self) -> str | None:
        """The remote to read from there, None for its default one."""
        return self.remote if self.remote_url is None else GIVEN


DEFAULT = Access()


@dataclass(frozen=True, slots=True)
class Upstream:
    """One path of another repository at one commit: what a pointer here would say, and the origin.

    ``located`` is None for what git itself tracks there; ``blob`` is then its id.
    """

    other: Elsewhere
    version: Version
    located: Located | None
    entry: Entry
    origin: Origin
    blob: str = ""


class Repositories:
    """Other repositories, each opened once per revision. Use it in a ``with`` block.

    ``scratch`` is a directory for clones, which the caller removes.
    """

    def __init__(self, repo: Repo, access: Access, scratch: Path, reporter: Reporter) -> None:
        self._repo = repo
        self._access = access
        self._scratch = scratch
        self._reporter = reporter
        self._stack = contextlib.ExitStack()
        self._open: dict[tuple[str, str], Elsewhere] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def look(self, origin: Origin, rev: str) -> Upstream:
        """Find the path of an origin at a revision, "" for HEAD.

        Raises NotFoundError if it is not there, RemoteError if the repository cannot be read.
        """
        key = origin.repository, rev
        if key not in self._open:
            where = self._scratch / str(len(self._open))
            fsio.make_dirs(os.fspath(where))
            self._open[key] = self._stack.enter_context(
                open_elsewhere(
                    _address(origin.repository),
                    rev or None,
                    where,
                    self._repo.environ,
                    overrides=self._access.overrides(self._repo.cwd),
                )
            )
        other = self._open[key]
        return find(other, origin.repository, origin.path, rev, self._trees(other))

    def is_pinned(self, upstream: Upstream) -> bool:
        """Tell whether a revision names one commit for good: a tag, or a commit itself."""
        rev, git = upstream.origin.rev, upstream.other.repo.git
        if not rev:
            return False
        if _COMMIT.fullmatch(rev) and upstream.origin.commit.startswith(rev):
            return True
        with contextlib.suppress(DverError):
            if git.refs(f"refs/heads/{rev}"):
                return False
        with contextlib.suppress(DverError):
            return bool(git.refs(f"refs/tags/{rev}"))
        return False

    def bring(self, upstream: Upstream, store: Store) -> None:
        """Put all of the content of a path into the local store, verified."""
        other, located = upstream.other, upstream.located
        if located is None:
            # It was stored when it was looked at.
            return
        if other.store is not None and is_here(other.repo, upstream.version, located, other.store):
            _copy(other.store, store, upstream, self._scratch, self._reporter)
            return
        bring(
            other.repo,
            upstream.version,
            located,
            store,
            self._reporter,
            remote=self._access.name,
            jobs=self._access.jobs,
        )

    def pointer(self, upstream: Upstream) -> Pointer:
        """Return what a pointer here says of a path there.

        What git tracks there is stored here for that; else at most lists of files are read.
        """
        located, entry = upstream.located, upstream.entry
        if located is None:
            return self._from_git(upstream)
        if not located.inside:
            return located.pointer
        if entry.kind == SYMLINK:
            raise RefusedError(
                f"{upstream.origin.shown} is a symlink", hint="import what it leads to"
            )
        if entry.kind == DIRECTORY:
            source = self.source(upstream)
            return Pointer("tree", entry.oid, entry.size, source.read_tree(entry.oid).files)
        return Pointer("file", entry.oid, entry.size, 1, entry.kind == EXECUTABLE)

    def reader(self, upstream: Upstream, pointer: Pointer) -> Read | None:
        """Return what reads ranges of a file there, None if it is not to be had."""
        found = here(self._repo.store, pointer)
        if found is not None:
            return found
        other = upstream.other
        contents = Contents(other.repo, other.store, self._access.name)
        self._stack.callback(contents.close)
        try:
            return contents.reader(pointer.oid, pointer.size).read
        except DverError:
            return None

    def source(self, upstream: Upstream) -> TreeSource:
        """Return what lists of files, here and there, can be read from."""
        return self._trees(upstream.other)

    def _trees(self, other: Elsewhere) -> TreeSource:
        stores = [one for one in (self._repo.store, other.store) if one is not None]
        return Layered([*stores, _Distant(other, self._access.name)])

    def _from_git(self, upstream: Upstream) -> Pointer:
        from dver.lineage.keeping import keep_outside

        name = upstream.origin.path.rpartition(b"/")[2]
        place = self._scratch / os.urandom(8).hex() / os.fsdecode(name)
        fsio.make_dirs(os.fspath(place.parent))
        found = InGit(
            upstream.origin.path, upstream.entry.kind, upstream.blob, upstream.origin.shown
        )
        write_out(upstream.other, found, place)
        store = self._repo.store
        with store.writer() as writer:
            item = keep_outside(place, os.fsdecode(name), writer, store)
            writer.commit()
        return Pointer(item.kind, item.oid, item.size, item.files, item.executable)


def repository_url(typed: str, cwd: Path) -> str:
    """Return how a pointer spells a repository that was typed: its URL, a path as ``file://``.

    Raises UsageError for a URL that carries credentials or would run a program.
    """
    local = os.path.join(cwd, typed)
    if "://" not in typed and os.path.isdir(local):
        return "file://" + quote_from_bytes(os.fsencode(os.path.realpath(local)), safe="/+=,@:~")
    return checked_url(typed, git=True)


def _address(repository: str) -> str:
    """Return what git is given for a repository's URL."""
    if repository.startswith("file:///"):
        return unquote(repository.removeprefix("file://"), errors="surrogateescape")
    return repository


def find(other: Elsewhere, repository: str, path: bytes, rev: str, source: TreeSource) -> Upstream:
    """Find a path of an open repository: tracked by dver, inside of that, or tracked by git."""
    shown = f"{show(path)} at {rev or 'HEAD'} of {show(repository)}"
    origin = Origin(repository=repository, path=path, rev=rev, commit=other.commit)
    version = version_of(other.repo, rev or "HEAD", other.commit, [path], older=False)
    located = find_located(version, path) if path else None
    if located is not None:
        if located.pointer.oid == UNSEEN:
            raise MissingContentError(f"{shown} was imported there, and never downloaded")
        entry = entry_at(other.repo, version, located, source)
        return Upstream(other, version, located, entry, origin)
    if version.pointers:
        raise RefusedError(
            f"{shown} is no data itself, but holds some",
            hint="import what you need of it, one by one",
            paths=[os.fsdecode(one) for one in sorted(version.pointers)],
        )
    if not path:
        raise RefusedError(
            "a whole repository cannot be imported", hint="name a file or directory of it"
        )
    found = in_git(other, path)
    if found is None:
        raise NotFoundError(
            f"there is no {shown}", hint="'git ls-remote' lists its branches and tags"
        )
    entry = Entry(found.kind, path.rpartition(b"/")[2], 0, UNSEEN)
    return Upstream(other, version, None, entry, origin, found.blob)


class _Distant:
    """Lists of files in the remote of another repository, which is opened at the first use."""

    def __init__(self, other: Elsewhere, remote: str | None) -> None:
        self._other = other
        self._name = remote
        self._reader: Store | None = None
        self._asked = False

    def reader(self) -> Store | None:
        """Return the remote as a store to read from, None if there is none."""
        repo = self._other.repo
        if not self._asked and (self._name is not None or repo.config.default_remote() is not None):
            from dver.transfer.reader import reader

            self._reader = reader(repo.open_remote(self._name, write=False))
        self._asked = True
        return self._reader

    def read_tree(self, oid: Oid) -> Tree:
        """Return a tree. Raises MissingContentError if the remote does not have it."""
        store = self.reader()
        if store is None:
            raise MissingContentError(f"{format_oid(oid)} is not to be had from there")
        return store.read_tree(oid)


def _copy(
    theirs: Store, ours: Store, upstream: Upstream, scratch: Path, reporter: Reporter
) -> None:
    """Copy what a path needs from a store on this machine."""
    from dver.transfer.fetch import fetch
    from dver.transfer.remote import Remote
    from dver.transfer.wants import Want

    entry = upstream.entry
    kind = "tree" if entry.kind == DIRECTORY else "file"
    remote = Remote("elsewhere", theirs.storage, scratch / "cache")
    want = Want(kind, entry.oid, entry.size, os.fsdecode(upstream.origin.path), (), "")
    fetched = fetch(ours, remote, [want], reporter=reporter)
    if fetched.lost:
        raise MissingContentError(f"{upstream.origin.shown} is not whole in the store there")
