"""What git itself tracks in another repository: finding it, and writing it out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import RefusedError, RepositoryError
from dver.base.osat import fchmod
from dver.base.quoting import show
from dver.formats import names
from dver.formats.tree import DIRECTORY, EXECUTABLE, FILE
from dver.git.process import split_nul
from dver.ops.looking.elsewhere import Elsewhere
from dver.storage import files

_LFS = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class InGit:
    """A file or directory of git: its path, its kind as in a tree, its id, and what to call it."""

    path: bytes
    kind: int
    blob: str
    shown: str


def in_git(other: Elsewhere, path: bytes) -> InGit | None:
    """Return what git has at a path, None if nothing. RefusedError for a link or a submodule."""
    shown = f"{show(path)} at {other.commit[:10]}"
    args = ("--literal-pathspecs", "ls-tree", "-z", "--full-tree", other.commit, "--", path)
    with other.repo.git.pipe(*args) as out:
        for line in split_nul(out):
            facts, _, name = line.partition(b"\t")
            mode, kind, blob = facts.split(b" ")
            if name == path:
                if kind == b"tree":
                    return InGit(path, DIRECTORY, blob.decode(), shown)
                if mode in (b"100644", b"100664", b"100755"):
                    is_executable = mode == b"100755"
                    return InGit(path, EXECUTABLE if is_executable else FILE, blob.decode(), shown)
                what = "a symlink" if mode == b"120000" else "another repository"
                raise RefusedError(f"{show(path)} is {what} there, which is not followed")
    return None


def write_out(other: Elsewhere, found: InGit, place: Path) -> None:
    """Write what git tracks at a path to a place that is free."""
    git = other.repo.git
    if found.kind != DIRECTORY:
        _write_blob(other, found, found.blob, place, executable=found.kind == EXECUTABLE)
        return
    files_in: list[tuple[bytes, bytes, str]] = []
    args = ("ls-tree", "-r", "-z", "--full-tree", found.blob)
    with git.pipe(*args) as out:
        for line in split_nul(out):
            facts, _, name = line.partition(b"\t")
            mode, _, blob = facts.split(b" ")
            if mode not in (b"100644", b"100664", b"100755"):
                raise RefusedError(
                    f"{show(found.path + b'/' + name)} is a symlink or another repository"
                    " there, which is not followed",
                    hint="name the other paths one by one",
                )
            names.check_path(name)
            files_in.append((mode, name, blob.decode()))
    _prefetch(other, [blob for _, _, blob in files_in])
    fsio.make_dirs(os.fspath(place))
    for mode, name, text in files_in:
        inner = place / os.fsdecode(name)
        fsio.make_dirs(os.fspath(inner.parent))
        _write_blob(other, found, text, inner, executable=mode == b"100755")


def _prefetch(other: Elsewhere, blobs: Sequence[str]) -> None:
    """Let git fetch in one go what a clone without contents lacks, rather than one by one."""
    git = other.repo.git
    if other.store is not None or len(blobs) < 2:
        return
    with contextlib.suppress(RepositoryError):
        git.run(
            *("-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-tags"),
            *("--no-write-fetch-head", "--filter=blob:none", "--stdin", "origin"),
            stdin="\n".join(dict.fromkeys(blobs)).encode(),
        )


def _write_blob(
    other: Elsewhere, found: InGit, blob: str, place: Path, *, executable: bool
) -> None:
    git = other.repo.git
    first = True
    with files.created(place) as fd, git.pipe("cat-file", "blob", blob) as out:
        while piece := out.read(1 << 20):
            if first and piece.startswith(_LFS):
                raise RefusedError(
                    f"{found.shown} is kept by git-lfs, and git has a stub of it",
                    hint="clone that repository with git-lfs, and 'dver add' a copy",
                )
            first = False
            fsio.write_all(fd, piece, place)
        if executable:
            fchmod(fd, 0o700)
