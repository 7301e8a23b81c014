"""``dver checkout``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import completion, options
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.inputs import split_revision
from dver.ops.data.checkout import CheckedOutTarget, CheckoutOptions, CheckoutResult, checkout
from dver.ui.console import Console
from dver.ui.humanize import count, size


@declare(
    "checkout",
    result=CheckoutResult,
    exits=(4, 5, 6, 7, 9, 10),
    examples=[
        ("after 'git checkout', 'git pull' or 'git stash': make the data follow", "dver checkout"),
        ("only some of it, also a part of a tracked directory", "dver checkout data/train/2024"),
        ("take the pointers and the data of an older version", "dver checkout v1.0 data"),
        ("throw local changes away", "dver checkout --force data"),
        ("a path that is spelled like a branch", "dver checkout -- main"),
    ],
)
@click.argument(
    "arguments",
    metavar="[REV] [PATH]...",
    nargs=-1,
    shell_complete=completion.revisions_and_paths,
)
@options.force("Overwrite and delete data that is not in the store. It is lost then.")
@options.link
def command(app: App, arguments: tuple[str, ...], force: bool, link: str | None) -> int:
    """Bring the workspace in line with the pointers, or with a revision.

    Without REV the data follows the pointers that are in the workspace. With it the pointers and
    the data of that revision are taken, for the PATHs or for everything tracked in it.

    Data that is not in the store is never overwritten or deleted without --force. Nothing is
    fetched: 'dver pull' does that first.
    """
    rev, paths = split_revision(app.repo, arguments)
    result = checkout(
        app.repo, CheckoutOptions(rev=rev, paths=paths, force=force, link=link), app.reporter
    )
    return app.finish(result, render)


def render(console: Console, result: CheckoutResult) -> None:
    """Write what happened to each target, and to how many nothing did."""
    unchanged = 0
    for target in result.targets:
        line = _line(target)
        if line is None:
            unchanged += 1
        if line is not None or console.verbose:
            console.done(line or f"unchanged  {show(target.path)}")
        if target.kept:
            files = count(target.kept, "file")
            console.done(f"kept       {files} in {show(target.path)} that nobody has added")
    if unchanged and not console.verbose:
        console.done(f"unchanged  {count(unchanged, 'target')}")
    if not result.targets:
        console.done("nothing is tracked here")


def _line(target: CheckedOutTarget) -> str | None:
    if target.removed:
        return f"removed    {show(target.path)} ({count(target.deleted, 'file')})"
    facts = []
    if target.written:
        facts.append(f"{count(target.written, 'file')} written, {size(target.bytes)}")
    if target.deleted:
        facts.append(f"{count(target.deleted, 'file')} deleted")
    if target.pointer_change != "unchanged":
        facts.append(f"pointer {target.pointer_change}")
    return f"updated    {show(target.path)} ({', '.join(facts)})" if facts else None
