"""Set dver up in a git repository: the committed configuration file and the local store."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InitOptions:
    """There is nothing to choose yet; the class keeps the shape of every other operation."""


@dataclass(frozen=True, slots=True)
class InitResult:
    """What was set up.

    ``root`` is the absolute path of the git work tree, which is set up as a whole;
    ``below_root`` says that the command was run in a sub-directory of it. ``config`` is the
    committed file, relative to where the user stands; ``store`` the absolute path of the local
    store. ``created`` is False when everything was there already.
    """

    root: str
    config: str
    store: str
    created: bool
    below_root: bool
