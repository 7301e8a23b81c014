"""``dver get``."""

from __future__ import annotations

import click

from dver.base.errors import UsageError
from dver.base.quoting import show
from dver.cli import completion, options
from dver.cli.command import declare
from dver.cli.context import App
from dver.cli.render import content
from dver.ops.looking.get import GetOptions, GetResult, get
from dver.ui.console import Console
from dver.ui.humanize import short, size


@declare(
    "get",
    result=GetResult,
    access="none",
    exits=(3, 4, 5, 6, 7, 8, 10, 11),
    examples=[
        ("an old version, beside the present one", "dver get data/train --rev v1.0 -o old-train"),
        (
            "one file of a tracked directory",
            "dver get data/train/labels.csv --rev HEAD~3 -o labels.csv",
        ),
        ("from another project", "dver get https://example.com/fraud.git model.bin --rev v2.1"),
    ],
)
@click.argument(
    "arguments",
    metavar="[REPO_URL] PATH",
    nargs=-1,
    required=True,
    shell_complete=completion.tracked_paths,
)
@options.rev(
    "The revision to take it from (default: the pointers in the workspace; with REPO_URL, its"
    " HEAD)."
)
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    type=click.Path(),
    help="Where to write it (default: its own name, in the current directory).",
)
@options.remote("Read what is not here from this remote, instead of the default one.")
@click.option(
    "--remote-url",
    metavar="URL",
    help="With REPO_URL: read its data from there, whatever its settings say.",
)
@options.jobs
@options.force("Replace OUT if it exists.")
def command(
    app: App,
    arguments: tuple[str, ...],
    rev: str | None,
    output: str | None,
    remote: str | None,
    remote_url: str | None,
    jobs: int | None,
    force: bool,
) -> int:
    """Write any version of some data anywhere.

    Neither the workspace nor the pointers change. What is not in the local store is read from the
    remote; of a tracked directory only the part that was asked for. With REPO_URL, files that git
    itself tracks there come too, from git.
    """
    if len(arguments) > 2:
        raise UsageError("get takes one PATH, or REPO_URL and PATH", hint="dver get --help")
    url = arguments[0] if len(arguments) == 2 else None
    asked = GetOptions(
        path=arguments[-1],
        output=output,
        rev=rev,
        url=url,
        remote=remote,
        force=force,
        jobs=jobs,
        remote_url=remote_url,
        settings=tuple(app.overrides) if url else (),
    )
    app.need("none" if url else "initialised")
    result = get(app.repo if url is None else None, asked, app.reporter)
    return app.finish(result, _render)


def _render(console: Console, result: GetResult) -> None:
    version = f" at {result.commit[:10]}" if result.commit else ""
    amount = content(result.files, result.size, result.kind)
    console.done(f"wrote {show(result.path)}{version} to {show(result.output)} ({amount})")
    console.detail(f"{short(result.oid)}, {size(result.fetched_bytes)} fetched")
