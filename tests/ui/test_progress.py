"""Progress bars: late, only on request, and gone at the end."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator

import pytest

from dver.base import clock
from dver.ui import live, progress
from dver.ui.console import Console
from dver.ui.progress import ConsoleReporter


class FakeClock(clock.Clock):
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time() -> Iterator[FakeClock]:
    fake = FakeClock()
    previous = clock.install(fake)
    yield fake
    clock.install(previous)


@pytest.fixture
def err() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def reporter(err: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConsoleReporter]:
    # The drawing thread is kept asleep; the tests draw by hand.
    monkeypatch.setattr(progress, "INTERVAL", 3600)
    console = Console(out=io.StringIO(), err=err, environ={})
    console.choose_color("always")
    with ConsoleReporter(console, progress=True) as made:
        yield made


def draw(reporter: ConsoleReporter) -> None:
    with reporter._lock:
        reporter._draw()


def test_nothing_is_drawn_before_the_delay(
    reporter: ConsoleReporter, err: io.StringIO, time: FakeClock
) -> None:
    reporter.task("hashing", unit="files", total=10)
    time.now = 0.249
    draw(reporter)
    assert err.getvalue() == ""
    time.now = 0.26
    draw(reporter)
    assert "hashing" in err.getvalue()
    assert "0 of 10 files" in err.getvalue()


def test_the_display_follows_the_work_and_goes_away(
    reporter: ConsoleReporter, err: io.StringIO, time: FakeClock
) -> None:
    with reporter.task("sending", unit="bytes") as task:
        time.now = 1
        task.advance(1024)
        draw(reporter)
        assert "1.0 KiB" in err.getvalue()
        task.set_total(4096)
        task.advance(1024)
        draw(reporter)
        assert "2.0 KiB of 4.0 KiB" in err.getvalue()
        assert reporter._live is not None
    assert reporter._live is None


def test_short_work_never_imports_the_rendering_library() -> None:
    program = (
        "import io, sys\n"
        "from dver.ui.console import Console\n"
        "from dver.ui.progress import ConsoleReporter\n"
        "with ConsoleReporter(Console(environ={}), progress=True) as reporter:\n"
        "    with reporter.task('x', unit='files') as task:\n"
        "        task.advance()\n"
        "print('rich' in sys.modules)\n"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
    assert out == b"False\n"


def test_without_progress_no_thread_is_started(err: io.StringIO) -> None:
    with ConsoleReporter(Console(out=io.StringIO(), err=err), progress=False) as reporter:
        with reporter.task("x", unit="files", total=1) as task:
            task.advance()
        assert reporter._thread is None
        reporter.note("said")
        reporter.warn("careful", hint="do this")
    assert err.getvalue() == "said\nwarning: careful\nhint: do this\n"


def test_notes_stand_above_the_bars(
    reporter: ConsoleReporter, err: io.StringIO, time: FakeClock
) -> None:
    reporter.task("sending", unit="packs", total=2)
    time.now = 1
    draw(reporter)
    before = len(err.getvalue())
    reporter.note("a note")
    draw(reporter)
    after = err.getvalue()[before:]
    assert after.index("a note\n") < after.rindex("sending")


def test_a_broken_off_task_leaves_no_bar(
    reporter: ConsoleReporter, err: io.StringIO, time: FakeClock
) -> None:
    reporter.task("sending", unit="packs", total=2)
    time.now = 1
    draw(reporter)
    reporter.close()
    assert reporter._live is None
    # The cursor, hidden while drawing on a terminal, is never left hidden.
    assert err.getvalue().count("\x1b[?25l") == err.getvalue().count("\x1b[?25h")


def test_amounts_and_rates() -> None:
    assert live.amount("packs", 3, 10) == "3 of 10 packs"
    assert live.amount("files", 1234, None) == "1,234 files"
    assert live.amount("bytes", 1 << 20, 1 << 21) == "1.0 MiB of 2.0 MiB"
    assert live.rate("bytes", 1 << 20) == "1.0 MiB/s"
    assert live.rate("files", 1500.4) == "1,500 files/s"


def test_rows_that_a_narrower_terminal_wraps() -> None:
    from dver.ui.live import wrapped_rows

    assert wrapped_rows([60, 60], 80) == 0
    assert wrapped_rows([60, 45, 0], 45) == 1
    assert wrapped_rows([60, 91], 30) == 1 + 3


def test_a_terminal_that_gets_narrower_keeps_no_half_bars(err: io.StringIO) -> None:
    from dver.ui.live import Live

    live = Live(Console(out=io.StringIO(), err=err))
    live._progress.console.width = 100
    states = [("a", "Adding data", "files", 2, 10), ("b", "Hashing", "bytes", 1, 2048)]
    live.show(states)
    live.show(states)
    live._progress.console.width = 30
    err.truncate(0)
    live.show(states)
    # Each of the two lines of some 60 cells takes another row now, or two.
    assert err.getvalue().lstrip("\0").startswith("\r\x1b[2K\x1b[1A\x1b[2K\x1b[1A")
    live.erase()
