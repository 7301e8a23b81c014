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
    ],
)
@click.option("--full", is_flag=True, help="Read and hash every byte.")
@options.remote("Check this remote instead of the local store.")
def command(app: App, full: bool, remote: str | None) -> int:
    """Verify the local store or a remote.

    Checks that every pack is there with its length, that the index agrees, and that every version
    in history and workspace is complete. Nothing is changed. The exit code is 0 only if all is
    sound, else 7.
    """
    result = fsck(app.repo, FsckOptions(full=full, remote=remote), app.reporter)
    return app.finish(result, _render, exit_code=0 if result.is_sound else EXIT_UNSOUND)


def _render(console: Console, result: FsckResult) -> None:
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
