"""What one run of the program knows: the streams, the global options, the repository."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

from dver.base.errors import DverError
from dver.base.reporter import Reporter
from dver.ui.console import Console

if TYPE_CHECKING:
    import click

    from dver.config.load import Config
    from dver.git.discovery import Search
    from dver.repo import Repo
    from dver.ui.progress import ConsoleReporter

#: What a command needs: nothing, a git repository, or one in which ``dver init`` was run.
Access = Literal["none", "repository", "initialised"]
Result = TypeVar("Result")


class App:
    """Made once per run and handed to every command as its first argument.

    ``overrides`` are the ``-c KEY=VALUE`` options in order. ``command`` is the command's name, for
    messages and JSON.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.console = Console(environ=environ)
        self.overrides: list[tuple[str, str]] = []
        self.command = ""
        self.debug = False
        self.show_progress = True
        self.use_pager = True
        self._search: Search | None = None
        self._repo: Repo | None = None
        self._access: Access = "none"
        self._reporter: ConsoleReporter | None = None

    def look_ahead(self, args: Sequence[str]) -> None:
        """Let git look for the repository, which most commands need, while code is loaded."""
        if not args or args[0].startswith("-"):  # an option may say to look elsewhere
            return
        from dver.git.discovery import Search

        with contextlib.suppress(OSError, DverError):  # whoever needs the answer hears of it
            self._search = Search(os.getcwd(), self.environ)

    def need(self, access: Access) -> None:
        """Fail now unless the command can have what it declares."""
        self._access = access
        if access == "initialised" and self._repo is not None:
            # Opened before it was known what the command needs, to look for an alias.
            self._repo.close()
            self._repo = None
        if access != "none":
            _ = self.repo

    @property
    def repo(self) -> Repo:
        """The repository around the current directory, opened at the first use."""
        if self._repo is None:
            from dver.repo import Repo

            try:
                self._repo = Repo.open(
                    overrides=self.overrides,
                    environ=self.environ,
                    initialised=self._access == "initialised",
                    search=self._search,
                )
            finally:
                self._end_search()
        return self._repo

    @property
    def config(self) -> Config:
        """The settings: those of the repository, or outside of one the user's own."""
        from dver.base.errors import RepositoryError

        try:
            return self.repo.config
        except RepositoryError:
            from dver.config.load import Config, ConfigPaths, user_config_path

            paths = ConfigPaths(user_config_path(self.environ))
            return Config(paths, environ=self.environ, overrides=self.overrides)

    @property
    def reporter(self) -> Reporter:
        """The way operations speak to the user."""
        if self._reporter is None:
            from dver.base import locking
            from dver.ui.progress import ConsoleReporter

            console = self.console
            locking.tell_of_waiting(console.talk)
            self._reporter = ConsoleReporter(
                console,
                progress=self.show_progress
                and not console.quiet
                and not console.json
                and console.is_terminal("err"),
            )
        return self._reporter

    def finish(
        self,
        result: Result,
        render: Callable[[Console, Result], None],
        *,
        exit_code: int = 0,
        long: bool = False,
    ) -> int:
        """Show a result as JSON or through ``render``, and return the exit code.

        What may be ``long`` goes through a pager if it is shown on a terminal.
        """
        if self._reporter is not None:
            self._reporter.close()
        if self.console.json:
            from dver.ui import jsonout

            self.console.print(jsonout.result(self.command, result, exit_code))
        elif long:
            self.page(lambda: render(self.console, result))
        else:
            render(self.console, result)
        return exit_code

    def page(self, show: Callable[[], None]) -> None:
        """Call ``show`` with standard output leading to the user's pager, if it is a terminal."""
        if not self.use_pager or not self.console.is_terminal("out"):
            show()
            return
        from dver.ui import pager

        try:
            configured = self.config.text("core.pager")
        except DverError:  # help is wanted most where the settings are broken
            configured = None
        words = pager.command_of(configured, self.environ)
        if not words:
            show()
            return
        with pager.paged(self.console, words, self.environ):
            show()

    def close(self) -> None:
        """Take progress bars away and let go of the repository."""
        if self._reporter is not None:
            self._reporter.close()
        self._end_search()
        if self._repo is not None:
            self._repo.close()

    def _end_search(self) -> None:
        search, self._search = self._search, None
        if search is not None:
            search.close()


def app_of(ctx: click.Context) -> App:
    """Return the App that the run's context carries."""
    app: App = ctx.find_root().obj
    return app
