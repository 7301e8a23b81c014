"""The state of one file, and whether it is as remembered."""

from __future__ import annotations

import os
from array import array
from typing import TYPE_CHECKING

from dver.base.errors import RefusedError
from dver.base.fsio import failure
from dver.base.osat import HAS_MODES, osat
from dver.base.quoting import show
from dver.formats.kinds import EXECUTABLE, FILE, SYMLINK
from dver.formats.statindex import KnownFile
from dver.workspace.stamp import is_stamped
from dver.workspace.state import (
    CTIME,
    MODE,
    SIZE,
    FileState,
    Row,
    describe_mode,
    kind_of_mode,
    little,
    stat_row,
)

if TYPE_CHECKING:
    from dver.workspace.links import LinkCache

_BEFORE_CTIME = 8 * CTIME


def scan_file(
    path: bytes, known: KnownFile | None = None, *, links: LinkCache | None = None
) -> FileState | None:
    """Return the state of whatever is at an absolute path, or None if nothing is.

    A directory comes with kind DIRECTORY; anything that cannot be tracked raises RefusedError.
    The oid is set if the stat equals the ``known`` one.
    """
    try:
        row = stat_row(os.lstat(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise failure(error, "look at", path) from error
    kind = kind_of_mode(row[MODE])
    if not kind:
        raise RefusedError(f"{show(path)} is {describe_mode(row[MODE])}, which cannot be tracked")
    state = FileState(kind, row[SIZE], row)
    if kind == SYMLINK and links is not None:
        linked = links.resolve(osat.readlink(path))
        if linked is not None:
            return FileState(linked.kind, linked.size, row, linked.oid)
    if known is not None and _is_as_known(row, known):
        state.kind, state.size, state.oid = known.kind, known.size, known.oid
    elif known is not None and not HAS_MODES and {kind, known.kind} == {FILE, EXECUTABLE}:
        state.kind = known.kind
    return state


def _is_as_known(row: Row, known: KnownFile) -> bool:
    if known.row == little(array("Q", row)):
        return True
    same = known.row[:_BEFORE_CTIME] == little(array("Q", row[:CTIME]))
    return same and is_stamped(row, known.oid)
