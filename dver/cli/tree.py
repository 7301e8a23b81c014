"""Every command of the program in one walk, for the pages that are generated from them."""

from __future__ import annotations

from collections.abc import Iterator

import click

from dver.cli.command import Lazy
from dver.cli.root import root

#: What writes all generated pages; each of them says so.
AGAIN = "python -m dver.cli.reference --write"


def walk(group: Lazy = root, path: str = "dver") -> Iterator[tuple[str, click.Command]]:
    """Yield (full name, command) of every group and command, in the order of the tables."""
    context = click.Context(group, info_name=path)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if found is None:
            raise LookupError(name)
        yield f"{path} {name}", found
        if isinstance(found, Lazy):
            yield from walk(found, f"{path} {name}")


def usage(name: str, found: click.Command) -> str:
    """Return the line that says what a command takes."""
    if isinstance(found, Lazy):
        return f"{name} COMMAND [ARGS]..."
    arguments = [param.metavar or "" for param in found.params if isinstance(param, click.Argument)]
    return " ".join([name, "[OPTIONS]", *arguments])
