"""A disk that forgets: what a power cut may leave of what a process wrote.

Inside of a process, every call that changes files is watched. What counts as written is what POSIX
promises, and no more: the content of a file as it was when it was last synced, and the names in a
directory as they were when that directory was last synced. Of what was not synced any part may be
there: each name on its own, and of each file nothing, the beginning, or all.

What is written by other programs (git) counts as written.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Node:
    """A file: ``synced`` is its content on the disk, None while there is none yet.

    ``base`` is a path with its content as it was at the start.
    """

    ino: int
    synced: bytes | None = None
    base: str | None = None


@dataclass
class Change:
    """A change of names that is not synced: ``source`` goes, ``target`` comes."""

    source: str | None
    target: str | None
    node: Node | str | None


class Disk:
    """Watches a directory of this process. ``pristine`` is a copy of it as it is now."""

    def __init__(self, top: Path, pristine: Path) -> None:
        self._top = os.fspath(top)
        #: What is on the disk: a path to its file, or "dir", or the target of a link.
        self._durable: dict[str, Node | str] = {}
        self._nodes: dict[int, Node] = {}
        self._pending: list[Change] = []
        for where, names, files in os.walk(top):
            for name in [*names, *files]:
                path = os.path.join(where, name)
                found = os.lstat(path)
                if stat.S_ISDIR(found.st_mode):
                    self._durable[path] = "dir"
                elif stat.S_ISREG(found.st_mode):
                    base = os.path.join(pristine, os.path.relpath(path, top))
                    node = self._nodes.get(found.st_ino) or Node(found.st_ino, b"", base)
                    self._nodes[found.st_ino] = self._durable[path] = node

    def watch(self) -> None:
        """Begin."""
        for name in ("open", "fsync", "rename", "replace", "link", "unlink", "remove"):
            self._wrap(name)
        for name in ("mkdir", "rmdir", "fdatasync"):
            self._wrap(name)

    def _wrap(self, name: str) -> None:
        real: Callable[..., Any] = getattr(os, name)
        told = getattr(self, f"_{name}")

        def call(*args: Any, **kwargs: Any) -> Any:
            return told(real, *args, **kwargs)

        setattr(os, name, call)
        for able in (os.supports_dir_fd, os.supports_follow_symlinks, os.supports_fd):
            if real in able:
                able.add(call)

    # what is watched

    def _open(self, real: Any, path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        fd: int = real(path, flags, *args, **kwargs)
        if flags & os.O_CREAT:
            found = os.fstat(fd)
            name = self._resolve(path, kwargs.get("dir_fd"))
            is_new = stat.S_ISREG(found.st_mode) and found.st_ino not in self._nodes
            if is_new and name is not None:
                node = self._nodes[found.st_ino] = Node(found.st_ino)
                self._pending.append(Change(None, name, node))
        return fd

    def _fsync(self, real: Any, fd: int) -> None:
        real(fd)
        found = os.fstat(fd)
        name = os.readlink(f"/proc/self/fd/{fd}")
        if stat.S_ISDIR(found.st_mode):
            self._sync_names(name)
        elif found.st_ino in self._nodes:
            node = self._nodes[found.st_ino]
            node.synced, node.base = os.pread(fd, found.st_size, 0), None

    _fdatasync = _fsync

    def _sync_names(self, directory: str) -> None:
        rest = []
        for change in self._pending:
            ends = [end for end in (change.source, change.target) if end is not None]
            if any(os.path.dirname(end) == directory for end in ends):
                _apply(self._durable, change)
            else:
                rest.append(change)
        self._pending = rest

    def _rename(self, real: Any, source: Any, target: Any, **kwargs: Any) -> None:
        one = self._resolve(source, kwargs.get("src_dir_fd"))
        other = self._resolve(target, kwargs.get("dst_dir_fd"))
        node = self._node_at(one)
        self._forget(other)
        real(source, target, **kwargs)
        self._pending.append(Change(one, other, node))

    _replace = _rename

    def _link(self, real: Any, source: Any, target: Any, **kwargs: Any) -> None:
        real(source, target, **kwargs)
        one = self._resolve(source, kwargs.get("src_dir_fd"))
        other = self._resolve(target, kwargs.get("dst_dir_fd"))
        self._pending.append(Change(None, other, self._node_at(one)))

    def _unlink(self, real: Any, path: Any, **kwargs: Any) -> None:
        name = self._resolve(path, kwargs.get("dir_fd"))
        self._forget(name)
        real(path, **kwargs)
        self._pending.append(Change(name, None, None))

    _remove = _unlink

    def _mkdir(self, real: Any, path: Any, *args: Any, **kwargs: Any) -> None:
        real(path, *args, **kwargs)
        self._pending.append(Change(None, self._resolve(path, kwargs.get("dir_fd")), "dir"))

    def _rmdir(self, real: Any, path: Any, **kwargs: Any) -> None:
        real(path, **kwargs)
        self._pending.append(Change(self._resolve(path, kwargs.get("dir_fd")), None, None))

    def _resolve(self, path: Any, dir_fd: int | None) -> str | None:
        name = os.fsdecode(path)
        if not os.path.isabs(name):
            where = os.getcwd() if dir_fd is None else os.readlink(f"/proc/self/fd/{dir_fd}")
            name = os.path.join(where, name)
        name = os.path.normpath(name)
        return name if name.startswith(self._top + os.sep) else None

    def _node_at(self, path: str | None) -> Node | str | None:
        if path is None:
            return None
        found = os.lstat(path)
        if stat.S_ISDIR(found.st_mode):
            return "dir"
        return self._nodes.get(found.st_ino)

    def _forget(self, path: str | None) -> None:
        """Take note that a name goes: if it is the last, the number of the file is used again."""
        with contextlib.suppress(OSError):
            found = os.lstat(path or "")
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
                self._nodes.pop(found.st_ino, None)

    # the power goes

    def cut(self, to: Path, rng: random.Random, kept: float) -> None:
        """Write what is left to a directory; each change that was not synced is kept or not.

        ``kept`` is how likely that is, from 0 to 1.
        """
        tree = dict(self._durable)
        for change in self._pending:
            if rng.random() < kept:
                _apply(tree, change)
        live = self._live()
        to.mkdir()
        for path in sorted(tree):
            node = tree[path]
            place = to / os.path.relpath(path, self._top)
            if not place.parent.is_dir():
                continue
            if isinstance(node, str):
                place.mkdir(exist_ok=True)
            elif node.base is not None:
                shutil.copy2(node.base, place)
            else:
                place.write_bytes(_content(node, live.get(node.ino), rng))
        self._by_others(to)

    def _live(self) -> dict[int, str]:
        found = {}
        for where, _, files in os.walk(self._top):
            for name in files:
                path = os.path.join(where, name)
                found[os.lstat(path).st_ino] = path
        return found

    def _by_others(self, to: Path) -> None:
        """Take over what git wrote meanwhile, and links."""
        for where, names, files in os.walk(self._top):
            inside = os.path.relpath(where, self._top)
            for name in [*files, *(one for one in names if os.path.islink(f"{where}/{one}"))]:
                path = os.path.join(where, name)
                is_git = "/.git/" in path and "/.git/dver" not in path
                if os.path.islink(path) or (is_git and not (to / inside / name).exists()):
                    (to / inside).mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, to / inside / name, follow_symlinks=False)


def _apply(tree: dict[str, Node | str], change: Change) -> None:
    if change.source is not None:
        moved = {one: tree[one] for one in tree if one.startswith(change.source + os.sep)}
        tree.pop(change.source, None)
        for one, node in moved.items():
            del tree[one]
            if change.target is not None:
                tree[change.target + one[len(change.source) :]] = node
    if change.target is not None and change.node is not None:
        tree[change.target] = change.node


def _content(node: Node, live: str | None, rng: random.Random) -> bytes:
    if node.synced is not None:
        return node.synced
    data = Path(live).read_bytes() if live is not None else b""
    return rng.choice((b"", data[: len(data) // 2], data))
