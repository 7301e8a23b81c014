"""Rows of text in columns. Hand-made, since a listing must not wait for a rendering library."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence

Paint = Callable[[int, str], str]


def width(text: str) -> int:
    """Return how many terminal cells some printable text takes."""
    if text.isascii():
        return len(text)
    cells = 0
    for char in text:
        if unicodedata.combining(char):
            continue
        cells += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return cells


def columns(
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    gap: str = "  ",
    paint: Paint | None = None,
) -> Iterator[str]:
    """Yield one line per row, its cells padded to the widest of each column.

    ``right`` numbers the columns that align to the right (negative numbers count from the end).
    The last column is not padded. ``paint(column, cell)`` may colour a cell after it is measured.
    """
    if not rows:
        return
    count = max(map(len, rows))
    to_right = {index % count for index in right}
    widths = [max((width(row[i]) for row in rows if i < len(row)), default=0) for i in range(count)]
    for row in rows:
        cells = []
        for index, cell in enumerate(row):
            pad = " " * (widths[index] - width(cell))
            shown = cell if paint is None else paint(index, cell)
            if index in to_right:
                cells.append(pad + shown)
            else:
                cells.append(shown if index == len(row) - 1 else shown + pad)
        yield gap.join(cells).rstrip()
