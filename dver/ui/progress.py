"""The Reporter of a command line: notes and warnings as lines, long work as progress bars.

Nothing is drawn for the first :data:`DELAY` seconds, nor ever unless standard error is a terminal;
the rendering library is imported only when something is drawn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from dver.base import clock
from dver.base.reporter import Reporter, Task, Unit
from dver.ui.console import Console

if TYPE_CHECKING:
    from dver.ui.live import Live

#: When bars appear, and how often they are drawn again (seconds).
DELAY = 0.25
INTERVAL = 0.1


class Bar(Task):
    """One piece of work that may be drawn. All its numbers are read by the drawing thread."""

    def __init__(
        self, reporter: ConsoleReporter, label: str, unit: Unit, total: int | None
    ) -> None:
        self.label = label
        self.unit = unit
        self.total = total
        self.done = 0
        self._reporter = reporter
        self._lock = threading.Lock()

    def advance(self, amount: int = 1) -> None:
        """Say that ``amount`` more units are done."""
        with self._lock:
            self.done += amount

    def set_total(self, total: int) -> None:
        """Say how many units there are in all."""
        self.total = total

    def close(self) -> None:
        """Take the bar away."""
        self._reporter.finished(self)


class ConsoleReporter(Reporter):
    """Speaks on standard error. Use as a context manager, so that no bar is left behind.

    ``progress`` allows bars; they are drawn by a thread of their own, so that a long wait shows
    too, and disappear when the work is done.
    """

    def __init__(self, console: Console, *, progress: bool) -> None:
        self._console = console
        self._progress = progress
        self._bars: list[Bar] = []
        self._lock = threading.RLock()
        self._started = 0.0
        self._live: Live | None = None
        self._wake: threading.Event | None = None
        self._thread: threading.Thread | None = None

    def task(self, label: str, *, unit: Unit, total: int | None = None) -> Task:
        """Begin a piece of long work and return the handle to advance it."""
        if not self._progress:
            return Task()
        bar = Bar(self, label, unit, total)
        with self._lock:
            self._bars.append(bar)
            if self._thread is None:
                self._started = clock.monotonic()
                self._wake = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._wake,), name="dver-progress", daemon=True
                )
                self._thread.start()
        return bar

    def finished(self, bar: Bar) -> None:
        """Forget a bar; the display goes with the last one."""
        with self._lock:
            if bar in self._bars:
                self._bars.remove(bar)
                self._draw()

    def note(self, message: str) -> None:
        """Say something useful that is not a result."""
        self._above(lambda: self._console.talk(self._console.plain(message)))

    def warn(self, message: str, *, hint: str | None = None) -> None:
        """Say something that the user should act on."""
        plain = self._console.plain
        self._above(lambda: self._console.warn(plain(message), hint and plain(hint)))

    def close(self) -> None:
        """Remove what is drawn and stop drawing."""
        with self._lock:
            self._bars.clear()
            self._erase()
            thread, self._thread = self._thread, None
            if self._wake is not None:
                self._wake.set()
        if thread is not None:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self, wake: threading.Event) -> None:
        while not wake.wait(INTERVAL):
            with self._lock:
                if not wake.is_set():
                    self._draw()

    def _draw(self) -> None:
        """Show the bars if it is time to; called with the lock held."""
        if not self._bars:
            self._erase()
            return
        if self._live is None:
            if clock.monotonic() - self._started < DELAY:
                return
            from dver.ui.live import Live

            self._live = Live(self._console)
        self._live.show([(bar, bar.label, bar.unit, bar.done, bar.total) for bar in self._bars])

    def _erase(self) -> None:
        if self._live is not None:
            self._live.erase()
            self._live = None

    def _above(self, say: Callable[[], None]) -> None:
        """Write a line where the bars are; the next drawing puts them below it."""
        with self._lock:
            if self._live is not None:
                self._live.erase()
            say()
