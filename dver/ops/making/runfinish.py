"""What is done once a recorded command has ended: outputs are taken in, the record is written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import DverError, NotFoundError, RefusedError
from dver.base.oid import format_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats.record import Item, Metric, Undeclared
from dver.formats.recordpath import DIRECTORY as RECORDS
from dver.git import snapshot
from dver.lineage import running, values
from dver.lineage.executing import Outcome
from dver.lineage.keeping import Keeper
from dver.lineage.running import Draft
from dver.ops.data.add import record as add_jobs
from dver.ops.making.runplan import Plan, is_below
from dver.ops.targets import worktree
from dver.ops.targets.selection import select
from dver.ops.targets.target import load_targets

if TYPE_CHECKING:
    from dver.repo import Repo

#: What was made is taken in even if others are busy with the work tree for as long (seconds).
_PATIENCE = 3600.0


@dataclass(frozen=True, slots=True)
class RunItem:
    """One input or output: the path as the user would type it, the oid in text form."""

    path: str
    oid: str
    size: int
    files: int
    role: str


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run was recorded as.

    ``record`` is the record's id and ``file`` its file. ``exit`` is the command's exit code and
    ``milliseconds`` the time it took. ``reads`` and ``writes`` were noticed and not declared;
    ``left_out`` are changed files that the snapshot of the code does not hold.
    """

    record: str
    file: str
    exit: int
    milliseconds: int
    inputs: tuple[RunItem, ...]
    outputs: tuple[RunItem, ...]
    metrics: tuple[Metric, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    left_out: tuple[str, ...]
    to_stage: tuple[str, ...]
    staged: bool
    interrupted: bool


class Finish:
    """What is done once the command has ended."""

    def __init__(
        self,
        repo: Repo,
        plan: Plan,
        draft: Draft,
        reporter: Reporter,
        metrics: tuple[Metric, ...] = (),
    ) -> None:
        self._repo = repo
        self._plan = plan
        self._draft = draft
        self._reporter = reporter
        self._told = metrics
        self._missing: list[bytes] = []
        self._problem: DverError | None = None

    def finish(self, reads: set[bytes], writes: set[bytes]) -> RunResult:
        """Take the outputs in, write the record, and return the result.

        That something is wrong with the run, which was recorded all the same, is told by
        :meth:`problem` afterwards.
        """
        repo, plan, draft = self._repo, self._plan, self._draft
        outcome = self._outcome()
        to_stage: list[bytes] = []
        adopted: dict[bytes, str] = {}
        if outcome.exit == 0:
            for path, role in sorted({**plan.outs, **plan.metrics}.items()):
                if os.path.lexists(repo.absolute(path)):
                    adopted[path] = role
                else:
                    self._missing.append(path)
            to_stage += self._track([path for path in adopted if path in plan.outs])
            to_stage += self._small([path for path in adopted if path in plan.metrics])
        draft.undeclared = self._undeclared(reads, writes)
        store = repo.store
        with store.hold():
            store.refresh()
            with store.writer() as writer:
                plan.targets = load_targets(repo, [b""])
                keeper = Keeper(repo, writer)
                sources = plan.sources(adopted)
                draft.outputs = tuple(
                    replace(
                        keeper.keep(path, plan.target_of(path)), role=role, source=sources[path]
                    )
                    for path, role in adopted.items()
                )
                draft.metrics = (*self._told, *self._metrics(adopted))
                record_id, data = running.finish(draft, writer)
                writer.commit()
            if draft.code is not None and draft.code.snapshot:
                snapshot.keep(repo.git, record_id.hex(), draft.code.snapshot)
            to_stage.append(running.write(repo, record_id, data))
        staged = worktree.stage(repo, to_stage, plan.options.stage)
        return self._result(record_id.hex(), outcome, to_stage, staged)

    def _outcome(self) -> Outcome:
        if self._draft.outcome is None:
            raise ValueError("the command did not run")
        return self._draft.outcome

    def _track(self, paths: Sequence[bytes]) -> list[bytes]:
        """Track outputs that git does not; return the files that git is to know of."""
        repo = self._repo
        in_git = set(repo.git.tracked_by_git(paths))
        mine = [path for path in paths if path not in in_git]
        if not mine:
            return []
        typed = [os.fsdecode(os.path.join(os.fsencode(repo.root), path)) for path in mine]
        try:
            with worktree.hold_worktree(repo, timeout=_PATIENCE):
                done = add_jobs(repo, select(repo, typed), self._reporter, stage=False, made=True)
        except DverError as error:
            # What was made is recorded all the same; that it is not tracked is told at the end.
            self._problem = error
            return []
        return [repo.locate(os.path.join(repo.cwd, path)) for path in done.to_stage]

    def _small(self, paths: Sequence[bytes]) -> list[bytes]:
        """Return those files of metrics that git itself has, or would have."""
        repo = self._repo
        mine = [path for path in paths if not self._plan.target_of(path)]
        ignored = repo.git.is_ignored(mine)
        return [path for path, hidden in zip(mine, ignored, strict=True) if not hidden]

    def _metrics(self, adopted: Mapping[bytes, str]) -> Iterable[Metric]:
        for path in sorted(self._plan.metrics):
            if path not in adopted:
                continue
            try:
                yield from values.metrics(self._repo.absolute(path), os.fsdecode(path))
            except DverError as error:
                self._reporter.warn(f"no metrics were read: {error.message}", hint=error.hint)

    def _undeclared(self, reads: set[bytes], writes: set[bytes]) -> Undeclared:
        plan = self._plan
        declared = [*plan.deps, *plan.param_files, *plan.outs, *plan.metrics, *plan.locks]
        noticed = {
            path
            for path in reads | writes
            if not path.startswith((b".git/", RECORDS))
            and b"__pycache__" not in path
            and not any(path == one or is_below(path, one) for one in declared)
        }
        code = set(self._repo.git.tracked_by_git(sorted(noticed)))
        self._draft.used = tuple(map(os.fsdecode, sorted(code & reads)))
        written = sorted(path for path in noticed & writes if path not in code)
        read = sorted(
            path
            for path in noticed & reads - writes
            if path not in code and os.path.isfile(self._repo.absolute(path))
        )
        return Undeclared(tuple(map(os.fsdecode, read)), tuple(map(os.fsdecode, written)))

    def _result(
        self, record_id: str, outcome: Outcome, to_stage: Sequence[bytes], staged: bool
    ) -> RunResult:
        draft, display = self._draft, self._repo.display
        left_out = draft.code.left_out if draft.code is not None else ()
        return RunResult(
            record_id,
            display(to_stage[-1]),
            outcome.exit,
            outcome.milliseconds,
            tuple(self._item(one) for one in draft.inputs),
            tuple(self._item(one) for one in draft.outputs),
            draft.metrics,
            tuple(display(os.fsencode(path)) for path in draft.undeclared.reads),
            tuple(display(os.fsencode(path)) for path in draft.undeclared.writes),
            tuple(f"{display(one.path)}: {one.reason}" for one in left_out),
            () if staged else tuple(display(path) for path in to_stage),
            staged,
            outcome.interrupted,
        )

    def _item(self, one: Item) -> RunItem:
        path = self._repo.display(os.fsencode(one.path))
        return RunItem(path, format_oid(one.oid), one.size, one.files, one.role)

    def problem(self, result: RunResult) -> DverError | None:
        """Return what is wrong with a run that ended well; warn of what its record lacks."""
        for text in result.left_out:
            self._reporter.warn(f"the record does not hold {text}")
        keep = f"; to keep the record, run: git add {show(result.file)}"
        keep = "" if result.staged else keep
        if self._problem is not None:
            self._reporter.warn(
                f"the run was recorded as {result.record[:10]}, and not all outputs are tracked"
            )
            return self._problem
        if self._missing:
            return NotFoundError(
                f"the command ended well, but did not make all outputs; it was recorded as"
                f" {result.record[:10]}",
                hint=f"check the paths of its outputs and metrics{keep}",
                paths=[self._repo.display(path) for path in self._missing],
            )
        if self._plan.options.strict and (result.reads or result.writes):
            return RefusedError(
                f"files were read or written that were not declared; the run was recorded as"
                f" {result.record[:10]}",
                hint=f"declare them with -d and -o, or leave --strict out{keep}",
                paths=[*result.reads, *result.writes],
            )
        return None
