"""``dver gc``."""

from __future__ import annotations

from dver.cli import options
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.gc import GcOptions, GcResult, gc
from dver.ui.console import Console
from dver.ui.humanize import count, size


@declare(
    "gc",
    result=GcResult,
    exits=(5, 6, 7, 9, 10),
    examples=[
        ("how much could go?", "dver gc --dry-run"),
        ("remove it", "dver gc"),
    ],
)
@options.dry_run
def command(app: App, dry_run: bool) -> int:
    """Remove content from the local store that nothing needs any more.

    Whatever a pointer names is kept: in any branch, tag, stash or reflog entry, and in the index
    and workspace of every worktree, of this repository and of others that share the store. So is
    the content of data whose pointer is gone. No remote is touched.
    """
    result = gc(app.repo, GcOptions(dry_run=dry_run), app.reporter)
    return app.finish(result, _render)


def _render(console: Console, result: GcResult) -> None:
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
