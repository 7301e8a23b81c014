"""Executes the examples of a documentation page, as a reader would type them.

A page's fenced ``console`` blocks are one session, from top to bottom: lines that begin with ``$ ``
are typed into one shell, in a fresh directory; what follows is compared with what they print. In
expected output ``...`` stands for anything on the rest of a line, a line ``...`` for any lines, and
hashes, dates, sizes of packs and durations may differ. A ``pycon`` block is a session of Python in
the shell's directory; in it ``...`` stands for anything. A comment before a block adds to the
session without showing: ``<!-- run: COMMAND -->``; ``<!-- new session -->`` starts over in a new
directory; ``<!-- needs: s3 -->`` gives the page's session an S3 server.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_FENCE = re.compile(
    r"^<!-- (?P<note>run: .*?|new session|needs: \w+|exit: \d+) -->$"
    r"|^```console\n(?P<block>.*?)^```$"
    r"|^```pycon\n(?P<python>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_LOOSE = [
    (re.compile(r"\b[0-9a-f]{7,64}\b"), "HASH"),
    (re.compile(r"\b\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?( ?[+-]\d{4}|Z)?)?"), "DATE"),
    (re.compile(r"\b\d+(\.\d+)? ?(ms|s)\b"), "TIME"),
    # What is stored depends on zstd's version: "(1.2 KiB in 2 packs)", "2 packs, 3 objects, 9 B".
    (re.compile(r"\([\d.]+ [KMG]?i?B( in \d+ packs?\)|\) from )"), r"(SIZE\1"),
    (re.compile(r"( packs?, \d+ objects?), [\d.]+ [KMG]?i?B"), r"\1, SIZE"),
    (re.compile(r"(B +[\d.]+ [KMG]?i?B +)[\d.]+ [KMG]?i?B( +\d+ )"), r"\1SIZE\2"),
    (re.compile(r"(local store:) .*? in "), r"\1 SIZES in "),
    (re.compile(r"\s+"), " "),
]


_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]*))?\)")


def links(page: str) -> Iterator[tuple[str, str]]:
    """Yield (path, anchor) of each link to another file, or within the page, outside of code."""
    for match in _LINK.finditer(_CODE.sub("", page)):
        yield match[1], match[2] or ""


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.*)$", _CODE.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@dataclass
class Typed:
    """One command as typed, with the output that the page shows and the exit code it implies."""

    command: str
    expected: list[str] = field(default_factory=list)
    line: int = 0
    shown: bool = True
    exit_code: int = 0


@dataclass
class Session:
    """Commands for one shell in one fresh directory."""

    typed: list[Typed] = field(default_factory=list)
    needs: set[str] = field(default_factory=set)


def sessions(page: str) -> list[Session]:
    """Return a page's sessions."""
    found = [Session()]
    exit_code = 0
    for match in _FENCE.finditer(page):
        note = match["note"]
        line = page.count("\n", 0, match.start()) + 1
        if note == "new session":
            found.append(Session(needs=set(found[-1].needs)))
        elif note and note.startswith("needs: "):
            found[-1].needs.add(note.removeprefix("needs: "))
        elif note and note.startswith("exit: "):
            exit_code = int(note.removeprefix("exit: "))
        elif match["python"] is not None:
            found[-1].typed.append(Typed(_python(match["python"]), line=line, shown=False))
        elif note:
            found[-1].typed.append(Typed(note.removeprefix("run: "), line=line, shown=False))
        else:
            block = list(_typed(match["block"], line + 1))
            if exit_code and block:
                block[-1].exit_code, exit_code = exit_code, 0
            found[-1].typed += block
    return [one for one in found if one.typed]


def _python(block: str) -> str:
    """Return the command that runs a Python session and compares what it prints."""
    program = shlex.join([sys.executable, str(Path(__file__).with_name("pycon.py"))])
    return f"{program} <<'END OF THE SESSION'\n{block}END OF THE SESSION"


def _typed(block: str, first_line: int) -> Iterator[Typed]:
    current: Typed | None = None
    for number, text in enumerate(block.splitlines(), first_line):
        if text.startswith("$ "):
            if current is not None:
                yield current
            current = Typed(text[2:], line=number)
        elif current is not None and current.command.endswith("\\"):
            current.command += "\n" + text.removeprefix("> ")
        elif current is not None:
            current.expected.append(text)
    if current is not None:
        yield current


def play(session: Session, directory: Path, env: Mapping[str, str]) -> list[str]:
    """Type a session's commands into one shell; return what differs from the page, readably."""
    directory.mkdir(parents=True, exist_ok=True)
    marker = "=-=-="
    script = []
    for one in session.typed:
        script.append(f"{one.command}\nprintf '\\n{marker}%s\\n' \"$?\"")
    done = subprocess.run(
        ["bash", "--norc", "-c", "exec 2>&1\n" + "\n".join(script)],
        cwd=directory,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=False,
        timeout=300,
    )
    parts = re.split(rf"\n{marker}(\d+)\n", done.stdout.decode(errors="replace"))
    outputs, codes = parts[0::2], parts[1::2]
    problems = []
    for number, one in enumerate(session.typed):
        if number >= len(codes):
            problems.append(f"line {one.line}: the shell ended before: {one.command}")
            break
        got = outputs[number].rstrip("\n")
        if int(codes[number]) != one.exit_code:
            problems.append(
                f"line {one.line}: $ {one.command}\nexit code {codes[number]},"
                f" expected {one.exit_code}\n{got}"
            )
        elif one.shown and not matches(one.expected, got.split("\n") if got else []):
            expected = "\n".join(one.expected)
            problems.append(
                f"line {one.line}: $ {one.command}\n--- the page\n{expected}\n--- printed\n{got}"
            )
    return problems


def matches(expected: list[str], got: list[str]) -> bool:
    """Say whether printed lines are what the page shows, loosely (see the module's text)."""
    expected = [line for line in expected if line.strip()]
    got = [line for line in got if line.strip()]
    if not expected:
        return not got
    if expected[0].strip() == "...":
        return any(matches(expected[1:], got[skip:]) for skip in range(len(got) + 1))
    if not got or not _same_line(expected[0], got[0]):
        return False
    return matches(expected[1:], got[1:])


def _same_line(expected: str, got: str) -> bool:
    for pattern, word in _LOOSE:
        expected = pattern.sub(word, expected)
        got = pattern.sub(word, got)
    pieces = [re.escape(piece.strip()) for piece in expected.split("...")]
    return re.fullmatch(r"\s*" + r".*?".join(pieces) + r"\s*", got) is not None
