"""``dver cat``."""

from __future__ import annotations

import os

import click

from dver.cli import completion, options
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.looking.cat import CatOptions, CatResult, cat
from dver.ui.console import Console


@declare(
    "cat",
    result=CatResult,
    exits=(4, 6, 7, 8, 10),
    examples=[
        (
            "a file inside a tracked directory, as it was",
            "dver cat data/train/labels.csv --rev v1.0",
        ),
        ("into another program", "dver cat data.csv.gz --rev HEAD~1 | zcat | head"),
    ],
)
@click.argument("path", metavar="PATH", shell_complete=completion.tracked_paths)
@options.rev("The revision to read (default: the pointers in the workspace).")
@options.remote("Read what is not here from this remote, instead of the default one.")
def command(app: App, path: str, rev: str | None, remote: str | None) -> int:
    """Print a file of any version.

    The bytes are verified as they are written: an exit code other than 0 means that what was
    printed must not be used. With --json the content is verified but not printed.
    """
    asked = CatOptions(path=path, rev=rev, remote=remote)
    if app.console.json:
        with open(os.devnull, "wb") as sink:
            result = cat(app.repo, asked, sink, app.reporter)
    else:
        result = cat(app.repo, asked, app.console.binary(), app.reporter)
    return app.finish(result, _render)


def _render(console: Console, result: CatResult) -> None:
    """Say nothing: the content is the answer."""
