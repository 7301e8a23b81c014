"""``dver resolve``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dver.base.errors import EXIT_NEGATIVE, EXIT_OK, UsageError
from dver.base.quoting import show
from dver.cli import options as shared
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.render import staging
from dver.ops.githooks.resolve import ResolvedTarget, ResolveOptions, ResolveResult, resolve
from dver.ui.console import Console
from dver.ui.humanize import count, size

if TYPE_CHECKING:
    from dver.store.treemerge import Choice

_SHOWN = 20


@declare(
    "resolve",
    result=ResolveResult,
    exits=(4, 5, 6, 7, 8, 9, 10),
    negative="some files were changed by both sides, and no side was chosen",
    examples=[
        ("merge what can be merged, and list what cannot", "dver resolve"),
        ("where both sides changed a file, take theirs", "dver resolve --theirs data"),
        ("keep both versions, as NAME~ours and NAME~theirs", "dver resolve --both --stage data"),
    ],
)
@shared.paths()
@click.option("--ours", is_flag=True, help="Where both sides changed a file, take that of HEAD.")
@click.option("--theirs", is_flag=True, help="Where both sides changed a file, take the other.")
@click.option(
    "--both", is_flag=True, help="Keep both versions of such a file, as NAME~ours and NAME~theirs."
)
@shared.remote("The remote to read lists of files from that are not here.")
@shared.stage
def command(
    app: App,
    paths: tuple[str, ...],
    ours: bool,
    theirs: bool,
    both: bool,
    remote: str | None,
    stage: bool | None,
) -> int:
    """Settle pointers that a merge left in conflict.

    Directories are merged file by file: what only one side changed is taken from it. Where both
    sides changed a file, --ours, --theirs or --both says what to take; without one of them such
    directories stay in conflict, and the files are listed. 'git checkout --ours' or '--theirs' on a
    pointer takes one side whole, with all of its files.

    In a rebase "ours" is the branch that commits are put on, as in git. The data follows as far as
    it is here; 'dver pull' brings the rest.
    """
    flags: list[tuple[bool, Choice]] = [(ours, "ours"), (theirs, "theirs"), (both, "both")]
    chosen = [name for flag, name in flags if flag]
    if len(chosen) > 1:
        raise UsageError("only one of --ours, --theirs and --both can be chosen")
    asked = ResolveOptions(paths, chosen[0] if chosen else None, remote, stage)
    result = resolve(app.repo, asked, app.reporter)
    return app.finish(result, _render, exit_code=EXIT_NEGATIVE if result.unresolved else EXIT_OK)


def _render(console: Console, result: ResolveResult) -> None:
    for target in result.resolved:
        facts = [count(target.files, "file"), size(target.size)]
        console.done(f"resolved   {show(target.path)} ({', '.join(facts)}{_choice(target)})")
        for path in target.kept:
            console.done(f"kept       {show(path)}")
    for one in result.unresolved:
        console.print(f"conflict   {show(one.path)}: both sides changed")
        for path in one.conflicts[:_SHOWN]:
            console.print(f"             {show(path)}")
        if len(one.conflicts) > _SHOWN:
            console.print(f"             ... and {len(one.conflicts) - _SHOWN:,} more")
    if result.unresolved:
        names = " ".join(show(one.path) for one in result.unresolved[:3])
        console.talk(f"choose with: dver resolve --ours|--theirs|--both {names}")
    if not result.resolved and not result.unresolved:
        console.done("nothing is in conflict")
    staging(console, result.to_stage, result.staged)


def _choice(target: ResolvedTarget) -> str:
    if target.how == "merged":
        return ""
    number = count(len(target.chosen), "file")
    return f"; {target.how} of {number}" if target.how == "both" else f"; {target.how} in {number}"
