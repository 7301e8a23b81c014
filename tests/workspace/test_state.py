"""Directories by column: those in which nothing changed refer to what is remembered."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from dver.base.oid import Oid
from dver.workspace.editing import edit
from dver.workspace.scan import scan_directory
from dver.workspace.state import DirState, FileState, Scan
from tests.support.workbench import ALWAYS, EMPTY_DIR, Link, Program, Workbench

FILES = {
    b"a/1": b"1",
    b"a/2": Program(b"2"),
    b"b/c/x": b"3",
    b"b/link": Link(b"x"),
    b"e": EMPTY_DIR,
}
OTHER = Oid(b"\x07" * 32)


@pytest.fixture
def remembered(bench: Workbench) -> Workbench:
    """A workspace with files that were added."""
    bench.write(FILES)
    bench.add(moment=ALWAYS)
    return bench


def directory(scan: Scan, path: bytes) -> DirState:
    return next(one for one in scan.dirs if one.path == path)


def test_what_did_not_change_is_only_referred_to(remembered: Workbench) -> None:
    before = remembered.index.load_tree(b"data")
    assert before is not None
    scan = remembered.scan()
    for path in (b"a", b"b/c", b"e"):
        assert directory(scan, path).remembered is not None, path
        assert directory(scan, path).kinds == bytes(before.dirs[path].kinds)
        assert directory(scan, path).remembered is not None, path


def test_columns_are_as_those_of_a_whole_scan(remembered: Workbench) -> None:
    lazy, whole = remembered.scan(), scan_directory(remembered.path(b"data"))
    for path in (b"a", b"b/c", b"e"):
        one, other = directory(lazy, path), directory(whole, path)
        assert (one.kinds, one.names) == (other.kinds, other.names)
        assert (one.sizes, one.stats) == (other.sizes, other.stats)
        assert one.remembered is None


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.set_oid(0, OTHER),
        lambda state: state.set_row(0, (1, 2, 3, 4, 5)),
        lambda state: state.remove([0]),
        lambda state: edit(state, {b"new": FileState(ord("f"), 1, (1, 1, 1, 1, 1), OTHER)}),
    ],
)
def test_a_change_is_one_of_the_columns_and_not_of_what_is_remembered(
    remembered: Workbench, change: Callable[[DirState], object]
) -> None:
    known = remembered.index.load_tree(b"data")
    assert known is not None
    before = [bytes(getattr(known.dirs[b"a"], name)) for name in ("names", "stats", "oids")]
    state = DirState.as_remembered(known.dirs[b"a"])
    twin = DirState.as_remembered(known.dirs[b"a"])
    change(state)
    assert state != twin
    assert state.remembered is None
    assert before == [bytes(getattr(known.dirs[b"a"], name)) for name in ("names", "stats", "oids")]


def test_remembering_a_scan_again_changes_nothing(remembered: Workbench) -> None:
    before = remembered.index.load_tree(b"data")
    scan = remembered.scan()
    remembered.index.save_tree(b"data", scan, moment=ALWAYS, base=None)
    again = remembered.index.load_tree(b"data")
    assert before is not None
    assert again == dataclasses.replace(before, base=None)


def test_what_was_remembered_late_is_not_forgotten(remembered: Workbench) -> None:
    """A moment before the files' times spoils what was read now, not what was settled before."""
    scan = remembered.scan()
    remembered.index.save_tree(b"data", scan, moment=1, base=None)
    again = remembered.scan()
    assert directory(again, b"a").remembered is not None


def test_only_columns_are_made(remembered: Workbench) -> None:
    state = directory(remembered.scan(), b"a")
    with pytest.raises(AttributeError, match="a directory has no colour"):
        _ = state.colour  # nothing but a column
    assert state.remembered is not None
