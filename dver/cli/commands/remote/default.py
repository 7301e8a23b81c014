"""``dver remote default``."""

from __future__ import annotations

import click

from dver.cli import completion
from dver.cli.command import declare
from dver.cli.commands.config.levels import chosen_level, level_options
from dver.cli.context import App
from dver.ops.sharing.remote import RemoteChange, default_remote
from dver.ui.console import Console


@declare(
    "default",
    result=RemoteChange,
    exits=(4, 9, 10),
    examples=[
        ("which one is it?", "dver remote default"),
        ("choose another one, for everyone", "dver remote default backup"),
        ("only for this clone", "dver remote default --local backup"),
    ],
)
@click.argument("name", metavar="[NAME]", required=False, shell_complete=completion.remotes)
@level_options
def command(app: App, name: str | None, user: bool, repository: bool, local: bool) -> int:
    """Show or choose the remote that is used when none is named.

    The choice is kept where the remote's URL is, unless told otherwise.
    """
    level = chosen_level(user=user, repository=repository, local=local)
    change = default_remote(app.repo, name, level)

    def render(console: Console, change: RemoteChange) -> None:
        if name is None:
            console.print(change.name)
        else:
            console.done(f"the default remote is {change.name}")

    return app.finish(change, render)
