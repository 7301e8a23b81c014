"""Refusing a remote that is a clone's own store: what is there is no second copy of anything.

A store that is local is cleaned up by what the repositories that use it need. It knows nothing of
the roots that a push writes, so that what was pushed there goes with the next collection.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from dver.base.errors import RefusedError
from dver.base.quoting import show

#: A remote and a store that share any of these are one, whatever leads to them.
_PARTS = ("packs", "index")


def refuse_own_store(place: str, own: Iterable[str], *, others: bool) -> None:
    """Raise RefusedError for a remote's directory that is any of our own, or inside it.

    Symlinks, other spellings and other mounts of the same directory count. ``place`` need not
    exist. ``own`` are the directories in which this clone keeps its store and what it remembers;
    with ``others`` those of other clones are refused too, as far as they can be told by their path.
    """
    ours = [path for path in own if os.path.isdir(path)]
    mine = {found for path in ours if (found := _identity(path)) is not None}
    for above in _upwards(os.path.realpath(place)):
        if _identity(above) in mine:
            raise _refusal(place, "the store of this clone, or inside it")
        if others and os.path.basename(above) == "dver" and _is_git(os.path.dirname(above)):
            raise _refusal(place, "the store of another clone, or inside it")
    for part in _PARTS:
        theirs = _identity(os.path.join(place, part))
        if theirs is not None and theirs in {_identity(os.path.join(path, part)) for path in ours}:
            raise _refusal(place, "the store of this clone, by another name")


def _upwards(path: str) -> Iterator[str]:
    """Yield a path and all directories above it."""
    while True:
        yield path
        above = os.path.dirname(path)
        if above == path:
            return
        path = above


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_git(path: str) -> bool:
    """Say whether something looks like a git directory, as git does."""
    return all(os.path.exists(os.path.join(path, name)) for name in ("HEAD", "objects", "refs"))


def _refusal(place: str, what: str) -> RefusedError:
    return RefusedError(
        f"{show(place)} cannot be a remote: it is {what}, and 'dver gc' there would remove what"
        " was pushed",
        hint="name a directory outside of it, best on another disk",
    )
