"""The door to time can be moved, and opens on the real clocks otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from dver.base import clock
from dver.base.clock import Clock


class Frozen(Clock):
    """A clock that stands still unless somebody sleeps."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def now_ns(self) -> int:
        return 1_769_860_800_000_000_000 + int(self.elapsed * 1e9)

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.elapsed += seconds


@pytest.fixture
def frozen() -> Iterator[Frozen]:
    mine = Frozen()
    previous = clock.install(mine)
    yield mine
    assert clock.install(previous) is mine


def test_tests_can_move_time(frozen: Frozen) -> None:
    before = clock.monotonic()
    clock.sleep(90)
    assert clock.monotonic() - before == 90
    assert clock.utc_text() == "2026-01-31T12:01:30Z"


def test_the_real_clocks() -> None:
    assert abs(clock.now_ns() - time.time_ns()) < 5_000_000_000
    assert clock.monotonic() <= clock.monotonic()


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (999_999_999, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (1_709_210_096_000_000_001, "2024-02-29T12:34:56Z"),
    ],
)
def test_utc_text(ns: int, text: str) -> None:
    assert clock.utc_text(ns) == text
