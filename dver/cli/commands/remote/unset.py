"""``dver remote unset``."""

from __future__ import annotations

import click

from dver.cli import completion
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.sharing.remote import RemoteChange, unset_remote
from dver.ui.console import Console


@declare(
    "unset",
    result=RemoteChange,
    exits=(4, 9, 10),
    negative="it was not set",
    examples=[("back to Amazon's own servers", "dver remote unset origin endpoint_url")],
)
@click.argument("name", metavar="NAME", shell_complete=completion.remotes)
@click.argument("key", metavar="KEY", shell_complete=completion.remote_options)
def command(app: App, name: str, key: str) -> int:
    """Remove an option of a remote.

    It is removed from every file of this repository that sets it.
    """
    change = unset_remote(app.repo, name, key)

    def render(console: Console, change: RemoteChange) -> None:
        console.done(f"{name}: {key} is not set{' any more' if change.changed else ''}")

    return app.finish(change, render, exit_code=0 if change.changed else 1)
