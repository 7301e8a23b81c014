"""``dver help``."""

from __future__ import annotations

from typing import Literal

import click

from dver.base.dataclass import dataclass
from dver.cli import aliases
from dver.cli.command import Lazy, UnknownCommandError, declare
from dver.cli.concepts import CONCEPTS, text_of
from dver.cli.context import App
from dver.ui.console import Console

Kind = Literal["overview", "command", "concept", "alias", "man"]


@dataclass(frozen=True, slots=True)
class HelpResult:
    """What was asked for, what kind of thing it is, and its page."""

    topic: str
    kind: Kind
    text: str


def _topics(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer commands and concepts, and after a group its commands."""
    group: click.Command | None = ctx.find_root().command
    words = ctx.params.get("words") or ()
    for word in words:
        group = group.get_command(ctx, word) if isinstance(group, Lazy) else None
    names = group.list_commands(ctx) if isinstance(group, Lazy) else []
    offered = (*names, *(() if words else CONCEPTS))
    return [name for name in offered if name.startswith(incomplete)]


@declare(
    "help",
    result=HelpResult,
    access="none",
    examples=[
        ("all commands and concepts", "dver help"),
        ("one command", "dver help remote add"),
        ("one concept", "dver help pointers"),
        ("the manual page, where none was installed", "dver help --man | man -l -"),
    ],
)
@click.argument("words", metavar="[COMMAND|CONCEPT]...", nargs=-1, shell_complete=_topics)
@click.option("--man", is_flag=True, help="Print the manual page dver(1), as troff.")
def command(app: App, words: tuple[str, ...], man: bool) -> int:
    """Explain a command, or an idea behind the commands.

    Without a word, all commands and concepts are listed.
    """
    if man:
        from dver.cli.manpage import page

        return app.finish(HelpResult("", "man", page()), _render)
    return app.finish(_find(app, words), _render, long=True)


def _find(app: App, words: tuple[str, ...]) -> HelpResult:
    context = click.get_current_context().find_root()
    topic = " ".join(words)
    if not words:
        return HelpResult(topic, "overview", context.get_help() + "\n")
    if words[0] in CONCEPTS and len(words) == 1:
        return HelpResult(topic, "concept", text_of(words[0]))
    root = context.command
    if not isinstance(root, Lazy) or root.get_command(context, words[0]) is None:
        text = aliases.meaning(app, words[0])
        if text is not None:
            return HelpResult(topic, "alias", f"{words[0]!r} is an alias for '{text}'\n")
    found = root
    for word in words:
        inner = found.get_command(context, word) if isinstance(found, Lazy) else None
        if inner is None:
            names = found.list_commands(context) if isinstance(found, Lazy) else []
            more = list(CONCEPTS) if found is root else []
            raise UnknownCommandError(word, [*names, *more], context)
        found = inner
        context = click.Context(found, parent=context, info_name=word)
    return HelpResult(topic, "command", found.get_help(context) + "\n")


def _render(console: Console, result: HelpResult) -> None:
    console.write(result.text)
