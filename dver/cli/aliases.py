"""Short names for commands: ``alias.st = status --no-remote``.

Aliases stand in the settings of a user or of one clone, never in the committed ones. They name
commands of dver; no shell and no other program runs through them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from dver.base.errors import ConfigError

if TYPE_CHECKING:
    from dver.cli.context import App


def expanded(app: App, args: Sequence[str], commands: Collection[str]) -> list[str]:
    """Return arguments whose first word is a command, as far as aliases can make it one.

    A command cannot be hidden by an alias of its name. Raises ConfigError for an alias that is no
    command line of dver, or that leads back to itself.
    """
    words = list(args)
    seen: list[str] = []
    while words and words[0] not in commands:
        name = words[0]
        text = meaning(app, name)
        if text is None:
            break
        if name in seen:
            raise ConfigError(
                f"the alias {seen[0]!r} leads back to itself: {' -> '.join([*seen, name])}",
                hint=f"dver config unset alias.{name}",
            )
        seen.append(name)
        words = [*_split(name, text), *words[1:]]
    return words


def names(app: App) -> list[str]:
    """Return the aliases that there are, sorted."""
    keys = [value.key for value in app.config.values()]
    return [key.removeprefix("alias.") for key in keys if key.startswith("alias.")]


def meaning(app: App, name: str) -> str | None:
    """Return what an alias stands for, or None if there is none of this name."""
    from dver.config.schema import is_alias_name

    return app.config.text(f"alias.{name}") if is_alias_name(name) else None


def _split(name: str, text: str) -> list[str]:
    import shlex

    hint = f"dver config set alias.{name} 'status --no-remote'"
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"the alias {name!r} has an open quotation mark", hint=hint) from error
    if words and words[0].startswith("!"):
        raise ConfigError(
            f"the alias {name!r} is a shell command, which dver does not run", hint=hint
        )
    if not words or words[0].startswith("-"):
        raise ConfigError(f"the alias {name!r} does not begin with a command", hint=hint)
    return words
