"""``dver config get``."""

from __future__ import annotations

import click

from dver.cli import completion
from dver.cli.command import declare
from dver.cli.commands.config.levels import chosen_level, level_options
from dver.cli.context import App
from dver.ops.setup.config import SettingEntry, get_setting
from dver.ui.console import Console


@declare(
    "get",
    result=SettingEntry,
    access="none",
    exits=(11,),
    negative="the setting has no value",
    examples=[
        ("the remote that 'dver push' uses", "dver config get core.remote"),
        ("where does the value come from?", "dver config get --show-origin core.jobs"),
        ("only what git shares", "dver config get --repository core.remote"),
    ],
)
@click.argument("key", metavar="KEY", shell_complete=completion.settings)
@click.option("--show-origin", is_flag=True, help="Also print the level and file it comes from.")
@level_options
def command(
    app: App, key: str, show_origin: bool, user: bool, repository: bool, local: bool
) -> int:
    """Print the value of a setting.

    Without --user, --repository or --local it is the value in force, which may be the default.
    """
    level = chosen_level(user=user, repository=repository, local=local)
    entry = get_setting(app.config, key, level)

    def render(console: Console, entry: SettingEntry) -> None:
        if entry.value is not None:
            origin = f"{entry.level}\t{entry.origin}\t" if show_origin else ""
            console.print(origin + entry.value)

    return app.finish(entry, render, exit_code=0 if entry.value is not None else 1)
