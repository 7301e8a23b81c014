"""``dver status``."""

from __future__ import annotations

import click

from dver.base.quoting import show as show_path
from dver.cli import options
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.statustext import letters, render
from dver.ops.data.status import StatusOptions, StatusResult, status
from dver.ui.console import Console

SHOWN_FILES = 10


@declare(
    "status",
    result=StatusResult,
    exits=(4, 10),
    negative="there is something to say (only with --exit-code)",
    examples=[
        ("what is to be done here", "dver status"),
        ("in a script: is all data as recorded and committed?", "dver status --exit-code --quiet"),
        ("for a program, one line per target that is not clean", "dver status --porcelain"),
    ],
)
@options.paths()
@options.remote("The remote to compare with, instead of the default one.")
@click.option("--no-remote", is_flag=True, help="Leave out what is not yet pushed.")
@click.option(
    "--porcelain",
    is_flag=True,
    help="Print 'XYZ PATH' for each target that is not clean: X is the pointer against HEAD, Y the"
    " data against the pointer, Z '-' if content is missing from the store.",
)
@click.option(
    "-z", "nul", is_flag=True, help="With --porcelain: end lines with NUL, quote nothing."
)
@click.option("--exit-code", is_flag=True, help="Exit with 1 if any target is not clean.")
def command(
    app: App,
    paths: tuple[str, ...],
    remote: str | None,
    no_remote: bool,
    porcelain: bool,
    nul: bool,
    exit_code: bool,
) -> int:
    """Show what has changed, what is missing here and what is not pushed yet.

    Compares the pointers with HEAD, the data with the pointers, and what the pointers name with
    the local store and the remote. The remote is not asked: what it has is known from the last
    push, fetch or pull. Only files that changed since they were last looked at are read.

    The letters of --porcelain: X is A new, M modified, D deleted, R renamed, U in conflict or
    ! broken; Y is M modified, D deleted, N not here yet, T of another type, S stale (the pointer
    moved), L left over (the pointer is gone) or ? unknown. A space means no difference. The PATH
    of what was renamed is 'OLD -> NEW'; with -z it is NEW, and OLD follows as a name of its own.
    """
    everything = app.console.json or app.console.verbose
    details = 0 if porcelain or nul else None if everything else SHOWN_FILES
    asked = StatusOptions(
        paths=paths,
        remote=remote,
        no_remote=no_remote,
        details=details,
        steps=not (paths or porcelain or nul or exit_code),
    )
    result = status(app.repo, asked, app.reporter)

    def show(console: Console, result: StatusResult) -> None:
        if porcelain or nul:
            _print_porcelain(console, result, nul)
        elif not (exit_code and console.quiet):
            render(console, result)

    return app.finish(result, show, exit_code=int(exit_code and not result.is_clean))


def _print_porcelain(console: Console, result: StatusResult, nul: bool) -> None:
    dirty = [target for target in result.targets if not target.is_clean]
    if nul:
        console.write_names(
            name
            for target in dirty
            for name in (f"{letters(target)} {target.path}", target.old_path)
            if name is not None
        )
        return
    for target in dirty:
        old = "" if target.old_path is None else f"{show_path(target.old_path)} -> "
        console.print(f"{letters(target)} {old}{show_path(target.path)}")
