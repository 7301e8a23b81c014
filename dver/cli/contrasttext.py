"""Runs side by side, as text."""

from __future__ import annotations

from dver.base.quoting import show
from dver.ops.making.contrast import ContrastResult
from dver.ui.console import Console
from dver.ui.tables import columns

_WIDEST = 40


def render_columns(console: Console, result: ContrastResult) -> None:
    """Print a table with a column for each run."""
    heads = [
        f"{show(target)} {record[:10]}" if not record.startswith(target) else record[:10]
        for target, record in zip(result.targets, result.records, strict=True)
    ]
    lines = [["", "", *heads]]
    for row in result.rows:
        values = [_short(value) for value in row.values]
        lines.append([row.kind, show(row.name), *values])
    notes = ["", *(row.note for row in result.rows)]
    for n, (line, note) in enumerate(zip(columns(lines), notes, strict=True)):
        tail = f"  (not comparable: {note})" if note else ""
        styled = console.style(line, "bold") if n == 0 else line
        console.print(styled + console.style(tail, "yellow"))
    if not result.rows:
        console.done("nothing differs")


def render_diff(console: Console, result: ContrastResult) -> None:
    """Print what changed from the first run to the second, class by class."""
    kind = ""
    # A tree may differ by pointers and records alone.
    told = [
        row
        for row in result.rows
        if not row.same and (row.kind != "code" or row.name != "tree" or result.code)
    ]
    for row in told:
        if row.kind != kind:
            kind = row.kind
            console.print(console.style(kind, "bold"))
        before, after = (_short(value) for value in row.values[:2])
        note = f"  (not comparable: {row.note})" if row.note else ""
        console.print(f"  {show(row.name)}: {before} -> {after}{note}")
        if row.kind == "data":
            for line in [one for one in result.files if f" {row.name}" in one]:
                console.print(f"    {show(line)}")
        if row.kind == "code" and row.name == "tree":
            for line in result.code:
                console.print(f"    {show(line)}")
    if not told:
        console.done("nothing differs")


def _short(value: str | None) -> str:
    if value is None:
        return "-"
    shown = show(value)
    return shown if len(shown) <= _WIDEST else shown[: _WIDEST - 3] + "..."
