"""``dver hooks uninstall``."""

from __future__ import annotations

import click

from dver.cli.command import declare
from dver.cli.commands.hooks.install import complete_parts
from dver.cli.context import App
from dver.ops.setup.hooks import HooksOptions, HooksResult, uninstall_hooks
from dver.ui.console import Console


@declare(
    "uninstall",
    result=HooksResult,
    access="repository",
    exits=(5, 9, 10),
    examples=[
        ("everything that 'dver hooks install' did", "dver hooks uninstall"),
        ("one hook", "dver hooks uninstall pre-commit"),
    ],
)
@click.argument("parts", metavar="[NAME]...", nargs=-1, shell_complete=complete_parts)
def command(app: App, parts: tuple[str, ...]) -> int:
    """Take hooks and drivers away again, without a trace.

    Hooks that were there before are put back, byte for byte.
    """
    result = uninstall_hooks(app.repo, HooksOptions(parts))
    return app.finish(result, _render)


def _render(console: Console, result: HooksResult) -> None:
    for name in result.changed:
        console.done(f"removed    {name}")
    if not result.changed:
        console.done("nothing of dver's is installed here")
    for part in result.parts:
        if part.state == "called":
            console.talk(f"{part.name} is called by a hook of yours, which stays")
