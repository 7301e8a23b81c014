"""The one door to time, so that tests can move it.

Nothing in dver's safety rests on these values; they label roots and records, and time progress.
"""

from __future__ import annotations

import time


class Clock:
    """The machine's clocks. Tests install a subclass with :func:`install`."""

    def now_ns(self) -> int:
        """Return wall-clock nanoseconds since the Unix epoch."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never run backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for that many seconds."""
        time.sleep(seconds)


_current = Clock()


def install(clock: Clock) -> Clock:
    """Make ``clock`` the source of all time and return the one it replaces."""
    global _current
    previous, _current = _current, clock
    return previous


def now_ns() -> int:
    """Return wall-clock nanoseconds since the Unix epoch."""
    return _current.now_ns()


def monotonic() -> float:
    """Return seconds from an arbitrary start that never run backwards."""
    return _current.monotonic()


def sleep(seconds: float) -> None:
    """Wait for that many seconds."""
    _current.sleep(seconds)


def utc_text(ns: int | None = None) -> str:
    """Return a moment as ISO 8601 in UTC with whole seconds, ``2026-01-31T12:00:00Z``."""
    seconds = (now_ns() if ns is None else ns) // 1_000_000_000
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
