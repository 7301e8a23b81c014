"""``dver pull``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import options as shared
from dver.cli.command import declare
from dver.cli.commands.checkout import render as render_checkout
from dver.cli.commands.fetch import render as render_fetch
from dver.cli.context import App
from dver.cli.render import staging
from dver.ops.sharing.pull import PullOptions, PullResult, pull
from dver.ui.console import Console


@declare(
    "pull",
    result=PullResult,
    exits=(4, 5, 6, 7, 8, 9, 10),
    examples=[
        ("after 'git clone' or 'git pull'", "dver pull"),
        ("only a part of a tracked directory", "dver pull data/train/2024"),
        ("see what it would take", "dver pull --dry-run"),
    ],
)
@shared.paths()
@shared.remote()
@click.option(
    "--all", "every", is_flag=True, help="Also fetch every version that any branch or tag names."
)
@shared.revisions("Also fetch the versions of this revision or range A..B. May be repeated.")
@shared.jobs
@shared.dry_run
@shared.force("Overwrite and delete data that is not in the store. It is lost then.")
@shared.link
@shared.trust_sources
def command(
    app: App,
    paths: tuple[str, ...],
    remote: str | None,
    every: bool,
    revisions: tuple[str, ...],
    jobs: int | None,
    dry_run: bool,
    force: bool,
    link: str | None,
    trust: bool,
) -> int:
    """Fetch content and check it out.

    Brings what the pointers in the workspace name. It does not move the pointers: 'git pull' does.
    """
    asked = PullOptions(
        remote=remote,
        paths=paths,
        revisions=revisions,
        all=every,
        jobs=jobs,
        dry_run=dry_run,
        force=force,
        link=link,
        trust=trust,
    )
    result = pull(app.repo, asked, app.reporter)
    return app.finish(result, _render)


def _render(console: Console, result: PullResult) -> None:
    if result.fetched is not None:
        render_fetch(console, result.fetched)
    for path in result.imported:
        console.done(f"downloaded {show(path)} from where it was imported")
    if result.checkout is not None:
        render_checkout(console, result.checkout)
    staging(console, result.to_stage, staged=False)
