"""What the shell offers after a tab: revisions, remotes, settings, tracked paths.

A completion never prints or fails: whatever goes wrong, nothing is offered.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from dver.cli.context import App, app_of

if TYPE_CHECKING:
    from dver.repo import Repo

Completer = Callable[[click.Context, click.Parameter, str], list[Any]]
MOST = 500
VARIABLE = "_DVER_COMPLETE"


def answer(app: App, root: click.Command, instruction: str) -> int:
    """Answer the shell's question, which stands in the environment, and return the exit code."""
    from click.shell_completion import shell_complete

    try:
        return shell_complete(root, {"obj": app}, "dver", VARIABLE, instruction)
    except Exception:  # noqa: BLE001 - the shell would show it in the middle of the line
        return 1


def _completer(offers: Callable[[Repo, str], Iterable[str]]) -> Completer:
    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        found = []
        try:
            app = app_of(ctx)
            for directory in ctx.find_root().params.get("directory") or ():
                os.chdir(directory)
            for text in offers(app.repo, incomplete):
                if text.startswith(incomplete) and text.isprintable() and can_be_typed(app, text):
                    found.append(text)
                if len(found) >= MOST:
                    break
        except Exception:  # noqa: BLE001 - the shell would show it in the middle of the line
            return []
        return found

    return complete


def can_be_typed(app: App, text: str) -> bool:
    """Tell whether a shell that puts an offer into the line takes it for what it is.

    bash is given plain words, which it does not quote: a file called ``$(...)``, which came with
    somebody's repository, would be run at the next Enter. The others quote what they insert.
    """
    if not app.environ.get(VARIABLE, "").startswith("bash"):
        return True
    return _SPECIAL.isdisjoint(text) and not text.startswith(("~", "-"))


_SPECIAL = frozenset(" \t\\'\"`$&|;<>()[]{}*?!#^")


def _revisions(repo: Repo, incomplete: str) -> Iterator[str]:
    yield "HEAD"
    for ref in repo.git.refs():
        for prefix in ("refs/heads/", "refs/tags/", "refs/remotes/"):
            if ref.name.startswith(prefix):
                yield ref.name.removeprefix(prefix)


def _remotes(repo: Repo, incomplete: str) -> Iterable[str]:
    return repo.config.remote_names()


def _settings(repo: Repo, incomplete: str) -> Iterator[str]:
    from dver.config.schema import SETTINGS

    names = repo.config.remote_names()
    for setting in SETTINGS:
        before, star, after = setting.key.partition("*")
        if before == "remote.":
            yield from (before + name + after for name in names)
        elif not star:
            yield setting.key
    yield from (value.key for value in repo.config.values() if value.key.startswith("alias."))


def _remote_options(repo: Repo, incomplete: str) -> Iterable[str]:
    from dver.config.schema import REMOTE_OPTIONS

    return REMOTE_OPTIONS


def _tracked(repo: Repo, incomplete: str) -> Iterator[str]:
    """Yield targets, and what is in the workspace below a target that was typed."""
    from dver.formats.pointer import SUFFIX

    directory, slash, _ = incomplete.rpartition("/")
    for name in sorted(os.listdir(directory or ".")):
        path = directory + slash + name
        if name == SUFFIX:
            continue
        if name.endswith(SUFFIX):
            yield path.removesuffix(SUFFIX)
        elif name != ".git" and os.path.isdir(path) and not os.path.lexists(path + SUFFIX):
            yield path + "/"
        elif not os.path.lexists(path + SUFFIX) and _is_inside_target(path):
            yield path


def _is_inside_target(path: str) -> bool:
    from dver.formats.pointer import SUFFIX

    while path := os.path.dirname(path):
        if os.path.lexists(path + SUFFIX):
            return True
    return False


def _revisions_and_paths(repo: Repo, incomplete: str) -> Iterator[str]:
    yield from _tracked(repo, incomplete)
    yield from _revisions(repo, incomplete)


revisions = _completer(_revisions)
remotes = _completer(_remotes)
settings = _completer(_settings)
remote_options = _completer(_remote_options)
tracked_paths = _completer(_tracked)
revisions_and_paths = _completer(_revisions_and_paths)
