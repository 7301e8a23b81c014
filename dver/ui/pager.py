"""Showing long results through a pager, as git does: only on a terminal, and only when needed."""

from __future__ import annotations

import contextlib
import io
import shlex
from collections.abc import Iterator, Mapping
from typing import IO, Any

from dver.ui.console import Console, OutputClosedError

#: Quit at once if it fits on one screen, show colours, leave the screen as it was found.
LESS = "FRX"


def command_of(configured: str | None, environ: Mapping[str, str]) -> list[str]:
    """Return the words of the pager to run, none for no pager.

    The first that is there counts: ``DVER_PAGER``, the setting ``core.pager``, ``GIT_PAGER``,
    ``PAGER``, ``less``. An empty one and ``cat`` mean no pager. The words are parted as a shell
    parts them, but no shell runs.
    """
    if "DVER_PAGER" in environ:
        text = environ["DVER_PAGER"]
    elif configured is not None:
        text = configured
    else:
        text = environ.get("GIT_PAGER", environ.get("PAGER", "less"))
    try:
        words = shlex.split(text)
    except ValueError:  # a quotation mark without its other half
        words = text.split()
    return [] if words == ["cat"] else words


@contextlib.contextmanager
def paged(console: Console, words: list[str], environ: Mapping[str, str]) -> Iterator[None]:
    """Let all that the block prints go through a pager, and wait until its reader is done.

    A reader who leaves before the end ends the block, silently. Without such a program everything
    is printed as if there were none.
    """
    import subprocess

    given = {"LESS": LESS, "LV": "-c", **environ}
    try:
        process: Any = subprocess.Popen(words, stdin=subprocess.PIPE, env=given)
    except OSError as error:
        if words != ["less"]:
            reason = (error.strerror or "it cannot be run").lower()
            console.warn(f"cannot run the pager {words[0]}: {reason}", "dver config get core.pager")
        yield
        return
    stream = _text(process.stdin)
    try:
        with console.through(stream):
            try:
                yield
                console.flush()
            except OutputClosedError:
                pass
    finally:
        with contextlib.suppress(OSError):
            stream.close()
        _wait(process)


def _text(binary: IO[bytes]) -> io.TextIOWrapper:
    return io.TextIOWrapper(binary, encoding="utf-8", errors="backslashreplace", newline="")


def _wait(process: Any) -> None:
    """Wait for a pager, for which Ctrl-C is a key like any other."""
    while True:
        try:
            process.wait()
        except KeyboardInterrupt:
            continue
        return
