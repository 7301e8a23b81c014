"""The holder that every operation works on."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base.errors import RepositoryError, UsageError
from dver.base.reporter import SILENT, Reporter
from dver.config.load import Config, ConfigPaths, Overrides, environment, user_config_path
from dver.git.pointers import pointer_path
from dver.git.repository import Git
from dver.repo import naming
from dver.repo.layout import COMMITTED_CONFIG, Layout

if TYPE_CHECKING:
    from dver.config.remotes import RemoteSettings
    from dver.git.discovery import Search
    from dver.store.store import Store
    from dver.transfer.remote import Remote


class Repo:
    """One repository as seen from one directory. Make one with :meth:`open`.

    ``root`` is the top of the working tree and ``cwd`` where the user stands, both without
    symlinks. Paths inside the library are bytes relative to ``root``; :meth:`locate` and
    :meth:`display` translate. The store is opened at its first use, settings at the first question.
    """

    def __init__(self, git: Git, *, overrides: Overrides, environ: Mapping[str, str]) -> None:
        self.git = git
        self.root = git.root
        self.cwd = git.cwd
        self.environ = environ
        self._overrides = overrides
        self.layout = Layout(git.root, git.git_dir, git.common_dir)
        self.config = Config(
            ConfigPaths(
                user=user_config_path(environ),
                repository=None if git.is_bare else self.layout.committed_config,
                local=self.layout.local_config,
                root=None if git.is_bare else git.root,
                state=self.common_state_dir,
            ),
            environ=environ,
            overrides=overrides,
            committed=self._committed_config,
        )
        self._opened: list[Remote] = []

    @classmethod
    def open(
        cls,
        cwd: Path | str | None = None,
        *,
        overrides: Overrides = (),
        environ: Mapping[str, str] | None = None,
        initialised: bool = False,
        search: Search | None = None,
    ) -> Repo:
        """Open the repository around a directory, by default the current one.

        ``overrides`` are settings that beat all others, as (key, value). With ``initialised`` it
        must have been set up with ``dver init``. A ``search`` of the same directory in the same
        environment may have been begun before. Raises RepositoryError.
        """
        env = environment() if environ is None else environ
        if search is not None:
            git = Git.found_by(search)
        else:
            git = Git.discover(_current_directory() if cwd is None else cwd, environ=env)
        repo = cls(git, overrides=overrides, environ=env)
        if initialised:
            repo.require_init()
        return repo

    def at(self, directory: Path) -> Repo:
        """Return the same repository as seen from another directory of it, opened anew."""
        return Repo.open(directory, overrides=self._overrides, environ=self.environ)

    # -- state ----------------------------------------------------------------------------------

    @property
    def state_dir(self) -> Path:
        """What belongs to this working tree alone."""
        return self.layout.state_dir

    @property
    def common_state_dir(self) -> Path:
        """What all working trees of the repository share."""
        return self.layout.common_state_dir

    @property
    def is_initialised(self) -> bool:
        """Whether ``dver init`` was run: the committed configuration exists."""
        if not self.git.is_bare and os.path.lexists(self.layout.committed_config):
            return True
        return self._committed_config() is not None

    def require_init(self) -> None:
        """Raise RepositoryError unless ``dver init`` was run in this repository."""
        if not self.is_initialised:
            raise RepositoryError("dver is not set up in this repository", hint="dver init")

    def _committed_config(self) -> tuple[bytes, str] | None:
        """Return the committed configuration where it is no file: in git, by HEAD or the index."""
        name = COMMITTED_CONFIG.decode()
        if self.git.is_bare:
            head = self.git.head()
            data = self.git.read_file(head, COMMITTED_CONFIG) if head else None
            return None if data is None else (data, f"HEAD:{name}")
        if not self.git.is_sparse:
            return None
        data = self.git.read_file("", COMMITTED_CONFIG)
        return None if data is None else (data, f"{name} (outside the sparse checkout)")

    @property
    def store_path(self) -> Path:
        """Where the local store is."""
        return self.config.path("store.path", base=self.root) or self.layout.store_dir

    @functools.cached_property
    def store(self) -> Store:
        """The local store, made at the first use."""
        from dver.storage.local import LocalStorage
        from dver.store.store import Store

        store = Store.create(LocalStorage(self.store_path))
        if self.store_path != self.layout.store_dir:
            from dver.store.users import register

            register(store.local_directory(), self.git.common_dir)
        return store

    # -- paths ----------------------------------------------------------------------------------

    def locate(self, argument: str) -> bytes:
        """Return the repository path that an argument of the user names; see naming.locate."""
        return naming.locate(self.git, argument)

    def display(self, path: bytes) -> str:
        """Return a repository path relative to where the user stands; see naming.display."""
        return naming.display(self.git, path)

    def absolute(self, path: bytes) -> bytes:
        """Return where a repository path is on disk."""
        root = os.fsencode(self.root)
        return os.path.join(root, path) if path else root

    def is_path(self, argument: str) -> bool:
        """Tell whether an argument names something of the working tree.

        That is a file or directory, a pointer's data even if it is missing, or something inside a
        tracked directory, which may be missing too.
        """
        try:
            path = self.locate(argument)
        except UsageError:
            return False
        if self.git.is_bare or not path:
            return not self.git.is_bare
        parts = path.split(b"/")
        return os.path.lexists(self.absolute(path)) or any(
            os.path.lexists(self.absolute(pointer_path(b"/".join(parts[:count]))))
            for count in range(1, len(parts) + 1)
        )

    # -- remotes --------------------------------------------------------------------------------

    def remote_settings(self, name: str | None = None) -> RemoteSettings:
        """Return what is configured for a remote; None is the default one."""
        from dver.config.remotes import find_remote

        return find_remote(self.config, name)

    def open_remote(
        self, name: str | None = None, *, write: bool, reporter: Reporter = SILENT
    ) -> Remote:
        """Open a remote; None is the default one.

        With ``write`` its place must be trusted: ConfigError otherwise, before any connection.
        ``reporter`` hears of requests that are repeated. Raises RefusedError for a directory that
        belongs to the local store.
        """
        from dver.config.remotes import require_trusted
        from dver.storage.factory import open_storage
        from dver.storage.local import LocalStorage
        from dver.transfer.remote import Remote

        settings = self.remote_settings(name)
        if write:
            require_trusted(self.config, settings)
        storage = open_storage(
            settings.location,
            settings.options,
            environ=self.environ,
            base=self.root,
            reporter=reporter,
        )
        if isinstance(storage, LocalStorage):
            self.refuse_own_store(storage.root, others=write)
        remote = Remote(
            settings.name,
            storage,
            self.layout.remote_cache(settings.name),
            jobs=self.config.number("core.jobs"),
        )
        self._opened.append(remote)
        return remote

    def refuse_own_store(self, place: str, *, others: bool = True) -> None:
        """Raise RefusedError for a remote's directory that is in our own store, or in another's."""
        from dver.repo.ownstore import refuse_own_store

        state = (self.layout.common_state_dir, self.layout.state_dir)
        refuse_own_store(place, map(os.fspath, (self.store_path, *state)), others=others)

    def trust_first_remote(self, name: str | None = None) -> bool:
        """Note after a fetch that data may be sent there, if this clone trusts nothing yet."""
        from dver.config.remotes import trust_first_remote

        return trust_first_remote(self.config, self.remote_settings(name).name)

    def close(self) -> None:
        """Release what was opened. The holder must not be used afterwards."""
        while self._opened:
            self._opened.pop().storage.close()
        store = self.__dict__.pop("store", None)
        if store is not None:
            store.storage.close()


def _current_directory() -> str:
    try:
        return os.getcwd()
    except OSError as error:
        raise RepositoryError(
            "the current directory does not exist any more", hint="cd to one that does"
        ) from error
