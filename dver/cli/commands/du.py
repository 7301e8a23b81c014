"""``dver du``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import options
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.looking.du import DuEntry, DuOptions, DuResult, du
from dver.ui.console import Console
from dver.ui.humanize import size
from dver.ui.tables import columns


@declare(
    "du",
    result=DuResult,
    exits=(4, 7, 10),
    examples=[
        ("every target, and the store", "dver du"),
        ("the directories two levels below", "dver du --depth 2 data/train"),
        ("all versions that any branch or tag names", "dver du --all"),
    ],
)
@options.paths()
@options.rev("The revision to measure (default: the pointers in the workspace).")
@click.option("--all", "every", is_flag=True, help="Sum over every version that any ref reaches.")
@click.option(
    "--depth",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Also list directories down to N levels below each path.",
)
def command(app: App, paths: tuple[str, ...], rev: str | None, every: bool, depth: int) -> int:
    """Show how much room data takes, as files and in the store.

    SIZE adds up the files, UNIQUE their distinct contents, STORED what those take in the local
    store after sub-file dedup and compression. What two rows share counts in both, and once in
    the total.
    """
    result = du(app.repo, DuOptions(paths=paths, rev=rev, all=every, depth=depth), app.reporter)

    def render(console: Console, result: DuResult) -> None:
        _table(console, result, every)

    return app.finish(result, render, long=True)


def _table(console: Console, result: DuResult, every: bool) -> None:
    head = ["SIZE", "UNIQUE", "STORED", "FILES", *(["VERSIONS"] if every else []), "PATH"]
    rows = [head, *(_row(entry, show(entry.path), every) for entry in result.entries)]
    if len(result.entries) != 1:
        rows.append(_row(result.total, "total", every))
    for line in columns(rows, right=range(len(head) - 1)):
        console.print(line)
    store = result.store
    parts = [f"packs {size(store.pack_bytes)}", f"index {size(store.index_bytes)}"]
    if store.link_bytes:
        parts.append(f"link cache {size(store.link_bytes)}")
    if store.other_bytes:
        parts.append(f"other {size(store.other_bytes)}")
    console.print(f"\nlocal store: {size(store.total)} ({', '.join(parts)}) in {show(store.path)}")


def _row(entry: DuEntry, name: str, every: bool) -> list[str]:
    stored = size(entry.stored) + (" *" if entry.missing else "")
    missing = f"  (* {entry.missing:,} contents are not here)" if entry.missing else ""
    versions = [f"{entry.versions:,}"] if every else []
    return [
        size(entry.size),
        size(entry.unique),
        stored,
        f"{entry.files:,}",
        *versions,
        name + missing,
    ]
