"""The two streams: results go to standard output, talk to standard error."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Literal, TextIO, cast

from dver.base.fsio import failure

ColorChoice = Literal["auto", "always", "never"]
Style = Literal["bold", "dim", "red", "green", "yellow", "cyan"]

_CODES: dict[Style, str] = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
}


#: What the terminals of Windows set that understand escape codes; its old console does not.
_CONSOLES_WITH_CODES = {"WT_SESSION", "TERM", "TERM_PROGRAM", "ANSICON", "ConEmuANSI"}


class OutputClosedError(Exception):
    """Whoever read our output has gone away (``dver log | head -1``); there is nothing to say."""


class Console:
    """Writes text with or without colour, and knows what the user wants to hear.

    ``quiet`` drops talk and the reports of what a command has done, never a result that was asked
    for. ``verbose`` adds detail. Where a stream cannot encode a character, it is escaped.
    """

    def __init__(
        self,
        *,
        out: TextIO | None = None,
        err: TextIO | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        # Python has None for a stream that was closed before it began ('dver status >&-').
        self._out: Any = next(one for one in (out, sys.stdout, _Absent()) if one is not None)
        self._err: Any = next(one for one in (err, sys.stderr, _Absent()) if one is not None)
        self._environ = environ or {}
        self.quiet = False
        self.verbose = False
        self.json = False
        self._color: ColorChoice = "auto"
        self._broken = False
        self._terminals: dict[str, bool] | None = None
        for stream in (self._out, self._err):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
                if sys.platform == "win32" and not stream.isatty():
                    # As elsewhere, and as git does: neither a code page nor carriage returns.
                    stream.reconfigure(encoding="utf-8", newline="\n")

    def choose_color(self, choice: ColorChoice) -> None:
        """Colour always, never, or as git does: on a terminal that has not been asked not to."""
        self._color = choice

    @property
    def err_stream(self) -> TextIO:
        """Standard error, for a progress display."""
        stream: TextIO = self._err
        return stream

    def is_terminal(self, which: Literal["out", "err"]) -> bool:
        """Whether a stream is a terminal that understands escape codes, a pager's included."""
        if self._terminals is not None:
            return self._terminals[which]
        stream = self._out if which == "out" else self._err
        if sys.platform == "win32" and not self._environ.keys() & _CONSOLES_WITH_CODES:
            return False
        return bool(stream.isatty()) and self._environ.get("TERM") != "dumb"

    @contextlib.contextmanager
    def through(self, stream: TextIO) -> Iterator[None]:
        """Let a pager's stream take what the block would show on a terminal.

        Talk goes there as well, as it would get lost behind the pager's screen. Colours and the
        like stay as they are for the terminal.
        """
        saved = self._out, self._err
        self.flush()
        self._terminals = {"out": self.is_terminal("out"), "err": self.is_terminal("err")}
        if self._terminals["err"]:
            self._err = stream
        self._out = stream
        try:
            yield
        finally:
            self._out, self._err = saved
            self._terminals = None

    def has_color(self, which: Literal["out", "err"]) -> bool:
        """Whether text for a stream is to be coloured."""
        if self._color != "auto":
            return self._color == "always"
        if self._environ.get("NO_COLOR"):
            return False
        for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
            if self._environ.get(name, "0") not in ("", "0", "false"):
                return True
        return self._environ.get("CLICOLOR") != "0" and self.is_terminal(which)

    def style(self, text: str, *styles: Style, on: Literal["out", "err"] = "out") -> str:
        """Return text with escape codes around it, or as it is when there is no colour."""
        if not styles or not text or not self.has_color(on):
            return text
        return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"

    def print(self, text: str = "") -> None:
        """Write a line of the result."""
        self.write(text + "\n")

    def write(self, text: str) -> None:
        """Write text of the result as it stands.

        Raises :class:`OutputClosedError` if nobody reads it any more, SystemFailure if it cannot be
        written (a full disk).
        """
        try:
            self._out.write(text)
        except OSError as error:
            raise _output_error(error) from error

    def write_names(self, names: Iterable[str]) -> None:
        """Write names as the bytes that they are on disk, each ended by NUL."""
        self.binary().write(b"".join(os.fsencode(name) + b"\0" for name in names))

    def done(self, text: str) -> None:
        """Write a line that reports what a command has done; ``--quiet`` drops it."""
        if not self.quiet:
            self.print(text)

    def detail(self, text: str) -> None:
        """Write a line of the result that only ``--verbose`` asks for."""
        if self.verbose:
            self.print(text)

    def binary(self) -> BinaryIO:
        """Return standard output for bytes, in order with the text written before."""
        self.flush()
        return cast("BinaryIO", _Bytes(self._out.buffer))

    def pass_on(self, which: Literal["out", "err"], data: bytes) -> None:
        """Write what another program printed, at once and as it is.

        With ``--json`` standard output is for the result alone, and all goes to standard error.
        """
        stream = self._out if which == "out" and not self.json else self._err
        if self._broken:
            return  # who reads no more must not stop the program
        try:
            stream.flush()
            stream.buffer.write(data)
            stream.buffer.flush()
        except (OSError, ValueError):
            self._broken = True

    def talk(self, text: str) -> None:
        """Write a line to standard error unless ``--quiet``."""
        if not self.quiet:
            self.complain(text)

    def complain(self, text: str) -> None:
        """Write a line to standard error, whatever the verbosity. A closed stream is let pass.

        Where both streams lead to the same place, it stands behind what was printed before.
        """
        with contextlib.suppress(OSError, ValueError):  # standard output's own errors are met later
            self._out.flush()
        with contextlib.suppress(OSError, ValueError):
            self._err.write(text + "\n")
            self._err.flush()

    def agrees(self, what: str) -> bool:
        """Ask on standard error whether to do something; anything but a yes is a no."""
        question = f"{self.style(what, 'bold', on='err')}? type 'yes' to go on: "
        with contextlib.suppress(OSError, ValueError):
            self._err.write(question)
            self._err.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def plain(self, text: str) -> str:
        """Return what somebody else may have worded without secrets and escape codes."""
        from dver.base.redact import printable, redact

        return printable(redact(text, self._environ))

    def warn(self, message: str, hint: str | None = None) -> None:
        """Write a warning, and what to do about it, to standard error."""
        self.complain(f"{self.style('warning:', 'yellow', 'bold', on='err')} {message}")
        if hint is not None:
            self.complain(f"{self.style('hint:', 'cyan', on='err')} {hint}")

    def flush(self) -> None:
        """Bring everything written so far on its way; the errors are those of :meth:`write`."""
        try:
            self._out.flush()
        except OSError as error:
            raise _output_error(error) from error

    def abandon_output(self) -> None:
        """Let nothing more go to standard output, so that the interpreter's exit is silent."""
        with contextlib.suppress(OSError, ValueError, io.UnsupportedOperation):
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, self._out.fileno())
            os.close(sink)


class _Absent(io.TextIOBase):
    """A stream that was closed before the program began."""

    @property
    def buffer(self) -> Any:
        """The same, for bytes."""
        return self

    def write(self, _text: Any) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


class _Bytes(io.RawIOBase):
    """A binary view of standard output with the errors of :meth:`Console.write`."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        try:
            return self._stream.write(data)
        except OSError as error:
            raise _output_error(error) from error

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            raise _output_error(error) from error


def _output_error(error: OSError) -> Exception:
    if isinstance(error, BrokenPipeError):
        return OutputClosedError()
    return failure(error, "write", "standard output")
