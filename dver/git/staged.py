"""What the next commit changes: the entries of git's index that are not as in HEAD."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from dver.git.pointers import REGULAR
from dver.git.process import split_nul
from dver.git.repository import Git


class Staged(NamedTuple):
    """One file that the next commit adds or changes, and its content in the index."""

    path: bytes
    blob: str


def staged_files(git: Git) -> list[Staged]:
    """Return the regular files that the index has other than HEAD, in order of their paths.

    Submodules, symlinks and removals are left out. During a merge HEAD is the first parent.
    """
    args = ("diff", "--cached", "--raw", "--no-abbrev", "-z", "--no-renames", "--no-ext-diff")
    options = ("--diff-filter=AMT", "--ignore-submodules=all", "--no-textconv")
    found = []
    with git.pipe(*args, *options) as out:
        tokens = split_nul(out)
        for facts in tokens:
            path = next(tokens)
            _, mode, _, blob, _ = facts.split(b" ")
            if mode in REGULAR:
                found.append(Staged(path, blob.decode()))
    return found


def blob_sizes(git: Git, blobs: Iterable[str]) -> dict[str, int]:
    """Return the sizes in bytes of blobs, by one git process; those that git lacks are left out."""
    distinct = list(dict.fromkeys(blobs))
    if not distinct:
        return {}
    out = git.run(
        "cat-file",
        "--batch-check=%(objectname) %(objectsize)",
        stdin="\n".join(distinct).encode() + b"\n",
    )
    rows = (line.split(" ") for line in out.decode().splitlines())
    return {name: int(size) for name, size in rows if size.isdecimal()}


def tracked_pointers(git: Git) -> frozenset[bytes]:
    """Return the paths of all pointer files in the index."""
    with git.pipe("ls-files", "-z", "--cached", "--", ":(top,glob)**/*.dver") as out:
        return frozenset(split_nul(out))
