"""``dver hooks status``."""

from __future__ import annotations

from dver.base.quoting import show
from dver.cli.command import declare
from dver.cli.commands.hooks.install import explain_by_hand
from dver.cli.context import App
from dver.ops.setup.hooks import HooksOptions, HooksResult, PartStatus, hooks_status
from dver.ui.console import Console
from dver.ui.tables import columns

_NOTES = {
    "outdated": "another version of dver or Python wrote it: dver hooks install",
    "edited": "somebody changed it since dver wrote it",
    "called": "your hook calls dver",
    "foreign": "your hook does not call dver: dver hooks install",
    "manual": "to be added by hand",
}


@declare(
    "status",
    result=HooksResult,
    access="repository",
    exits=(10,),
    examples=[("what is there", "dver hooks status"), ("the same", "dver hooks")],
)
def command(app: App) -> int:
    """Tell which hooks and drivers are there."""
    return app.finish(hooks_status(app.repo, HooksOptions()), _render)


def _render(console: Console, result: HooksResult) -> None:
    rows = [[part.name, part.state, _note(part)] for part in result.parts]
    for line in columns(rows):
        console.print(line)
    explain_by_hand(console, result)


def _note(part: PartStatus) -> str:
    note = _NOTES.get(part.state, "")
    if part.kept:
        note = f"{note}; " if note else ""
        note += f"runs {show(part.kept)} first"
    return f"({note})" if note else ""
