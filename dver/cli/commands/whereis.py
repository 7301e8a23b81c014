"""``dver whereis``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import completion, options
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.looking.whereis import Whereabouts, WhereisOptions, WhereisResult, whereis
from dver.ui.console import Console, Style
from dver.ui.humanize import size
from dver.ui.tables import columns

_STYLES: dict[str, Style] = {
    "complete": "green",
    "partial": "yellow",
    "absent": "red",
    "unknown": "dim",
}


@declare(
    "whereis",
    result=WhereisResult,
    exits=(4, 7, 8, 10),
    negative="no place is known to have all of it",
    examples=[
        ("may the local copy be deleted? ask the remotes now", "dver whereis --check data/train"),
        ("an older version", "dver whereis model.bin --rev v1.0"),
        (
            "by content",
            "dver whereis blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        ),
    ],
)
@click.argument("what", metavar="PATH|OID", shell_complete=completion.tracked_paths)
@options.rev("The revision to look at (default: the pointers in the workspace).")
@click.option(
    "--check",
    is_flag=True,
    help="Ask the remotes now, rather than trust what was last seen of them.",
)
@options.remotes("Look only at this remote. May be repeated.")
def command(app: App, what: str, rev: str | None, check: bool, remotes: tuple[str, ...]) -> int:
    """Tell where the content of some data is.

    Looks in the local store, the link cache and every remote, and tells how much of it each has.
    """
    result = whereis(
        app.repo, WhereisOptions(what=what, rev=rev, check=check, remotes=remotes), app.reporter
    )
    return app.finish(result, _render, exit_code=0 if result.found else 1)


def _render(console: Console, result: WhereisResult) -> None:
    amount = "" if result.size is None else f" ({size(result.size)})"
    name = "" if result.path is None else f"{show(result.path)} is "
    console.print(f"{name}{result.oid}{amount}")
    if result.purged is not None:
        console.print(f"  {result.purged}")
    rows = [[place.name, place.state, _facts(place), place.description] for place in result.places]
    for line in columns(rows, paint=lambda i, cell: _paint(console, i, cell)):
        console.print(f"  {line}")


def _paint(console: Console, column: int, cell: str) -> str:
    return console.style(cell, _STYLES[cell]) if column == 1 else cell


def _facts(place: Whereabouts) -> str:
    if place.problem is not None:
        return place.problem
    if place.state == "partial":
        return f"{place.present:,} of {place.objects:,} objects, {size(place.present_bytes)}"
    return "" if place.checked or place.role != "remote" else "as last seen"
