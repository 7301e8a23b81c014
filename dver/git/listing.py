"""What git itself has in a directory: of a commit, or of the working tree as git sees it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from dver.git.process import split_nul
from dver.git.repository import Git

#: The modes of git's trees.
LINK, SUBMODULE, SUBTREE = b"120000", b"160000", b"040000"
_EXECUTABLE = b"100755"


class GitEntry(NamedTuple):
    """A file, symlink or directory that git has. ``path`` is that from the repository's root.

    ``kind`` is the type part of a file's mode (``stat.S_IFREG``, ``S_IFLNK``, ``S_IFDIR``).
    ``blob`` is the id of its content in git, "" for a directory or in the working tree.
    """

    path: bytes
    kind: int
    size: int
    blob: str = ""
    executable: bool = False


def at_commit(
    git: Git, commit: str, directory: bytes, *, recursive: bool = False, sizes: bool = True
) -> Iterator[GitEntry]:
    """Yield what a commit has in a directory (b"" is the root), with ``recursive`` files below.

    A path that is not a directory there gives nothing. Submodules are left out. Without ``sizes``
    those of files are -1: to tell them, a partial clone would have to fetch each file.
    """
    args = ["--literal-pathspecs", "ls-tree", "-z", "--full-tree"]
    args += [*(["-l"] if sizes else []), *(["-r"] if recursive else []), commit]
    with git.pipe(*args, "--", *([directory + b"/"] if directory else [])) as out:
        yield from _entries(split_nul(out))


def entry_at_commit(git: Git, commit: str, path: bytes, *, sizes: bool = True) -> GitEntry | None:
    """Return what a commit has at a path, or None; see :func:`at_commit`."""
    args = ["--literal-pathspecs", "ls-tree", "-z", "--full-tree", *(["-l"] if sizes else [])]
    with git.pipe(*args, commit, "--", path) as out:
        found = [one for one in _entries(split_nul(out)) if one.path == path]
    return found[0] if found else None


def _entries(lines: Iterator[bytes]) -> Iterator[GitEntry]:
    for line in lines:
        facts, _, path = line.partition(b"\t")
        mode, _, blob, *sizes = facts.split()
        size = int(sizes[0]) if sizes and mode not in (SUBTREE, SUBMODULE) else -1
        if mode == SUBTREE:
            yield GitEntry(path, stat.S_IFDIR, 0)
        elif mode == LINK:
            yield GitEntry(path, stat.S_IFLNK, size, blob.decode())
        elif mode != SUBMODULE:
            yield GitEntry(path, stat.S_IFREG, size, blob.decode(), mode == _EXECUTABLE)


def names_in_work_tree(git: Git, directory: bytes) -> list[bytes]:
    """Return the paths of files below a directory of the working tree that git does not ignore.

    Files that git tracks are among them even if they are not there.
    """
    args = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--")
    with git.pipe(*args, b":(top,literal)" + directory + b"/" if directory else b":/") as out:
        return list(dict.fromkeys(split_nul(out)))


def entry_in_work_tree(git: Git, path: bytes) -> GitEntry | None:
    """Return what is at a path of the working tree, ignored or not; None for nothing usable."""
    try:
        found = os.lstat(os.path.join(os.fsencode(git.root), path))
    except OSError:
        return None
    kind = stat.S_IFMT(found.st_mode)
    if kind not in (stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR):
        return None
    size = 0 if kind == stat.S_IFDIR else found.st_size
    return GitEntry(path, kind, size, executable=bool(found.st_mode & stat.S_IXUSR))
