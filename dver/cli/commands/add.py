"""``dver add``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import options
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.inputs import read_list
from dver.cli.render import staging
from dver.ops.data.add import AddedTarget, AddOptions, AddResult, add
from dver.ui.console import Console, Style
from dver.ui.humanize import count, size

_STYLES: dict[str, Style] = {"new": "green", "updated": "yellow", "unchanged": "dim"}


@declare(
    "add",
    result=AddResult,
    exits=(4, 5, 7, 9, 10),
    examples=[
        ("track a directory, with all that is in it, and a file", "dver add data/train model.bin"),
        ("record the present state of everything that is tracked", "dver add -u"),
        ("record one changed file inside a tracked directory", "dver add data/train/labels.csv"),
        (
            "take the paths from another program",
            "find . -name '*.npy' -print0 | dver add --paths-from -",
        ),
        (
            "add, and let git know about the pointers",
            "dver add --stage data && git commit -m 'new data'",
        ),
    ],
)
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path())
@click.option(
    "--paths-from",
    metavar="FILE",
    type=click.Path(allow_dash=True),
    help="Also add the paths listed in FILE (- is standard input), one per line or NUL-ended.",
)
@click.option(
    "-u",
    "--update",
    is_flag=True,
    help="Record again what is tracked at or below PATH (default: everywhere); track nothing new.",
)
@click.option(
    "--replace",
    is_flag=True,
    help="Record what is here, also if files that were recorded never came, or git moved the"
    " pointer since.",
)
@options.stage
@options.workers
def command(
    app: App,
    paths: tuple[str, ...],
    paths_from: str | None,
    update: bool,
    replace: bool,
    stage: bool | None,
    workers: int | None,
) -> int:
    """Start tracking files and directories, or record their present state.

    The content goes into the local store, a pointer file PATH.dver is written beside each PATH,
    and PATH is added to .gitignore. The pointer and .gitignore are what git keeps: commit them.

    A PATH that is tracked already is recorded again, and only what changed is read. A PATH inside
    a tracked directory records just that part. A directory of which not all was ever brought here
    is refused as a whole, so that the rest is not dropped by accident; so is data that did not
    change since git moved its pointer, which would go back. Patterns (*, ?, [...]) that the shell
    left alone are expanded here.
    """
    listed = None if paths_from is None else read_list(paths_from)
    asked = AddOptions(
        paths=paths,
        paths_from=listed,
        update=update,
        replace=replace,
        stage=stage,
        workers=workers,
    )
    result = add(app.repo, asked, app.reporter)
    return app.finish(result, _render)


def _render(console: Console, result: AddResult) -> None:
    for target in result.targets:
        if target.change != "unchanged" or len(result.targets) == 1 or console.verbose:
            console.done(_line(console, target))
    unchanged = sum(target.change == "unchanged" for target in result.targets)
    if unchanged and len(result.targets) > 1 and not console.verbose:
        console.done(f"unchanged  {count(unchanged, 'target')}")
    if result.new_objects:
        console.detail(
            f"stored {count(result.new_objects, 'new object')} in {size(result.stored_bytes)}"
        )
    staging(console, result.to_stage, result.staged)


def _line(console: Console, target: AddedTarget) -> str:
    word = console.style(f"{target.change:9}", _STYLES[target.change])
    amount = size(target.size)
    if target.kind == "tree":
        amount = f"{count(target.files, 'file')}, {amount}"
    parts = ""
    if target.parts:
        shown = ", ".join(show(part) for part in target.parts[:3])
        more = len(target.parts) - 3
        parts = f": {shown}" + (f" and {more} more" if more > 0 else "")
    return f"{word}  {show(target.path)} ({amount}){parts}"
