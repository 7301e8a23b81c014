"""The options that choose a level of configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from dver.base.errors import UsageError
from dver.ops.setup.config import FileLevel


def level_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--user``, ``--repository`` and ``--local`` to a command."""
    texts = {
        "local": "In the settings of this clone only.",
        "repository": "In the committed settings, .dver/config.yaml, for everyone.",
        "user": "In the settings of this user, for all repositories.",
    }
    for name, text in texts.items():
        function = click.option(f"--{name}", is_flag=True, help=text)(function)
    return function


def chosen_level(*, user: bool, repository: bool, local: bool) -> FileLevel | None:
    """Return the one level that was chosen, or None."""
    chosen: list[FileLevel] = []
    if user:
        chosen.append("user")
    if repository:
        chosen.append("repository")
    if local:
        chosen.append("local")
    if len(chosen) > 1:
        raise UsageError(f"--{chosen[0]} and --{chosen[1]} exclude each other")
    return chosen[0] if chosen else None
