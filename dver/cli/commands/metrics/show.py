"""``dver metrics show``."""

from __future__ import annotations

import click

from dver.cli import completion, options
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.valuestext import render_shown
from dver.ops.making.recordedvalues import ShowValuesOptions, ShowValuesResult, show_values


@declare(
    "show",
    result=ShowValuesResult,
    exits=(4, 7),
    examples=[
        ("those of the work tree", "dver metrics show"),
        ("those of two releases", "dver metrics show v1.0 v1.1"),
    ],
)
@click.argument("revs", metavar="[REV]...", nargs=-1, shell_complete=completion.revisions)
@options.step
def command(app: App, revs: tuple[str, ...], step: str | None) -> int:
    """Show the metrics of the newest runs.

    Without a revision, those whose records are in the work tree.
    """
    result = show_values(app.repo, ShowValuesOptions("metrics", revs, step))
    return app.finish(result, render_shown, long=True)
