"""``dver remote add``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli.command import declare
from dver.cli.commands.config.levels import chosen_level, level_options
from dver.cli.commands.remote.list import describe
from dver.cli.context import App
from dver.ops.sharing.remote import AddRemoteOptions, RemoteChange, add_remote
from dver.ui.console import Console


@declare(
    "add",
    result=RemoteChange,
    exits=(5, 9, 10),
    examples=[
        (
            "a bucket; the first remote becomes the default",
            "dver remote add origin s3://acme-data/fraud",
        ),
        ("a directory on a shared disk", "dver remote add --default nas /mnt/share/fraud"),
        ("only for this clone", "dver remote add --local mine ~/backup/fraud"),
    ],
)
@click.argument("name", metavar="NAME")
@click.argument("url", metavar="URL")
@click.option("--default", is_flag=True, help="Make it the remote that is used when none is named.")
@level_options
def command(
    app: App, name: str, url: str, default: bool, user: bool, repository: bool, local: bool
) -> int:
    """Add a remote.

    A directory is made if it is not there. Any other URL is not opened: 'dver remote check' does
    that. Adding a remote that is there already, with the same URL, succeeds.
    """
    level = chosen_level(user=user, repository=repository, local=local) or "repository"
    asked = AddRemoteOptions(name=name, url=url, level=level, default=default)
    return app.finish(add_remote(app.repo, asked, app.reporter), _render)


def _render(console: Console, change: RemoteChange) -> None:
    if change.remote is None:
        return
    state = "added" if change.changed else "already there:"
    console.done(f"{state} {describe(change.remote)}")
    if change.made_directory is not None:
        console.done(f"made the directory {show(change.made_directory)}")
    if change.changed and change.remote.level == "repository":
        console.done(f"commit {change.remote.origin} to share it")
