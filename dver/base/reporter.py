"""How the library tells whoever called it what is going on, without knowing who that is."""

from __future__ import annotations

from types import TracebackType
from typing import Literal, Self

Unit = Literal["files", "bytes", "objects", "packs"]


class Task:
    """One piece of long work. This base class is silent; a front end overrides the methods.

    ``advance`` may be called from several threads.
    """

    def advance(self, amount: int = 1) -> None:
        """Say that ``amount`` more units are done."""

    def set_total(self, total: int) -> None:
        """Say how many units there are in all, once that is known or has changed."""

    def close(self) -> None:
        """Say that the work has ended, well or not."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Reporter:
    """What every operation takes to speak through. This base class is silent."""

    # The parameters are for those who show something.
    def task(self, label: str, *, unit: Unit, total: int | None = None) -> Task:  # noqa: ARG002
        """Begin a piece of long work and return the handle to advance it."""
        return Task()

    def note(self, message: str) -> None:
        """Say something useful that is not a result."""

    def warn(self, message: str, *, hint: str | None = None) -> None:
        """Say something that the user should act on, while the operation goes on."""


SILENT = Reporter()
