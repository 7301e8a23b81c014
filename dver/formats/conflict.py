"""What git leaves in a text file that both sides of a merge changed: the markers, taken apart.

Only pointers are read this way. A conflict may span the whole file, as dver's merge driver writes
it, or single lines of it, as git's own merge does; with ``merge.conflictStyle=diff3`` it tells the
common ancestor too.
"""

from __future__ import annotations

from typing import NamedTuple

OURS, BASE, MIDDLE, THEIRS = b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>"


class Sides(NamedTuple):
    """The three versions of a file with conflict markers; ``base`` None if they do not tell it."""

    ours: bytes
    base: bytes | None
    theirs: bytes


def has_markers(data: bytes) -> bool:
    """Tell whether a text holds lines that begin or part a conflict."""
    return any(
        line.startswith((OURS, BASE, THEIRS)) or line.rstrip(b"\r") == MIDDLE
        for line in data.split(b"\n")
    )


def take_apart(data: bytes) -> Sides | None:
    """Return the sides of a text with conflict markers; None if the markers are out of order."""
    sides: tuple[list[bytes], list[bytes], list[bytes]] = ([], [], [])
    with_base = conflicts = 0
    part: int | None = None
    for line in data.splitlines(keepends=True):
        if part is None and line.startswith(OURS):
            part, conflicts = 0, conflicts + 1
        elif part == 0 and line.startswith(BASE):
            part, with_base = 1, with_base + 1
        elif part in (0, 1) and line.rstrip(b"\r\n") == MIDDLE:
            part = 2
        elif part == 2 and line.startswith(THEIRS):
            part = None
        elif line.startswith((OURS, BASE, THEIRS)):
            return None
        else:
            for side in range(3):
                if part in (None, side):
                    sides[side].append(line)
    if part is not None or not conflicts:
        return None
    ours, base, theirs = (b"".join(lines) for lines in sides)
    return Sides(ours, base if with_base == conflicts else None, theirs)


def put_together(ours: bytes, base: bytes, theirs: bytes) -> bytes:
    """Return one conflict around the whole of three texts, each of whole lines."""
    return b"".join(
        [
            OURS,
            b" ours\n",
            ours,
            BASE,
            b" base\n",
            base,
            MIDDLE,
            b"\n",
            theirs,
            THEIRS,
            b" theirs\n",
        ]
    )
