"""``dver rm``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import options
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.render import content, staging
from dver.ops.data.rm import RemovedTarget, RmOptions, RmResult, rm
from dver.ui.console import Console


@declare(
    "rm",
    result=RmResult,
    exits=(4, 5, 7, 9, 10),
    examples=[
        ("stop tracking and delete; older versions stay in the store", "dver rm data/old"),
        ("stop tracking but keep the data in the workspace", "dver rm --keep-data data/old"),
        ("delete one file of a tracked directory", "dver rm data/train/bad.png"),
    ],
)
@options.paths("PATH...", required=True)
@click.option(
    "--keep-data",
    "--cached",
    "keep",
    is_flag=True,
    help="Stop tracking, but leave the data where it is.",
)
@click.option(
    "-r",
    "--recursive",
    is_flag=True,
    expose_value=False,
    help="Changes nothing: a directory needs no option here, unlike with 'git rm'.",
)
@options.force("Delete data that is not in the store. It is lost then.")
@options.stage
def command(app: App, paths: tuple[str, ...], keep: bool, force: bool, stage: bool | None) -> int:
    """Stop tracking data and remove it from the workspace.

    Removes the data, its pointer and its line in .gitignore. Versions that commits name stay in the
    store, and 'dver checkout REV PATH' brings them back. Data that is not in the store is refused
    without --force.
    """
    result = rm(
        app.repo, RmOptions(paths=paths, keep_data=keep, force=force, stage=stage), app.reporter
    )
    return app.finish(result, _render)


def _render(console: Console, result: RmResult) -> None:
    for target in result.targets:
        console.done(_line(target))
    for updated in result.updated:
        amount = content(updated.files, updated.size, updated.kind)
        console.done(f"updated  {show(updated.path)} ({amount})")
    staging(console, result.to_stage, result.staged)


def _line(target: RemovedTarget) -> str:
    if target.data == "kept":
        return f"removed  {show(target.pointer)} (the data stays)"
    if target.data == "absent":
        return f"removed  {show(target.pointer)} (its data was not there)"
    return f"removed  {show(target.path)} ({content(target.files, target.size, target.kind or '')})"
