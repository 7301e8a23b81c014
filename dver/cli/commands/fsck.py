"""``dver fsck``."""

from __future__ import annotations

import click

from dver.base.fsio import show
from dver.cli import options
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.fsck import Finding, FsckOptions, FsckResult, fsck
from dver.ui.console import Console
from dver.ui.humanize import count, size

EXIT_UNSOUND = 7
SHOWN = 20
SHOWN_VERSIONS = 5


@declare(
    "fsck",
    result=FsckResult,
    exits=(4, 7, 8, 9, 10),
    examples=[
        ("structure, presence and lengths", "dver fsck"),
        ("read and hash every byte", "dver fsck --full"),
        ("a remote", "dver fsck --full -r origin"),
        ("move what is damaged aside, and save what is good", "dver fsck --repair"),
    ],
)
@click.option("--full", is_flag=True, help="Read and hash every byte.")
@click.option(
    "--repair",
    is_flag=True,
    help="Move damaged files of the local store aside, save the good objects out of them, and"
    " rebuild the index; 'dver fetch' then brings what is lost.",
)
@options.remote("Check this remote instead of the local store.")
def command(app: App, full: bool, repair: bool, remote: str | None) -> int:
    """Verify the local store or a remote.

    Checks that every pack is there with its length, that the index agrees, and that every version
    in history and workspace is complete. Nothing is changed, except with --repair. The exit code
    is 0 only if all is sound, else 7.
    """
    chosen = FsckOptions(full=full, remote=remote, repair=repair)
    result = fsck(app.repo, chosen, app.reporter)
    return app.finish(result, _render, exit_code=0 if result.is_sound else EXIT_UNSOUND)


def _repaired(console: Console, result: FsckResult) -> None:
    done = result.repaired
    if done is None:
        return
    if not done.quarantined and not done.lost:
        console.done("nothing to repair")
        return
    console.done(
        f"repaired: {count(len(done.quarantined), 'file')} moved to quarantine,"
        f" {count(done.salvaged, 'object')} saved, {done.lost:,} lost"
    )


def _render(console: Console, result: FsckResult) -> None:
    _repaired(console, result)
    shown = result.findings if console.verbose else result.findings[:SHOWN]
    for finding in shown:
        _finding(console, finding)
    if len(result.findings) > len(shown):
        console.print(f"... and {len(result.findings) - len(shown):,} more ('dver fsck -v')")
    checked = (
        f"{count(result.packs, 'pack')}, {count(result.objects, 'object')}, {size(result.bytes)}"
    )
    if result.not_here:
        console.done(
            f"{count(result.not_here, 'version')} not here, but in a remote: 'dver fetch' gets them"
        )
    if result.is_sound:
        depth = "" if result.full else " (structure only; --full reads every byte)"
        console.done(f"sound: {checked}{depth}")
    else:
        number = count(len(result.findings), "problem")
        console.print(f"{number} in {show(result.store)} ({checked})")


def _finding(console: Console, finding: Finding) -> None:
    word = console.style(f"{finding.what}:", "red")
    lost = f" ({count(finding.lost, 'object')} lost)" if finding.lost else ""
    console.print(f"{word} {show(finding.where)}: {finding.detail}{lost}")
    for version in finding.affected[:SHOWN_VERSIONS]:
        where = f"commit {version.commit[:10]}" if version.commit else "the workspace"
        console.print(f"    needed by {show(version.path)} in {where}")
    more = len(finding.affected) - SHOWN_VERSIONS
    if more > 0:
        console.print(f"    and by {more:,} more")
