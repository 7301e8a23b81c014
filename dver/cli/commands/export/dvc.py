"""``dver export dvc``."""

from __future__ import annotations

import click

from dver.base.errors import UsageError
from dver.base.quoting import show
from dver.cli import completion, options
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.migration.exportdvc import ExportDvcOptions, ExportDvcResult, export_dvc
from dver.ui.console import Console
from dver.ui.humanize import count, size


@declare(
    "dvc",
    result=ExportDvcResult,
    exits=(4, 5, 6, 7, 8, 10),
    examples=[
        (
            "everything that is tracked now, as a DVC project in another directory",
            "dver export dvc ../as-dvc",
        ),
        (
            "pointers of DVC beside those of dver, and DVC's cache filled",
            "dver export dvc --in-place",
        ),
        ("what a tag had", "dver export dvc ../v1 --rev v1.0"),
    ],
)
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path())
@click.option("--in-place", is_flag=True, help="Write into this repository.")
@click.option(
    "--path",
    "paths",
    metavar="PATH",
    multiple=True,
    shell_complete=completion.tracked_paths,
    help="Only targets at or below PATH. May be given several times.",
)
@options.rev("The revision to take it from (default: the pointers in the workspace).")
@options.remote("Read what is not here from this remote, instead of the default one.")
@click.option(
    "--lossy",
    is_flag=True,
    help="Leave out what DVC has no word for: symlinks, empty directories, and in directories which"
    " files are executable. Without it they are an error.",
)
def command(
    app: App,
    directory: str | None,
    in_place: bool,
    paths: tuple[str, ...],
    rev: str | None,
    remote: str | None,
    lossy: bool,
) -> int:
    """Write tracked data as a project of DVC.

    DIR becomes a DVC project without git: a .dvc file for each target, and DVC's cache with all of
    the content, from which 'dvc checkout' takes the data. The cache has the layout of a remote of
    DVC too (DVC 3), so it can be copied to one as it is. With --in-place the same goes into this
    repository. What is there already is not written again; a .dvc file of other content is
    an error.
    """
    if in_place == (directory is not None):
        raise UsageError("name a DIR, or give --in-place", hint="dver export dvc ../as-dvc")
    asked = ExportDvcOptions(directory, paths, rev, remote, lossy)
    return app.finish(export_dvc(app.repo, asked, app.reporter), _render)


def _render(console: Console, result: ExportDvcResult) -> None:
    for target in result.targets:
        console.done(f"wrote  {show(target)}")
    console.done(
        f"{count(len(result.targets), 'target')} as DVC's in {show(result.directory)}:"
        f" {count(result.objects, 'object')}, {size(result.bytes)} written to the cache"
    )
    for path in result.lost:
        console.warn(f"{show(path)}: DVC has no word for it")
    if result.targets:
        console.done(f"to lay the data out, run: cd {show(result.directory)} && dvc checkout")
