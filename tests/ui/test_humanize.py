"""Numbers for people."""

from __future__ import annotations

import pytest

from dver.ui import humanize


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (182_000_000, "173.6 MiB"),
        (1 << 40, "1.0 TiB"),
        (1 << 62, "4.0 EiB"),
        (1 << 80, "1048576.0 EiB"),
        (-2048, "-2.0 KiB"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert humanize.size(count) == text


def test_delta_has_a_sign() -> None:
    assert humanize.delta(2048) == "+2.0 KiB"
    assert humanize.delta(-5) == "-5 B"
    assert humanize.delta(0) == "0 B"


def test_count() -> None:
    assert humanize.count(1, "file") == "1 file"
    assert humanize.count(0, "file") == "0 files"
    assert humanize.count(12345, "entry", "entries") == "12,345 entries"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (3.14, "3.1 s"),
        (12.4, "12 s"),
        (60, "1 min"),
        (185, "3 min 5 s"),
        (7200, "2 h"),
        (7260, "2 h 1 min"),
        (90000, "1 d 1 h"),
        (86400, "1 d"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert humanize.duration(seconds) == text


def test_short_oid() -> None:
    assert humanize.short("blake3:" + "ab" * 32) == "ababababab"
