"""From any exception to a message, a hint and an exit code. Nothing else prints errors."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import traceback
from collections.abc import Sequence

import click

import dver
from dver.base.errors import EXIT_BUG, EXIT_INTERRUPTED, DverError, SystemFailure, UsageError
from dver.base.fsio import failure
from dver.base.quoting import show
from dver.base.redact import printable, redact, without_homes
from dver.cli.command import UnknownCommandError
from dver.cli.context import App
from dver.cli.stopping import StoppedError
from dver.ui.console import Console, OutputClosedError

MAX_PATHS = 20
EXIT_OUTPUT_CLOSED = 141
EXIT_STOPPED = 143


def report(app: App, error: BaseException) -> int:
    """Show an error as text or as JSON and return the exit code it stands for."""
    if isinstance(error, click.exceptions.Exit):
        try:
            app.console.flush()
        except (OutputClosedError, DverError) as unsaid:
            return report(app, unsaid)
        return error.exit_code
    try:
        code = _report(app, error)
        app.console.flush()
    except (OutputClosedError, DverError):
        # The error could not be shown on standard output either; its exit code still tells.
        app.console.abandon_output()
        return EXIT_OUTPUT_CLOSED if isinstance(error, OutputClosedError) else _code_of(error)
    return code


def _code_of(error: BaseException) -> int:
    known = _known(error) if isinstance(error, Exception) else None
    return EXIT_BUG if known is None else known.exit_code


def _report(app: App, error: BaseException) -> int:
    if isinstance(error, OutputClosedError):
        app.console.abandon_output()
        return EXIT_OUTPUT_CLOSED
    if isinstance(error, KeyboardInterrupt | click.Abort):
        code = EXIT_STOPPED if isinstance(error, StoppedError) else EXIT_INTERRUPTED
        _show(app, "interrupted", "interrupted", code)
        return code
    if app.debug:
        trace = "".join(traceback.format_exception(error)).rstrip()
        app.console.complain(_public(trace, app))
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        app.console.complain(error.format_message())
        return error.exit_code
    known = _known(error)
    if known is None:
        return _bug(app, error)
    hint = known.hint
    if hint is None and isinstance(error, click.UsageError) and app.command:
        hint = f"see 'dver {app.command} --help'"
    _show(app, known.code, known.message, known.exit_code, hint=hint, paths=known.paths)
    return known.exit_code


def _known(error: BaseException) -> DverError | None:
    """Return the error of dver that an exception is or stands for, or None for a bug."""
    if isinstance(error, DverError):
        return error
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, MemoryError):
        return SystemFailure("out of memory", hint="close other programs, or pass fewer paths")
    if (
        isinstance(error, OSError)
        and error.filename is not None
        and not isinstance(error.filename, int)
    ):
        # An operation that forgot to explain a failed system call still names the path.
        return failure(error, "access", error.filename)
    return None


def _usage(error: click.ClickException) -> UsageError:
    if isinstance(error, UnknownCommandError) and error.near:
        names = ", ".join(f"'{name}'" for name in error.near)
        return UsageError(error.message, hint=f"did you mean {names}?")
    hint = None
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f"see '{error.ctx.command_path} --help'"
    if isinstance(error, click.NoSuchOption):
        from difflib import get_close_matches

        near = get_close_matches(error.option_name, error.possibilities or (), n=1)
        metavars = [one.metavar or "" for one in error.ctx.command.params] if error.ctx else []
        if error.option_name == "--rev" and any("PATH[@REV]" in one for one in metavars):
            hint = "name the version with the path, as PATH@REV"
        elif near:
            hint = f"did you mean {near[0]}?"
        elif error.option_name == "-n" and error.ctx and _takes(error.ctx.command, "--name"):
            hint = "did you mean --name?"  # which dvc calls -n
        return UsageError(f"no such option {error.option_name}", hint=hint)
    if isinstance(error, click.MissingParameter) and error.ctx is not None:
        usage = " ".join(error.ctx.command.collect_usage_pieces(error.ctx))
        hint = f"usage: {error.ctx.command_path} {usage}; {hint}"
    text = " ".join(error.format_message().split()).rstrip(".")
    text, found, choices = text.partition(". Choose from: ")
    if found:
        hint = f"choose from {choices}"
    return UsageError(text[:1].lower() + text[1:], hint=hint)


def _takes(command: click.Command, option: str) -> bool:
    return any(option in param.opts for param in command.params)


def _show(
    app: App,
    code: str,
    message: str,
    exit_code: int,
    *,
    hint: str | None = None,
    paths: Sequence[str] = (),
) -> None:
    message = printable(redact(message, app.environ))
    hint = None if hint is None else printable(redact(hint, app.environ))
    console = app.console
    if console.json:
        from dver.ui import jsonout

        console.print(
            jsonout.failure(
                app.command,
                code=code,
                message=message,
                hint=hint,
                paths=tuple(paths),
                exit_code=exit_code,
            )
        )
        return
    label = "" if code == "interrupted" else console.style("error:", "red", "bold", on="err") + " "
    console.complain(label + message)
    _show_paths(console, paths)
    if hint is not None:
        console.complain(f"{console.style('hint:', 'cyan', on='err')} {hint}")


def _show_paths(console: Console, paths: Sequence[str]) -> None:
    shown = paths if console.verbose else paths[:MAX_PATHS]
    for path in shown:
        console.complain(f"  {show(path)}")
    if len(paths) > len(shown):
        console.complain(f"  ... and {len(paths) - len(shown):,} more ({len(paths):,} in all)")


def _bug(app: App, error: BaseException) -> int:
    summary = " ".join(str(error).split())[:500]
    text = f"{type(error).__name__}: {summary}" if summary else type(error).__name__
    where = _where(error)
    again = f"dver --debug {app.command} ..." if app.command else "dver --debug ..."
    if app.console.json:
        text = _public(f"this is a bug in dver: {text} ({where})", app)
        _show(app, "bug", text, EXIT_BUG, hint=again)
        return EXIT_BUG
    label = app.console.style("error:", "red", "bold", on="err")
    lines = _public(
        f"this is a bug in dver: {text}\n"
        f"  at       {where}\n"
        f"  command  dver {app.command}\n"
        f"  version  dver {dver.__version__}, python {platform.python_version()},"
        f" {platform.system().lower()} {platform.machine()}\n"
        f"hint: '{again}' shows the traceback; report it with these lines",
        app,
    )
    app.console.complain(f"{label} {lines}")
    return EXIT_BUG


def _public(text: str, app: App) -> str:
    """Return what is made to be pasted into a report without secrets and names of people."""
    return printable(without_homes(redact(text, app.environ), app.environ))


def _where(error: BaseException) -> str:
    """Return file and line of the innermost frame that is dver's own, relative to the package."""
    home = os.path.dirname(os.path.dirname(os.path.abspath(dver.__file__)))
    place = "unknown place"
    with contextlib.suppress(Exception):
        for frame in traceback.extract_tb(error.__traceback__):
            if frame.filename.startswith(home + os.sep + "dver"):
                place = f"{os.path.relpath(frame.filename, home)}:{frame.lineno}"
    return place.replace(os.sep, "/") if sys.platform == "win32" else place
