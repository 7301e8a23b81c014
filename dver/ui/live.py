"""The progress display itself. Importing this imports rich."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from rich.console import Console as RichConsole
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as RichTask
from rich.table import Column
from rich.text import Text

from dver.base.reporter import Unit
from dver.ui.console import Console
from dver.ui.humanize import size

State = tuple[Hashable, str, Unit, int, int | None]


class _Amount(ProgressColumn):
    """How much of how much, in the task's own unit."""

    def render(self, task: RichTask) -> Text:
        unit = task.fields["unit"]
        total = None if task.total is None else int(task.total)
        return Text(amount(unit, int(task.completed), total))


class _Rate(ProgressColumn):
    """Units a second over the last while."""

    def render(self, task: RichTask) -> Text:
        speed = task.finished_speed or task.speed
        return Text(rate(task.fields["unit"], speed) if speed else "", style="dim")


def _one_line() -> Column:
    return Column(no_wrap=True, overflow="ellipsis")


def amount(unit: Unit, done: int, total: int | None) -> str:
    """Return ``3 of 10 packs``, ``1.0 KiB of 2.0 KiB``, or only what is done."""
    if unit == "bytes":
        return size(done) if total is None else f"{size(done)} of {size(total)}"
    return f"{done:,} {unit}" if total is None else f"{done:,} of {total:,} {unit}"


def rate(unit: Unit, speed: float) -> str:
    """Return a speed, ``12.0 MiB/s`` or ``1,500 files/s``."""
    return f"{size(int(speed))}/s" if unit == "bytes" else f"{speed:,.0f} {unit}/s"


def wrapped_rows(widths: Sequence[int], columns: int) -> int:
    """Return how many more rows lines of some widths take than one each, in so many columns."""
    return sum((cells - 1) // max(columns, 1) for cells in widths if cells)


class Live:
    """A block of bars at the bottom of the terminal, redrawn on every call of :meth:`show`."""

    def __init__(self, console: Console) -> None:
        rich_console = RichConsole(
            file=console.err_stream,
            force_terminal=True,
            no_color=not console.has_color("err"),
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        self._progress = Progress(
            TextColumn("{task.description}", table_column=_one_line()),
            BarColumn(bar_width=24),
            _Amount(table_column=_one_line()),
            _Rate(table_column=_one_line()),
            TimeRemainingColumn(elapsed_when_finished=False, table_column=_one_line()),
            console=rich_console,
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._tasks: dict[Hashable, TaskID] = {}
        self._drawn_at = 0
        self._drawn: list[int] = []

    def show(self, states: Sequence[State]) -> None:
        """Draw these pieces of work and no others."""
        self._progress.start()
        alive = set()
        for key, label, unit, done, total in states:
            alive.add(key)
            if key not in self._tasks:
                self._tasks[key] = self._progress.add_task(label, total=total, unit=unit)
            self._progress.update(self._tasks[key], completed=done, total=total)
        for key in [key for key in self._tasks if key not in alive]:
            self._progress.remove_task(self._tasks.pop(key))
        self._follow_resize()
        self._progress.refresh()
        self._note_widths()

    def erase(self) -> None:
        """Take the display away, leaving the cursor where it began; ``show`` brings it back."""
        self._follow_resize()
        self._drawn = []
        self._progress.stop()

    def _note_widths(self) -> None:
        console = self._progress.console
        lines = console.render_lines(self._progress.get_renderable(), pad=False)
        self._drawn_at = console.width
        self._drawn = [sum(segment.cell_length for segment in line) for line in lines]

    def _follow_resize(self) -> None:
        """Take away the rows that lines have become more by, since the terminal got narrower.

        Terminals wrap what no longer fits; the library below would leave the first rows behind.
        """
        console = self._progress.console
        more = wrapped_rows(self._drawn, console.width) if console.width < self._drawn_at else 0
        if more:
            console.file.write("\r" + "\x1b[2K\x1b[1A" * more)
