"""``dver push``."""

from __future__ import annotations

import click

from dver.base.fsio import show
from dver.cli import options as shared
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.push import PushOptions, PushResult, push
from dver.ui.console import Console
from dver.ui.humanize import count, short, size


@declare(
    "push",
    result=PushResult,
    exits=(4, 6, 7, 8, 9, 10),
    examples=[
        ("what HEAD and the workspace point to, to the default remote", "dver push"),
        ("every version of every branch and tag", "dver push --all"),
        ("one directory, to another remote", "dver push -r backup data/train"),
        ("how much would that be?", "dver push --dry-run"),
    ],
)
@shared.paths()
@shared.remote()
@click.option("--all", "every", is_flag=True, help="Every version that any branch or tag names.")
@shared.revisions("The versions of this revision or range A..B. May be repeated.")
@shared.jobs
@shared.dry_run
def command(
    app: App,
    paths: tuple[str, ...],
    remote: str | None,
    every: bool,
    revisions: tuple[str, ...],
    jobs: int | None,
    dry_run: bool,
) -> int:
    """Send the content that pointers name to a remote.

    Without --all or --rev that is what HEAD and the workspace name. Only what the remote does not
    have is sent, in packs. An interrupted push can be run again: what has arrived is not sent
    twice. What a push brings is seen by others once all of it is there.
    """
    asked = PushOptions(
        remote=remote,
        paths=paths,
        revisions=revisions,
        all=every,
        jobs=jobs,
        dry_run=dry_run,
    )
    result = push(app.repo, asked, app.reporter)
    return app.finish(result, _render)


def _render(console: Console, result: PushResult) -> None:
    if result.objects:
        verb = "would push" if result.dry_run else "pushed"
        console.done(
            f"{verb} {count(result.objects, 'object')} ({size(result.bytes)} in"
            f" {count(result.packs, 'pack')}) to {result.remote}"
        )
    else:
        console.done(f"{result.remote} has everything ({count(result.versions, 'version')})")
    console.detail(f"{count(result.requests, 'request')} to {result.description}")
    if result.skipped:
        for version in result.skipped[:5]:
            console.talk(
                f"skipped {show(version.path)} {short(version.oid)} of commit {version.commit[:10]}"
            )
        console.warn(
            f"{count(len(result.skipped), 'older version')} could not be pushed:"
            " their content is neither here nor in the remote"
        )
