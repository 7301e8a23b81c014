"""``dver runs``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import click

from dver.base.quoting import show
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.making.runs import RunRow, RunsOptions, RunsResult, runs
from dver.ui.console import Console
from dver.ui.tables import columns

_MOST_COLUMNS = 8


@declare(
    "runs",
    result=RunsResult,
    exits=(7,),
    examples=[
        ("the newest runs", "dver runs -n 10"),
        ("the good ones, the best first", "dver runs --where 'auc > 0.9' --sort -auc"),
        ("all that one dataset went into, as CSV", "dver runs --where 'input = data/train' --csv"),
    ],
)
@click.option(
    "--where", "where", metavar="CONDITION", multiple=True, help="Only runs for which this holds."
)
@click.option("--sort", metavar="[-]NAME", help="Order by this; with - the largest first.")
@click.option(
    "-n", "--max-count", "limit", type=click.IntRange(min=1), metavar="N", help="List at most N."
)
@click.option("--failed", is_flag=True, help="List failed runs as well.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def command(
    app: App,
    where: tuple[str, ...],
    sort: str | None,
    limit: int | None,
    failed: bool,
    as_csv: bool,
) -> int:
    """List recorded runs, with their parameters and metrics.

    The newest comes first. The records of all branches and tags are read. A CONDITION is NAME OP
    VALUE: the name of a metric or parameter, or step, kind, exit, created, author, commit, reason,
    input, output, seconds; one of = != < <= > >= ~ (contains); a number or text.
    """
    result = runs(app.repo, RunsOptions(where, sort, limit, failed))

    def render(console: Console, result: RunsResult) -> None:
        if as_csv:
            console.write(_csv(result.runs))
        else:
            _table(console, result)

    return app.finish(result, render, long=True)


def _csv(rows: Sequence[RunRow]) -> str:
    params, metrics = _columns(rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ["id", "created", "step", "exit", "seconds", "commit", "author", "reason"]
    writer.writerow(
        [*head, *(f"params.{one}" for one in params), *(f"metrics.{one}" for one in metrics)]
    )
    for row in rows:
        fixed: list[object] = [row.id, row.created, row.step]
        fixed.append("" if row.exit is None else row.exit)
        fixed += [row.milliseconds / 1000, row.commit, row.author, row.reason]
        values = [row.params.get(one, "") for one in params]
        writer.writerow([*fixed, *values, *(row.metrics.get(one, "") for one in metrics)])
    return out.getvalue()


def _table(console: Console, result: RunsResult) -> None:
    if not result.runs:
        console.done("no runs" if not result.total else f"none of {result.total} runs fits")
        return
    params, metrics = _columns(result.runs)
    shown = [*(("metrics", one) for one in metrics), *(("params", one) for one in params)]
    shown = shown[:_MOST_COLUMNS]
    lines = [["run", "created", "step", *(name for _, name in shown)]]
    for row in result.runs:
        cells = [row.id[:10], row.created[:16].replace("T", " "), _step(row)]
        for kind, name in shown:
            cells.append((row.metrics if kind == "metrics" else row.params).get(name, ""))
        lines.append([show(cell) for cell in cells])
    for n, line in enumerate(columns(lines)):
        console.print(console.style(line, "bold") if n == 0 else line)


def _step(row: RunRow) -> str:
    told = row.step or row.kind
    if row.grade is not None:
        return f"{told} ({row.grade})"
    return f"{told} (exit {row.exit})" if row.exit else told


def _columns(rows: Sequence[RunRow]) -> tuple[list[str], list[str]]:
    params = dict.fromkeys(key for row in rows for key in row.params)
    metrics = dict.fromkeys(name for row in rows for name in row.metrics)
    return sorted(params), sorted(metrics)
