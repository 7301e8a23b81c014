"""Another git repository as a source of imports: finding a path there, and bringing its content."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote_from_bytes, unquote

from dver.base import fsio
from dver.base.errors import (
    DverError,
    MissingContentError,
    NotFoundError,
    RefusedError,
    RepositoryError,
)
from dver.base.fsio import show
from dver.base.oid import Oid, format_oid
from dver.base.reporter import Reporter
from dver.formats import names
from dver.formats.origin import UNSEEN, Origin
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY, EXECUTABLE, SYMLINK, Entry, Tree
from dver.git.process import split_nul
from dver.ops.looking.bringing import bring, is_here
from dver.ops.looking.elsewhere import GIVEN, Elsewhere, open_elsewhere
from dver.ops.sharing.importshape import beginning
from dver.ops.sharing.provenance import checked_url
from dver.ops.targets.versions import Located, Version, entry_at, find_located, version_of
from dver.storage import files
from dver.store.store import Store
from dver.store.walk import Layered, TreeSource

if TYPE_CHECKING:
    from dver.repo import Repo

_LFS = b"version https://git-lfs.github.com/spec/"
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

    @property
    def overrides(self) -> tuple[tuple[str, str], ...]:
        """The settings with which the other repository is opened."""
        if self.remote_url is None:
            return self.settings
        return (*self.settings, (f"remote.{GIVEN}.url", self.remote_url))

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
                    overrides=self._access.overrides,
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

    def head(self, upstream: Upstream, pointer: Pointer) -> bytes:
        """Return the beginning of a file's content, b"" if it is not to be had."""
        other = upstream.other
        for store in (self._repo.store, other.store):
            data = beginning(store, pointer.oid)
            if data:
                return data
        return beginning(_Distant(other, self._access.name).reader(), pointer.oid)

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
        _write_out(upstream, place)
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
    kind, blob = _in_git(other, path)
    if not blob:
        raise NotFoundError(
            f"there is no {shown}", hint="'git ls-remote' lists its branches and tags"
        )
    entry = Entry(kind, path.rpartition(b"/")[2], 0, UNSEEN)
    return Upstream(other, version, None, entry, origin, blob)


def _in_git(other: Elsewhere, path: bytes) -> tuple[int, str]:
    """Return the kind and id of what git has at a path, (0, "") if nothing."""
    if not path:
        raise RefusedError(
            "a whole repository cannot be imported", hint="name a file or directory of it"
        )
    args = ("--literal-pathspecs", "ls-tree", "-z", "--full-tree", other.commit, "--", path)
    with other.repo.git.pipe(*args) as out:
        for line in split_nul(out):
            facts, _, name = line.partition(b"\t")
            mode, kind, blob = facts.split(b" ")
            if name == path:
                if kind == b"tree":
                    return DIRECTORY, blob.decode()
                if mode in (b"100644", b"100664", b"100755"):
                    return EXECUTABLE if mode == b"100755" else 1, blob.decode()
                what = "a symlink" if mode == b"120000" else "another repository"
                raise RefusedError(f"{show(path)} is {what} there, which is not followed")
    return 0, ""


def _write_out(upstream: Upstream, place: Path) -> None:
    """Write what git tracks at a path to a place that is free."""
    git = upstream.other.repo.git
    if upstream.entry.kind != DIRECTORY:
        _write_blob(upstream, upstream.blob, place, executable=upstream.entry.kind == EXECUTABLE)
        return
    found: list[tuple[bytes, bytes, str]] = []
    args = ("ls-tree", "-r", "-z", "--full-tree", upstream.blob)
    with git.pipe(*args) as out:
        for line in split_nul(out):
            facts, _, name = line.partition(b"\t")
            mode, _, blob = facts.split(b" ")
            if mode not in (b"100644", b"100664", b"100755"):
                raise RefusedError(
                    f"{show(upstream.origin.path + b'/' + name)} is a symlink or another repository"
                    " there, which is not followed",
                    hint="import the other paths one by one",
                )
            names.check_path(name)
            found.append((mode, name, blob.decode()))
    _prefetch(upstream, [blob for _, _, blob in found])
    fsio.make_dirs(os.fspath(place))
    for mode, name, text in found:
        inner = place / os.fsdecode(name)
        fsio.make_dirs(os.fspath(inner.parent))
        _write_blob(upstream, text, inner, executable=mode == b"100755")


def _prefetch(upstream: Upstream, blobs: Sequence[str]) -> None:
    """Let git fetch in one go what a clone without contents lacks, rather than one by one."""
    git = upstream.other.repo.git
    if upstream.other.store is not None or len(blobs) < 2:
        return
    with contextlib.suppress(RepositoryError):
        git.run(
            *("-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-tags"),
            *("--no-write-fetch-head", "--filter=blob:none", "--stdin", "origin"),
            stdin="\n".join(dict.fromkeys(blobs)).encode(),
        )


def _write_blob(upstream: Upstream, blob: str, place: Path, *, executable: bool) -> None:
    git = upstream.other.repo.git
    first = True
    with files.created(place) as fd, git.pipe("cat-file", "blob", blob) as out:
        while piece := out.read(1 << 20):
            if first and piece.startswith(_LFS):
                raise RefusedError(
                    f"{upstream.origin.shown} is kept by git-lfs, and git has a stub of it",
                    hint="clone that repository with git-lfs, and 'dver add' a copy",
                )
            first = False
            fsio.write_all(fd, piece, place)
        if executable:
            os.fchmod(fd, 0o700)


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
