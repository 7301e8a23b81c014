"""How the parts that several commands' results share are worded."""

from __future__ import annotations

import os
from collections.abc import Sequence

from dver.base.quoting import show
from dver.formats.recordpath import DIRECTORY
from dver.ui.console import Console
from dver.ui.humanize import count, size

MAX_STAGE = 8
RECORDS = f"/{os.fsdecode(DIRECTORY)}/"


def staging(console: Console, to_stage: Sequence[str], staged: bool) -> None:
    """Say which files git should be told about, as the command to type."""
    if staged or not to_stage:
        return
    if len(to_stage) > MAX_STAGE:
        # Git refuses a pattern that matches nothing.
        ends = [end for end in (".dver", ".gitignore") if any(p.endswith(end) for p in to_stage)]
        patterns = " ".join(f"':/*{end}'" for end in ends)
        if any(RECORDS in f"/{path}" for path in to_stage):
            patterns += f" ':{RECORDS}'"
        rest = [p for p in to_stage if not p.endswith(tuple(ends)) and RECORDS not in f"/{p}"]
        patterns += f" {pasted(rest)}" if rest else ""
        console.done(f"to stage {len(to_stage):,} files, run: git add {patterns}")
        return
    names = pasted(to_stage)
    if names.isprintable():
        console.done(f"to stage the pointers, run: git add {names}")
    else:
        console.done("to stage the pointers, run 'git add' on: " + " ".join(map(show, to_stage)))


def pasted(paths: Sequence[str]) -> str:
    """Return paths as words for a shell; records, many with long names, by their directory."""
    import shlex

    words: dict[str, None] = {}
    for path in paths:
        above, found, _ = f"/{path}".rpartition(RECORDS)
        words[f"{above}{RECORDS}"[1:-1] if found else path] = None
    return " ".join(map(shlex.quote, words))


def content(files: int, total: int, kind: str) -> str:
    """Return ``3 files, 1.2 MiB`` for a directory and the size alone for a file."""
    if kind in ("tree", "directory"):
        return f"{count(files, 'file')}, {size(total)}"
    return size(total)
