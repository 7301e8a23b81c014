"""Which steps of the pipeline are not up to date, for whoever asks for the state of it all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dver.base.errors import DverError
from dver.lineage.index import LineageIndex
from dver.ops.data.pipelinestatus import PipelineStatus, StaleStep
from dver.ops.making.reproplan import Planner, load_pipeline, told_reasons

if TYPE_CHECKING:
    from dver.repo import Repo

#: So much changed data is read at most: a status is not what anybody waits for.
_MOST_BYTES = 64 << 20


def stale_steps(repo: Repo) -> PipelineStatus:
    """Compare the pipeline of the work tree with its records. Nothing is raised for what is wrong.

    Only content that changed since it was last looked at is read, and of that not much.
    """
    try:
        pipeline = load_pipeline(repo)
        with LineageIndex(repo) as index:
            planner = Planner(repo, pipeline, index, reuse=False, limit=_MOST_BYTES)
            stale = tuple(
                StaleStep(step.name, told_reasons(repo, judged))
                for step, judged in planner.plan(list(pipeline.steps))
                if judged.action not in ("current", "frozen")
            )
    except DverError as error:
        return PipelineStatus(0, (), error.message)
    return PipelineStatus(len(pipeline.steps), stale)
