"""``dver migrate lfs``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import options
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.migratetext import exit_code, refusals, taken
from dver.ops.migration.lfs import MigrateLfsOptions, MigrateLfsResult, migrate_lfs
from dver.ui.console import Console


@declare(
    "lfs",
    result=MigrateLfsResult,
    access="repository",
    exits=(4, 5, 6, 7, 9, 10),
    examples=[
        ("see what would change", "dver migrate lfs --dry-run"),
        ("take over all that git-lfs has, and look at it", "dver migrate lfs && git status"),
        ("only one directory", "dver migrate lfs models"),
        ("in a clone that lacks content, have git-lfs fetch it", "dver migrate lfs --fetch"),
    ],
)
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path())
@options.dry_run
@click.option(
    "--fetch",
    is_flag=True,
    help="First have git-lfs fetch what is not here ('git lfs fetch'), with its own credentials.",
)
@click.option(
    "--stage/--no-stage",
    default=True,
    help="Tell git's index that the files are gone from it and the pointers are in it (default).",
)
@options.workers
def command(
    app: App,
    paths: tuple[str, ...],
    dry_run: bool,
    fetch: bool,
    stage: bool,
    workers: int | None,
) -> int:
    """Take over what git-lfs versions.

    A pointer PATH.dver is written for each file that .gitattributes gives to git-lfs, the file is
    taken out of git's index and ignored, and the lines of .gitattributes go when no file of
    git-lfs is left there. The content is read from the work tree or .git/lfs and compared with its
    SHA-256; a server is asked only with --fetch, by git-lfs. All of it is staged and nothing is
    committed. What is not to be had is told, the rest is done, and another run goes on.

    Older revisions are read through .git/lfs: keep what it has as long as you want to go back,
    'git lfs fetch --all' brings all of it.
    """
    asked = MigrateLfsOptions(paths, dry_run, stage, workers, fetch)
    result = migrate_lfs(app.repo, asked, app.reporter)
    return app.finish(result, _render, exit_code=exit_code(result.refused))


def _render(console: Console, result: MigrateLfsResult) -> None:
    taken(console, result.targets, dry_run=result.dry_run)
    if result.dry_run:
        for path in result.writes:
            console.done(f"would write  {show(path)}")
        for path in result.untracked:
            console.done(f"would take out of git's index  {show(path)}")
    for path in result.kept:
        console.talk(f"{show(path)} still names git-lfs, which has other files there")
    refusals(console, result.refused, result.corrupt)
    if result.dry_run or not result.untracked:
        return
    if result.staged:
        console.done("staged; 'git diff --cached' shows it, and 'git commit' makes it so")
    else:
        shown = " ".join(map(show, result.untracked[:3]))
        more = " ..." if len(result.untracked) > 3 else ""
        console.done(f"to stage it, run: git rm --cached {shown}{more}, and 'git add' the pointers")
