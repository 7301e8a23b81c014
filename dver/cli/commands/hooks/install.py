"""``dver hooks install``."""

from __future__ import annotations

import click

from dver.base.errors import EXIT_NEGATIVE, EXIT_OK
from dver.base.quoting import show
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.setup.hooks import PARTS, HooksOptions, HooksResult, install_hooks
from dver.ui.console import Console


def complete_parts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the hooks and drivers that there are."""
    return [part for part in PARTS if part.startswith(incomplete)]


@declare(
    "install",
    result=HooksResult,
    exits=(5, 9, 10),
    negative="some hooks are for somebody else's directory; their lines were printed",
    examples=[
        ("all hooks, the merge driver and the diff driver", "dver hooks install"),
        ("only what keeps data and commits together", "dver hooks install pre-push"),
        ("only how pointers are merged and shown", "dver hooks install merge diff"),
    ],
)
@click.argument("parts", metavar="[NAME]...", nargs=-1, shell_complete=complete_parts)
def command(app: App, parts: tuple[str, ...]) -> int:
    r"""Install hooks and drivers beside those that are there.

    \b
    pre-commit     refuses conflict markers in pointers, large files, tracked data put into git,
                   and warns of data that was changed and not added
    pre-push       pushes the data that the new commits need, or refuses to push these
    post-checkout, post-merge, post-rewrite
                   bring the data along when git moves the pointers; edits are never overwritten
    merge          merges pointers of directories file by file
    diff           shows the files that a pointer stands for in 'git diff' and 'git log -p'

    Everything is local to this clone. Hooks that are there already stay and run first. If
    core.hooksPath names a directory that is not git's own (husky, a shared one), nothing is written
    there: the lines to add are printed.
    """
    result = install_hooks(app.repo, HooksOptions(parts))
    return app.finish(result, _render, exit_code=EXIT_NEGATIVE if result.by_hand else EXIT_OK)


def _render(console: Console, result: HooksResult) -> None:
    for part in result.parts:
        if part.state == "manual":
            continue
        word = "installed" if part.name in result.changed else "unchanged"
        kept = f" (runs {show(part.kept)} first)" if part.kept else ""
        own = " (your hook calls dver)" if part.state == "called" else ""
        console.done(f"{word:<11}{part.name}{kept}{own}")
    explain_by_hand(console, result)


def explain_by_hand(console: Console, result: HooksResult) -> None:
    """Tell which lines the owner of the directory of hooks should add to which files."""
    if not result.by_hand:
        return
    owner = f", which {result.manager} looks after" if result.manager else ""
    console.warn(
        f"core.hooksPath leads to {show(result.directory)}{owner}: add these lines yourself"
    )
    for part in result.by_hand:
        console.complain(f"  {show(part.path)}:  {part.line}")
