"""The steps of a pipeline, and what each needs of the others."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.lineage.pipeline import reads_of
from dver.ops.making.reproplan import load_pipeline

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class DagStep:
    """One step: its command, what it reads and makes, and the steps that come before it."""

    name: str
    command: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    after: tuple[str, ...]
    frozen: bool
    about: str


@dataclass(frozen=True, slots=True)
class DagResult:
    """Steps in an order in which each comes after those that it needs."""

    steps: tuple[DagStep, ...]


def dag(repo: Repo, names: Sequence[str], *, downstream: bool = False) -> DagResult:
    """Return steps and all that they need, or all steps without names; nothing is run or read."""
    repo.require_init()
    pipeline = load_pipeline(repo)
    found = []
    for name in pipeline.select(names, downstream=downstream):
        step = pipeline.steps[name]
        found.append(
            DagStep(
                name,
                step.text or shlex.join(step.argv),
                tuple(repo.display(path) for path in sorted(set(reads_of(step)))),
                tuple(repo.display(path) for path in step.made),
                pipeline.after[name],
                step.frozen,
                step.about,
            )
        )
    return DagResult(tuple(found))
