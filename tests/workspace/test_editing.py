"""Changing entries of a directory by column, one by one and all in one pass."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dver.base.oid import Oid, oid_of
from dver.formats.tree import DIRECTORY, FILE
from dver.workspace import editing
from dver.workspace.editing import edit
from dver.workspace.state import DIR_ROW, DirState, FileState

NAMES = st.binary(min_size=1, max_size=2)
STATES = st.builds(
    lambda n, kind: FileState(kind, n, (n, n + 1, n + 2, n + 3, n + 4), oid_of(b"%d" % n)),
    st.integers(0, 50),
    st.sampled_from([FILE, DIRECTORY]),
)


def columns(entries: dict[bytes, FileState]) -> DirState:
    """Return a directory that holds some entries."""
    order = sorted(entries)
    return DirState(
        b"",
        order,
        bytearray(entries[name].kind for name in order),
        array("Q", [entries[name].size for name in order]),
        bytearray(b"".join(entries[name].oid or b"" for name in order)),
        array("Q", [value for name in order for value in entries[name].row]),
        Oid(bytes(32)),
    )


@pytest.mark.parametrize("few", [0, 1000])
@given(
    before=st.dictionaries(NAMES, STATES, max_size=12),
    changes=st.dictionaries(NAMES, st.none() | STATES, max_size=12),
)
def test_edits_are_what_a_dictionary_would_do(
    few: int, before: dict[bytes, FileState], changes: dict[bytes, FileState | None]
) -> None:
    state = columns(before)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(editing, "_FEW", few)
        edit(state, changes)
    after = {name: one for name, one in {**before, **changes}.items() if one is not None}
    expected = columns(after)
    expected.tree = None
    assert state == expected


def test_an_entry_without_an_oid_is_unknown() -> None:
    state = DirState.empty(b"")
    edit(state, {b"f": FileState(FILE, 1, (1, 2, 3, 4, 5)), b"d": FileState(DIRECTORY, 0, DIR_ROW)})
    assert list(state.unknown()) == [1]
