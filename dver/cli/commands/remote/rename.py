"""``dver remote rename``."""

from __future__ import annotations

import click

from dver.cli import completion
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.sharing.remote import RemoteChange, rename_remote
from dver.ui.console import Console


@declare(
    "rename",
    result=RemoteChange,
    exits=(4, 5, 9, 10),
    examples=[("rename", "dver remote rename origin archive")],
)
@click.argument("old", metavar="OLD", shell_complete=completion.remotes)
@click.argument("new", metavar="NEW")
def command(app: App, old: str, new: str) -> int:
    """Give a remote another name."""

    def render(console: Console, change: RemoteChange) -> None:
        console.done(f"renamed {old} to {new}")

    return app.finish(rename_remote(app.repo, old, new), render)
