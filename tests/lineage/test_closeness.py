"""How close metrics are that should be the same."""

from __future__ import annotations

import pytest

from dver.formats.record import Metric
from dver.lineage.closeness import Tolerance, compare_metrics


def metric(name: str, value: str, kind: str = "float") -> Metric:
    return Metric(name, value, kind)


@pytest.mark.parametrize(
    ("recorded", "now", "tolerance", "close"),
    [
        ("0.91", "0.91", Tolerance(), True),
        ("0.91", "0.92", Tolerance(), False),
        ("0.91", "0.92", Tolerance(absolute=0.011), True),
        ("100", "101", Tolerance(relative=0.01), True),
        ("100", "102", Tolerance(relative=0.01), False),
        ("0.91", "0.95", Tolerance(by_name={"auc": 0.05}), True),
        ("nan", "nan", Tolerance(), True),
        ("0.91", "nan", Tolerance(absolute=9.0), False),
    ],
)
def test_metrics(recorded: str, now: str, tolerance: Tolerance, close: bool) -> None:
    found, lines = compare_metrics([metric("auc", recorded)], [metric("auc", now)], tolerance)
    assert found is close
    assert bool(lines) == (recorded != now)


def test_metrics_that_are_not_there_or_no_numbers() -> None:
    assert compare_metrics([metric("a", "1")], [], Tolerance()) == (
        False,
        ["a was 1 and is not there"],
    )
    assert compare_metrics([], [], Tolerance()) == (False, [])
    text = [metric("name", "x", "text")]
    assert compare_metrics(text, text, Tolerance())[0] is False
    assert compare_metrics(text, [metric("name", "y", "text")], Tolerance())[1]
