"""``dver init``."""

from __future__ import annotations

from dver.base.quoting import show
from dver.cli.command import declare
from dver.cli.context import App
from dver.ops.setup.init import InitOptions, InitResult, init
from dver.ui.console import Console


@declare(
    "init",
    result=InitResult,
    access="repository",
    exits=(10,),
    examples=[
        ("start a project", "git init fraud && cd fraud && dver init"),
        ("the same for a repository that exists; it may be run again at any time", "dver init"),
    ],
)
def command(app: App) -> int:
    """Set dver up in a git repository.

    Writes .dver/config.yaml, which is to be committed, and creates the local store inside
    the .git directory, where it can never be committed. Running it again changes nothing.
    """
    result = init(app.repo, InitOptions(), app.reporter)
    return app.finish(result, _render)


def _render(console: Console, result: InitResult) -> None:
    if not result.created:
        console.done(f"dver is set up in {show(result.root)} already")
        return
    where = f" (the root of this git repository: {show(result.root)})" if result.below_root else ""
    console.done(f"set dver up{where}")
    console.detail(f"store: {show(result.store)}")
    console.done(f"commit {show(result.config)}, then run 'dver add' on your data")
