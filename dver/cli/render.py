"""How the parts that several commands' results share are worded."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from dver.base.fsio import show
from dver.ui.console import Console
from dver.ui.humanize import count, size

MAX_STAGE = 8


def staging(console: Console, to_stage: Sequence[str], staged: bool) -> None:
    """Say which files git should be told about, as the command to type."""
    if staged or not to_stage:
        return
    if len(to_stage) > MAX_STAGE:
        console.done(f"to stage {len(to_stage):,} files, run: git add ':/*.dver' ':/*.gitignore'")
        return
    names = " ".join(shlex.quote(path) for path in to_stage)
    if names.isprintable():
        console.done(f"to stage the pointers, run: git add {names}")
    else:
        console.done("to stage the pointers, run 'git add' on: " + " ".join(map(show, to_stage)))


def content(files: int, total: int, kind: str) -> str:
    """Return ``3 files, 1.2 MiB`` for a directory and the size alone for a file."""
    if kind in ("tree", "directory"):
        return f"{count(files, 'file')}, {size(total)}"
    return size(total)
