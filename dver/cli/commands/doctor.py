"""``dver doctor``."""

from __future__ import annotations

import click

from dver.base.errors import RepositoryError
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.setup.doctor import Check, DoctorOptions, DoctorResult, doctor
from dver.ui.console import Console, Style
from dver.ui.humanize import count, size
from dver.ui.tables import columns

_MARKS: dict[str, tuple[str, Style]] = {
    "ok": (" ", "green"),
    "note": ("!", "yellow"),
    "problem": ("x", "red"),
}


@declare(
    "doctor",
    result=DoctorResult,
    access="none",
    negative="there is a problem",
    examples=[
        ("a report to read, or to paste into an issue", "dver doctor"),
        ("without asking the remotes", "dver doctor --offline"),
    ],
)
@click.option("--offline", is_flag=True, help="Ask no remote.")
def command(app: App, offline: bool) -> int:
    """Report versions, capabilities and problems of this set-up.

    Made to be pasted in public: it shows no secrets and no values of environment variables, and
    the home directory as ~. Whatever is marked with x is a problem.
    """
    try:
        repo = app.repo
    except RepositoryError:
        repo = None
    asked = DoctorOptions(offline=offline)
    result = doctor(repo, app.config, asked, app.reporter, environ=app.environ)
    return app.finish(result, _render, exit_code=1 if result.problems else 0)


def _value(check: Check) -> str:
    amount = "" if check.size is None else size(check.size)
    return ", ".join(filter(None, (check.value, amount)))


def _render(console: Console, result: DoctorResult) -> None:
    section = ""
    rows = [[check.name, _value(check)] for check in result.checks]
    for check, line in zip(result.checks, columns(rows), strict=True):
        if check.section != section:
            if section:
                console.print()
            section = check.section
            console.print(console.style(section, "bold"))
        mark, style = _MARKS[check.state]
        console.print(f"{console.style(mark, style)} {line}".rstrip())
        if check.hint is not None and check.state != "ok":
            console.print(f"    hint: {check.hint}")
    console.print()
    verdict = count(result.problems, "problem") if result.problems else "no problems"
    console.print(console.style(verdict, "red" if result.problems else "green"))
