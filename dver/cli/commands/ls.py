"""``dver ls``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import options
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.looking.ls import LsEntry, LsOptions, LsResult, ls
from dver.ui.console import Console
from dver.ui.humanize import count, short, size
from dver.ui.tables import columns

_LETTERS = {"file": "-", "executable": "x", "symlink": "l", "directory": "d"}


@declare(
    "ls",
    result=LsResult,
    exits=(4, 6, 7, 8, 10),
    examples=[
        ("what is tracked here", "dver ls"),
        ("all files of an older version, with sizes", "dver ls -lR --rev v1.0 data/train"),
        ("the names for another program", "dver ls -Rz data | xargs -0 -n1 echo"),
    ],
)
@options.paths()
@options.rev("The revision to list (default: the pointers in the workspace).")
@click.option("-R", "--recursive", is_flag=True, help="Open directories.")
@click.option(
    "-l",
    "--long",
    "detailed",
    is_flag=True,
    help="Also show kind, size, files and oid, and what is not in the local store.",
)
@click.option("-z", "nul", is_flag=True, help="End each name with NUL and quote nothing.")
@options.remote(
    "Read directory listings that are not here from this remote, instead of the default one."
)
def command(
    app: App,
    paths: tuple[str, ...],
    rev: str | None,
    recursive: bool,
    detailed: bool,
    nul: bool,
    remote: str | None,
) -> int:
    """List tracked data at any revision.

    Without PATH, what is tracked below the current directory. A tracked directory as PATH is
    opened. Directory listings that are not in the local store are read from the remote; files
    never are.
    """
    asked = LsOptions(
        paths=paths,
        rev=rev,
        recursive=recursive,
        remote=remote,
        local=detailed or app.console.json,
    )
    result = ls(app.repo, asked, app.reporter)

    def render(console: Console, result: LsResult) -> None:
        if detailed and not nul:
            _detailed(console, result)
            return
        if nul:
            console.write_names(entry.path for entry in result.entries)
            return
        for entry in result.entries:
            console.print(_name(console, entry))

    return app.finish(result, render, long=not nul)


def _name(console: Console, entry: LsEntry) -> str:
    if entry.kind == "directory":
        return console.style(show(entry.path), "cyan") + "/"
    return show(entry.path)


def _detailed(console: Console, result: LsResult) -> None:
    rows = [
        [
            _LETTERS[entry.kind],
            size(entry.size),
            count(entry.files, "file") if entry.kind == "directory" else "",
            short(entry.oid),
            "missing" if entry.local is False else "",
            show(entry.path) + ("/" if entry.kind == "directory" else ""),
        ]
        for entry in result.entries
    ]
    for line in columns(rows, right=(1, 2)):
        console.print(line)
    console.print(f"{count(result.files, 'file')}, {size(result.size)}")
