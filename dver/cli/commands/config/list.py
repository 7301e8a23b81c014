"""``dver config list``."""

from __future__ import annotations

import click

from dver.cli.command import declare
from dver.cli.commands.config.levels import chosen_level, level_options
from dver.cli.context import App
from dver.ops.setup.config import ConfigListResult, list_settings
from dver.ui.console import Console
from dver.ui.tables import columns


@declare(
    "list",
    result=ConfigListResult,
    access="none",
    exits=(11,),
    examples=[
        ("what is set, and where", "dver config list --show-origin"),
        ("every setting that there is", "dver config list --all"),
    ],
)
@click.option("--show-origin", is_flag=True, help="Also print the level and file of each.")
@click.option("--all", "every", is_flag=True, help="Also list what is not set, with its meaning.")
@level_options
def command(
    app: App, show_origin: bool, every: bool, user: bool, repository: bool, local: bool
) -> int:
    """List settings and where they come from."""
    level = chosen_level(user=user, repository=repository, local=local)
    result = list_settings(app.config, level=level, every=every)

    def render(console: Console, result: ConfigListResult) -> None:
        rows = []
        for entry in result.settings:
            value = entry.key if entry.value is None else f"{entry.key}={entry.value}"
            origin = [entry.level or "", entry.origin or ""] if show_origin else []
            rows.append([*origin, value, *([entry.help] if every else [])])
        for line in columns(rows):
            console.print(line)

    return app.finish(result, render, long=True)
