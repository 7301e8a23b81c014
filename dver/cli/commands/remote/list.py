"""``dver remote list``."""

from __future__ import annotations

from dver.base.quoting import show
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.sharing.remote import RemoteInfo, RemoteListResult, list_remotes
from dver.ui.console import Console
from dver.ui.tables import columns


@declare(
    "list",
    result=RemoteListResult,
    exits=(11,),
    examples=[
        ("names and URLs", "dver remote list"),
        ("with options, levels and files", "dver remote list -v"),
    ],
)
def command(app: App) -> int:
    """List the remotes."""
    return app.finish(list_remotes(app.repo), _render)


def describe(remote: RemoteInfo) -> str:
    """Return a remote in a few words."""
    return f"{remote.name} {show(remote.url)}" + (" (default)" if remote.default else "")


def _render(console: Console, result: RemoteListResult) -> None:
    rows = []
    for remote in result.remotes:
        notes = ["default"] if remote.default else []
        if not remote.trusted:
            notes.append("not trusted yet")
        rows.append([remote.name, show(remote.url), f"({', '.join(notes)})" if notes else ""])
    for remote, line in zip(result.remotes, columns(rows), strict=True):
        console.print(line)
        console.detail(f"    {remote.level}: {show(remote.origin)}")
        for key, value in remote.options.items():
            console.detail(f"    {key}: {value}")
    if not result.remotes:
        console.talk("no remote yet (use 'dver remote add NAME URL')")
