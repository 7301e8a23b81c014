"""What the shell offers after a tab: revisions, remotes, tracked paths. Never an error message."""

from __future__ import annotations

from typing import Any

import click


def revisions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    """Offer branches and tags."""
    return []


def remotes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    """Offer the names of remotes."""
    return []


def tracked_paths(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    """Offer tracked paths, relative to where the user stands."""
    return []
