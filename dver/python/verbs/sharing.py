"""Sharing: ``dver push``, ``fetch``, ``pull``, and the remotes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dver.python.sessions import PathLike
from dver.python.verbs.handle import Group, Handle, texts

if TYPE_CHECKING:
    from dver.ops.sharing.fetch import FetchResult
    from dver.ops.sharing.pull import PullResult
    from dver.ops.sharing.push import PushResult
    from dver.ops.sharing.remote import FileLevel, RemoteChange, RemoteCheck, RemoteListResult


class SharingVerbs(Handle):
    """Methods that send content to remotes and bring it from there."""

    def push(
        self,
        *paths: PathLike,
        remote: str | None = None,
        revisions: tuple[str, ...] = (),
        all: bool = False,  # noqa: A002 - as the option is called
        jobs: int | None = None,
        dry_run: bool = False,
        repair: bool = False,
    ) -> PushResult:
        """Send the content that pointers name to a remote: ``dver push``.

        By default that is what HEAD and the work tree name. ``repair`` heals a damaged remote.
        """
        from dver.ops.sharing.push import PushOptions, push

        asked = PushOptions(remote, texts(paths), revisions, all, jobs, dry_run, repair)
        with self.opened() as repo:
            return push(repo, asked, self.reporter)

    def fetch(
        self,
        *paths: PathLike,
        remote: str | None = None,
        revisions: tuple[str, ...] = (),
        all: bool = False,  # noqa: A002 - as the option is called
        jobs: int | None = None,
        dry_run: bool = False,
        trust: bool = False,
    ) -> FetchResult:
        """Bring the content that pointers name into the local store: ``dver fetch``.

        ``trust`` agrees to the sources of imports, which are asked for what the remote lacks.
        """
        from dver.ops.sharing.fetch import FetchOptions, fetch

        asked = FetchOptions(remote, texts(paths), revisions, all, jobs, dry_run, trust)
        with self.opened() as repo:
            return fetch(repo, asked, self.reporter)

    def pull(
        self,
        *paths: PathLike,
        remote: str | None = None,
        revisions: tuple[str, ...] = (),
        all: bool = False,  # noqa: A002 - as the option is called
        jobs: int | None = None,
        dry_run: bool = False,
        force: bool = False,
        link: str | None = None,
        trust: bool = False,
    ) -> PullResult:
        """Fetch content and check it out: ``dver pull``. Pointers do not move."""
        from dver.ops.sharing.pull import PullOptions, pull

        asked = PullOptions(remote, texts(paths), revisions, all, jobs, dry_run, force, link, trust)
        with self.opened() as repo:
            return pull(repo, asked, self.reporter)

    @property
    def remote(self) -> RemoteGroup:
        """The places where data is shared: ``dver remote``."""
        return RemoteGroup(self)


class RemoteGroup(Group):
    """The verbs of ``dver remote``."""

    def add(
        self, name: str, url: str, *, level: FileLevel = "repository", default: bool = False
    ) -> RemoteChange:
        """Add a remote; the first one becomes the default."""
        from dver.ops.sharing import remote as remotes
        from dver.ops.sharing.remote import AddRemoteOptions

        with self._handle.opened() as repo:
            asked = AddRemoteOptions(name, url, level, default)
            return remotes.add_remote(repo, asked, self._handle.reporter)

    def list(self) -> RemoteListResult:
        """Return the remotes, without asking any of them."""
        from dver.ops.sharing import remote as remotes

        with self._handle.opened() as repo:
            return remotes.list_remotes(repo)

    def check(self, name: str | None = None) -> RemoteCheck:
        """Try a remote out: whether it can be reached, read, written, and what it is able to do."""
        from dver.ops.sharing import remote as remotes

        with self._handle.opened() as repo:
            return remotes.check_remote(repo, name, self._handle.reporter)

    def default(self, name: str | None = None, *, level: FileLevel | None = None) -> RemoteChange:
        """Make a remote the default one, or without a name tell which is."""
        from dver.ops.sharing import remote as remotes

        with self._handle.opened() as repo:
            return remotes.default_remote(repo, name, level)

    def remove(self, name: str) -> RemoteChange:
        """Forget a remote; what is in it stays."""
        from dver.ops.sharing import remote as remotes

        with self._handle.opened() as repo:
            return remotes.remove_remote(repo, name)

    def rename(self, old: str, new: str) -> RemoteChange:
        """Give a remote another name."""
        from dver.ops.sharing import remote as remotes

        with self._handle.opened() as repo:
            return remotes.rename_remote(repo, old, new)

    def set(
        self, name: str, option: str, value: str, *, level: FileLevel | None = None
    ) -> RemoteChange:
        """Change an option of a remote."""
        from dver.ops.sharing import remote as remotes

        with self._handle.opened() as repo:
            return remotes.set_remote(repo, name, option, value, level)

    def unset(self, name: str, option: str) -> RemoteChange:
        """Take an option of a remote back."""
        from dver.ops.sharing import remote as remotes

        with self._handle.opened() as repo:
            return remotes.unset_remote(repo, name, option)

    def trust(self, name: str | None = None) -> RemoteChange:
        """Agree to data being sent where the committed settings of a remote say."""
        from dver.ops.sharing import remote as remotes

        with self._handle.opened() as repo:
            return remotes.trust_remote(repo, name)
