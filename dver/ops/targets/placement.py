"""Which files of a tracked directory were once in this work tree, as far as is remembered.

A file that is recorded and not there was either deleted, or never brought here by a checkout of
only a part. What the local store holds does not tell: content that another file shares is there.
"""

from __future__ import annotations

from dver.base.errors import MissingContentError
from dver.formats.pointer import Pointer
from dver.formats.statindex import STAT_FIELDS, KnownTree
from dver.store.walk import TreeSource, find
from dver.workspace.editing import edit
from dver.workspace.state import DirState, FileState, Scan

_NO_STAT = (0,) * STAT_FIELDS


class Placement:
    """Answers for one tracked directory, of which the stat index has remembered ``known``."""

    def __init__(self, source: TreeSource, known: KnownTree | None, pointer: Pointer) -> None:
        self._source = source
        self._dirs = known.dirs if known is not None else {}
        self._base = known.base if known is not None else None
        #: Whether all that the pointer names was here once.
        self.whole = self._base == pointer
        self._names: dict[bytes, set[bytes]] = {}

    def had(self, inner: bytes) -> bool:
        """Say whether a path inside the directory was placed or recorded here once."""
        return self.whole or self._is_remembered(inner) or self._is_in_base(inner)

    def _is_remembered(self, inner: bytes) -> bool:
        if inner in self._dirs:
            return True
        above, _, name = inner.rpartition(b"/")
        if above not in self._names:
            known = self._dirs.get(above)
            self._names[above] = set() if known is None else set(bytes(known.names).split(b"\0"))
        return name in self._names[above]

    def _is_in_base(self, inner: bytes) -> bool:
        if self._base is None or self._base.kind != "tree":
            return False
        try:
            return find(self._source, self._base.oid, inner) is not None
        except MissingContentError:
            return False


def keep_vanished(scan: Scan, known: KnownTree) -> None:
    """Put what is remembered and no longer there back into a scan that is to be remembered.

    Its entries get a stat that no file has. Nothing else tells that files of a directory that was
    never here as a whole were here once.
    """
    here = {state.path: state for state in scan.dirs}
    for path, one in known.dirs.items():
        old = DirState.as_remembered(one)
        state = here.get(path)
        if state is None:
            state = DirState.empty(path)
            scan.dirs.append(state)
        names = set(state.names)
        gone = {
            name: FileState(old.kinds[i], old.sizes[i], _NO_STAT, old.oid(i))
            for i, name in enumerate(old.names)
            if name not in names
        }
        if gone:
            edit(state, gone)
