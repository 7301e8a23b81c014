"""``dver migrate dvc``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import options
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.migratetext import exit_code, refusals, taken, to_stage
from dver.ops.migration.dvc import MigrateDvcOptions, MigrateDvcResult, migrate_dvc
from dver.ui.console import Console
from dver.ui.humanize import count


@declare(
    "dvc",
    result=MigrateDvcResult,
    access="repository",
    exits=(4, 5, 6, 7, 9, 10),
    examples=[
        ("see what would be written", "dver migrate dvc --dry-run"),
        ("take over all that DVC versions here", "dver migrate dvc"),
        ("only one directory, and leave the rest to DVC", "dver migrate dvc data/raw"),
        (
            "also make branches in which all of history has pointers of dver",
            "dver migrate dvc --rewrite-history",
        ),
        (
            "in a fresh clone, read from the remote that .dvc/config names",
            "dver migrate dvc --trust",
        ),
    ],
)
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path())
@options.dry_run
@click.option(
    "--rewrite-history",
    is_flag=True,
    help="Make a new branch dver/BRANCH for each branch, with pointers of dver in all its commits."
    " The old branches stay as they are.",
)
@click.option(
    "--trust",
    is_flag=True,
    help="Agree to read from the remotes that the committed .dvc/config names, now and for old"
    " revisions, in this clone.",
)
@options.stage
@options.workers
def command(
    app: App,
    paths: tuple[str, ...],
    dry_run: bool,
    rewrite_history: bool,
    trust: bool,
    stage: bool | None,
    workers: int | None,
) -> int:
    """Take over what DVC versions: data, pipelines and history.

    For every file and directory that a .dvc file or dvc.lock names, a pointer is written beside
    it. The data is read from the workspace, DVC's cache or its remotes, and compared with the MD5
    that DVC recorded; what differs is told and not taken. dvc.yaml becomes dver.yaml, what
    dvc.lock says becomes records of claims, .dvcignore becomes .dverignore. Without PATH all of it
    is taken over. What cannot be read is told, the rest is done, and the exit code is 6; another
    run goes on with what was left.

    A remote on another machine is asked only if your own configuration of DVC names it, or you
    agreed to it with --trust: whoever can commit decides what stands in .dvc/config.

    Nothing of DVC is deleted. Older revisions are read through DVC's files, its cache and its
    remotes: keep these as long as you want to go back.
    """
    asked = MigrateDvcOptions(paths, dry_run, rewrite_history, stage, workers, trust)
    result = migrate_dvc(app.repo, asked, app.reporter)
    return app.finish(result, _render, exit_code=exit_code(result.refused))


def _render(console: Console, result: MigrateDvcResult) -> None:
    for place in result.agreed:
        console.done(f"may be read from now on in this clone: {show(place)}")
    taken(console, result.targets, dry_run=result.dry_run)
    if result.steps:
        word = "is" if len(result.steps) == 1 else "are"
        word = "would be" if result.dry_run else word
        console.done(f"{count(len(result.steps), 'step')} {word} in dver.yaml")
    if result.records:
        word = "would be written" if result.dry_run else "written"
        console.done(f"{count(result.records, 'record')} of what dvc.lock claims {word}")
    for branch in result.branches:
        word = "would make" if result.dry_run else "made"
        console.done(f"{word} the branch {show(branch)}")
    if result.dry_run:
        for path in result.writes:
            console.done(f"would write  {show(path)}")
    for note in result.notes:
        console.talk(note)
    linked = [one for one in result.targets if one.change == "new" and one.links]
    if linked and not result.dry_run:
        shown = " ".join(show(target.path) for target in linked[:3])
        console.talk(
            "symlinks into DVC's cache stand in the workspace; replace them by files with:"
            f" dver checkout --force {shown}"
        )
    refusals(console, result.refused, result.corrupt)
    to_stage(console, result.to_stage)
