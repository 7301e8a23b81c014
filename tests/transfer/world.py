"""Two clones and a remote between them, without git: what transfer tests act on."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from dver.base.errors import RemoteError
from dver.base.oid import Oid
from dver.base.reporter import SILENT, Reporter
from dver.formats import pack
from dver.formats import tree as trees
from dver.formats.root import RootObject
from dver.formats.storeinfo import Chunker
from dver.formats.tree import DIRECTORY, FILE, Entry
from dver.storage.base import Storage
from dver.storage.local import LocalStorage
from dver.store import walk
from dver.store.store import Store
from dver.transfer.closure import Offer
from dver.transfer.fetch import Fetched, fetch
from dver.transfer.push import Pushed, push
from dver.transfer.remote import Remote
from dver.transfer.wants import Want

#: Small chunks, so that a few hundred kilobytes make lists of lists.
TINY = Chunker(min_size=1024, avg_size=2048, max_size=4096)

Nested = dict[str, "bytes | Nested"]


def noise(seed: int, size: int) -> bytes:
    """Return bytes that do not compress."""
    return random.Random(seed).randbytes(size)


class Hooked(Storage):
    """A storage that records each request, and asks ``hook`` before it is made.

    The hook may raise, or return False for a request that is acknowledged and not carried out.
    """

    def __init__(self, inner: Storage) -> None:
        self.inner = inner
        self.description = inner.description
        self.facts = inner.facts
        self.log: list[tuple[str, str, int]] = []
        self.hook: Callable[[str, str], bool | None] = lambda verb, key: None
        self._lock = threading.Lock()

    def _ask(self, verb: str, key: str, size: int = 0) -> bool:
        with self._lock:
            self.log.append((verb, key, size))
        return self.hook(verb, key) is not False

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        self._ask("get", key, length or 0)
        return self.inner.get(key, start, length)

    def put(self, key: str, data: bytes | memoryview, *, if_absent: bool = False) -> None:
        if self._ask("put", key, len(data)):
            self.inner.put(key, data, if_absent=if_absent)

    def head(self, key: str):
        self._ask("head", key)
        return self.inner.head(key)

    def list(self, prefix: str) -> Iterator:
        self._ask("list", prefix)
        return self.inner.list(prefix)

    def delete(self, key: str) -> None:
        if self._ask("delete", key):
            self.inner.delete(key)

    def delete_old_versions(self, key: str):
        self._ask("delete_old_versions", key)
        return self.inner.delete_old_versions(key)

    def put_file(self, key: str, path: Path) -> None:
        if self._ask("put", key, path.stat().st_size):
            self.inner.put_file(key, path)

    def get_file(self, key: str, path: Path) -> int:
        self._ask("get", key)
        return self.inner.get_file(key, path)

    def local_path(self, key: str) -> str | None:
        return self.inner.local_path(key)

    def verbs(self) -> list[str]:
        return [verb for verb, _, _ in self.log]

    def puts(self) -> list[str]:
        return [key for verb, key, _ in self.log if verb == "put"]


class Clone:
    """One clone's local store, and its view of the remote."""

    def __init__(self, path: Path, remote: Storage, chunker: Chunker | None = None) -> None:
        self.path = path
        self.storage = Hooked(remote)
        self.store = Store.create(LocalStorage(path / "store"), chunker)

    def remote(self, *, jobs: int = 2) -> Remote:
        """Open the remote anew, as each command does."""
        self.storage.log.clear()
        return Remote("origin", self.storage, self.path / "remotes" / "origin", jobs=jobs)

    def add(self, path: str, content: bytes | Nested) -> RootObject:
        """Store some data in one commit, and return what a root would say of it."""
        with self.store.writer() as writer:
            if isinstance(content, dict):
                oid, size, _ = _add_tree(writer, content)
                found = RootObject(path, "tree", oid, size)
            else:
                found = RootObject(path, "file", writer.add(content), len(content))
            writer.commit()
        return found

    def push(
        self,
        *objects: RootObject,
        optional: tuple[RootObject, ...] = (),
        dry_run: bool = False,
        jobs: int = 2,
        reporter: Reporter = SILENT,
    ) -> Pushed:
        offers = [Offer(one) for one in objects]
        offers += [Offer(one, required=False, commit="c" * 40) for one in optional]
        return push(
            self.store,
            self.remote(jobs=jobs),
            offers,
            commits=["a" * 40],
            repo_id="r",
            dry_run=dry_run,
            reporter=reporter,
        )

    def fetch(
        self,
        *objects: RootObject,
        inside: tuple[bytes, ...] = (),
        dry_run: bool = False,
        jobs: int = 2,
    ) -> Fetched:
        wants = [Want(one.kind, one.oid, one.size, one.path, inside) for one in objects]
        return fetch(self.store, self.remote(jobs=jobs), wants, dry_run=dry_run, reporter=SILENT)

    def content(self, one: RootObject) -> dict[str, bytes] | bytes:
        """Read everything that an object stands for, by path."""
        if one.kind == "file":
            return b"".join(map(bytes, self.store.stream(one.oid)))
        found = {}
        for path, _, tree in walk.walk(self.store, one.oid):
            for entry in tree:
                if entry.kind != DIRECTORY:
                    name = os.fsdecode(walk.join(path, entry.name))
                    found[name] = b"".join(map(bytes, self.store.stream(entry.oid)))
        return found


def _add_tree(writer, content: Nested) -> tuple[Oid, int, int]:
    entries, below = [], 0
    for name, value in content.items():
        if isinstance(value, dict):
            oid, size, files = _add_tree(writer, value)
            below += files
            entries.append(Entry(DIRECTORY, name.encode(), size, oid))
        else:
            entries.append(Entry(FILE, name.encode(), len(value), writer.add(value)))
    tree = trees.build(entries, below)
    return writer.add(trees.encode(tree), pack.TREE), tree.size, tree.files


def flat(content: Nested, prefix: str = "") -> dict[str, bytes]:
    """Return nested content by path."""
    found: dict[str, bytes] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            found.update(flat(value, f"{prefix}{name}/"))
        else:
            found[prefix + name] = value
    return found


def many(count: int, *, seed: int = 0, size: int = 300, per_directory: int = 50) -> Nested:
    """Return a directory of that many small distinct files."""
    result: Nested = {}
    for i in range(count):
        directory = result.setdefault(f"d{i // per_directory:03}", {})
        assert isinstance(directory, dict)
        directory[f"f{i:05}"] = noise(seed * 1_000_000 + i, size)
    return result


class Broken(RemoteError):
    """What hooks raise."""


def fail_at(number: int, verbs: tuple[str, ...] = ("put",)) -> Callable[[str, str], None]:
    """Return a hook that lets ``number`` requests pass and fails all after those."""
    left = [number]

    def hook(verb: str, key: str) -> None:
        if verb in verbs:
            left[0] -= 1
            if left[0] < 0:
                raise Broken(f"{verb} {key} was made to fail")

    return hook
