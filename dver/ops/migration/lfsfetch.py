"""What git-lfs did not bring into a clone, fetched by git-lfs itself, with its own credentials."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dver.base.errors import DverError
from dver.foreign.dvcfiles import Out
from dver.ops.migration.othertools import PlacesOf

if TYPE_CHECKING:
    from dver.repo import Repo

#: So many paths are named to git-lfs; more of them, and it fetches all of the commit.
_MOST_NAMED = 100
#: What means something else to it in a list of paths.
_SPECIAL = frozenset(b",*?[]!\\#\n")


def missing(repo: Repo, outs: Mapping[bytes, Out], places: PlacesOf) -> list[bytes]:
    """Return the paths whose content is neither in the work tree, by its size, nor in git-lfs."""
    return [
        path
        for path, out in outs.items()
        if places.of(out).file(out.digest) is None and _size(repo.absolute(path)) != out.size
    ]


def _size(path: bytes) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return -1


def fetch(repo: Repo, paths: Sequence[bytes]) -> str:
    """Have git-lfs fetch the content of paths; return what went wrong, "" for nothing."""
    args: list[bytes] = [b"lfs", b"fetch", b"--exclude="]
    if len(paths) <= _MOST_NAMED and not any(_SPECIAL.intersection(path) for path in paths):
        args.append(b"--include=" + b",".join(b"/" + path for path in paths))
    else:
        args.append(b"--include=")
    try:
        repo.git.run(*args)
    except DverError as error:
        return error.message
    return ""


def advice(repo: Repo) -> str:
    """Return what helps somebody whose content is not here."""
    try:
        repo.git.run("lfs", "version")
    except DverError:
        return "install git-lfs (https://git-lfs.com), then: dver migrate lfs --fetch"
    return "'dver migrate lfs --fetch' has git-lfs bring what its server has"
