"""Which pointer files git's index holds in several versions, as a merge left them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dver.git.pointers import REGULAR, is_pointer_path, pathspecs
from dver.git.process import split_nul
from dver.git.repository import Git


class Unmerged(NamedTuple):
    """One pointer file in conflict: the blobs of the ancestor and of both sides, None if absent.

    ``ours`` is what HEAD has, also in a rebase, where that is the branch one rebases onto.
    """

    path: bytes
    base: str | None = None
    ours: str | None = None
    theirs: str | None = None


def unmerged_pointers(git: Git, under: Sequence[bytes] = (b"",)) -> list[Unmerged]:
    """Return the pointer files in conflict at or below some data paths, sorted by path."""
    found: dict[bytes, dict[bytes, str]] = {}
    with git.pipe("ls-files", "-z", "--unmerged", "--", *pathspecs(under, False)) as out:
        for entry in split_nul(out):
            facts, _, path = entry.partition(b"\t")
            mode, blob, stage = facts.split(b" ")
            if is_pointer_path(path):
                stages = found.setdefault(path, {})
                if mode in REGULAR:
                    stages[stage] = blob.decode()
    return [
        Unmerged(path, *(found[path].get(stage) for stage in (b"1", b"2", b"3")))
        for path in sorted(found)
    ]
