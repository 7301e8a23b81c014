"""``dver report``."""

from __future__ import annotations

import click

from dver.base.errors import UsageError
from dver.cli import completion, options
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.inputs import split_revisions
from dver.cli.reporttext import markdown
from dver.ops.making.report import ReportOptions, ReportResult, report


@declare(
    "report",
    result=ReportResult,
    exits=(4, 7, 10),
    negative="something differs (only with --exit-code)",
    examples=[
        ("what a branch changes", "dver report main my-branch"),
        ("in a job of a pull request", 'dver report "$BASE" HEAD >> "$GITHUB_STEP_SUMMARY"'),
        ("for a program", "dver report main..HEAD --json"),
    ],
)
@click.argument(
    "arguments",
    metavar="BASE [REV] [PATH]...",
    nargs=-1,
    required=True,
    shell_complete=completion.revisions_and_paths,
)
@options.remote("Read directory listings that are not here from this remote.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if anything differs.")
def command(app: App, arguments: tuple[str, ...], remote: str | None, exit_code: bool) -> int:
    """Tell in Markdown what a change does to data, metrics and lineage.

    BASE is compared with REV (default: HEAD); BASE..REV does the same. Nothing is fetched but the
    listings of directories. The text can be posted as a comment: what comes from the repository
    stands in it as code, so that no name can bring in links, HTML or mentions.
    """
    revisions, paths = split_revisions(app.repo, arguments)
    if not revisions:
        raise UsageError("there is no revision to compare with", hint="dver report main HEAD")
    result = report(app.repo, ReportOptions(revisions, paths, remote), app.reporter)
    return app.finish(
        result,
        lambda console, result: console.print(markdown(result)),
        exit_code=int(exit_code and result.changed),
        long=True,
    )
