"""``dver remote remove``."""

from __future__ import annotations

import click

from dver.cli import completion
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.sharing.remote import RemoteChange, remove_remote
from dver.ui.console import Console


@declare(
    "remove",
    result=RemoteChange,
    exits=(4, 9, 10),
    examples=[("forget a remote", "dver remote remove backup")],
)
@click.argument("name", metavar="NAME", shell_complete=completion.remotes)
def command(app: App, name: str) -> int:
    """Forget a remote; what is in it stays there."""

    def render(console: Console, change: RemoteChange) -> None:
        console.done(f"removed {name} from the settings; its data is untouched")

    return app.finish(remove_remote(app.repo, name), render)
