"""Run a command, and record what it made out of what."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dver.base.errors import DverError, UsageError
from dver.base.reporter import Reporter
from dver.formats.recordpath import DIRECTORY as RECORDS
from dver.git import snapshot
from dver.lineage import executing
from dver.lineage.environment import Capture
from dver.lineage.executing import Sink
from dver.lineage.observing import Observer
from dver.lineage.running import Draft
from dver.ops.making.runfinish import Finish, RunItem, RunResult
from dver.ops.making.runplan import Pin, Plan, RunOptions, keep_inputs

if TYPE_CHECKING:
    from dver.repo import Repo

__all__ = ["RunItem", "RunOptions", "RunResult", "begun", "run", "run_and_tell"]


def run(repo: Repo, options: RunOptions, sink: Sink, reporter: Reporter) -> RunResult:
    """Run a command and record it; a failed run is recorded too, without outputs.

    Nothing is locked while the command runs: it may commit, switch branches, or use dver itself.
    Raises before the command is run if an input is missing, the program is not there, or an
    output is an input too; after it was recorded, if an output was not made.
    """
    result, problem = run_and_tell(repo, options, sink, reporter)
    if problem is not None:
        raise problem
    return result


def run_and_tell(
    repo: Repo, options: RunOptions, sink: Sink, reporter: Reporter
) -> tuple[RunResult, DverError | None]:
    """Like :func:`run`, but return what it raises once the run is recorded."""
    if not options.argv:
        raise UsageError("there is no command to run", hint="dver run -o OUT -- COMMAND ARGS...")
    plan = Plan(repo, options)
    env = dict(repo.environ)
    executing.find_program(options.argv, str(repo.cwd), env)
    with begun(repo, plan) as draft:
        draft.seeds = {"PYTHONHASHSEED": env.setdefault("PYTHONHASHSEED", "0")}
        capture = Capture(options.argv, env, cache=repo.layout.probes)
        with Observer(repo.root) as observer:
            draft.outcome = executing.execute(
                options.argv, str(repo.cwd), env | observer.variables(env), sink
            )
            reads, writes = observer.found()
        captured = capture.finish(options.variables, options.container)
        draft.env, draft.packages = captured.environment, captured.packages
        ending = Finish(repo, plan, draft, reporter)
        result = ending.finish(reads, writes)
        return result, ending.problem(result)


@contextlib.contextmanager
def begun(repo: Repo, plan: Plan) -> Iterator[Draft]:
    """Keep the code and the inputs as they are now, for as long as the block lasts.

    The record that is written in the block keeps them from then on.
    """
    if plan.options.clean:
        snapshot.require_clean(repo.git, [RECORDS])
    draft = plan.draft()
    pin = Pin(repo)
    try:
        keep_inputs(repo, plan, draft, pin)
        yield draft
    finally:
        pin.remove()
