"""``dver remote trust``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import completion
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.sharing.remote import RemoteChange, trust_remote
from dver.ui.console import Console


@declare(
    "trust",
    result=RemoteChange,
    exits=(4, 9, 10),
    examples=[("after looking at where it points", "dver remote list && dver remote trust origin")],
)
@click.argument("name", metavar="[NAME]", required=False, shell_complete=completion.remotes)
def command(app: App, name: str | None) -> int:
    """Allow sending data to a remote that was configured by somebody else.

    A remote that came with the repository may point anywhere, and whoever can commit may change it.
    So 'dver push' sends nothing there until you have named it here, added it yourself, or fetched
    from it. When its URL or endpoint changes, you are asked again.
    """

    def render(console: Console, change: RemoteChange) -> None:
        if change.remote is not None:
            state = "data may be sent to" if change.changed else "trusted already:"
            console.done(f"{state} {show(change.remote.destination)}")

    return app.finish(trust_remote(app.repo, name), render)
