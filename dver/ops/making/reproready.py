"""What is looked after before the first step of a pipeline runs: inputs, programs, directories."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dver.base.errors import MissingContentError, NotFoundError
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.git.pointers import pointer_path
from dver.lineage import executing
from dver.lineage.pipeline import overlap, reads_of
from dver.lineage.pipelinefile import Step
from dver.ops.making.reproplan import Judgement, Planner

if TYPE_CHECKING:
    from dver.repo import Repo


def require_inputs(
    repo: Repo,
    planner: Planner,
    planned: Sequence[tuple[Step, Judgement]],
    reporter: Reporter,
    *,
    pull: bool,
) -> bool:
    """Raise unless all is there that no step will make; with ``pull`` bring it, and return True.

    Raises NotFoundError for what does not exist, MissingContentError for what is not here.
    """
    acting = [step for step, judged in planned if judged.action not in ("current", "frozen")]
    made = [path for step in acting for path in step.made]
    gone: dict[bytes, Step] = {}
    away: dict[bytes, Step] = {}
    for step, judged in planned:
        if judged.action in ("current", "frozen", "restore"):
            continue
        wanted = [one for one in reads_of(step) if not any(overlap(one, out) for out in made)]
        for path, seen in planner.looker.look(wanted).items():
            if seen is None:
                gone[path] = step
            elif not seen.here:
                away[path] = step
    absent = [path for path in gone if _has_pointer(repo, path)]
    if pull and (away or absent):
        from dver.ops.sharing.pull import PullOptions
        from dver.ops.sharing.pull import pull as bring

        paths = [os.fsdecode(repo.absolute(path)) for path in (*away, *absent)]
        bring(repo, PullOptions(paths=tuple(paths)), reporter)
        gone = {path: step for path, step in gone.items() if path not in absent}
        away = {}
    for problem, found in (("does not exist", gone), ("is not here", away)):
        if found:
            shown = [repo.display(path) for path in found]
            first = next(iter(found.values()))
            pullable = found is away or _has_pointer(repo, next(iter(found)))
            error = MissingContentError if pullable else NotFoundError
            raise error(
                f"the step {first.name!r} needs {show(shown[0])}, which {problem}",
                hint=f"'dver pull {show(shown[0])}' or '--pull' brings it"
                if pullable
                else f"no step makes it; see line {first.line} of dver.yaml",
                paths=shown,
            )
    return pull


def _has_pointer(repo: Repo, path: bytes) -> bool:
    while path:
        if os.path.lexists(repo.absolute(pointer_path(path))):
            return True
        path = path.rpartition(b"/")[0]
    return False


def require_programs(repo: Repo, planned: Sequence[tuple[Step, Judgement]]) -> None:
    """Raise NotFoundError unless the programs and directories of commands are there."""
    for step, judged in planned:
        if judged.action not in ("run", "pending"):
            continue
        directory = os.path.join(repo.root, step.cwd)
        if not os.path.isdir(directory):
            raise NotFoundError(
                f"there is no directory {show(step.cwd)} to run the step {step.name!r} in",
                hint=f"see line {step.line} of dver.yaml",
            )
        if judged.action == "run" or "/" not in step.argv[0]:
            executing.find_program(step.argv, directory, repo.environ)
