"""Where the objects of another tool lie: files on this machine, and storages to fetch them from."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dver.base.errors import DverError, ObjectNotFound
from dver.base.fsio import show
from dver.foreign import dvcproject
from dver.foreign.dvcproject import DvcRemote, Project
from dver.storage.base import Storage

#: Ways to look for an object: ``keys(digest, directory=...)`` below a place.
Keys = Callable[..., Iterator[str]]


_KIND, _FILE, _LINK = 0o170000, 0o100000, 0o120000


class Places:
    """Directories of this machine, and storages behind them, opened only when they are needed.

    ``problems`` says which of the storages could not be asked, and why. Close it after use.
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
        self._storages: list[Storage] | None = None
        self.problems: list[str] = []

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
        for storage in self._opened():
            for key in self._keys(digest, directory=directory):
                try:
                    storage.get_file(key, to)
                except ObjectNotFound:
                    continue
                return True
        return False

    def fetch_all(self, digests: Sequence[bytes], directory: Path) -> Iterator[int]:
        """Fetch objects at once, each into the file of its number; yield the numbers of those got.

        Raises RemoteError if a storage that answered at first does not any more.
        """
        storages = self._opened()
        if not storages or not digests:
            return

        def one(i: int) -> bool:
            return self.fetch(digests[i], directory / str(i))

        connections = max(1, min(16, *(storage.facts.connections for storage in storages)))
        with ThreadPoolExecutor(connections, "dver-foreign") as pool:
            for i, got in enumerate(pool.map(one, range(len(digests)))):
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
        return found + [one.description for one in self._storages or ()]

    def _opened(self) -> list[Storage]:
        if self._storages is None:
            self._storages = []
            for name, opener in self._openers:
                try:
                    self._storages.append(opener())
                except DverError as error:
                    self.problems.append(f"{name}: {error.message}")
        return self._storages

    def close(self) -> None:
        """Let go of what was opened."""
        for storage in self._storages or ():
            storage.close()
        self._storages = None


def of_project(project: Project, top: Path, environ: Mapping[str, str]) -> Places:
    """Return the caches and remotes of a DVC project."""
    directories = list(project.caches)
    openers: list[tuple[str, Callable[[], Storage]]] = []
    for remote in project.remotes:
        scheme, found, rest = remote.url.partition("://")
        if not found or scheme in ("file", "local"):
            directories.append(Path(rest if found else remote.url))
        else:
            openers.append((remote.name, _opener(remote, top, environ)))
    return Places(dvcproject.keys, directories, openers)


def _opener(remote: DvcRemote, top: Path, environ: Mapping[str, str]) -> Callable[[], Storage]:
    def opened() -> Storage:
        from dver.storage.othertools import open_dvc_remote

        options, env = dvcproject.remote_options(remote, environ)
        return open_dvc_remote(remote.url, options, remote.options, environ=env, base=top)

    return opened
