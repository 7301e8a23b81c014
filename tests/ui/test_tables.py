"""Columns line up whatever is in them."""

from __future__ import annotations

from dver.ui.tables import columns, width


def test_columns_pad_and_align() -> None:
    rows = [["a", "1", "first"], ["bbb", "22", "x"], ["c"]]
    assert list(columns(rows, right=(1,))) == ["a     1  first", "bbb  22  x", "c"]


def test_negative_columns_count_from_the_end() -> None:
    assert list(columns([["a", "1"], ["b", "22"]], right=(-1,))) == ["a   1", "b  22"]


def test_wide_and_combining_characters_take_their_cells() -> None:
    assert width("数据") == 4
    assert width("e\u0301") == 1
    assert list(columns([["数据", "x"], ["abcd", "y"]])) == ["数据  x", "abcd  y"]


def test_colour_does_not_count() -> None:
    rows = [["a", "x"], ["bb", "y"]]
    painted = list(columns(rows, paint=lambda i, cell: f"<{cell}>" if i == 0 else cell))
    assert painted == ["<a>   x", "<bb>  y"]


def test_no_rows() -> None:
    assert list(columns([])) == []
