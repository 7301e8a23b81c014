"""``dver fsck``."""

from __future__ import annotations

import click

from dver.base.quoting import show
from dver.cli import completion, options
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.upkeep.fsck import Finding, FsckOptions, FsckResult, fsck
from dver.ui.console import Console
from dver.ui.humanize import count, size

EXIT_UNSOUND = 7
SHOWN = 20
SHOWN_VERSIONS = 5
SHOWN_FILES = 3


@declare(
    "fsck",
    result=FsckResult,
    exits=(4, 7, 8, 9, 10),
    examples=[
        ("structure, presence and lengths", "dver fsck"),
        ("read and hash every byte", "dver fsck --full"),
        ("a remote", "dver fsck --full -r origin"),
        ("a twentieth of it, what was not read for longest", "dver fsck --read-data-subset 5%"),
        ("move what is damaged aside, and fetch it again", "dver fsck --repair --from origin"),
        ("remove what repairs and interrupted commands left", "dver fsck --clean"),
    ],
)
@click.option("--full", is_flag=True, help="Read and hash every byte.")
@click.option(
    "--read-data-subset",
    "subset",
    metavar="PART",
    help="Read and hash a part of the packs: 5% or 500M of those that were not read for longest,"
    " or 1/7, the first of seven groups.",
)
@click.option(
    "--repair",
    is_flag=True,
    help="Move damaged files of the local store aside, save the good objects out of them, and"
    " rebuild the index. Says first what it will do.",
)
@click.option(
    "--from",
    "source",
    metavar="NAME",
    shell_complete=completion.remotes,
    help="With --repair: fetch what is lost from this remote.",
)
@click.option(
    "--clean",
    is_flag=True,
    help="Remove temporary files, and what repairs moved to quarantine more than 30 days ago.",
)
@click.option("--now", "at_once", is_flag=True, help="With --clean: whatever its age.")
@options.dry_run
@options.remote("Check this remote instead of the local store.")
def command(
    app: App,
    full: bool,
    subset: str | None,
    repair: bool,
    source: str | None,
    clean: bool,
    at_once: bool,
    dry_run: bool,
    remote: str | None,
) -> int:
    """Verify the local store or a remote.

    Checks that every pack is there with its length, that the index agrees, and that every version
    in history and workspace is complete. Nothing is changed, except with --repair and --clean. The
    exit code is 0 only if all is sound, else 7.
    """
    chosen = FsckOptions(
        full=full,
        remote=remote,
        repair=repair,
        source=source,
        subset=subset,
        clean=clean,
        at_once=at_once,
        dry_run=dry_run,
    )
    result = fsck(app.repo, chosen, app.reporter)
    return app.finish(result, _render, exit_code=0 if result.is_sound else EXIT_UNSOUND)


def _repaired(console: Console, result: FsckResult) -> None:
    done = result.repaired
    if done is None:
        return
    if not done.quarantined and not done.lost:
        console.done("nothing to repair")
    elif done.dry_run:
        console.done(f"{count(len(done.quarantined), 'file')} would be moved to quarantine")
    else:
        console.done(
            f"repaired: {count(len(done.quarantined), 'file')} moved to quarantine,"
            f" {count(done.salvaged, 'object')} saved, {done.lost:,} lost"
        )
    if done.fetched:
        console.done(f"fetched {count(done.fetched, 'object')} from {done.source}")
    for path in done.still_lost[:SHOWN]:
        console.print(f"not to be had from {done.source}: {show(path)}")


def _cleaned(console: Console, result: FsckResult) -> None:
    done = result.cleaned
    if done is None:
        return
    verb = "would remove" if done.dry_run else "removed"
    console.done(f"{verb} {count(len(done.removed), 'file')} ({size(done.bytes)})")
    for name in done.removed:
        console.detail(f"{verb} {show(name)}")
    if done.kept:
        console.done(
            f"{count(len(done.kept), 'file')} in quarantine/ not yet 30 days old:"
            " 'dver fsck --clean --now' removes them as well"
        )


def _render(console: Console, result: FsckResult) -> None:
    _repaired(console, result)
    _cleaned(console, result)
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
    if result.purged:
        console.done(f"{count(result.purged, 'object')} that versions name, and that were purged")
    if result.unindexed:
        console.done(
            f"{count(result.unindexed, 'pack')} that no index segment names: 'dver fsck --repair'"
            " takes what is in them into the index"
        )
    if result.is_sound:
        depth = "" if result.full else " (structure only; --full reads every byte)"
        if result.read_packs and not result.full:
            depth = (
                f" (of which {count(result.read_packs, 'pack')} read: {size(result.read_bytes)})"
            )
        console.done(f"sound: {checked}{depth}")
    elif not result.findings:
        console.print(f"not repaired: {show(result.store)} ({checked})")
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
        for path in version.files[:SHOWN_FILES]:
            console.print(f"        {show(path)}")
        others = len(version.files[SHOWN_FILES:]) + version.more_files
        if others > 0:
            console.print(f"        and {count(others, 'more file')}")
    more = len(finding.affected) - SHOWN_VERSIONS
    if more > 0:
        console.print(f"    and by {more:,} more")
