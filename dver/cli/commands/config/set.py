"""``dver config set``."""

from __future__ import annotations

import click

from dver.cli import completion
from dver.cli.command import declare
from dver.cli.commands.config.levels import chosen_level, level_options
from dver.cli.context import App
from dver.ops.setup.config import ConfigChange, set_setting
from dver.ui.console import Console


@declare(
    "set",
    result=ConfigChange,
    access="none",
    exits=(3, 9, 10, 11),
    examples=[
        ("for this clone", "dver config set core.link hardlink"),
        ("for everyone, once it is committed", "dver config set --repository core.remote backup"),
        ("for all repositories of this user", "dver config set --user core.jobs 32"),
    ],
)
@click.argument("key", metavar="KEY", shell_complete=completion.settings)
@click.argument("value", metavar="VALUE")
@level_options
def command(app: App, key: str, value: str, user: bool, repository: bool, local: bool) -> int:
    """Give a setting a value.

    It is set for this clone only (--local) unless told otherwise. What could run a command, or
    move data or credentials, cannot be set at the repository level.
    """
    level = chosen_level(user=user, repository=repository, local=local) or "local"
    return app.finish(set_setting(app.config, level, key, value), render)


def render(console: Console, change: ConfigChange) -> None:
    """Write what changed, and warn if it has no effect."""
    if change.value is not None:
        state = "" if change.changed else ", as before"
        console.done(f"{change.key} = {change.value} in {change.origin}{state}")
    elif change.changed:
        console.done(f"removed {change.key} from {change.origin}")
    else:
        console.done(f"{change.key} is not set in {change.origin}")
    if change.shadowed_by is not None:
        console.warn(f"{change.key} is set by {change.shadowed_by} too, which has precedence")
