"""``dver drop``."""

from __future__ import annotations

import click

from dver.base.errors import RefusedError, UsageError
from dver.base.quoting import show
from dver.cli import completion, options
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.upkeep.drop import CopyPlace, DropOptions, DropResult, drop
from dver.ui.console import Console
from dver.ui.humanize import count, size

#: So many paths with the same content are named.
_SHOWN = 20


@declare(
    "drop",
    result=DropResult,
    exits=(4, 5, 6, 7, 8, 9, 10),
    examples=[
        ("free the room that some data takes in the store", "dver drop data/train"),
        ("an old version of it", "dver drop data/train --rev v1.0"),
        (
            "only if two remotes have it, and what they have is sound",
            "dver drop data --copies 2 --verify",
        ),
        ("what would go, and who has it?", "dver drop data/train --all-versions --dry-run"),
    ],
)
@click.argument(
    "what",
    metavar="PATH...",
    nargs=-1,
    required=True,
    shell_complete=completion.tracked_paths,
)
@options.revisions("Which version of a path (default: the workspace's). May be repeated.")
@options.all_versions
@click.option(
    "--copies",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many remotes must have it (default: core.copies, else 1).",
)
@options.remotes("Count only copies in this remote (default: in all). May be repeated.")
@click.option(
    "--verify", is_flag=True, help="Read the copies, rather than look whether they are there."
)
@options.force("Drop it even if too few copies are found.")
@options.dry_run
def command(
    app: App,
    what: tuple[str, ...],
    revisions: tuple[str, ...],
    all_versions: bool,
    copies: int | None,
    remotes: tuple[str, ...],
    verify: bool,
    force: bool,
    dry_run: bool,
) -> int:
    """Free local room: remove content of which there are copies elsewhere.

    Each file that would go is looked for in the remotes, now: a push must have
    recorded it there, and its packs must be there in full length. If any has too few copies,
    nothing goes. What other versions need stays, and so do the listings of directories, and the
    data in the workspace. With --force, other paths of the same content have to be named too.

    'dver fetch' and 'dver pull' bring it back.
    """
    if all_versions and revisions:
        raise UsageError("--all-versions are all there are", hint="leave out --rev")
    asked = DropOptions(what, revisions, all_versions, copies, remotes, verify, force, dry_run)
    result = drop(app.repo, asked, app.reporter)
    refused = bool(result.lacking_objects) and not force
    return app.finish(result, _render, exit_code=RefusedError.exit_code if refused else 0)


def _render(console: Console, result: DropResult) -> None:
    for place in result.places:
        line = _place(place, result)
        (console.print if result.dry_run else console.detail)(f"    {line}")
    if result.lacking_objects:
        number = count(result.lacking_objects, "object")
        copies = count(result.copies, "other copy", "other copies")
        console.print(f"{number} with fewer than {copies}:")
        for one in result.lacking:
            where = f"only in {', '.join(one.remotes)}" if one.remotes else "no copy"
            console.print(f"    {show(one.path)}: {where}")
        more = result.lacking_objects - len(result.lacking)
        if more > 0:
            console.print(f"    and {more:,} more")
    if result.shared:
        console.print("other paths have the same content, and would have to be named too:")
        for path in result.shared[:_SHOWN]:
            console.print(f"    {show(path)}")
        if len(result.shared) > _SHOWN:
            console.print(f"    and {len(result.shared) - _SHOWN:,} more")
    verb = "would drop" if result.dry_run else "dropped"
    console.done(f"{verb} {count(result.objects, 'object')}, {size(result.bytes)}")
    console.detail(
        f"packs: {result.packs_deleted} deleted, {result.packs_rewritten} rewritten;"
        f" {count(result.links, 'cached file')}"
    )


def _place(place: CopyPlace, result: DropResult) -> str:
    if place.problem is not None:
        return f"{place.remote}: not counted: {place.problem}"
    read = " read and sound" if result.verified else ""
    bad = f", {place.damaged:,} damaged" if place.damaged else ""
    return f"{place.remote}: {place.found:,} of {count(result.objects, 'object')}{read}{bad}"
