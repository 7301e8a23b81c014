"""``dver gc``."""

from __future__ import annotations

import click

from dver.base.errors import UsageError
from dver.base.quoting import show
from dver.cli import options
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.upkeep.gc import GcOptions, GcResult, gc
from dver.ops.upkeep.gcremote import RemoteGc, RemoteGcOptions, TrashedRoot, UnusedPack
from dver.ui.console import Console
from dver.ui.humanize import count, duration, size

SHOWN = 20


@declare(
    "gc",
    result=GcResult,
    exits=(4, 5, 6, 7, 8, 9, 10),
    examples=[
        ("how much could go?", "dver gc --dry-run"),
        ("remove it", "dver gc"),
        ("what would go in a remote, now or later, and why", "dver gc -r origin --dry-run"),
        ("keep the last 10 versions of each branch there", "dver gc -r origin --keep-last 10"),
        ("what was dropped, and how to get it back", "dver gc -r origin --trash"),
    ],
)
@options.remote("Collect in this remote instead of the local store.")
@click.option(
    "--grace",
    metavar="TIME",
    help="How long nobody must have needed something before it is deleted, such as 14d or 12h"
    " (default: gc.grace).",
)
@click.option(
    "--keep-last",
    type=click.IntRange(min=1),
    metavar="N",
    help="Drop what none of the last N versions of any branch or tag needs.",
)
@click.option(
    "--keep-within",
    metavar="TIME",
    help="Drop what no version of that time needs, such as 90d; with --keep-last either will do.",
)
@click.option(
    "--keep-branch",
    "keep_branches",
    metavar="PATTERN",
    multiple=True,
    help="Keep every version of these branches or tags, such as 'release/*'. May be repeated.",
)
@click.option(
    "--rewrite",
    is_flag=True,
    help="Copy what is needed out of packs that are mostly garbage, so that they can go. That"
    " downloads and uploads it.",
)
@click.option("--trash", is_flag=True, help="Only list what was dropped and can be restored.")
@click.option(
    "--restore",
    metavar="ID",
    multiple=True,
    help="Bring back what was dropped: an id of --trash, or 'all'. May be repeated.",
)
@options.force(
    "Go on although the remote has no roots, or most of those seen before are gone, or its clock"
    " went back."
)
@options.dry_run
def command(
    app: App,
    remote: str | None,
    grace: str | None,
    keep_last: int | None,
    keep_within: str | None,
    keep_branches: tuple[str, ...],
    rewrite: bool,
    trash: bool,
    restore: tuple[str, ...],
    force: bool,
    dry_run: bool,
) -> int:
    """Remove content that nothing needs any more, here or in a remote.

    Here, whatever a pointer names is kept: in any branch, tag, stash or reflog entry, and in the
    index and workspace of every worktree, of this repository and of others that share the store.
    So is the content of data whose pointer is gone. No remote is touched.

    With -r, whatever was pushed to the remote is kept, by whomever, unless a --keep option drops
    it: then git says what the versions to be kept need. Other people may push meanwhile. What
    nobody needs is deleted when that has been so for the grace, so run this now and then; what is
    dropped can be restored for as long.
    """
    if remote is None:
        if any((grace, keep_last, keep_within, keep_branches, rewrite, trash, restore, force)):
            raise UsageError("this is about a remote", hint="name it with -r")
        result = gc(app.repo, GcOptions(dry_run=dry_run), app.reporter)
        return app.finish(result, _render)
    if (trash or restore) and (keep_last or keep_within or keep_branches):
        raise UsageError("dropping and restoring are two things", hint="do one after the other")
    asked = RemoteGcOptions(
        remote=remote,
        dry_run=dry_run,
        grace=grace,
        keep_last=keep_last,
        keep_within=keep_within,
        keep_branches=keep_branches,
        rewrite=rewrite,
        force=force,
        trash=trash,
        restore=restore,
    )
    result = gc(app.repo, GcOptions(dry_run=dry_run, remote=asked), app.reporter)
    code = result.remote.exit_code if result.remote is not None else 0
    return app.finish(result, _render, exit_code=code)


def _render(console: Console, result: GcResult) -> None:
    if result.remote is not None:
        _render_remote(console, result.remote, dry_run=result.dry_run)
        return
    verb = "would remove" if result.dry_run else "removed"
    if result.removed_objects or result.leftovers or result.freed_bytes:
        console.done(
            f"{verb} {count(result.removed_objects, 'object')} and"
            f" {count(result.leftovers, 'leftover file')}, {size(result.freed_bytes)}"
        )
    else:
        console.done("nothing to remove")
    console.done(
        f"kept {count(result.kept_objects, 'object')} of {count(result.versions, 'version')}"
    )
    console.detail(f"packs: {result.packs_deleted} deleted, {result.packs_rewritten} rewritten")


def _render_remote(console: Console, result: RemoteGc, *, dry_run: bool) -> None:
    if result.did == "restore":
        verb = "would restore" if dry_run else "restored"
        console.done(f"{verb} {count(len(result.restored), 'root')}")
        _roots(console, result.restored)
        return
    if result.did == "list":
        console.done(f"{count(len(result.trash), 'root')} in the trash of {result.remote}")
        _roots(console, result.trash)
        return
    would = "would be " if dry_run else ""
    if result.dropped:
        console.done(
            f"{count(len(result.dropped), 'root')} {would}moved to the trash, for"
            f" {duration(result.grace)}"
        )
        _roots(console, result.dropped)
    if result.rewritten:
        console.done(f"rewritten: {count(result.rewritten, 'pack')} that held mostly garbage")
    if result.removed:
        console.done(f"{would}removed: {_much(result.removed, result.freed_bytes)}")
        _packs(console, result.removed, dry_run=dry_run)
    elif not result.dropped:
        console.done("nothing to remove yet" if result.waiting else "nothing to remove")
    if result.waiting:
        console.done(
            f"waiting: {_much(result.waiting, result.waiting_bytes)}, until nobody has needed them"
            f" for {duration(result.grace)}"
        )
        _packs(console, result.waiting, dry_run=dry_run)
    console.done(
        f"kept {count(result.packs, 'pack')}, {size(result.bytes)}, for"
        f" {count(result.roots, 'root')}"
    )
    console.detail(f"of that nobody needs {size(result.wasted_bytes)}, in packs that are needed")
    console.detail(f"{count(result.requests, 'request')} to {result.description}")
    if result.refused:
        console.warn(
            f"{count(len(result.refused), 'key')} could not be deleted: {result.reason}",
            "what is locked or protected there goes when a later collection may delete it",
        )


def _much(packs: tuple[UnusedPack, ...], total: int) -> str:
    return f"{count(len(packs), 'pack')}, {size(total)}"


def _packs(console: Console, packs: tuple[UnusedPack, ...], *, dry_run: bool) -> None:
    if not dry_run and not console.verbose:
        return
    shown = packs if console.verbose else packs[:SHOWN]
    for one in shown:
        console.print(f"    {one.key[:24]}  {size(one.size)}  since {one.since}: {one.why}")
    if len(packs) > len(shown):
        console.print(f"    and {len(packs) - len(shown):,} more (-v)")


def _roots(console: Console, roots: tuple[TrashedRoot, ...]) -> None:
    shown = roots if console.verbose else roots[:SHOWN]
    for one in shown:
        when = f", dropped {one.dropped}" if one.dropped else ""
        paths = ", ".join(show(path) for path in one.paths[:3])
        more = f" and {len(one.paths) - 3:,} more" if len(one.paths) > 3 else ""
        kept = f" ({count(one.kept, 'object')} of it kept)" if one.kept else ""
        console.print(f"    {one.session[:12]}  pushed {one.created}{when}: {paths}{more}{kept}")
    if len(roots) > len(shown):
        console.print(f"    and {len(roots) - len(shown):,} more (-v)")
