"""Recorded metrics and parameters, as text."""

from __future__ import annotations

from dver.base.quoting import show
from dver.ops.making.recordedvalues import DiffValuesResult, ShowValuesResult
from dver.ui.console import Console
from dver.ui.tables import columns


def render_shown(console: Console, result: ShowValuesResult) -> None:
    """Print a line for each value."""
    several = len({one.rev for one in result.values}) > 1
    rows = [[*(["revision"] if several else []), "made by", result.what.rstrip("s"), "value"]]
    for one in result.values:
        head = [one.rev or "work tree"] if several else []
        rows.append([show(cell) for cell in (*head, one.step, one.name, one.value)])
    for number, line in enumerate(columns(rows) if result.values else ()):
        console.print(console.style(line, "bold") if number == 0 else line)
    if not result.values:
        console.talk(f"no {result.what} are recorded here ('dver run' records them)")


def render_changes(console: Console, result: DiffValuesResult) -> None:
    """Print a line for each value that is not the same."""
    rows = []
    for one in result.changes:
        change = "" if one.change is None else f"{one.change:+.6g}"
        note = f"not comparable: {one.note}" if one.note else ""
        old, new = one.old if one.old is not None else "-", one.new if one.new is not None else "-"
        rows.append([show(one.step), show(one.name), show(old), "->", show(new), change, note])
    for line in columns(rows):
        console.print(line)
