"""``dver metrics diff``."""

from __future__ import annotations

import click

from dver.cli import completion
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.valuestext import render_changes
from dver.ops.making.recordedvalues import DiffValuesResult, diff_values


@declare(
    "diff",
    result=DiffValuesResult,
    exits=(4, 7),
    examples=[
        ("the work tree against HEAD", "dver metrics diff"),
        ("between two releases", "dver metrics diff v1.0 v1.1"),
    ],
)
@click.argument("revs", metavar="[REV [REV]]", nargs=-1, shell_complete=completion.revisions)
def command(app: App, revs: tuple[str, ...]) -> int:
    """Show which metrics differ between two revisions.

    One revision is compared with the work tree, and none means HEAD.
    """
    return app.finish(diff_values(app.repo, "metrics", revs), render_changes, long=True)
