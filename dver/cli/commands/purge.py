"""``dver purge``."""

from __future__ import annotations

import sys

import click

from dver.base.errors import RefusedError, UsageError
from dver.base.quoting import show
from dver.cli import completion, options
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.upkeep.purge import PurgedHere, PurgedThere, PurgeOptions, PurgeResult, purge
from dver.ops.upkeep.references import Reference
from dver.ui.console import Console
from dver.ui.humanize import count, size

SHOWN = 10

#: Below this are the refs that keep the code of runs.
RUN_REFS = "dver/runs/"


@declare(
    "purge",
    result=PurgeResult,
    exits=(4, 5, 6, 7, 8, 9, 10, 11),
    examples=[
        ("who has it, and what would be done?", "dver purge data/people.csv --all-versions -n"),
        (
            "a file that must not be anywhere, in any version",
            'dver purge data/people.csv --all-versions --reason "request 4711"',
        ),
        ("one version of a file in a tracked directory", "dver purge data/a.csv --rev v1.0"),
        (
            "by content",
            "dver purge blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        ),
    ],
)
@click.argument(
    "what",
    metavar="PATH|OID...",
    nargs=-1,
    required=True,
    shell_complete=completion.tracked_paths,
)
@options.revisions("Which version of a path (default: the workspace's). May be repeated.")
@options.all_versions
@options.remotes("Only this remote, besides what is here (default: all). May be repeated.")
@click.option("--reason", metavar="TEXT", default="", help="Tell this to whoever misses it.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--lift",
    is_flag=True,
    help="Take word of earlier purges of these oids back, so that the content may be added again.",
)
@options.dry_run
def command(
    app: App,
    what: tuple[str, ...],
    revisions: tuple[str, ...],
    all_versions: bool,
    remotes: tuple[str, ...],
    reason: str,
    yes: bool,
    lift: bool,
    dry_run: bool,
) -> int:
    """Remove content everywhere, for good, whoever still refers to it.

    Shows who refers to it and where it is, asks, and then removes it from the local store, its
    caches and leftovers, and from every remote, whose packs are rewritten for that. What it shares
    with other versions stays. There is no way back, and no grace.

    Word of the purge stays here and in the remotes: by whom, when and why. Whoever misses the
    content is told so, gc and fsck take the hole for no damage, and no push or fetch brings it
    back. The pointers in git stay, and with them the hash of what was purged.

    What cannot be reached is for you: other clones, which are told at their next push or fetch;
    workspaces; backups; old versions of objects that a bucket keeps; remotes that are offline,
    for which the same command can be run again.
    """
    if all_versions and revisions:
        raise UsageError("--all-versions are all there are", hint="leave out --rev")
    asked = PurgeOptions(
        what=what,
        revisions=revisions,
        all_versions=all_versions,
        remotes=remotes,
        reason=reason,
        dry_run=True,
        lift=lift,
    )
    if dry_run or not yes:
        found = purge(app.repo, asked, app.reporter)
        if dry_run:
            return app.finish(found, _render, exit_code=found.exit_code)
        _ask(app, found)
    asked = PurgeOptions(what, revisions, all_versions, remotes, reason, lift=lift)
    result = purge(app.repo, asked, app.reporter)
    return app.finish(result, _render, exit_code=result.exit_code)


def _ask(app: App, found: PurgeResult) -> None:
    """Show what would be done and ask on the terminal. Raises RefusedError unless it is yes."""
    if app.console.json or not sys.stdin.isatty():
        raise RefusedError(
            "a purge cannot be undone, and nobody can be asked here",
            hint="'--dry-run' shows what would be done, '--yes' does it",
        )
    _render(app.console, found)
    if not app.console.agrees("remove it for good"):
        raise RefusedError("nothing was purged")


def _render(console: Console, result: PurgeResult) -> None:
    if result.here is None:
        verb = "would take back" if result.dry_run else "took back"
        console.done(f"{verb} {count(len(result.lifted), 'purge')}, of:")
    for one in result.objects:
        name = "" if one.path is None else f"{show(one.path)}  "
        amount = "" if one.size is None else f"  {size(one.size)}"
        console.print(f"{name}{one.oid}{amount}")
    if result.here is not None:
        _references(console, result)
        _here(console, result.here, dry_run=result.dry_run)
    for there in result.remotes:
        _there(console, there, dry_run=result.dry_run)
    if result.here is not None and not result.dry_run:
        console.detail(f"word of it was left as {result.id}")


def _references(console: Console, result: PurgeResult) -> None:
    found = result.referring
    for what, words in (
        ("workspace", "the workspace refers to it"),
        ("commit", "commits refer to it"),
        ("record", "records of what made or used it"),
        ("repository", "other repositories that share the store refer to it"),
    ):
        some = [one for one in found.references if one.what == what]
        if some:
            console.print(f"{words}:")
            for one in some if console.verbose else some[:SHOWN]:
                console.print(f"    {_reference(one)}")
            if len(some) > SHOWN and not console.verbose:
                console.print(f"    and {len(some) - SHOWN:,} more (-v)")
    # The commits that hold the code of runs have refs of their own, which say nothing to people.
    named = [one for one in found.branches if console.verbose or not one.startswith(RUN_REFS)]
    runs = len(found.branches) - len(named)
    if found.branches:
        shown = [show(one) for one in (named if console.verbose else named[:SHOWN])]
        if len(shown) < len(named):
            shown.append(f"{len(named) - len(shown):,} more (-v)")
        if runs:
            shown.append(f"the kept code of {count(runs, 'run')}")
        console.print(f"such commits are in: {', '.join(shown)}")
    if found.reflog_only:
        console.print(
            f"{count(found.reflog_only, 'commit')} of these only reflogs or stashes reach"
        )


def _reference(one: Reference) -> str:
    commit = f"{one.commit[:10]} " if one.commit else ""
    inside = ", ".join(show(path) for path in one.inside[:3])
    more = len(one.inside) - 3 + one.more if len(one.inside) > 3 else one.more
    rest = f" and {more:,} more" if more else ""
    return f"{commit}{show(one.path)}" + (f": {inside}{rest}" if inside else "")


def _here(console: Console, here: PurgedHere, *, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    facts = [f"{count(here.objects, 'object')} {would}removed"]
    if here.packs_deleted or here.packs_rewritten:
        facts.append(
            f"{count(here.packs_deleted, 'pack')} {would}deleted, {here.packs_rewritten} rewritten"
        )
    if here.links or here.strays:
        facts.append(f"{count(here.links + here.strays, 'file')} of caches and leftovers")
    console.done(f"here: {', '.join(facts)}, {size(here.bytes)}")
    _shared(console, here.shared)
    for path in here.left_links:
        console.warn(f"{show(path)} stays: somebody edited it", "look at it, and remove it")
    if here.workspace:
        shown = ", ".join(show(path) for path in here.workspace[:3])
        more = f" and {len(here.workspace) - 3:,} more" if len(here.workspace) > 3 else ""
        console.print(f"the workspace has it: {shown}{more}; remove that yourself")


def _there(console: Console, there: PurgedThere, *, dry_run: bool) -> None:
    if there.problem is not None and not (there.refused or there.kept_versions):
        console.warn(
            f"{there.remote} was not reached: {there.problem}",
            "run the same command again when it can be",
        )
        return
    would = "would be " if dry_run else ""
    if not (there.objects or there.packs_deleted or there.packs_rewritten):
        console.done(f"{there.remote}: does not have it")
    else:
        console.done(
            f"{there.remote}: {count(there.objects, 'object')};"
            f" {count(there.packs_deleted, 'pack')} {would}deleted,"
            f" {there.packs_rewritten} rewritten, {size(there.bytes)}"
        )
    _shared(console, there.shared)
    if there.refused:
        console.warn(
            f"{there.remote} refused to delete {count(len(there.refused), 'key')}: {there.problem}",
            "whoever holds the bucket can: " + " ".join(there.refused[:3]),
        )
    if there.kept_versions:
        console.warn(
            f"{there.remote} keeps old versions of {count(len(there.kept_versions), 'key')}:"
            f" {there.problem}",
            "whoever holds the bucket can delete them, perhaps once a lock has ended: "
            + " ".join(there.kept_versions[:3]),
        )
    if there.left:
        console.warn(
            f"{there.remote} still has {count(len(there.left), 'object')}",
            "others push or collect there, or it is damaged: run the same command again",
        )
    if there.set_aside:
        console.warn(
            f"{there.remote} has {count(len(there.set_aside), 'file')} set aside by repairs,"
            " in which none of it was found",
            f"dver fsck --clean --now -r {there.remote}",
        )


def _shared(console: Console, shared: tuple[str, ...]) -> None:
    for oid in shared:
        console.warn(f"{oid} stays: its bytes are a part of something else that is needed")
