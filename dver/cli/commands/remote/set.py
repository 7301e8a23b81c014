"""``dver remote set``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import completion
from dver.cli.command import declare
from dver.cli.commands.config.levels import chosen_level, level_options
from dver.cli.context import App
from dver.ops.sharing.remote import RemoteChange, set_remote
from dver.ui.console import Console


@declare(
    "set",
    result=RemoteChange,
    exits=(4, 9, 10),
    examples=[
        (
            "an S3 server of your own",
            "dver remote set origin endpoint_url https://minio.acme.example",
        ),
        (
            "whose credentials to use, in this clone only",
            "dver remote set origin profile data-team",
        ),
        ("the remote has moved", "dver remote set origin url s3://acme-data-2/fraud"),
    ],
)
@click.argument("name", metavar="NAME", shell_complete=completion.remotes)
@click.argument("key", metavar="KEY", shell_complete=completion.remote_options)
@click.argument("value", metavar="VALUE")
@level_options
def command(
    app: App, name: str, key: str, value: str, user: bool, repository: bool, local: bool
) -> int:
    """Set an option of a remote.

    KEY is url, endpoint_url, region, profile, path_style, anonymous, sse, sse_kms_key_id, checksum,
    client, ca_bundle, timeout or retries. It is kept where the remote's URL is, or in this clone's
    own settings if it may not be shared.
    """
    level = chosen_level(user=user, repository=repository, local=local)
    change = set_remote(app.repo, name, key, value, level)

    def render(console: Console, change: RemoteChange) -> None:
        state = "" if change.changed else ", as before"
        console.done(f"{name}: {key} = {show(value)}{state}")

    return app.finish(change, render)
