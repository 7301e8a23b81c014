"""``dver push``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import options as shared
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.sharing.push import PushOptions, PushResult, push
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
        ("heal a damaged remote by what is here", "dver push --repair -r backup"),
    ],
)
@shared.paths()
@shared.remote()
@shared.all_refs
@shared.revisions("The versions of this revision or range A..B. May be repeated.")
@click.option(
    "--repair",
    is_flag=True,
    help="Read all of the remote first, and heal what is damaged there by what is good there and"
    " here; damaged files are moved to its quarantine/.",
)
@shared.jobs
@shared.dry_run
def command(
    app: App,
    paths: tuple[str, ...],
    remote: str | None,
    every: bool,
    revisions: tuple[str, ...],
    repair: bool,
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
        repair=repair,
    )
    result = push(app.repo, asked, app.reporter)
    return app.finish(result, _render)


def _healed(console: Console, result: PushResult) -> None:
    done = result.healed
    if done is None:
        return
    if not done.damaged:
        console.done(f"nothing is damaged in {result.remote}")
    elif result.dry_run:
        console.done(f"{count(len(done.damaged), 'file')} in {result.remote} would be healed")
    else:
        console.done(
            f"{count(len(done.damaged), 'damaged file')} in {result.remote}:"
            f" {len(done.replaced):,} written again, {len(done.aside):,} moved to quarantine,"
            f" {count(done.salvaged, 'object')} saved"
        )


def _render(console: Console, result: PushResult) -> None:
    _healed(console, result)
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
