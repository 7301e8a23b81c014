"""``dver log``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import completion
from dver.cli import options as shared
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.render import content
from dver.ops.looking.log import LogEntry, LogOptions, LogResult, log
from dver.ui.console import Console, Style
from dver.ui.humanize import delta, short
from dver.ui.tables import columns

_STYLES: dict[str, Style] = {
    "added": "green",
    "removed": "red",
    "modified": "yellow",
    "renamed": "cyan",
}


@declare(
    "log",
    result=LogResult,
    exits=(4, 10),
    examples=[
        ("every version of a directory", "dver log data/train"),
        ("all that changed lately", "dver log -n 5"),
        ("the last three of one file in it, on any branch", "dver log data/train/a.csv --all -n 3"),
        ("the versions of a release branch", "dver log model.bin --rev main..release --oneline"),
    ],
)
@click.argument("path", metavar="[PATH]", required=False, shell_complete=completion.tracked_paths)
@shared.revisions("Start from this revision, or take this range (default: HEAD). May be repeated.")
@click.option("--all", "every", is_flag=True, help="Start from every branch and tag.")
@click.option(
    "-n",
    "--max-count",
    type=click.IntRange(min=0),
    metavar="N",
    help="Stop after N versions.",
)
@click.option("--no-follow", is_flag=True, help="Stop where the data got its present name.")
@click.option("--oneline", is_flag=True, help="One line per version.")
def command(
    app: App,
    path: str | None,
    revisions: tuple[str, ...],
    every: bool,
    max_count: int | None,
    no_follow: bool,
    oneline: bool,
) -> int:
    """List every version of some data across git history.

    PATH may also be a file or directory inside a tracked directory, and need not exist any more.
    Without PATH, all changes of tracked data are listed.
    """
    asked = LogOptions(
        path=path,
        revisions=revisions,
        all=every,
        max_count=max_count,
        follow=not no_follow,
    )
    result = log(app.repo, asked, app.reporter)
    return app.finish(result, _oneline if oneline else _render, long=True)


def _render(console: Console, result: LogResult) -> None:
    for number, entry in enumerate(result.entries):
        if number:
            console.print()
        console.print(console.style(f"commit {entry.commit}", "yellow"))
        console.print(f"Author: {show(entry.author)} <{show(entry.email)}>")
        console.print(f"Date:   {entry.date}")
        console.print(f"\n    {show(entry.subject)}\n")
        console.print(f"    {console.style(entry.change, _STYLES[entry.change])}: {_facts(entry)}")
    _shallow(console, result)


def _facts(entry: LogEntry) -> str:
    facts = [show(entry.path)]
    if entry.change == "renamed" and entry.old_path is not None:
        facts = [f"{show(entry.old_path)} -> {show(entry.path)}"]
    if entry.problem is not None:
        facts.append(entry.problem)
    if entry.oid is not None and entry.size is not None:
        facts.append(content(entry.files or 0, entry.size, entry.kind or ""))
        if entry.size_delta:
            facts[-1] += f" ({delta(entry.size_delta)})"
        facts.append(short(entry.oid))
    return ", ".join(facts)


def _oneline(console: Console, result: LogResult) -> None:
    names = {entry.path for entry in result.entries}
    several = len(names - {entry.old_path for entry in result.entries}) > 1
    rows = [
        [
            entry.commit[:10],
            entry.date[:10],
            entry.change,
            *([show(entry.path)] if several else []),
            "-" if entry.oid is None else short(entry.oid),
            "-" if entry.size is None else content(entry.files or 0, entry.size, entry.kind or ""),
            show(entry.subject),
        ]
        for entry in result.entries
    ]
    for line in columns(
        rows, right=(5,) if several else (4,), paint=lambda i, cell: _paint(console, i, cell)
    ):
        console.print(line)
    _shallow(console, result)


def _paint(console: Console, column: int, cell: str) -> str:
    return console.style(cell, "yellow") if column == 0 else cell


def _shallow(console: Console, result: LogResult) -> None:
    if result.shallow:
        console.warn(
            "this clone is shallow: older versions are not listed", "git fetch --unshallow"
        )
