"""Recording what a block of Python does, without a command: for scripts and notebooks."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from dver.base import clock
from dver.base.dataclass import dataclass
from dver.base.reporter import Reporter
from dver.formats.record import Command, Metric, Value
from dver.lineage.environment import Capture
from dver.lineage.executing import Outcome
from dver.lineage.values import flatten, spell
from dver.ops.making.run import begun
from dver.ops.making.runfinish import Finish, RunResult
from dver.ops.making.runplan import Plan, RunOptions

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(slots=True)
class Recording:
    """A block under way. ``result`` is what it was recorded as, once it has ended."""

    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    result: RunResult | None = None

    def log_param(self, key: str, value: Any) -> None:
        """Record the effective value of a parameter."""
        self.params[key] = value

    def log_metric(self, name: str, value: Any) -> None:
        """Record a number (or text) for what is made; the last value counts."""
        self.metrics[name] = value


@contextlib.contextmanager
def recorded(
    repo: Repo,
    options: RunOptions,
    params: Mapping[str, Any],
    environ: Mapping[str, str],
    reporter: Reporter,
) -> Iterator[Recording]:
    """Record what the block makes of the inputs; an exception is recorded and goes on.

    ``options`` are those of a command, without one. ``environ`` is the environment to record.
    """
    plan = Plan(repo, options)
    recording = Recording(dict(params))
    with begun(repo, plan) as draft:
        capture = Capture([sys.executable], environ, cache=repo.layout.probes)
        started, begun_at = clock.now_ns(), clock.monotonic()
        failed: BaseException | None = None
        try:
            yield recording
        except BaseException as error:  # noqa: BLE001 - raised again once it is recorded
            failed = error
        taken = round((clock.monotonic() - begun_at) * 1000)
        printed = f"{type(failed).__name__}: {failed}\n".encode() if failed is not None else b""
        draft.outcome = Outcome(
            started, clock.now_ns(), taken, 0 if failed is None else 1, "", 0, b"", printed
        )
        draft.command = Command(tuple(sys.orig_argv), draft.command.cwd if draft.command else "")
        captured = capture.finish(options.variables, options.container)
        draft.env, draft.packages = captured.environment, captured.packages
        if "PYTHONHASHSEED" in environ:
            draft.seeds = {"PYTHONHASHSEED": environ["PYTHONHASHSEED"]}
        draft.params += tuple(
            Value(key, *spell(value), "code") for key, value in sorted(flatten(recording.params))
        )
        logged = tuple(
            Metric(name, *spell(value), "code") for name, value in sorted(recording.metrics.items())
        )
        try:
            ending = Finish(repo, plan, draft, reporter, logged)
            recording.result = ending.finish(set(), set())
            problem = ending.problem(recording.result)
            if problem is not None:
                raise problem
        finally:
            if failed is not None:
                raise failed
