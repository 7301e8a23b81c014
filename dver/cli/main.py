"""The program ``dver``: from arguments to an exit code."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dver

if TYPE_CHECKING:
    from dver.cli.context import App

# Set by the shell that asks for completions; see dver.cli.completion.
COMPLETE_VARIABLE = "_DVER_COMPLETE"
# How many new objects make Python look for garbage; its own default is 700.
_GARBAGE_THRESHOLD = 50_000


def program() -> int:
    """Run the command line of this process, and end it, or return the exit code to end it with.

    A tenth of a short command would go into looking for garbage among the code that it loads, and
    another into taking all of that apart in the end.
    """
    gc.set_threshold(_GARBAGE_THRESHOLD)
    code = main()
    if all(thread.daemon for thread in threading.enumerate()[1:]):
        atexit._run_exitfuncs()  # noqa: SLF001 - it has no other name
        with contextlib.suppress(OSError, ValueError):  # closed; Python has its own words for that
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            os._exit(code)
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code. Nothing but interpreter exits leaves this."""
    args = list(sys.argv[1:] if argv is None else argv)
    if args == ["--version"] and sys.stdout is not None:
        # Answered without importing anything else: scripts and shell prompts ask often.
        with contextlib.suppress(OSError):  # there are words for it below
            os.write(sys.stdout.fileno(), f"dver {dver.__version__}\n".encode())
            return 0
    try:
        from dver.cli.context import App
        from dver.cli.stopping import stopped_by_signals

        with stopped_by_signals():
            return _run(App(os.environ), args)
    except KeyboardInterrupt:
        # Before or after the command itself; the command's own interrupt is reported below.
        sys.stderr.write("interrupted\n")
        return 130


def _run(app: App, args: list[str]) -> int:
    # A usage error may come before the option is reached, and is to be in the asked form too.
    options = args[: args.index("--")] if "--" in args else args
    app.console.json = "--json" in options
    try:
        try:
            code = _invoke(app, args)
            app.console.flush()
        finally:
            app.close()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the one error handler
        from dver.cli.exits import report

        return report(app, error)
    return code


def _invoke(app: App, args: list[str]) -> int:
    app.look_ahead(args)
    from dver.cli.root import root

    instruction = app.environ.get(COMPLETE_VARIABLE)
    if instruction:
        from dver.cli.completion import answer

        return answer(app, root, instruction)
    with root.make_context("dver", args, obj=app) as context:
        code = root.invoke(context)
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(program())
