"""Streams, colour and verbosity."""

from __future__ import annotations

import io

import pytest

from dver.base.errors import SystemFailure
from dver.ui.console import Console, OutputClosedError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


class Shared(io.RawIOBase):
    """One of two streams that lead to the same place."""

    def __init__(self, place: io.BytesIO) -> None:
        self.place = place

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return self.place.write(data)


def console(out: io.StringIO, err: io.StringIO | None = None, **environ: str) -> Console:
    return Console(out=out, err=err or io.StringIO(), environ=environ)


def test_colour_is_for_terminals_that_want_it() -> None:
    assert console(Terminal()).style("x", "red") == "\x1b[31mx\x1b[0m"
    assert console(io.StringIO()).style("x", "red") == "x"
    assert console(Terminal(), NO_COLOR="1").style("x", "red") == "x"
    assert console(Terminal(), NO_COLOR="").style("x", "red", "bold") == "\x1b[31;1mx\x1b[0m"
    assert console(Terminal(), TERM="dumb").style("x", "red") == "x"


def test_colour_can_be_forced() -> None:
    forced = console(io.StringIO(), NO_COLOR="1")
    forced.choose_color("always")
    assert forced.style("x", "dim") == "\x1b[2mx\x1b[0m"
    never = console(Terminal())
    never.choose_color("never")
    assert never.style("x", "dim") == "x"


@pytest.mark.parametrize(
    ("environ", "terminal", "plain"),
    [
        ({"FORCE_COLOR": "1"}, True, True),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"FORCE_COLOR": "0", "CLICOLOR_FORCE": "0"}, True, False),
        ({"FORCE_COLOR": "", "CLICOLOR_FORCE": ""}, True, False),
        ({"FORCE_COLOR": "3", "NO_COLOR": "1"}, False, False),
        ({"CLICOLOR": "0"}, False, False),
        ({"CLICOLOR": "1"}, True, False),
        ({"CLICOLOR": "0", "CLICOLOR_FORCE": "1"}, True, True),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
)
def test_colour_follows_the_usual_variables(
    environ: dict[str, str], terminal: bool, plain: bool
) -> None:
    assert console(Terminal(), **environ).has_color("out") is terminal
    assert console(io.StringIO(), **environ).has_color("out") is plain


def test_each_stream_decides_for_itself() -> None:
    mixed = console(io.StringIO(), Terminal())
    assert mixed.style("x", "red") == "x"
    assert mixed.style("x", "red", on="err") == "\x1b[31mx\x1b[0m"


def test_quiet_drops_reports_and_talk_but_no_results() -> None:
    out, err = io.StringIO(), io.StringIO()
    quiet = console(out, err)
    quiet.quiet = True
    quiet.print("result")
    quiet.done("report")
    quiet.talk("talk")
    quiet.detail("detail")
    quiet.warn("careful", "do this")
    assert out.getvalue() == "result\n"
    assert err.getvalue() == "warning: careful\nhint: do this\n"


def test_verbose_adds_detail() -> None:
    out = io.StringIO()
    loud = console(out)
    loud.verbose = True
    loud.detail("detail")
    assert out.getvalue() == "detail\n"


def test_a_reader_that_went_away_and_a_full_disk_differ() -> None:
    with pytest.raises(OutputClosedError):
        console(Broken(BrokenPipeError(32, "gone"))).print("x")
    with pytest.raises(SystemFailure, match="cannot write standard output: no space left"):
        console(Broken(OSError(28, "full"))).print("x")


def test_talk_to_nobody_is_let_pass() -> None:
    console(io.StringIO(), Broken(BrokenPipeError(32, "gone"))).talk("x")


def test_streams_that_were_closed_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    absent = Console()
    absent.complain("nobody hears it")
    assert not absent.has_color("out")
    absent.flush()
    for write in (lambda: absent.print("x"), lambda: absent.binary().write(b"x")):
        with pytest.raises(SystemFailure, match="standard output"):
            write()
    absent.abandon_output()


def test_talk_stands_behind_what_was_printed_before() -> None:
    place = io.BytesIO()
    out, err = (io.TextIOWrapper(io.BufferedWriter(Shared(place))) for _ in range(2))
    speaker = Console(out=out, err=err)
    speaker.print("result")
    speaker.warn("doubt")
    speaker.print("more")
    speaker.flush()
    assert place.getvalue() == b"result\nwarning: doubt\nmore\n"


def test_text_and_bytes_keep_their_order() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="utf-8")
    mixed = Console(out=out, err=io.StringIO())
    mixed.print("first")
    mixed.binary().write(b"\xff\n")
    mixed.print("last")
    mixed.flush()
    assert raw.getvalue() == b"first\n\xff\nlast\n"


def test_characters_that_a_stream_lacks_are_escaped() -> None:
    raw = io.BytesIO()
    plain = Console(out=io.TextIOWrapper(raw, encoding="ascii"), err=io.StringIO())
    plain.print("ü")
    plain.flush()
    assert raw.getvalue() == b"\\xfc\n"


def test_what_is_piped_on_windows_is_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    def printed() -> bytes:
        raw = io.BytesIO()
        out = io.TextIOWrapper(raw, encoding="cp1252", newline="\r\n")
        Console(out=out, err=io.StringIO()).print("é \u4e16")
        out.flush()
        return raw.getvalue()

    assert printed() == b"\xe9 \\u4e16\r\n"
    monkeypatch.setattr("sys.platform", "win32")
    assert printed() == "é \u4e16\n".encode()


def test_the_old_console_of_windows_gets_no_escape_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert not console(Terminal()).is_terminal("out")
    assert console(Terminal(), WT_SESSION="1").is_terminal("out")
    assert not console(io.StringIO(), WT_SESSION="1").is_terminal("out")
