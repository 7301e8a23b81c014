"""One version of a repository as a tree of directories and files to read: the data and the rest.

Data stands where its pointer is, and the pointer files are not seen. What git tracks itself stands
beside it: of a commit as git has it, without a revision as it is in the working tree. Nothing is
checked out, and nothing is written.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import DverError, NotFoundError, UsageError
from dver.base.oid import Oid
from dver.base.quoting import show
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY, EXECUTABLE, FILE, SYMLINK
from dver.git import listing
from dver.git.listing import GitEntry
from dver.git.pointers import data_path, is_pointer_path, pointer_path, read_blobs
from dver.ops.looking.contents import Contents
from dver.ops.targets import naming
from dver.ops.targets.scope import Scope
from dver.ops.targets.target import read_pointer
from dver.ops.targets.versions import (
    Located,
    Version,
    decode_pointer,
    entry_at,
    find_located,
    version_at,
    version_of,
)
from dver.store import walk
from dver.workspace.building import entry_of

if TYPE_CHECKING:
    from dver.repo import Repo

#: Symlinks that are followed one after the other, and paths whose pointers are remembered.
_HOPS = 16
_SCOPES = 256


class NoDirectoryError(UsageError):
    """A file was asked for what is in it, or stands on the way to a path."""


class IsDirectoryError(UsageError):
    """A directory was to be read as a file."""


@dataclass(frozen=True, slots=True)
class Node:
    """A file, symlink or directory of a version. ``path`` is that from the repository's root.

    ``kind`` is FILE, EXECUTABLE, SYMLINK or DIRECTORY, ``size`` in bytes, of a directory of data
    all that is below it, and -1 if only reading tells. ``oid`` is that of data, ``blob`` the id in
    git of what git has in a commit; what is in the working tree has neither.
    """

    path: bytes
    kind: int
    size: int
    oid: Oid | None = None
    blob: str = ""

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.kind == DIRECTORY


class View:
    """One version of a repository: a commit, or without ``commit`` the work tree as it is now.

    ``label`` is what to call it in messages. For several threads, if the version is a commit.
    """

    def __init__(self, repo: Repo, contents: Contents, rev: str | None = None) -> None:
        if rev is None and repo.git.is_bare:
            rev = "HEAD"
        self.repo, self.contents, self.rev = repo, contents, rev
        self.commit = None if rev is None else repo.git.resolve(rev)
        # To tell the sizes of files, a partial clone would have to fetch each of them.
        self._sizes = not repo.git.is_bare
        self._versions: OrderedDict[bytes, Version] = OrderedDict()

    @property
    def label(self) -> str:
        """What to call this version in a message."""
        return "the work tree" if self.rev is None else self.rev

    # -- finding --------------------------------------------------------------------------------

    def node(self, path: bytes) -> Node:
        """Return what is at a path; a symlink is not followed. Raises NotFoundError."""
        if not path:
            return Node(b"", DIRECTORY, 0)
        version = self._version(path)
        located = find_located(version, path)
        if located is not None:
            entry = entry_at(self.repo, version, located, self.contents)
            return Node(path, entry.kind, entry.size, entry.oid)
        if naming.below(sorted(version.pointers), path):
            return Node(path, DIRECTORY, 0)
        found = None
        if not self._is_hidden(path):
            found = self._plain(path)
        if found is None:
            raise self._not_found(path, version)
        return found

    def located(self, path: bytes) -> tuple[Version, Located | None]:
        """Return the pointers around a path, and the target that it is or lies in.

        That is None for what git has itself.
        """
        version = self._version(path)
        return version, find_located(version, path)

    def resolve(self, node: Node) -> Node:
        """Return what a symlink leads to in this version, or the node itself if it is none.

        Raises NotFoundError for one that leads nowhere, in circles, or out of the repository.
        """
        seen = node
        for _ in range(_HOPS):
            if node.kind != SYMLINK:
                return node
            target = self.link_text(node)
            path = posixpath.normpath(posixpath.join(posixpath.dirname(node.path), target))
            if path.startswith((b"../", b"/")) or path == b"..":
                break
            node = self.node(b"" if path == b"." else path)
        raise NotFoundError(
            f"{show(seen.path)} is a symlink that leads out of the repository, or in circles",
            hint=f"it holds {show(self.link_text(seen))}",
        )

    def link_text(self, node: Node) -> bytes:
        """Return the text of a symlink."""
        if node.oid is not None:
            return self.contents.reader(node.oid, node.size).read(0, node.size)
        if node.blob:
            return read_blobs(self.repo.git, [node.blob], limit=1 << 16)[node.blob]
        return os.readlink(self.repo.absolute(node.path))

    def size(self, node: Node) -> int:
        """Return how many bytes a file has, asking git if that was not told."""
        if node.size >= 0:
            return node.size
        return int(self.repo.git.run("cat-file", "-s", node.blob))

    def modified(self, path: bytes) -> float:
        """Return when what is at a path was last changed, as far as that is told (Unix seconds).

        That is the time of the commit; in the work tree that of the file, or of the pointer.
        """
        if self.commit is not None:
            return self.repo.git.commit(self.commit).commit_time
        self.node(path)
        located = self.located(path)[1]
        file = path if located is None else pointer_path(located.target)
        with fsio.explained("look up", file):
            return os.stat(self.repo.absolute(file)).st_mtime

    def children(self, path: bytes) -> list[Node]:
        """Return what is in a directory, in order of names. Raises NoDirectoryError for a file."""
        node = self.resolve(self.node(path))
        if not node.is_directory:
            raise NoDirectoryError(f"{show(path)} is not a directory in {self.label}")
        path = node.path
        if node.oid is not None:
            tree = self.contents.read_tree(node.oid)
            return [Node(walk.join(path, one.name), one.kind, one.size, one.oid) for one in tree]
        found = {one.path: one for one in self._plain_children(path)}
        return [found[one] for one in sorted(found)]

    def files(self, path: bytes) -> Iterator[Node]:
        """Yield every file and symlink at or below a path, in no particular order."""
        node = self.node(path)
        if not node.is_directory:
            yield node
        elif node.oid is not None:
            yield from self._files_of(node.path, node.oid)
        else:
            version = self._version(path)
            for target in naming.below(sorted(version.pointers), path):
                entry = entry_of(version.pointers[target])
                if entry.kind == DIRECTORY:
                    yield from self._files_of(target, entry.oid)
                else:
                    yield Node(target, entry.kind, entry.size, entry.oid)
            yield from self._plain_files(path, version)

    def _files_of(self, path: bytes, oid: Oid) -> Iterator[Node]:
        for directory, _, tree in walk.walk(self.contents, oid, prefix=path):
            for one in tree:
                if one.kind != DIRECTORY:
                    yield Node(walk.join(directory, one.name), one.kind, one.size, one.oid)

    # -- pointers -------------------------------------------------------------------------------

    def _version(self, path: bytes) -> Version:
        """Return the pointers at, above and below a path."""
        if self.commit is None:
            return version_at(self.repo, None, Scope([path]))
        version = self._versions.get(path)
        if version is None:
            version = version_of(self.repo, self.label, self.commit, (path,))
            self._versions[path] = version
            while len(self._versions) > _SCOPES:
                self._versions.popitem(last=False)
        return version

    def _is_hidden(self, path: bytes) -> bool:
        """Say whether a path is inside git's directory, or is a pointer file."""
        if b".git" in path.lower().split(b"/"):
            return True
        return is_pointer_path(path) and self.located(data_path(path))[1] is not None

    def _not_found(self, path: bytes, version: Version) -> DverError:
        if b".git" in path.lower().split(b"/"):
            return NotFoundError(f"{show(path)} is inside a git directory, and not seen here")
        if is_pointer_path(path) and data_path(path) in self._version(data_path(path)).pointers:
            return NotFoundError(
                f"{show(path)} is a pointer file, and not seen here",
                hint=f"its data is at {show(data_path(path))}",
            )
        targets = version.pointers or self._version(b"").pointers
        top = "" if self.commit is not None else str(self.repo.root)
        missing = f"{self.label} does not have"
        return naming.not_found(
            missing, path, top or os.devnull, targets, os.fsdecode, otherwise=self._hint()
        )

    def _hint(self) -> str:
        rev = "" if self.rev is None else f" --rev {self.rev}"
        return f"'dver ls{rev}' lists the data that there is"

    # -- what git has itself --------------------------------------------------------------------

    def _plain(self, path: bytes) -> Node | None:
        git = self.repo.git
        if self.commit is None:
            found = listing.entry_in_work_tree(git, path) if self._is_inside(path) else None
        else:
            found = listing.entry_at_commit(git, self.commit, path, sizes=self._sizes)
        return None if found is None else _node_of(found)

    def _is_inside(self, path: bytes) -> bool:
        """Say whether the directory of a path, symlinks followed, is one of the work tree's."""
        root = os.fsencode(self.repo.root)
        if fsio.symlink_above(root, path) is None:
            return True
        root = os.path.realpath(root)
        real = os.path.realpath(os.path.join(root, path.rpartition(b"/")[0]))
        inside = real == root or real.startswith(root.rstrip(b"/") + b"/")
        return inside and b".git" not in real[len(root) :].lower().split(b"/")

    def _plain_children(self, path: bytes) -> Iterator[Node]:
        if self.commit is None:
            yield from self._work_tree_children(path)
            return
        found = list(listing.at_commit(self.repo.git, self.commit, path, sizes=self._sizes))
        pointers = {one.path: one.blob for one in found if _is_pointer(one)}
        blobs = read_blobs(self.repo.git, pointers.values())
        for one in found:
            if one.path in pointers:
                data = blobs[one.blob]
                yield _data_node(one.path, decode_pointer(self.repo, one.path, data, self._at()))
            else:
                yield _node_of(one)

    def _at(self) -> str:
        return f" at {self.label}"

    def _work_tree_children(self, path: bytes) -> Iterator[Node]:
        git = self.repo.git
        skip = len(path) + 1 if path else 0
        seen = {
            walk.join(path, one[skip:].partition(b"/")[0]): b"/" in one[skip:]
            for one in listing.names_in_work_tree(git, path)
        }
        for name, inside in seen.items():
            if inside:
                yield Node(name, DIRECTORY, 0)
            elif is_pointer_path(name):
                data = read_pointer(self.repo.absolute(name))
                if data is not None:
                    yield _data_node(name, decode_pointer(self.repo, name, data))
            else:
                found = listing.entry_in_work_tree(git, name)
                if found is not None:
                    yield _node_of(found)

    def _plain_files(self, path: bytes, version: Version) -> Iterator[Node]:
        git = self.repo.git
        if self.commit is not None:
            for one in listing.at_commit(git, self.commit, path, recursive=True, sizes=self._sizes):
                if not _is_pointer(one):
                    yield _node_of(one)
            return
        for name in listing.names_in_work_tree(git, path):
            if not (is_pointer_path(name) and data_path(name) in version.pointers):
                found = listing.entry_in_work_tree(git, name)
                if found is not None and found.kind != stat.S_IFDIR:
                    yield _node_of(found)


def _is_pointer(one: GitEntry) -> bool:
    return one.kind == stat.S_IFREG and is_pointer_path(one.path)


def _data_node(pointer_file: bytes, pointer: Pointer) -> Node:
    entry = entry_of(pointer)
    return Node(data_path(pointer_file), entry.kind, entry.size, entry.oid)


def _node_of(one: GitEntry) -> Node:
    kind = {stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: SYMLINK}.get(one.kind)
    if kind is None:
        kind = EXECUTABLE if one.executable else FILE
    return Node(one.path, kind, one.size, None, one.blob)
