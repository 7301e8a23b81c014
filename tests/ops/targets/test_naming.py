"""From what was typed to targets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dver.base.errors import NotFoundError
from dver.ops.targets.naming import below, expand, holder, not_found, read_list


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        (b"", ()),
        (b"a\nb c\n", ("a", "b c")),
        (b"a\nb", ("a", "b")),
        (b"a\n\n\nb\n", ("a", "b")),
        (b"a\0b\nc\0", ("a", "b\nc")),
        (b"a\0", ("a",)),
        (b"\xff\n", (os.fsdecode(b"\xff"),)),
        (b"name \r\n", ("name \r",)),
    ],
)
def test_a_list_is_split_at_nul_or_line_feeds(data: bytes, paths: tuple[str, ...]) -> None:
    assert read_list(data) == paths


@pytest.fixture
def here(tmp_path: Path) -> str:
    for name in ("a.csv", "b.csv", "b.csv.dver", ".hidden.csv", "d/e/f.csv", "x[1].csv", "x1.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return str(tmp_path)


def nothing(arg: str) -> bool:
    return False


def test_patterns_match_files_but_neither_hidden_ones_nor_pointers(here: str) -> None:
    assert expand(here, ["*.csv*"], nothing) == ["a.csv", "b.csv", "x1.csv", "x[1].csv"]
    assert expand(here, ["?.csv", "d/**/*.csv"], nothing) == ["a.csv", "b.csv", "d/e/f.csv"]


def test_a_name_that_exists_is_no_pattern(here: str) -> None:
    assert expand(here, ["x[1].csv"], nothing) == ["x[1].csv"]
    assert expand(here, ["x[12].csv"], nothing) == ["x1.csv"]
    assert expand(here, ["x[12].csv"], lambda arg: True) == ["x[12].csv"]


def test_each_match_comes_once_in_the_order_typed(here: str) -> None:
    assert expand(here, ["b.csv", "?.csv", "none"], nothing) == ["b.csv", "a.csv", "none"]


def test_a_pattern_without_match_is_not_found(here: str) -> None:
    with pytest.raises(NotFoundError, match=r"nothing matches the pattern \*\.txt"):
        expand(here, ["*.txt"], nothing)


def test_the_target_that_holds_a_path() -> None:
    targets = {b"data", b"m/model"}
    assert holder(targets, b"data") == b"data"
    assert holder(targets, b"data/x/y") == b"data"
    assert holder(targets, b"m/model") == b"m/model"
    assert holder(targets, b"m") is None
    assert holder(targets, b"data2") is None
    assert holder(targets, b"") is None


def test_the_targets_below_a_directory() -> None:
    targets = [b"a", b"d", b"d.x", b"d/1", b"d/2/3", b"d0", b"e"]
    assert below(targets, b"d") == [b"d/1", b"d/2/3"]
    assert below(targets, b"") == targets
    assert below(targets, b"f") == []


def test_what_is_not_found_names_the_nearest(here: str) -> None:
    display = os.fsdecode
    error = not_found("no such file:", b"d/e/g.csv", here, [], display)
    assert error.message == "no such file: d/e/g.csv"
    assert error.hint == "did you mean d/e/f.csv?"
    error = not_found("no such file:", b"trian", here, [b"data/train"], display)
    assert error.hint == "did you mean data/train?"
    assert "dver ls" in (not_found("no such file:", b"qqqq", here, [], display).hint or "")
    assert not_found("no:", b"qqqq", here, [], display, otherwise=None).hint is None


def test_what_is_there_and_not_tracked_can_be_added(here: str) -> None:
    error = not_found("nothing is tracked at", b"d/e/f.csv", here, [], os.fsdecode)
    assert error.hint == "it is not tracked; 'dver add d/e/f.csv' tracks it"
    with open(os.path.join(here, "d.dver"), "w"):
        pass
    error = not_found("HEAD~1 does not track", b"d/e/f.csv", here, [], os.fsdecode)
    assert "f.csv'" not in (error.hint or "")
    assert error.hint != "did you mean d/e/f.csv?"
