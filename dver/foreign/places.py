"""Where the objects of another tool lie: files on this machine, and storages to fetch them from."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dver.base.errors import ConfigError, DverError, ObjectNotFound, RemoteError
from dver.base.quoting import show
from dver.foreign import dvcproject
from dver.foreign.dvcproject import DvcRemote, Project
from dver.storage.base import Storage

#: Ways to look for an object: ``keys(digest, directory=...)`` below a place.
Keys = Callable[..., Iterator[str]]


_KIND, _FILE, _LINK = 0o170000, 0o100000, 0o120000
#: A storage that failed so often, and answered nothing in between, is not asked any more.
_FAILURES = 3


class Places:
    """Directories of this machine, and storages behind them, opened only when they are needed.

    A storage that fails is left out, and the others are asked. ``problems`` says which could not
    be asked, and why; ``hints`` what helps. Close it after use.
    """

    def __init__(
        self,
        keys: Keys,
        directories: Sequence[Path],
        openers: Sequence[tuple[str, Callable[[], Storage]]] = (),
    ) -> None:
        self._keys = keys
        self._directories = [os.fsencode(one) for one in directories]
        self._openers = list(openers)
        self._storages: list[tuple[str, Storage]] | None = None
        self._failures: dict[str, int] = {}
        self._guard = threading.Lock()
        self.problems: list[str] = []
        self.hints: list[str] = []

    def file(self, digest: bytes, *, directory: bool = False) -> tuple[bytes, int] | None:
        """Return the path and the size of an object's file on this machine, if there is one."""
        for key in self._keys(digest, directory=directory):
            for base in self._directories:
                path = base + b"/" + key.encode()
                with contextlib.suppress(OSError):
                    found = os.lstat(path)
                    if found.st_mode & _KIND == _LINK:
                        path = os.path.realpath(path)
                        found = os.stat(path)
                    # A link that somebody committed may lead to what never ends.
                    if found.st_mode & _KIND == _FILE:
                        return path, found.st_size
        return None

    def files(self, digests: Sequence[bytes]) -> Iterator[tuple[bytes, int] | None]:
        """Yield the path and size of each of many objects' files, or None; see :meth:`file`."""
        lstat = os.lstat
        last = b""
        for digest in digests:
            # Most lie where the one before was found.
            if last:
                text = digest.hex().encode()
                path = b"%s%s/%s" % (last, text[:2], text[2:])
                try:
                    found = lstat(path)
                except OSError:
                    pass
                else:
                    if found.st_mode & _KIND == _FILE:
                        yield path, found.st_size
                        continue
            place = self.file(digest)
            if place is not None:
                tail = digest.hex()[:2].encode() + b"/" + digest.hex()[2:].encode()
                last = place[0][: -len(tail)] if place[0].endswith(tail) else b""
            yield place

    def fetch(self, digest: bytes, to: Path, *, directory: bool = False) -> bool:
        """Write an object to a new file, whatever it is; say whether a storage had it."""
        for name, storage in self._opened():
            if self._failures.get(name, 0) >= _FAILURES:
                continue
            try:
                if self._get(storage, digest, to, directory=directory):
                    return True
            except RemoteError as error:
                to.unlink(missing_ok=True)
                self._note_failure(name, error)
            else:
                self._failures[name] = 0
        return False

    def _get(self, storage: Storage, digest: bytes, to: Path, *, directory: bool) -> bool:
        for key in self._keys(digest, directory=directory):
            try:
                storage.get_file(key, to)
            except ObjectNotFound:
                continue
            return True
        return False

    def _note_failure(self, name: str, error: DverError) -> None:
        with self._guard:
            self._failures[name] = self._failures.get(name, 0) + 1
            if not any(one.startswith(f"{name}: ") for one in self.problems):
                self.problems.append(f"{name}: {error.message}")

    def fetch_all(self, digests: Sequence[bytes], directory: Path) -> Iterator[int]:
        """Fetch objects at once, each into the file of its number; yield the numbers of those got.

        The first one goes alone, so that a storage that is down is found out by it.
        """
        storages = [storage for _, storage in self._opened()]
        if not storages or not digests:
            return

        def one(i: int) -> bool:
            return self.fetch(digests[i], directory / str(i))

        connections = max(1, min(16, *(storage.facts.connections for storage in storages)))
        if one(0):
            yield 0
        with ThreadPoolExecutor(connections, "dver-foreign") as pool:
            for i, got in enumerate(pool.map(one, range(1, len(digests))), 1):
                if got:
                    yield i

    @property
    def described(self) -> str:
        """The places in words, with what kept some of them from being asked."""
        text = " or ".join(map(show, self.looked_in))
        return f"{text} ({'; '.join(self.problems)})" if self.problems else text

    @property
    def looked_in(self) -> list[str]:
        """What to call the places in a message."""
        found = [os.fsdecode(one) for one in self._directories]
        return found + [one.description for _, one in self._storages or ()]

    def _opened(self) -> list[tuple[str, Storage]]:
        if self._storages is None:
            self._storages = []
            for name, opener in self._openers:
                try:
                    self._storages.append((name, opener()))
                except DverError as error:
                    self.problems.append(f"{name}: {error.message}")
                    if error.hint:
                        self.hints.append(error.hint)
        return self._storages

    def close(self) -> None:
        """Let go of what was opened."""
        for _, storage in self._storages or ():
            storage.close()
        self._storages = None


def of_project(
    project: Project,
    top: Path,
    environ: Mapping[str, str],
    is_agreed: Callable[[str], bool],
) -> Places:
    """Return the caches and remotes of a DVC project.

    A remote that the committed settings lead to is asked only if ``is_agreed`` to its place.
    """
    directories = list(project.caches)
    openers: list[tuple[str, Callable[[], Storage]]] = []
    for remote in project.remotes:
        if remote.is_elsewhere and remote.is_committed and not is_agreed(remote.place):
            openers.append((remote.name, _refused(remote)))
        elif remote.directory is not None:
            directories.append(remote.directory)
        else:
            openers.append((remote.name, _opener(remote, top, environ)))
    return Places(dvcproject.keys, directories, openers)


def _refused(remote: DvcRemote) -> Callable[[], Storage]:
    def refused() -> Storage:
        raise ConfigError(
            f"{show(remote.place)} comes from .dvc/config, which is shared through git, and nobody"
            " has yet agreed in this clone to read from there",
            hint="if you know that place: dver migrate dvc --trust",
        )

    return refused


def _opener(remote: DvcRemote, top: Path, environ: Mapping[str, str]) -> Callable[[], Storage]:
    def opened() -> Storage:
        from dver.storage.othertools import open_dvc_remote

        options, env = dvcproject.remote_options(remote, environ)
        return open_dvc_remote(remote.url, options, remote.options, environ=env, base=top)

    return opened
