"""``dver remote check``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import completion
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.setup.doctor import remote_facts
from dver.ops.sharing.remote import RemoteCheck, check_remote
from dver.ui.console import Console


@declare(
    "check",
    result=RemoteCheck,
    exits=(4, 8, 10),
    examples=[
        ("the default remote", "dver remote check"),
        ("before the first push", "dver remote add origin s3://acme/fraud && dver remote check"),
    ],
)
@click.argument("name", metavar="[NAME]", required=False, shell_complete=completion.remotes)
def command(app: App, name: str | None) -> int:
    """Ask a remote whether it works, and what it can do.

    Writes, reads, lists and removes one small object, if data may be sent there; else only reads.
    The exit code is that of the error that 'dver push' would give.
    """
    result = check_remote(app.repo, name, app.reporter)
    return app.finish(result, _render, exit_code=result.exit_code)


def _render(console: Console, result: RemoteCheck) -> None:
    place = f"{result.name} ({show(result.destination)})"
    if result.problem is None:
        console.print(f"{place}: {', '.join(remote_facts(result))}")
        return
    console.print(f"{place}: {console.style(result.problem, 'red')}")
    if result.hint is not None:
        console.print(f"hint: {result.hint}")
