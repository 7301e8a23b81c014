"""Which targets dver has put data of into this work tree, or recorded there.

When git takes a pointer away (``git switch`` to a branch without it), nothing in the work tree
tells any more that the data was tracked. This list does: ``<git dir>/dver/placed`` holds the paths
of the targets, each ended by NUL, ascending. It is a cache: without it, such data merely stays.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.errors import CorruptError, SystemFailure
from dver.base.regular import open_regular
from dver.ops.targets import naming
from dver.ops.targets.scope import Scope

if TYPE_CHECKING:
    from dver.repo import Repo

NAME = "placed"


def load_placed(state_dir: Path) -> set[bytes]:
    """Return the paths of the targets; none if there is no list."""
    try:
        with open(open_regular(state_dir / NAME), "rb") as file:
            data = file.read()
    except (OSError, CorruptError):
        return set()
    return {path for path in data.split(b"\0") if path}


def note_placed(state_dir: Path, there: Iterable[bytes], gone: Iterable[bytes] = ()) -> None:
    """Add targets to the list and take others out; a failure to write is let pass."""
    before = load_placed(state_dir)
    after = (before | set(there)) - set(gone)
    if after != before:
        data = b"".join(path + b"\0" for path in sorted(after))
        with contextlib.suppress(SystemFailure):
            fsio.write_atomic(state_dir / NAME, data, durable=False)


def left_behind(repo: Repo, scope: Scope, targets: Iterable[bytes]) -> list[bytes]:
    """Return the paths in a scope that were targets here, and now hold data without a pointer.

    ``targets`` are those that git or the work tree still knows a pointer of. What git itself
    tracks by now is not told.
    """
    known = sorted(targets)
    found = [
        path
        for path in sorted(load_placed(repo.state_dir).difference(known))
        if scope.inside(path) == ()
        and naming.holder(known, path) is None
        and not naming.below(known, path)
        and os.path.lexists(repo.absolute(path))
    ]
    if not found:
        return []
    in_git = repo.git.tracked_by_git(found)
    return [path for path in found if not any(_is_at_or_below(one, path) for one in in_git)]


def _is_at_or_below(path: bytes, directory: bytes) -> bool:
    return path == directory or path.startswith(directory + b"/")
