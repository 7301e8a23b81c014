"""``dver config unset``."""

from __future__ import annotations

import click

from dver.cli import completion
from dver.cli.command import declare
from dver.cli.commands.config.levels import chosen_level, level_options
from dver.cli.commands.config.set import render
from dver.cli.context import App
from dver.ops.setup.config import ConfigChange, unset_setting


@declare(
    "unset",
    result=ConfigChange,
    access="none",
    exits=(3, 9, 10, 11),
    negative="it was not set there",
    examples=[
        ("back to the default, in this clone", "dver config unset core.link"),
        ("for everyone, once it is committed", "dver config unset --repository core.remote"),
    ],
)
@click.argument("key", metavar="KEY", shell_complete=completion.settings)
@level_options
def command(app: App, key: str, user: bool, repository: bool, local: bool) -> int:
    """Remove a setting.

    It is removed from this clone's own settings (--local) unless told otherwise.
    """
    level = chosen_level(user=user, repository=repository, local=local) or "local"
    change = unset_setting(app.config, level, key)
    return app.finish(change, render, exit_code=0 if change.changed else 1)
