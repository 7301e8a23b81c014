"""Which targets dver has put data of into this work tree, or recorded there.

When git takes a pointer away (``git switch`` to a branch without it), nothing in the work tree
tells any more that the data was tracked. This list does: ``<git dir>/dver/placed`` holds the paths
of the targets, each ended by NUL, ascending. It is a cache: without it, such data merely stays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from dver.base import fsio
from dver.base.errors import SystemFailure

NAME = "placed"


def load_placed(state_dir: Path) -> set[bytes]:
    """Return the paths of the targets; none if there is no list."""
    try:
        data = (state_dir / NAME).read_bytes()
    except OSError:
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
