"""What the shell offers after a tab: revisions, remotes, settings, steps, records, tracked paths.

A completion never prints or fails: whatever goes wrong, nothing is offered.
"""

from __future__ import annotations

import contextlib
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


def _completer(offers: Callable[[Repo, click.Context, str], Iterable[str]]) -> Completer:
    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        found = []
        try:
            app = app_of(ctx)
            for directory in ctx.find_root().params.get("directory") or ():
                os.chdir(directory)
            for text in offers(app.repo, ctx, incomplete):
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


def _revisions(repo: Repo, ctx: click.Context, incomplete: str) -> Iterator[str]:
    yield "HEAD"
    for ref in repo.git.refs():
        for prefix in ("refs/heads/", "refs/tags/", "refs/remotes/"):
            if ref.name.startswith(prefix):
                yield ref.name.removeprefix(prefix)


def _remotes(repo: Repo, ctx: click.Context, incomplete: str) -> Iterable[str]:
    return repo.config.remote_names()


def _settings(repo: Repo, ctx: click.Context, incomplete: str) -> Iterator[str]:
    from dver.config.schema import SETTINGS

    names = repo.config.remote_names()
    for setting in SETTINGS:
        before, star, after = setting.key.partition("*")
        if before == "remote.":
            yield from (before + name + after for name in names)
        elif not star:
            yield setting.key
    yield from (value.key for value in repo.config.values() if value.key.startswith("alias."))


def _remote_options(repo: Repo, ctx: click.Context, incomplete: str) -> Iterable[str]:
    from dver.config.schema import REMOTE_OPTIONS

    return REMOTE_OPTIONS


def _tracked(repo: Repo, ctx: click.Context, incomplete: str) -> Iterator[str]:
    """Yield targets, and what is below a target that was typed, of the revision if one was."""
    rev = ctx.params.get("rev")
    if isinstance(rev, str):
        yield from sorted(_of_version(repo, rev, incomplete))
        return
    found = set(_on_disk(incomplete))
    with contextlib.suppress(Exception):  # what is on disk is worth offering all the same
        if incomplete.rpartition("/")[0]:
            found.update(_of_version(repo, None, incomplete))
    yield from sorted(found)


def _on_disk(incomplete: str) -> Iterator[str]:
    from dver.formats.pointer import SUFFIX

    directory, slash, _ = incomplete.rpartition("/")
    try:
        names = os.listdir(directory or ".")
    except OSError:
        return
    for name in names:
        path = directory + slash + name
        if name == SUFFIX:
            continue
        if name.endswith(SUFFIX):
            yield path.removesuffix(SUFFIX)
        elif name == ".git" or os.path.lexists(path + SUFFIX):
            continue
        elif os.path.isdir(path):
            yield path + "/"
        elif _is_inside_target(path):
            yield path


def _is_inside_target(path: str) -> bool:
    from dver.formats.pointer import SUFFIX

    while path := os.path.dirname(path):
        if os.path.lexists(path + SUFFIX):
            return True
    return False


def _of_version(repo: Repo, rev: str | None, incomplete: str) -> Iterator[str]:
    """Yield what a version has at a path, as far as it is known here; no remote is asked."""
    from dver.formats.tree import DIRECTORY
    from dver.ops.targets.naming import below
    from dver.ops.targets.scope import Scope
    from dver.ops.targets.versions import entry_at, find_located, typed_path, version_at

    directory, slash, _ = incomplete.rpartition("/")
    path = typed_path(repo, directory or ("/" if slash else "."))
    version = version_at(repo, rev, Scope([path]), older=False)
    located = find_located(version, path)
    if located is not None:
        tree = repo.store.read_tree(entry_at(repo, version, located, repo.store).oid)
        for entry in tree:
            name = os.fsdecode(entry.name) + ("/" if entry.kind == DIRECTORY else "")
            yield directory + slash + name
        return
    start = len(path) + 1 if path else 0
    for target in below(sorted(version.pointers), path):
        name, more, _ = os.fsdecode(target[start:]).partition("/")
        yield directory + slash + name + more


def _revisions_and_paths(repo: Repo, ctx: click.Context, incomplete: str) -> Iterator[str]:
    """Yield paths and revisions; a revision that stands before decides which paths there are."""
    words = [word for word in ctx.params.get("arguments") or () if repo.git.is_revision(word)]
    if not words:
        yield from _tracked(repo, ctx, incomplete)
        yield from _revisions(repo, ctx, incomplete)
        return
    found = set(_on_disk(incomplete))
    for word in words:
        with contextlib.suppress(Exception):
            found.update(_of_version(repo, word, incomplete))
    yield from sorted(found)
    yield from _revisions(repo, ctx, incomplete)


def _records(repo: Repo, ctx: click.Context, incomplete: str) -> Iterator[str]:
    """Yield paths, their revisions after an ``@``, and the ids of records that begin so."""
    path, at, _ = incomplete.rpartition("@")
    if at:
        yield from (f"{path}@{name}" for name in _revisions(repo, ctx, ""))
        return
    yield from _tracked(repo, ctx, incomplete)
    if len(incomplete) >= _FEWEST_DIGITS and _HEX.issuperset(incomplete):
        from dver.lineage.index import LineageIndex

        with LineageIndex(repo) as index:
            yield from (one.hex()[:_SHOWN] for one in index.beginning_with(incomplete))


_HEX = frozenset("0123456789abcdef")
_FEWEST_DIGITS = 2
#: So many digits of a record's id are offered, as ``dver runs`` shows them.
_SHOWN = 10


def _steps(repo: Repo, ctx: click.Context, incomplete: str) -> Iterable[str]:
    from dver.lineage.pipelinefile import read

    steps = read(repo.root) or ()
    return dict.fromkeys(name for step in steps for name in (step.base, step.name))


revisions = _completer(_revisions)
remotes = _completer(_remotes)
settings = _completer(_settings)
remote_options = _completer(_remote_options)
tracked_paths = _completer(_tracked)
revisions_and_paths = _completer(_revisions_and_paths)
records = _completer(_records)
steps = _completer(_steps)
