"""The figures as Markdown, each with its mark."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.lab import Case
from tests.bench.measure import Series

HEAD = ("work", "command", "wall, median (min-max)", "CPU", "peak memory", "dver / this, and marks")


def head(cells: Sequence[str] = HEAD) -> str:
    """Return the first two lines of a table."""
    return line(cells) + "\n" + line(["---"] * len(cells))


def line(cells: Sequence[str]) -> str:
    """Return one line of a table."""
    return "| " + " | ".join(cells).replace("\n", " ") + " |"


def rows(case: Case, series: Sequence[Series]) -> tuple[list[list[str]], int]:
    """Return the rows of one case, and how many marks are missed in it."""
    by_name = {one.name: one for one in series}
    lines, missed = [], 0
    for one in series:
        verdicts = [*_ratios(case, one, by_name)]
        if one.name == "dver":
            verdicts += _bounds(case, one)
        elif not verdicts and "dver" in by_name:
            verdicts = [f"{by_name['dver'].median / one.median:.2f} x"]
        low, high = one.span
        lines.append(
            [
                "" if lines else case.name,
                one.name,
                f"{seconds(one.median)} ({seconds(low)}-{seconds(high)})",
                seconds(one.cpu),
                f"{one.peak >> 20} MiB",
                "; ".join(verdicts),
            ]
        )
        missed += sum("MISSED" in verdict for verdict in verdicts)
    return lines, missed


def _ratios(case: Case, one: Series, by_name: dict[str, Series]) -> list[str]:
    verdicts = []
    for mark in case.marks:
        if mark.against != one.name:
            continue
        own = by_name[mark.own].median
        if mark.more is not None:
            more = own - one.median
            promise = f"mark +{seconds(mark.more)}"
            verdicts.append(f"{more:+.3f} s ({promise}: {sign(more <= mark.more)})")
        else:
            ratio = own / one.median
            promise = f"mark {mark.ratio:.2f} x"
            verdicts.append(f"{ratio:.2f} x ({promise}: {sign(ratio <= mark.ratio)})")
    return verdicts


def _bounds(case: Case, own: Series) -> list[str]:
    verdicts = []
    if case.seconds is not None:
        verdicts.append(f"mark {seconds(case.seconds)}: {sign(own.median <= case.seconds)}")
    if case.peak is not None:
        verdicts.append(f"mark {case.peak >> 20} MiB: {sign(own.peak <= case.peak)}")
    for figure in case.figures:
        value = figure.value()
        promise = f"mark {amount(figure.most, figure.unit)}"
        held = sign(value <= figure.most)
        verdicts.append(f"{figure.name} {amount(value, figure.unit)} ({promise}: {held})")
    return verdicts


def sign(held: bool) -> str:
    return "ok" if held else "MISSED"


def seconds(value: float) -> str:
    return f"{value:.3f} s" if value < 10 else f"{value:.1f} s"


def amount(value: float, unit: str) -> str:
    """Return an amount for people: bytes as such, in MB; requests whole; ratios with ``x``."""
    if unit == "B":
        return f"{value / 1e6:.2f} MB"
    return f"{value:.2f} {unit}" if unit == "x" else f"{value:,.0f} {unit}"
