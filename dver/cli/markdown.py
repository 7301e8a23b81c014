"""Markdown that nobody's names can break out of.

What stands in a report was written by whoever proposes a change: it may hold links, HTML, mentions
of people and table bars. All of it is shown as code, in which hosts of git read none of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dver.base.redact import printable


def code(text: str) -> str:
    """Return text as a code span that may stand in a table."""
    clean = printable(text).replace("\n", " ").replace("|", "\\|")
    if not clean.strip():
        return ""
    longest = max((len(run) for run in re.findall("`+", clean)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if clean.startswith("`") or clean.endswith("`") else ""
    return f"{fence}{pad}{clean}{pad}{fence}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table of cells that are Markdown already."""
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join(['---'] * len(heads))}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def folded(summary: str, lines: Sequence[str]) -> Iterator[str]:
    """Yield lines that are shown when somebody unfolds them."""
    yield f"<details><summary>{summary}</summary>"
    yield ""
    yield from lines
    yield ""
    yield "</details>"
