"""``dver record``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import options
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.render import staging
from dver.ops.making.record import RecordOptions, RecordResult, record
from dver.ui.console import Console
from dver.ui.humanize import size


@declare(
    "record",
    result=RecordResult,
    exits=(4, 5, 6, 7, 9, 10),
    examples=[
        (
            "a model that was trained on another machine",
            "dver record --from trained-on-cluster.yaml",
        ),
        ("the same, and let git know", "dver record --stage --from trained-on-cluster.yaml"),
    ],
)
@click.option(
    "--from",
    "source",
    metavar="FILE",
    required=True,
    help="The file that tells how it was made: YAML, JSON or TOML.",
)
@options.stage
def command(app: App, source: str, stage: bool | None) -> int:
    """Record something that was made elsewhere.

    FILE says what was made of what: outputs, inputs, the command, code, parameters, metrics,
    environment, author and date; docs/how-to/made-elsewhere.md lists all keys. The data must be
    here, or be known by its content. The record says what of it was only claimed.
    """
    return app.finish(record(app.repo, RecordOptions(source, stage), app.reporter), _render)


def _render(console: Console, result: RecordResult) -> None:
    for one in result.outputs:
        console.done(f"made       {show(one.path)} ({size(one.size)})")
    console.done(f"recorded   {result.record[:10]}")
    console.done(f"claimed    {', '.join(result.claimed)}: nobody here saw it made")
    staging(console, result.to_stage, result.staged)
