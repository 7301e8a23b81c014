"""The files in which a clone keeps what it saw of a remote; every one of them may be deleted.

What cannot be read counts as not remembered, whatever is in its place.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path

from dver.base import fsio
from dver.base.errors import CorruptError
from dver.base.oid import Oid, split_oids
from dver.base.regular import read_regular

_SEEN = "seen"
_COVERED = "covered.json"
#: So many commits are remembered at most.
_MAX_COVERED = 20
#: Nothing that is remembered is longer than this (bytes), but lists of oids: they have a limit of
#: their own.
LIMIT = 64 << 20
_MAX_SEEN = 1 << 30


def recall(path: Path, limit: int = LIMIT) -> bytes | None:
    """Return what a file of the memory holds, None if it is not there or is no regular file."""
    try:
        data = read_regular(path, limit=limit)
    except (OSError, CorruptError):
        return None
    return data if len(data) <= limit else None


def seen(cache: Path) -> set[Oid]:
    """Return the objects that were once fetched as a whole."""
    return set(split_oids(recall(cache / _SEEN, _MAX_SEEN) or b""))


def remember_seen(cache: Path, oids: Iterable[Oid]) -> None:
    """Remember objects that were fetched as a whole."""
    known = seen(cache)
    new = set(oids) - known
    if new:
        fsio.write_atomic(cache / _SEEN, b"".join(sorted(known | new)), durable=False)


def forget_seen(cache: Path, oids: Iterable[Oid]) -> None:
    """Forget objects, so that nobody is told that the remote has them."""
    known = seen(cache)
    left = known.difference(oids)
    if left != known:
        fsio.write_atomic(cache / _SEEN, b"".join(sorted(left)), durable=False)


def covered(cache: Path, roots: Collection[str]) -> tuple[str, ...]:
    """Return the commits that were found to be covered, if every root of then is there now."""
    data = recall(cache / _COVERED)
    if data is None:
        return ()
    try:
        noted = json.loads(data)
        commits, before = noted["commits"], noted["roots"]
        if set(before) <= set(roots) and all(isinstance(c, str) for c in commits):
            return tuple(commits)
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return ()


def remember_covered(cache: Path, commit: str, roots: Collection[str]) -> None:
    """Note that all versions in a commit's history are in the remote."""
    commits = [commit, *(one for one in covered(cache, roots) if one != commit)][:_MAX_COVERED]
    data = json.dumps({"commits": commits, "roots": sorted(roots)}).encode("ascii")
    fsio.write_atomic(cache / _COVERED, data, durable=False)
