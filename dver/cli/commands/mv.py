"""``dver mv``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import completion, options
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.render import staging
from dver.ops.data.mv import MvOptions, MvResult, mv
from dver.ui.console import Console


@declare(
    "mv",
    result=MvResult,
    exits=(4, 5, 7, 9, 10),
    examples=[
        ("rename", "dver mv data/train data/training"),
        ("move several into a directory", "dver mv a.bin b.bin models/"),
    ],
)
@click.argument(
    "sources",
    metavar="SOURCE...",
    nargs=-1,
    required=True,
    shell_complete=completion.tracked_paths,
)
@click.argument("destination", metavar="DESTINATION", type=click.Path())
@options.stage
def command(app: App, sources: tuple[str, ...], destination: str, stage: bool | None) -> int:
    """Move or rename tracked data.

    Moves the data, its pointer and its line in .gitignore. A path inside a tracked directory is
    only renamed in the workspace; 'dver add' then records the directory's new state.
    """
    result = mv(
        app.repo, MvOptions(sources=sources, destination=destination, stage=stage), app.reporter
    )
    return app.finish(result, _render)


def _render(console: Console, result: MvResult) -> None:
    for target in result.targets:
        console.done(f"moved  {show(target.old_path)} -> {show(target.path)}")
    if any(target.kind == "inside" for target in result.targets):
        console.done("run 'dver add' on the tracked directory to record its new state")
    staging(console, result.to_stage, result.staged)
