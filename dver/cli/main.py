"""The program ``dver``: from arguments to an exit code."""

from __future__ import annotations

import gc
import os
import sys
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
    """Run the command line of this process, which is to end with the exit code returned.

    A tenth of a short command would go into looking for garbage among the code that it loads.
    """
    gc.set_threshold(_GARBAGE_THRESHOLD)
    code = main()
    gc.freeze()
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code. Nothing but interpreter exits leaves this."""
    args = list(sys.argv[1:] if argv is None else argv)
    if args == ["--version"]:
        # Answered without importing anything else: scripts and shell prompts ask often.
        sys.stdout.write(f"dver {dver.__version__}\n")
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
