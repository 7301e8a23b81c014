"""``dver diff``."""

from __future__ import annotations

import click

from dver.cli import completion
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.difftext import render
from dver.cli.inputs import split_revisions
from dver.ops.data.diff import DiffOptions, DiffResult, diff
from dver.ui.console import Console


@declare(
    "diff",
    result=DiffResult,
    exits=(4, 7, 8, 10),
    negative="something differs (only with --exit-code)",
    examples=[
        ("what changed in the workspace since 'dver add'", "dver diff"),
        ("two versions, for part of the data", "dver diff v1.0 v2.0 data/train"),
        ("a branch against the one it left", "dver diff main..feature --stat"),
        ("which files a program has to look at again", "dver diff HEAD~1 HEAD --json"),
    ],
)
@click.argument(
    "arguments",
    metavar="[A [B]] [PATH]...",
    nargs=-1,
    shell_complete=completion.revisions_and_paths,
)
@click.option("--stat", is_flag=True, help="Only count, per target.")
@click.option("--no-renames", is_flag=True, help="Show a rename as one file removed and one added.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if anything differs.")
def command(
    app: App, arguments: tuple[str, ...], stat: bool, no_renames: bool, exit_code: bool
) -> int:
    """Show which files differ between two versions.

    Without a revision the workspace is compared with its pointers, with one (A) with that
    revision, with two (A B, or A..B) the two revisions. Each file is shown with its sizes:
    A added, D removed, M modified, R renamed, T another mode.
    """
    revisions, paths = split_revisions(app.repo, arguments)
    asked = DiffOptions(revisions=revisions, paths=paths, renames=not no_renames)
    result = diff(app.repo, asked, app.reporter)

    def show(console: Console, result: DiffResult) -> None:
        if not (exit_code and console.quiet):
            render(console, result, stat=stat)

    return app.finish(result, show, exit_code=int(exit_code and result.changed), long=True)
