"""Repositories that this process reads from, kept open from one call to the next.

Opening a repository, its store and a remote's index costs some milliseconds; reading a thousand
files shall not cost them a thousand times. A session belongs to one place, one remote and one
environment, so that credentials that are set later are used, and to the settings and the store that
there were: when one of their files changes, the repository is opened anew.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path

from dver.base.clearing import clear_away
from dver.base.errors import RepositoryError
from dver.base.reporter import SILENT
from dver.config.load import environment
from dver.ops.looking.contents import Contents
from dver.ops.looking.view import View
from dver.repo import Repo
from dver.storage.local import LocalStorage
from dver.store.store import Store

PathLike = str | os.PathLike[str]

#: Sessions, and versions in each, that are kept for later calls.
_SESSIONS = 16
_VIEWS = 32


class Session:
    """One open repository to read from. For several threads; make one with :func:`session`."""

    def __init__(self, repo: Repo, store: Store | None, remote: str | None) -> None:
        self.repo, self.remote = repo, remote
        self.contents = Contents(repo, store, remote)
        #: The commit of a clone that was made to read one revision.
        self.pinned: str | None = None
        #: What that clone lives in.
        self.kept: object = None
        self._stamp = _stamp(repo)
        self._segments = _segments(repo)
        self._views: OrderedDict[str, View] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def is_current(self) -> bool:
        """Whether settings and store are still those that were opened; a clone always is.

        What came into the store since is found when it is asked for. What went must not be read
        from packs that are deleted, and kept on the disk because they are open here.
        """
        if self.pinned is not None:
            return True
        return self._stamp == _stamp(self.repo) and self._segments <= _segments(self.repo)

    def view(self, rev: str | None) -> View:
        """Return a version: of a revision as it is now, or with None of the work tree."""
        view = View(self.repo, self.contents, self.pinned or rev)
        if view.commit is None:
            return view
        with self._lock:
            known = self._views.setdefault(view.commit, view)
            if known.rev != view.rev:  # another name for the same commit; messages use the new one
                known = self._views[view.commit] = view
            self._views.move_to_end(view.commit)
            while len(self._views) > _VIEWS:
                self._views.popitem(last=False)
        return known

    def bring(self, view: View, path: bytes) -> Store:
        """Fetch all of some data into the local store, if it is not there as a whole yet.

        Returns that store. Raises MissingContentError, and what reading the remote raises.
        """
        from dver.ops.looking.bringing import bring

        store = self.repo.store
        version, located = view.located(path)
        if located is not None:
            bring(self.repo, version, located, store, SILENT, remote=self.remote)
            self.contents.use(store)
        return store


_sessions: OrderedDict[tuple[object, ...], Session] = OrderedDict()
_lock = threading.Lock()


def here() -> str:
    """Return the current directory. Raises RepositoryError if it does not exist any more."""
    try:
        return os.getcwd()
    except OSError as error:
        raise RepositoryError(
            "the current directory does not exist any more", hint="change to one that does"
        ) from error


def session(
    repo: PathLike | None = None, rev: str | None = None, remote: str | None = None
) -> Session:
    """Return a session for a repository: a path in it, a git URL, or None for the current one.

    Of a URL, ``rev`` alone is cloned, once for this process. Raises RepositoryError if there is no
    repository, RemoteError if it cannot be cloned.
    """
    env = environment()
    where = here() if repo is None else os.fsdecode(repo)
    local = where if os.path.isdir(where) else where.removeprefix("file://")
    is_url = not os.path.isdir(local)
    place = (where, rev) if is_url else os.path.realpath(local)
    key = (os.getpid(), place, remote, hash(frozenset(env.items())))
    with _lock:
        found = _sessions.get(key)
        if found is not None and found.is_current:
            _sessions.move_to_end(key)
            return found
        _sessions.pop(key, None)
    made = _clone(where, rev, remote, env) if is_url else _open(local, remote, env)
    with _lock:
        found = _sessions.setdefault(key, made)
        while len(_sessions) > _SESSIONS:
            _sessions.popitem(last=False)
    return found


def forget() -> None:
    """Open repositories anew from now on, and clone URLs again."""
    with _lock:
        _sessions.clear()


def _open(path: str, remote: str | None, env: Mapping[str, str]) -> Session:
    repo = Repo.open(path, environ=env)
    return Session(repo, _store_of(repo), remote)


def _stamp(repo: Repo) -> tuple[tuple[int, int, int] | None, ...]:
    """Return what changes when somebody changes the settings, or makes or replaces the store.

    A notebook stays open while a remote is added and content is pulled beside it.
    """
    paths = repo.config.paths
    files = (paths.user, paths.repository, paths.local, repo.store_path / "format.json")
    return tuple(_state(path) for path in files)


def _segments(repo: Repo) -> frozenset[str]:
    """Return the names of the segments that the local store has."""
    try:
        return frozenset(os.listdir(repo.store_path / "index"))
    except OSError:
        return frozenset()


def _state(path: Path | None) -> tuple[int, int, int] | None:
    with contextlib.suppress(OSError):
        if path is not None:
            found = os.stat(path)
            return found.st_ino, found.st_size, found.st_mtime_ns
    return None


def _store_of(repo: Repo) -> Store | None:
    """Open the local store of a repository if there is one; reading never makes one."""
    if not (repo.store_path / "format.json").exists():
        return None
    return Store.open(LocalStorage(repo.store_path))


def _clone(url: str, rev: str | None, remote: str | None, env: Mapping[str, str]) -> Session:
    from dver.ops.looking.elsewhere import open_elsewhere

    stack = contextlib.ExitStack()
    directory = stack.enter_context(_scratch())
    other = stack.enter_context(open_elsewhere(url, rev, directory, env))
    # What is fetched goes into the clone, which is nobody else's.
    made = Session(other.repo, other.store or other.repo.store, remote)
    made.pinned = other.commit
    made.kept = stack
    return made


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """Make a directory that lives as long as this process, and not as its children."""
    directory = tempfile.mkdtemp(prefix="dver-")
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            clear_away(directory, ignore_errors=True)

    atexit.register(remove)
    yield Path(directory)


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _sessions.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
