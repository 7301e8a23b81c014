"""Any version of any data to anywhere, without touching the workspace."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import NotFoundError, UsageError
from dver.base.oid import format_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.config.load import environment
from dver.formats.tree import DIRECTORY, Entry
from dver.ops.data.materialise import (
    materialise,
    refuse_existing,
    refuse_roots,
    scratch_beside,
)
from dver.ops.looking.bringing import bring, is_here
from dver.ops.looking.elsewhere import GIVEN, given_remote
from dver.ops.targets.kinds import KindWord, kind_word
from dver.ops.targets.scope import Scope
from dver.ops.targets.versions import Located, Version, entry_at, locate, typed_path, version_at

if TYPE_CHECKING:
    from dver.ops.looking.elsewhere import Elsewhere
    from dver.ops.looking.gitfiles import InGit
    from dver.repo import Repo
    from dver.store.store import Store


@dataclass(frozen=True, slots=True)
class GetOptions:
    """What to get, and where to.

    ``path`` is a target or a path inside a tracked directory; with ``url`` it is relative to that
    repository's root, and may be what git itself tracks there. ``url`` is a git URL or the path of
    another local repository. ``rev`` None means the pointers in the work tree, or with ``url`` that
    repository's HEAD. ``output`` is a path as the user typed it; None means the path's own last
    name in the current directory, and so does a directory that ends with ``/`` or ``.``, in there.
    ``force`` allows replacing an existing file or directory. ``remote`` names the remote to read
    from; with ``url`` it is one of that repository's, ``remote_url`` is used in place of any, and
    ``settings`` are settings of the user's that beat its own, as (key, value).
    """

    path: str
    output: str | None = None
    rev: str | None = None
    url: str | None = None
    remote: str | None = None
    force: bool = False
    jobs: int | None = None
    remote_url: str | None = None
    settings: tuple[tuple[str, str], ...] = ()

    def overrides(self, cwd: Path) -> tuple[tuple[str, str], ...]:
        """Return the settings with which another repository is opened from a directory."""
        if self.remote_url is None:
            return self.settings
        return (*self.settings, given_remote(self.remote_url, cwd))


@dataclass(frozen=True, slots=True)
class GetResult:
    """What was written. ``commit`` is None for the pointers in the work tree.

    ``size`` is in bytes and ``files`` counts files and symlinks; ``fetched_bytes`` came from
    a remote, the rest was here.
    """

    path: str
    output: str
    commit: str | None
    kind: KindWord
    oid: str
    size: int
    files: int
    fetched_bytes: int = 0


def get(repo: Repo | None, options: GetOptions, reporter: Reporter) -> GetResult:
    """Write any version of some data to anywhere; neither workspace nor pointers change.

    What is missing is fetched: into the local store of ``repo``, or with ``url`` into a temporary
    one, for which ``repo`` may be None. Raises NotFoundError for an unknown revision or path,
    RefusedError if ``output`` exists, MissingContentError if content is not to be had.
    """
    if options.url is not None:
        return _get_elsewhere(
            options, options.url, Path.cwd() if repo is None else repo.cwd, reporter
        )
    if options.remote_url is not None:
        raise UsageError(
            "a URL in place of a remote is for another repository", hint="dver get REPO_URL PATH"
        )
    if repo is None:
        raise UsageError("there is no repository here to get from", hint="dver get REPO_URL PATH")
    source = _Source.of(repo, options)
    output = _output(options, repo.cwd, source.located.path)
    with scratch_beside(output.path) as scratch:
        writing = _Writing(options, output, scratch, reporter)
        return writing.bring_and_put(source, repo.store)


def _get_elsewhere(options: GetOptions, url: str, cwd: Path, reporter: Reporter) -> GetResult:
    from dver.ops.looking.elsewhere import open_elsewhere
    from dver.storage.local import LocalStorage
    from dver.store.store import Store

    output = _output(options, cwd, os.fsencode(os.path.normpath(options.path)))
    with scratch_beside(output.path) as scratch:
        writing = _Writing(options, output, scratch, reporter)
        where = url if "://" in url else os.path.join(cwd, url)
        url = where if os.path.isdir(where) else url
        overrides = options.overrides(cwd)
        with open_elsewhere(url, options.rev, scratch, environment(), overrides=overrides) as other:
            plain = _in_git(other, options)
            if plain is not None:
                return _write_plain(other, plain, writing)
            try:
                source = _Source.of(other.repo, options, rev=other.commit)
            except NotFoundError as error:
                # Of the commit that was looked at nobody there typed the id, nor stands there.
                near = (error.hint or "").startswith("did you mean")
                raise NotFoundError(
                    f"there is no {show(options.path)} at {show(options.rev or 'HEAD')} of"
                    f" {show(options.url or '')}",
                    hint=error.hint if near else "'git ls-remote' lists its branches and tags",
                ) from error
            if other.store is not None and is_here(
                other.repo, source.version, source.located, other.store
            ):
                return writing.put(source.entry(other.store), other.store, source.version.commit)
            store = Store.create(LocalStorage(scratch / "store"))
            try:
                return writing.bring_and_put(source, store)
            finally:
                store.close()


def _in_git(other: Elsewhere, options: GetOptions) -> InGit | None:
    """Return what the options name if dver has nothing there, and git itself tracks it."""
    from dver.ops.looking.gitfiles import in_git

    path = typed_path(other.repo, options.path)
    version = version_at(other.repo, other.commit, Scope([path]), older=False)
    return None if not path or version.pointers else in_git(other, path)


def _write_plain(other: Elsewhere, found: InGit, writing: _Writing) -> GetResult:
    from dver.lineage.keeping import keep_outside
    from dver.ops.looking.gitfiles import write_out
    from dver.storage.local import LocalStorage
    from dver.store.store import Store

    written = writing.scratch / "plain"
    write_out(other, found, written)
    store = Store.create(LocalStorage(writing.scratch / "store"))
    try:
        with store.writer() as writer:
            item = keep_outside(written, "plain", writer, store)
            writer.commit()
        entry = Entry(found.kind, b"plain", item.size, item.oid)
        return writing.put(entry, store, other.commit)
    finally:
        store.close()


@dataclass(frozen=True, slots=True)
class _Source:
    """The path that is wanted, of a version of a repository."""

    repo: Repo
    version: Version
    located: Located

    @classmethod
    def of(cls, repo: Repo, options: GetOptions, rev: str | None = None) -> _Source:
        """Find what the options name."""
        path = typed_path(repo, options.path)
        version = version_at(repo, rev or options.rev, Scope([path]), older=rev is None)
        return cls(repo, version, locate(repo, version, path))

    def entry(self, store: Store) -> Entry:
        """Return what is there, as a store that has it says."""
        return entry_at(self.repo, self.version, self.located, store)


@dataclass(frozen=True, slots=True)
class _Output:
    """Where to write, and how the user would name it."""

    path: Path
    shown: str


@dataclass(frozen=True, slots=True)
class _Writing:
    """What is the same wherever the content comes from. ``scratch`` is beside the output."""

    options: GetOptions
    output: _Output
    scratch: Path
    reporter: Reporter

    def bring_and_put(self, source: _Source, store: Store) -> GetResult:
        """Fetch into a store what it lacks, and write it out."""
        fetched = bring(
            source.repo,
            source.version,
            source.located,
            store,
            self.reporter,
            remote=self.options.remote if self.options.remote_url is None else GIVEN,
            jobs=self.options.jobs,
        )
        return self.put(source.entry(store), store, source.version.commit, fetched)

    def put(self, entry: Entry, store: Store, commit: str | None, fetched: int = 0) -> GetResult:
        """Write out what a store has; ``fetched`` bytes of it came from a remote."""
        materialise(
            store,
            entry,
            self.output.path,
            self.scratch,
            shown=self.output.shown,
            force=self.options.force,
            reporter=self.reporter,
        )
        return GetResult(
            path=self.options.path,
            output=self.output.shown,
            commit=commit,
            kind=kind_word(entry.kind),
            oid=format_oid(entry.oid),
            size=entry.size,
            files=_files(store, entry),
            fetched_bytes=fetched,
        )


def _output(options: GetOptions, cwd: Path, path: bytes) -> _Output:
    """Return where to write: a path that nothing is at, or that may be replaced."""
    name = os.fsdecode(path.rpartition(b"/")[2].removesuffix(b".dver"))
    shown = options.output or name
    if shown == "-":
        raise UsageError(
            "get writes files, and - is no name for one",
            hint=f"'dver cat {options.path}' writes to standard output; -o ./- is a file",
        )
    if os.path.basename(shown) in ("", os.curdir, os.pardir):
        shown = os.path.join(shown, name)
    if not options.force:
        refuse_existing(cwd / shown, shown)
    refuse_roots(cwd / shown, shown, cwd)
    return _Output(cwd / shown, shown)


def _files(store: Store, entry: Entry) -> int:
    return store.read_tree(entry.oid).files if entry.kind == DIRECTORY else 1
