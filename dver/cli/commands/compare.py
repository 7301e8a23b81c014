"""``dver compare``."""

from __future__ import annotations

import click

from dver.cli import completion
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.contrasttext import render_columns
from dver.ops.making.contrast import ContrastOptions, ContrastResult, contrast


@declare(
    "compare",
    result=ContrastResult,
    exits=(4, 7),
    examples=[
        ("two versions of a model", "dver compare model.pkl@v1.0 model.pkl"),
        (
            "three runs, with all that they have in common",
            "dver compare --all 3f2a9c 81bb07 c0ffee",
        ),
    ],
)
@click.argument(
    "targets",
    metavar="PATH[@REV]|RECORD...",
    nargs=-1,
    required=True,
    shell_complete=completion.records,
)
@click.option("--all", "everything", is_flag=True, help="Also show what does not differ.")
def command(app: App, targets: tuple[str, ...], everything: bool) -> int:
    """Put runs side by side.

    They are those that made what is named. Shown is what differs: data, code, command,
    parameters, seeds, environment, hardware; and all metrics. Metrics that were taken on
    different data, or by different code, are marked: they say nothing about each other.
    """
    result = contrast(app.repo, ContrastOptions(targets, everything))
    return app.finish(result, render_columns, long=True)
