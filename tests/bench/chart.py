"""A chart of growth as SVG text: time per file and memory against the number of files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 380, 260
_LEFT, _TOP, _GAP, _BELOW = 64, 56, 84, 76
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES = {"dver": "", "dvc": "5 4"}


@dataclass(frozen=True)
class Line:
    """One line of a panel: what it is, its look, and its points."""

    label: str
    colour: str
    dashes: str
    points: Sequence[tuple[float, float]]


def draw_growth(growth: dict[str, Any]) -> str:
    """Return the SVG of ``growth`` as the benchmark's JSON holds it; both axes are logarithmic."""
    files = growth["files"]
    steps = list(dict.fromkeys(step for by_step in files.values() for step in by_step))
    colours = dict(zip(steps, _COLOURS, strict=False))
    times, memory = [], []
    for program, by_step in files.items():
        for step, by_count in by_step.items():
            points = sorted((int(count), figures) for count, figures in by_count.items())
            look = (f"{program} {step}", colours[step], _DASHES.get(program, "2 3"))
            times.append(Line(*look, [(n, f["seconds"] / n * 1e6) for n, f in points]))
            memory.append(Line(*look, [(n, f["peak"] / 2**20) for n, f in points]))
    width = 2 * (_LEFT + _WIDTH) + _GAP + 24
    rows = math.ceil(len(times) / 4)
    height = _TOP + _HEIGHT + _BELOW + rows * 20
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" font-family="sans-serif" font-size="13">'
    )
    parts = [
        opening,
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *panel(_LEFT, "time per file (us)", times),
        *panel(2 * _LEFT + _WIDTH + _GAP - 20, "peak memory (MiB)", memory),
        *legend(times, width, _TOP + _HEIGHT + _BELOW),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def panel(left: float, title: str, lines: Sequence[Line]) -> Iterator[str]:
    """Yield one set of axes with its lines."""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    low, high = decades(ys)
    first, last = math.log10(min(xs)), math.log10(max(xs))
    if first == last:
        first, last = first - 0.5, last + 0.5

    def across(x: float) -> float:
        return left + (math.log10(x) - first) / (last - first) * _WIDTH

    def down(y: float) -> float:
        return _TOP + _HEIGHT - (math.log10(y) - low) / (high - low) * _HEIGHT

    yield f'<text x="{left}" y="{_TOP - 20}" font-size="15" font-weight="bold">{title}</text>'
    bottom = _TOP + _HEIGHT
    for value in ticks(low, high):
        y = down(value)
        yield rule(left, y, left + _WIDTH, y, "#ccc")
        yield text(left - 8, y + 4, number(value), "end")
    for x in sorted(set(xs)):
        yield rule(across(x), _TOP, across(x), bottom, "#eee")
        yield text(across(x), bottom + 20, f"{x:,.0f}", "middle")
    yield text(left + _WIDTH / 2, bottom + 42, "files (logarithmic)", "middle")
    yield rule(left, bottom, left + _WIDTH, bottom, "#333")
    yield rule(left, _TOP, left, bottom, "#333")
    for line in lines:
        points = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in line.points)
        yield (
            f'<polyline points="{points}" fill="none" stroke="{line.colour}" stroke-width="2"'
            f' stroke-dasharray="{line.dashes or "none"}"><title>{escape(line.label)}</title>'
            "</polyline>"
        )
        for x, y in line.points:
            yield f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="3" fill="{line.colour}"/>'


def decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten below and above all values."""
    positive = [value for value in values if value > 0] or [1.0]
    low = math.floor(math.log10(min(positive)))
    return low, max(math.ceil(math.log10(max(positive))), low + 1)


def ticks(low: int, high: int) -> list[float]:
    """Return what the axis names: powers of ten, and 2 and 5 times those where there is room."""
    steps = (1, 2, 5) if high - low <= 2 else (1,)
    values = [step * 10.0**power for power in range(low, high) for step in steps]
    return [*values, 10.0**high]


def legend(lines: Sequence[Line], width: float, top: float) -> Iterator[str]:
    """Yield the names of the lines, four in a row."""
    step = (width - _LEFT) / 4
    for at, line in enumerate(lines):
        x, y = _LEFT + at % 4 * step, top + at // 4 * 20
        yield rule(x, y - 4, x + 28, y - 4, line.colour, line.dashes, 2)
        yield text(x + 36, y, line.label, "start")


def rule(
    x1: float, y1: float, x2: float, y2: float, colour: str, dashes: str = "", width: int = 1
) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"'
        f' stroke-width="{width}" stroke-dasharray="{dashes or "none"}"/>'
    )


def text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"
