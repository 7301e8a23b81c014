"""``dver fetch``."""

from __future__ import annotations

from dver.cli import options as shared
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.sharing.fetch import FetchOptions, FetchResult, fetch
from dver.ui.console import Console
from dver.ui.humanize import count, size


@declare(
    "fetch",
    result=FetchResult,
    exits=(4, 6, 7, 8, 9, 10),
    examples=[
        ("what the pointers in the workspace name", "dver fetch"),
        ("everything, for work without a network", "dver fetch --all"),
        (
            "what a colleague's branch needs, of one directory",
            "dver fetch --rev origin/main data/train",
        ),
    ],
)
@shared.paths()
@shared.remote()
@shared.all_refs
@shared.revisions("The versions of this revision or range A..B. May be repeated.")
@shared.jobs
@shared.dry_run
@shared.trust_sources
def command(
    app: App,
    paths: tuple[str, ...],
    remote: str | None,
    every: bool,
    revisions: tuple[str, ...],
    jobs: int | None,
    dry_run: bool,
    trust: bool,
) -> int:
    """Bring the content that pointers name into the local store.

    The workspace does not change; 'dver checkout' then works without a network. A PATH inside
    a tracked directory brings only that part.
    """
    asked = FetchOptions(
        remote=remote,
        paths=paths,
        revisions=revisions,
        all=every,
        jobs=jobs,
        dry_run=dry_run,
        trust=trust,
    )
    result = fetch(app.repo, asked, app.reporter)
    return app.finish(result, render)


def render(console: Console, result: FetchResult) -> None:
    """Write what came, or would come."""
    if result.objects:
        verb = "would fetch" if result.dry_run else "fetched"
        console.done(
            f"{verb} {count(result.objects, 'object')} ({size(result.bytes)}) from {result.remote}"
        )
    else:
        console.done(f"everything is here ({count(result.versions, 'version')})")
    console.detail(f"{count(result.requests, 'request')} to {result.description}")
