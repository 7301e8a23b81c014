"""What a status tells of a pipeline; apart, so that a status without one loads nothing more."""

from __future__ import annotations

from dver.base.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class StaleStep:
    """A step that would be run, or whose outputs would be put back, and why."""

    name: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PipelineStatus:
    """The state of the pipeline: its steps that are not up to date, out of ``steps``.

    ``problem`` says what keeps that from being told.
    """

    steps: int
    stale: tuple[StaleStep, ...] = ()
    problem: str | None = None
