"""What has to be done for the steps of a pipeline, and why."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from dver.base.dataclass import dataclass
from dver.base.errors import NotFoundError
from dver.base.oid import Oid
from dver.formats import recordpath
from dver.formats.record import Record, Value
from dver.git.history import records_on_branch
from dver.lineage import pipelinefile, values
from dver.lineage.environment import Capture, Captured, interpreter
from dver.lineage.finding import load
from dver.lineage.index import LineageIndex
from dver.lineage.looking import Looker
from dver.lineage.pipeline import Pipeline, connect, overlap, reads_of
from dver.lineage.pipelinefile import NAME, Step
from dver.lineage.staleness import Now, Reason, causes, reasons

if TYPE_CHECKING:
    from dver.repo import Repo

Action = Literal["current", "frozen", "run", "reuse", "restore", "pending", "failed", "blocked"]
#: So many earlier records of a step are looked at for one that is of what is there now.
_MOST_RECORDS = 200


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be done for a step: ``donor`` is the record whose outputs serve, if one does."""

    action: Action
    reasons: tuple[Reason, ...] = ()
    donor: Oid | None = None


def load_pipeline(repo: Repo) -> Pipeline:
    """Return the pipeline of the work tree. Raises NotFoundError if there is none."""
    steps = pipelinefile.read(repo.root)
    if steps is None:
        raise NotFoundError(
            f"there is no {NAME} at the top of this repository",
            hint="it says which commands make what; 'dver run' records a single command",
        )

    def code(paths: Sequence[bytes]) -> Collection[bytes]:
        files = [path for path in paths if _is_file(repo.absolute(path))]
        hidden = repo.git.is_ignored(files)
        return [path for path, is_hidden in zip(files, hidden, strict=True) if not is_hidden]

    return connect(steps, code)


def _is_file(path: bytes) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


class Planner:
    """Judges the steps of one work tree; ``index`` is open as long as it is used.

    ``reuse`` False looks for no earlier records whose outputs could be taken over. ``limit`` is how
    many bytes may be read at most, see :class:`~dver.lineage.looking.Looker`.
    """

    def __init__(
        self,
        repo: Repo,
        pipeline: Pipeline,
        index: LineageIndex,
        *,
        reuse: bool = True,
        limit: int | None = None,
    ) -> None:
        self._repo = repo
        self._index = index
        self._reuse = reuse
        self._here: set[Oid] | None = None
        self._newest: dict[str, Oid] = {}
        self._environments: dict[str, Captured] = {}
        self.pipeline = pipeline
        self.looker = Looker(repo, limit)

    def judge(self, step: Step, *, forced: bool = False) -> Judgement:
        """Say what is to be done for a step whose inputs are as they will be."""
        if step.frozen:
            return Judgement("frozen")
        if forced:
            return Judgement("run", (Reason("forced"),))
        now = self.now(step)
        newest = self.newest(step.name)
        if newest is None:
            found: tuple[Reason, ...] = (Reason("never"),)
        else:
            found = tuple(reasons(step, newest[1], now))
            if not found or self._is_recorded(step, now, newest[0]):
                return Judgement("current")
            if all(one.kind == "output" for one in found) and _makes(newest[1], step):
                return Judgement("restore", found, newest[0])
        donor = self._donor(step, now) if self._reuse else None
        return Judgement("run" if donor is None else "reuse", found, donor)

    def plan(
        self, names: Sequence[str], forced: Collection[str] = ()
    ) -> Iterator[tuple[Step, Judgement]]:
        """Yield what is to be done for steps in order, as far as can be said before any runs."""
        acting: set[str] = set()
        made: set[bytes] = set()
        for name in names:
            step = self.pipeline.steps[name]
            first = [one for one in self.pipeline.after[name] if one in acting]
            if not first or step.frozen:
                judged = self.judge(step, forced=name in forced)
            elif name in forced:
                judged = Judgement("run", (Reason("forced"),))
            else:
                self._params(step, made)
                judged = Judgement("pending", tuple(Reason("upstream", one) for one in first))
            if judged.action not in ("current", "frozen"):
                acting.add(name)
                made.update(step.made)
            yield step, judged

    def now(self, step: Step) -> Now:
        """Return what a step would be run with. Raises NotFoundError for a missing parameter."""
        params = self._params(step)
        return Now(self.looker.look([*reads_of(step), *step.made]), params)

    def _params(self, step: Step, made: Collection[bytes] = ()) -> tuple[Value, ...]:
        """Return the parameters of a step but for those in files that are still to be made."""
        return tuple(
            one
            for path, keys in sorted(step.params.items())
            if not any(overlap(path, out) for out in made)
            for one in values.params(self._repo.absolute(path), os.fsdecode(path), keys)
        )

    def newest(self, name: str) -> tuple[Oid, Record] | None:
        """Return the newest record on this branch of a step that ended well."""
        if name in self._newest:
            return self._newest[name], self.record(self._newest[name])
        for one in self._on_branch(name):
            return one, self.record(one)
        return None

    def _on_branch(self, name: str) -> Iterator[Oid]:
        """Yield the records on this branch of a step that ended well, newest first."""
        if self._here is None:
            paths = records_on_branch(self._repo.git)
            self._here = {one for one in map(recordpath.id_of, paths) if one is not None}
        yield from (one for one in self._index.of_step(name) if one in self._here)

    def _is_recorded(self, step: Step, now: Now, newest: Oid) -> bool:
        """Say whether another record on this branch is of what is there.

        So it is after going back to an earlier state, and if somebody's clock is ahead.
        """
        others = (one for one in self._on_branch(step.name) if one != newest)
        return any(
            not any(reasons(step, self.record(one), now))
            for one in itertools.islice(others, _MOST_RECORDS)
        )

    def record(self, record_id: Oid) -> Record:
        """Return a record that is known to exist."""
        return self._index.record(record_id) or load(self._repo, record_id)

    def made(self, name: str, record_id: Oid) -> None:
        """Take note of a new record of a step."""
        self._newest[name] = record_id

    def environment(self, step: Step) -> Captured:
        """Return the environment that a step would run in now."""
        env = dict(self._repo.environ)
        env.setdefault("PYTHONHASHSEED", "0")
        python = interpreter(step.argv, env)
        if python not in self._environments:
            self._environments[python] = Capture(step.argv, env).finish()
        return self._environments[python]

    def _donor(self, step: Step, now: Now) -> Oid | None:
        """Return an earlier record of any branch that is of just what would be run."""
        if step.uncontrolled:
            return None
        for one in self._index.of_step(step.name)[:_MOST_RECORDS]:
            value = self.record(one)
            # What a run read beyond its inputs is not known to be the same.
            if value.uncontrolled or value.undeclared.reads or not _makes(value, step):
                continue
            if any(causes(step, value, now)):
                continue
            found = self.environment(step).environment
            if (value.env.fingerprint, value.env.vars) == (found.fingerprint, found.vars):
                return one
        return None


def _makes(value: Record, step: Step) -> bool:
    return sorted(os.fsencode(one.path) for one in value.outputs) == list(step.made)


def told_reasons(repo: Repo, judged: Judgement) -> tuple[str, ...]:
    """Return reasons as a person reads them, with paths relative to where the user stands."""
    told = []
    for one in judged.reasons:
        is_path = one.kind in ("input", "output", "lock", "dropped")
        subject = repo.display(os.fsencode(one.subject)) if is_path else one.subject
        told.append(replace(one, subject=subject).text)
    return tuple(told)
