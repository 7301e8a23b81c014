"""What all methods of :class:`dver.Repo` stand on: the repository, opened for each call."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from dver.base.reporter import SILENT, Reporter
from dver.config.load import environment
from dver.python.sessions import PathLike, here
from dver.repo import Repo as Opened


def texts(paths: tuple[PathLike, ...]) -> tuple[str, ...]:
    """Return paths as operations take them."""
    return tuple(os.fspath(one) for one in paths)


class Handle:
    """A repository as seen from one of its directories.

    Each call opens it as a command would, and so sees what others have done meanwhile; there is
    nothing to close. ``settings`` beat all others, as ``dver -c`` does. ``reporter`` hears of
    progress and warnings; by default nobody does.
    """

    def __init__(
        self,
        directory: PathLike | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        reporter: Reporter = SILENT,
    ) -> None:
        self.directory = Path(os.path.normpath(os.path.join(here(), os.fsdecode(directory or "."))))
        self.settings = dict(settings or {})
        self.reporter = reporter

    def __repr__(self) -> str:
        return f"dver.{type(self).__name__}({os.fspath(self.directory)!r})"

    @contextlib.contextmanager
    def opened(self, *, initialised: bool = True) -> Iterator[Opened]:
        """Open the repository for one operation."""
        repo = Opened.open(
            self.directory,
            overrides=tuple(self.settings.items()),
            environ=environment(),
            initialised=initialised,
        )
        try:
            yield repo
        finally:
            repo.close()

    @property
    def root(self) -> Path:
        """The top of the working tree, without symlinks."""
        with self.opened(initialised=False) as repo:
            return repo.root


class Group:
    """The verbs of one noun, such as ``repo.remote``."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
