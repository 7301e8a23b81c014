"""``dver hooks run``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from dver.base.errors import EXIT_NEGATIVE, EXIT_OK, UsageError
from dver.base.quoting import show
from dver.cli.command import declare
from dver.cli.context import App
from dver.git.hookscripts import HOOKS
from dver.ops.githooks.run import HookCall, HookRun, run_hook
from dver.ui.console import Console
from dver.ui.humanize import count, size

if TYPE_CHECKING:
    from dver.git.pushed import PushedRef

_REFUSED = 5
_MAX_REFS = 64 << 20
_NAMES = (*HOOKS, "merge", "textconv")


@declare(
    "run",
    result=HookRun,
    access="repository",
    exits=(3, 4, 5, 6, 7, 8, 9, 10, 11),
    negative="the merge driver could not merge",
    examples=[
        ("in a hook of your own", 'dver hooks run pre-push "$@"'),
        ("what a commit would be refused for", "dver hooks run pre-commit"),
    ],
)
@click.argument("name", metavar="NAME")
@click.argument("arguments", metavar="[ARGUMENT]...", nargs=-1, type=click.UNPROCESSED)
def command(app: App, name: str, arguments: tuple[str, ...]) -> int:
    """Do what a hook does, for hooks of your own and hook managers.

    NAME is pre-commit, pre-push, post-checkout, post-merge or post-rewrite, and the ARGUMENTs are
    those that git gives to the hook; pre-push reads its standard input too. Where 'dver init' was
    not run, there is nothing to do. The variables of pre-commit (https://pre-commit.com) take the
    place of missing arguments.
    """
    if name not in _NAMES:
        raise UsageError(f"there is no hook {name!r}", hint=f"choose from {', '.join(_NAMES)}")
    if name == "textconv":
        return _textconv(app, _exactly(name, arguments, 1))
    if name == "merge":
        return _merge(app, _exactly(name, arguments, 5))
    result = run_hook(app.repo, _call(app, name, arguments), app.reporter)
    return app.finish(result, _render, exit_code=_REFUSED if result.refused else EXIT_OK)


def _exactly(name: str, arguments: Sequence[str], number: int) -> Sequence[str]:
    if len(arguments) != number:
        raise UsageError(f"{name} takes {count(number, 'argument')}, not {len(arguments)}")
    return arguments


def _textconv(app: App, arguments: Sequence[str]) -> int:
    from dver.ops.githooks.textconv import as_text

    app.console.binary().write(as_text(app.repo, arguments[0]))
    return EXIT_OK


def _merge(app: App, arguments: Sequence[str]) -> int:
    from dver.ops.githooks.mergedriver import DriverOptions, merge_driver

    base, ours, theirs, _, path = arguments
    done = merge_driver(app.repo, DriverOptions(base, ours, theirs, path), app.reporter)
    return EXIT_OK if done.merged else EXIT_NEGATIVE


def _call(app: App, name: str, arguments: Sequence[str]) -> HookCall:
    """Return what git said, by arguments and standard input or by pre-commit's variables."""
    environ = app.environ
    if name == "pre-push":
        remote = (arguments[:1] or [environ.get("PRE_COMMIT_REMOTE_NAME", "")])[0]
        return HookCall(name, remote, _refs(app))
    first = (arguments[:1] or [environ.get("PRE_COMMIT_REWRITE_COMMAND", "")])[0]
    third = (arguments[2:3] or [environ.get("PRE_COMMIT_CHECKOUT_TYPE", "1")])[0]
    # 'git checkout -- FILE' moves no branch, and 'git commit --amend' no file.
    stays = (name == "post-checkout" and third == "0") or (name, first) == ("post-rewrite", "amend")
    return HookCall(name, moved=not stays)


def _refs(app: App) -> list[PushedRef]:
    from dver.git.pushed import PushedRef, parse_refs

    environ, git = app.environ, app.repo.git
    if environ.get("PRE_COMMIT") == "1":
        # pre-commit reads the lines itself. For a branch that is new it tells no commit.
        here = environ.get("PRE_COMMIT_TO_REF") or environ.get("PRE_COMMIT_LOCAL_BRANCH", "HEAD")
        there = environ.get("PRE_COMMIT_FROM_REF", "")
        known = git.resolve(there) if there and git.is_revision(there) else ""
        return [PushedRef(git.resolve(here), known)]
    data = b"" if sys.stdin is None else sys.stdin.buffer.read(_MAX_REFS)
    return parse_refs(data)


def _render(console: Console, result: HookRun) -> None:
    for one in result.problems:
        much = "" if one.size is None else f" ({size(one.size)})"
        text = f"{show(one.path)}{much}: {one.message}"
        if one.refused:
            console.complain(f"{console.style('error:', 'red', 'bold', on='err')} {text}")
            console.complain(f"{console.style('hint:', 'cyan', on='err')} {one.hint}")
        else:
            console.warn(text, one.hint)
    if result.refused:
        console.complain(
            "dver refuses this commit ('git commit --no-verify' makes it all the same)"
        )
    for target in result.updated:
        facts = []
        if target.written:
            facts.append(f"{count(target.written, 'file')} written, {size(target.bytes)}")
        if target.deleted:
            facts.append(f"{count(target.deleted, 'file')} deleted")
        word = "removed" if target.removed else "updated"
        console.talk(f"dver: {word} {show(target.path)} ({', '.join(facts)})")
    done = result.pushed
    if done is not None and done.objects:
        packs = f"{size(done.bytes)} in {count(done.packs, 'pack')}"
        console.talk(f"dver: pushed {count(done.objects, 'object')} ({packs}) to {done.remote}")
