"""Long results go through a pager, on a terminal."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from dver.ui.console import Console
from dver.ui.pager import command_of, paged
from tests.support.cli import Dver


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("configured", "environ", "words"),
    [
        (None, {}, ["less"]),
        (None, {"PAGER": "more -s"}, ["more", "-s"]),
        (None, {"PAGER": "more", "GIT_PAGER": "most"}, ["most"]),
        ("less -S", {"PAGER": "more", "GIT_PAGER": "most"}, ["less", "-S"]),
        ("less -S", {"DVER_PAGER": "'my pager' -x"}, ["my pager", "-x"]),
        ("less", {"DVER_PAGER": ""}, []),
        (None, {"GIT_PAGER": "cat"}, []),
        ("cat", {}, []),
        (None, {"PAGER": "it's"}, ["it's"]),
        (None, {"PAGER": "a; b $(c)"}, ["a;", "b", "$(c)"]),
    ],
)
def test_which_pager(configured: str | None, environ: dict[str, str], words: list[str]) -> None:
    assert command_of(configured, environ) == words


def saving(path: Path, code: str = "data = sys.stdin.buffer.read()") -> list[str]:
    """Return a pager that notes what it was given, and LESS."""
    program = (
        f"import os, sys\n{code}\nopen({str(path)!r}, 'wb').write(data + os.environb[b'LESS'])"
    )
    return [sys.executable, "-c", program]


def test_the_pager_gets_results_and_talk_in_order_and_colours(tmp_path: Path) -> None:
    out, err = Terminal(), Terminal()
    console = Console(out=out, err=err, environ={})
    console.print("before")
    with paged(console, saving(tmp_path / "seen"), {}):
        console.print(console.style("one", "red"))
        console.talk("two")
        console.binary().write(b"three\xff\n")
        console.print("\udcff")
    console.print("after")
    assert (tmp_path / "seen").read_bytes() == (b"\x1b[31mone\x1b[0m\ntwo\nthree\xff\n\\udcff\nFRX")
    assert (out.getvalue(), err.getvalue()) == ("before\nafter\n", "")


def test_errors_stay_where_they_are_redirected_to(tmp_path: Path) -> None:
    err = io.StringIO()
    console = Console(out=Terminal(), err=err, environ={})
    with paged(console, saving(tmp_path / "seen"), {"LESS": "X"}):
        console.talk("aside")
    assert err.getvalue() == "aside\n"
    assert (tmp_path / "seen").read_bytes() == b"X"


def test_a_reader_may_leave_early(tmp_path: Path) -> None:
    out = Terminal()
    console = Console(out=out, environ={})
    words = saving(tmp_path / "seen", "data = sys.stdin.buffer.readline()")
    with paged(console, words, {}):
        for _ in range(100_000):
            console.print("line")
        raise AssertionError("the end of the pipe was not noticed")
    console.print("after")
    assert (tmp_path / "seen").read_bytes() == b"line\nFRX"
    assert out.getvalue() == "after\n"


def test_an_error_of_the_command_is_told_after_the_pager(tmp_path: Path) -> None:
    console = Console(out=Terminal(), environ={})
    with (
        pytest.raises(ValueError, match="wrong"),
        paged(console, saving(tmp_path / "seen"), {}),
    ):
        console.print("half")
        raise ValueError("wrong")
    assert (tmp_path / "seen").read_bytes() == b"half\nFRX"


def test_without_the_program_everything_is_printed() -> None:
    for words, warned in ((["less"], ""), (["no-such-pager"], "cannot run the pager")):
        out, err = Terminal(), io.StringIO()
        console = Console(out=out, err=err, environ={})
        with paged(console, words, {"PATH": "/nowhere"}):
            console.print("text")
        assert out.getvalue() == "text\n"
        assert err.getvalue().startswith("warning: " + warned if warned else "")


def test_commands_page_on_terminals_only(tmp_path: Path) -> None:
    dver = Dver(tmp_path)
    seen = tmp_path / "seen"
    env = {"DVER_PAGER": " ".join(f"'{word}'" for word in _quotable(seen)), "TERM": "xterm"}
    text = dver("help", "store").stdout
    assert dver("help", "store", env=env).stdout == text
    assert dver("--no-pager", "help", "store", env=env, tty=True).stdout == text
    assert not seen.exists()
    assert dver("help", "store", env=env, tty=True).stdout == ""
    assert seen.read_text() == text
    assert dver("ls", "-h", env=env, tty=True).stdout == ""
    assert seen.read_text().startswith("Usage: dver ls")
    assert dver("help", "store", "--json", env=env, tty=True).result["text"] == text


def _quotable(path: Path) -> list[str]:
    return [sys.executable, "-c", f'import sys; open("{path}", "w").write(sys.stdin.read())']
