"""Looking at any version: ``dver log``, ``ls``, ``get``, and files as ``dver.open`` opens them."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

from dver.python import files
from dver.python.sessions import PathLike
from dver.python.verbs.handle import Handle, texts

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from dver.ops.looking.du import DuResult
    from dver.ops.looking.get import GetResult
    from dver.ops.looking.log import LogResult
    from dver.ops.looking.ls import LsResult
    from dver.ops.looking.whereis import WhereisResult
    from dver.ops.making.report import ReportResult
    from dver.python.filesystem import DverFileSystem


class LookingVerbs(Handle):
    """Methods that look at versions."""

    def log(
        self,
        path: PathLike | None = None,
        *revisions: str,
        all: bool = False,  # noqa: A002 - as the option is called
        max_count: int | None = None,
        follow: bool = True,
    ) -> LogResult:
        """Return every version of some data, or of all, across git history: ``dver log``.

        ``revisions`` or ``all`` refs say where to look, by default from HEAD; ``follow`` renames.
        """
        from dver.ops.looking.log import LogOptions, log

        typed = None if path is None else os.fspath(path)
        asked = LogOptions(typed, revisions, all, max_count, follow)
        with self.opened() as repo:
            return log(repo, asked, self.reporter)

    def ls(
        self,
        *paths: PathLike,
        rev: str | None = None,
        recursive: bool = False,
        remote: str | None = None,
        local: bool = True,
    ) -> LsResult:
        """Return tracked data at any revision: ``dver ls``.

        ``local`` asks of each entry whether its content is here.
        """
        from dver.ops.looking.ls import LsOptions, ls

        asked = LsOptions(texts(paths), rev, recursive, remote, local)
        with self.opened() as repo:
            return ls(repo, asked, self.reporter)

    def get(
        self,
        path: PathLike,
        output: PathLike | None = None,
        *,
        rev: str | None = None,
        url: str | None = None,
        remote: str | None = None,
        force: bool = False,
        jobs: int | None = None,
        remote_url: str | None = None,
    ) -> GetResult:
        """Write any version of some data anywhere: ``dver get``.

        ``output`` is relative to this repository's directory, by default the path's own name;
        ``url`` is another repository, of which ``remote`` is then one and ``remote_url`` is read in
        place of any. Raises RefusedError if something is there, without ``force``.
        """
        from dver.ops.looking.get import GetOptions, get

        where = None if output is None else os.fspath(output)
        asked = GetOptions(
            os.fspath(path),
            where,
            rev,
            url,
            remote,
            force,
            jobs,
            remote_url,
            tuple(self.settings.items()),
        )
        with self.opened() as repo:
            return get(repo, asked, self.reporter)

    def cat(self, path: PathLike, *, rev: str | None = None, remote: str | None = None) -> bytes:
        """Return the bytes of a tracked file of any version, as ``dver cat`` prints them."""
        from dver.ops.looking.cat import CatOptions, cat

        out = io.BytesIO()
        with self.opened() as repo:
            cat(repo, CatOptions(os.fspath(path), rev, remote), out, self.reporter)
        return out.getvalue()

    def du(
        self,
        *paths: PathLike,
        rev: str | None = None,
        all: bool = False,  # noqa: A002 - as the option is called
        depth: int = 0,
    ) -> DuResult:
        """Return how much room data takes, as files and in the store: ``dver du``."""
        from dver.ops.looking.du import DuOptions, du

        with self.opened() as repo:
            return du(repo, DuOptions(texts(paths), rev, all, depth), self.reporter)

    def whereis(
        self,
        what: PathLike,
        *,
        rev: str | None = None,
        check: bool = False,
        remotes: tuple[str, ...] = (),
    ) -> WhereisResult:
        """Return where the content of some data is: ``dver whereis``. ``check`` asks remotes."""
        from dver.ops.looking.whereis import WhereisOptions, whereis

        asked = WhereisOptions(os.fspath(what), rev, check, remotes)
        with self.opened() as repo:
            return whereis(repo, asked, self.reporter)

    def report(
        self, *revisions: str, paths: tuple[PathLike, ...] = (), remote: str | None = None
    ) -> ReportResult:
        """Return what changed between two revisions, data, metrics and lineage: ``dver report``."""
        from dver.ops.making.report import ReportOptions, report

        with self.opened() as repo:
            return report(repo, ReportOptions(revisions, texts(paths), remote), self.reporter)

    # -- files ----------------------------------------------------------------------------------

    def open(self, path: PathLike, mode: str = "r", **options: Any) -> IO[Any]:
        """Open a file of any version; see :func:`dver.open`."""
        of_any_mode: Callable[..., IO[Any]] = files.open
        return of_any_mode(path, mode, repo=self.directory, **options)

    def read(self, path: PathLike, **options: Any) -> Any:
        """Return all of a file of any version; see :func:`dver.read`."""
        return files.read(path, repo=self.directory, **options)

    def path(self, path: PathLike, **options: Any) -> str:
        """Return a local path with the content of a version; see :func:`dver.path`."""
        return files.path(path, repo=self.directory, **options)

    def filesystem(self, rev: str | None = None, **options: Any) -> DverFileSystem:
        """Return the repository, or one version of it, as an fsspec file system."""
        from dver.python.filesystem import DverFileSystem

        return DverFileSystem(rev, self.directory, **options)
