"""``dver verify``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import completion
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.making.sign import EXIT_OF, VerifyOptions, VerifyResult, verify
from dver.ui.console import Console, Style

_STYLES: dict[str, Style] = {"good": "green", "bad": "red"}
_MEANING = {
    "good": "signed by somebody whom the default branch trusts",
    "unsigned": "nobody signed this record",
    "untrusted": "signed, by nobody whom the default branch trusts",
    "bad": "not what was signed",
}


@declare(
    "verify",
    result=VerifyResult,
    exits=(4, 7, 10),
    negative="not signed, or by nobody whom the default branch trusts",
    examples=[
        ("did somebody we trust sign what made this model?", "dver verify model.pkl@v1.0"),
        ("in a pipeline", "dver verify model.pkl && ./deploy model.pkl"),
    ],
)
@click.argument("target", metavar="PATH[@REV]|RECORD", shell_complete=completion.records)
def command(app: App, target: str) -> int:
    """Verify the signatures of the record that made something.

    Whom to trust is read from .dver/allowed_signers of the default branch alone (origin's, else
    the local main or master), in the format of ssh-keygen; a key that a feature branch adds for
    itself counts for nothing before it is merged.

    A good signature says who stands for a record. It does not say that the numbers are right.
    """
    result = verify(app.repo, VerifyOptions(target))
    return app.finish(result, _render, exit_code=EXIT_OF[result.verdict])


def _render(console: Console, result: VerifyResult) -> None:
    for one in result.signatures:
        who = f"{show(one.principal)} " if one.principal else ""
        note = f": {one.note}" if one.note else ""
        console.print(f"{one.verdict:10} {who}{show(one.key)}{note}")
    verdict = console.style(result.verdict.upper(), _STYLES.get(result.verdict, "yellow"), "bold")
    reason = result.reason or _MEANING[result.verdict]
    console.print(f"{verdict}: {reason} (record {result.record[:10]}, trust from {result.trust})")
