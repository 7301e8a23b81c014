"""Which pointer files git knows: beside the data, and at a revision.

Paths are those of the pointer files, ``<data>.dver``. The selections take *data* paths, as people
name them: a path selects its own pointer, and all pointers below it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, NamedTuple

from dver.base.errors import RepositoryError
from dver.formats.pointer import MAX_SIZE, SUFFIX
from dver.git.process import split_nul
from dver.git.repository import Git

_SUFFIX = SUFFIX.encode()
#: The modes of what git calls a file.
REGULAR = (b"100644", b"100755", b"100664")


class PointerFile(NamedTuple):
    """A pointer file that git sees from the working tree.

    ``blob`` is its content in the index, or None if git does not track it (yet, or because a
    merge left it ``unmerged``). ``skipped``: a sparse checkout leaves it out of the working tree.
    The file itself may be missing from the working tree.
    """

    path: bytes
    blob: str | None
    unmerged: bool = False
    skipped: bool = False


def in_workspace(
    git: Git, under: Sequence[bytes] = (b"",), *, ancestors: bool = False
) -> list[PointerFile]:
    """Return the pointer files in the index and the working tree, sorted by path.

    ``under`` are data paths; ``b""`` is everything. With ``ancestors`` the pointers of the
    directories that lead to them are returned too, for paths inside tracked directories. Ignored
    files and the insides of submodules are not seen.
    """
    if git.is_bare:
        return []
    args = ("ls-files", "-z", "-t", "--stage", "--cached", "--others", "--exclude-standard")
    found: dict[bytes, PointerFile] = {}
    with git.pipe(*args, "--", *pathspecs(under, ancestors)) as out:
        for entry in split_nul(out):
            pointer = _from_index_entry(entry)
            if pointer is not None:
                found[pointer.path] = pointer
    return [found[path] for path in sorted(found)]


def _from_index_entry(entry: bytes) -> PointerFile | None:
    tag, rest = entry[:1], entry[2:]
    if tag == b"?":
        return PointerFile(rest, None) if is_pointer_path(rest) else None
    facts, _, path = rest.partition(b"\t")
    mode, blob, stage = facts.split(b" ")
    if mode not in REGULAR or not is_pointer_path(path):
        return None
    if stage != b"0":
        return PointerFile(path, None, unmerged=True)
    return PointerFile(path, blob.decode(), skipped=tag in b"Ss")


def at_revision(
    git: Git, commit: str, under: Sequence[bytes] = (b"",), *, ancestors: bool = False
) -> list[tuple[bytes, str]]:
    """Return (path, blob) of the pointer files of a commit, sorted by path; see in_workspace."""
    with asked_at_revision(git, commit, under, ancestors=ancestors) as answer:
        return answer()


@contextmanager
def asked_at_revision(
    git: Git, commit: str, under: Sequence[bytes], *, ancestors: bool = False
) -> Iterator[Callable[[], list[tuple[bytes, str]]]]:
    """Let git list the pointer files of a commit until the function given is called.

    It returns what :func:`at_revision` does. Leaving the block without calling it stops git.
    """
    if not under:
        yield list
        return
    limits: list[bytes] = []
    if b"" not in under:
        for path in under:
            limits += [path, path + _SUFFIX]
            if ancestors:
                limits += [parent + _SUFFIX for parent in _parents(path)]
    selected = selector(under, ancestors=ancestors)
    args = ("--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", commit)
    asked = False

    def answer() -> list[tuple[bytes, str]]:
        nonlocal asked
        asked = True
        return sorted(_from_tree(out, selected))

    with git.pipe(*args, "--", *limits) as out:
        yield answer
        if not asked:
            out.close()


def _from_tree(out: IO[bytes], selected: Callable[[bytes], bool]) -> Iterator[tuple[bytes, str]]:
    for entry in split_nul(out):
        facts, _, path = entry.partition(b"\t")
        mode, _, blob = facts.split(b" ")
        if mode in REGULAR and is_pointer_path(path) and selected(path):
            yield path, blob.decode()


def read_blobs(git: Git, blobs: Iterable[str], *, limit: int = MAX_SIZE) -> dict[str, bytes]:
    """Return the content of many blobs, read by one git process.

    What is longer than ``limit`` bytes is cut after ``limit + 1``, so that it can be told. Raises
    RepositoryError, which names the blob, if git does not have one.
    """
    distinct = list(dict.fromkeys(blobs))
    if not distinct:
        return {}
    found = {}
    with git.pipe("cat-file", "--batch", "--buffer", stdin="\n".join(distinct).encode()) as out:
        for blob in distinct:
            header = out.readline().split()
            if len(header) != 3 or header[1] != b"blob":
                raise RepositoryError(
                    f"git does not have the content {blob} of a pointer file",
                    hint="'git fsck' tells what is missing from this clone",
                )
            found[blob] = _read_cut(out, int(header[2]), limit)
    return found


def _read_cut(out: IO[bytes], size: int, limit: int) -> bytes:
    data = out.read(min(size, limit + 1))
    left = size - len(data) + 1
    while left:
        left -= len(out.read(min(left, 1 << 20))) or left
    return data


def is_pointer_path(path: bytes) -> bool:
    """Tell whether a path has the name of a pointer file."""
    name = path.rpartition(b"/")[2]
    return name.endswith(_SUFFIX) and len(name) > len(_SUFFIX)


def data_path(pointer_path: bytes) -> bytes:
    """Return the path of the data that a pointer file stands for."""
    return pointer_path.removesuffix(_SUFFIX)


def pointer_path(data: bytes) -> bytes:
    """Return the path of the pointer file for a data path."""
    return data + _SUFFIX


class _Selector:
    """Tells which pointer paths some data paths select."""

    def __init__(self, under: Sequence[bytes], ancestors: bool) -> None:
        self._exact: set[bytes] = set()
        self._below: tuple[bytes, ...] = tuple(path + b"/" for path in under)
        self._everything = b"" in under
        for path in under:
            self._exact.update((path, path + _SUFFIX))
            if ancestors:
                self._exact.update(parent + _SUFFIX for parent in _parents(path))

    def __call__(self, path: bytes) -> bool:
        return self._everything or path in self._exact or path.startswith(self._below)


def selector(under: Sequence[bytes], *, ancestors: bool = False) -> _Selector:
    """Return a test of pointer paths: ``selector(under)(path)``; see in_workspace."""
    return _Selector(under, ancestors)


def _parents(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:count]) for count in range(1, len(parts))]


def pathspecs(under: Sequence[bytes], ancestors: bool) -> list[bytes]:
    """Return the pathspecs that make git look at these data paths' pointers; see in_workspace."""
    if b"" in under:
        return [b":(top,glob)**/*" + _SUFFIX]
    specs: list[bytes] = []
    for path in under:
        specs.append(b":(top,literal)" + path + _SUFFIX)
        specs.append(b":(top,glob)" + re.sub(rb"([*?\[\]\\])", rb"\\\1", path) + b"/**/*" + _SUFFIX)
        if path.endswith(_SUFFIX):
            specs.append(b":(top,literal)" + path)
        if ancestors:
            specs += [b":(top,literal)" + parent + _SUFFIX for parent in _parents(path)]
    # No path selects nothing; to git, no pathspec would select everything.
    return list(dict.fromkeys(specs)) or [b":(top,literal)" + _SUFFIX]
