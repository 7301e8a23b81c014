"""Run what is not up to date of a pipeline, in order, and record each step."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import DverError, RefusedError
from dver.base.oid import Oid, parse_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats.record import Record
from dver.git.pointers import pointer_path
from dver.lineage import executing
from dver.lineage.environment import Captured
from dver.lineage.executing import Sink
from dver.lineage.index import LineageIndex
from dver.lineage.pipeline import Pipeline
from dver.lineage.pipelinefile import Step
from dver.ops.making.reproplan import Action, Judgement, Planner, load_pipeline, told_reasons
from dver.ops.making.reproready import require_inputs, require_programs
from dver.ops.making.reuse import restore, take_over
from dver.ops.making.run import RunOptions, run_and_tell
from dver.ops.targets import worktree

if TYPE_CHECKING:
    from concurrent.futures import Future

    from dver.repo import Repo

#: How long commands that the terminal told to stop may take to do so (seconds).
_GRACE = 10.0


@dataclass(frozen=True, slots=True)
class ReproOptions:
    """Which steps to bring up to date, and how.

    ``steps`` are names, all without any; what they need comes first, and with ``downstream`` what
    depends on them comes after. ``jobs`` steps may run at once. ``force`` runs the named steps
    even if they are up to date. ``pull`` brings missing inputs from the remote. ``keep_going``
    runs what does not depend on a step that failed. ``dry_run`` only tells what would be done, and
    why. ``reuse`` False takes no outputs of earlier runs. ``message``, ``strict`` and ``stage``
    are those of :class:`dver.ops.making.run.RunOptions`.
    """

    steps: tuple[str, ...] = ()
    jobs: int = 1
    force: bool = False
    downstream: bool = False
    pull: bool = False
    keep_going: bool = False
    dry_run: bool = False
    reuse: bool = True
    message: str = ""
    strict: bool = False
    stage: bool | None = None


@dataclass(frozen=True, slots=True)
class ReproStep:
    """What became of one step, and why.

    ``action``: current (up to date), frozen, run, reuse (the outputs of the record ``donor`` were
    taken), restore (those of its own record were put back), failed, blocked (one that it needs
    failed, or nothing more was begun), and in a dry run pending: that depends on what comes first.
    ``record`` is the id of the new record. ``exit`` is the command's exit code, None if it did
    not run; ``problem`` says what else was wrong. ``reads`` and ``writes`` were noticed and not
    declared.
    """

    name: str
    action: Action
    reasons: tuple[str, ...] = ()
    donor: str | None = None
    record: str | None = None
    outputs: tuple[str, ...] = ()
    metrics: Mapping[str, str] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    exit: int | None = None
    milliseconds: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ReproResult:
    """All steps that were asked for, in the order of the pipeline.

    ``exit`` is 0 or the exit code of the first step that failed.
    """

    steps: tuple[ReproStep, ...]
    dry_run: bool
    to_stage: tuple[str, ...]
    staged: bool
    exit: int
    interrupted: bool


class Watch:
    """Hears what happens while it happens. This base class is silent."""

    def began(self, step: ReproStep) -> None:
        """Hear that a step was begun; what became of it is not known yet."""

    def ended(self, step: ReproStep) -> None:
        """Hear what became of a step."""

    def sink(self, name: str, *, alone: bool) -> Sink:  # noqa: ARG002 - this one shows nothing
        """Return what takes the output of a step's command; ``alone`` if no other runs beside."""
        return lambda stream, data: None  # noqa: ARG005 - as above


def repro(repo: Repo, options: ReproOptions, watch: Watch, reporter: Reporter) -> ReproResult:
    """Bring steps up to date: run what is stale, or take over what an earlier run made of the same.

    All that can be wrong beforehand is told before anything runs: the file, the names, programs
    and inputs that are not there. A step that fails keeps those that need it from running.
    """
    repo.require_init()
    pipeline = load_pipeline(repo)
    names = pipeline.select(options.steps, downstream=options.downstream)
    forced = _forced(pipeline, options)
    with LineageIndex(repo) as index:
        planner = Planner(repo, pipeline, index, reuse=options.reuse)
        planned = list(planner.plan(names, forced))
        if options.dry_run:
            steps = tuple(_told(repo, step.name, judged) for step, judged in planned)
            return ReproResult(steps, True, (), False, 0, False)
        if require_inputs(repo, planner, planned, reporter, pull=options.pull):
            planner.looker.forget()
        require_programs(repo, planned)
        return _Work(repo, options, planner, names, forced, watch, reporter).run()


def _forced(pipeline: Pipeline, options: ReproOptions) -> set[str]:
    if not options.force:
        return set()
    return pipeline.named(options.steps) if options.steps else set(pipeline.steps)


def _told(repo: Repo, name: str, judged: Judgement) -> ReproStep:
    donor = None if judged.donor is None else judged.donor.hex()
    return ReproStep(name, judged.action, told_reasons(repo, judged), donor)


class _Work:
    """One run of a pipeline under way. Steps are judged in this thread, and run in others."""

    def __init__(
        self,
        repo: Repo,
        options: ReproOptions,
        planner: Planner,
        names: Sequence[str],
        forced: set[str],
        watch: Watch,
        reporter: Reporter,
    ) -> None:
        self._repo = repo
        self._options = options
        self._planner = planner
        self._names = names
        self._forced = forced
        self._watch = watch
        # Progress bars of several steps at once would only be in each other's way.
        self._reporter = reporter if options.jobs == 1 else _Spoken(reporter)
        self._results: dict[str, ReproStep] = {}
        self._to_stage: dict[bytes, None] = {}
        self._interrupted = False
        #: Of steps under way, so that the other threads need not ask the index.
        self._donors: dict[str, tuple[Oid, Record]] = {}
        self._captured: dict[str, Captured] = {}
        # What a step makes is no code of another one, also while it is being made.
        made = [path for step in planner.pipeline.steps.values() for path in step.made]
        self._apart = (*made, *map(pointer_path, made))

    def run(self) -> ReproResult:
        """Bring the steps up to date, one after the other or ``jobs`` at once; tell what became."""
        if self._options.jobs == 1:
            for name in self._names:
                judged = self._judge(name)
                if judged is not None:
                    self._ended(self._perform(name, judged))
        else:
            self._run_beside()
        results = tuple(self._results[name] for name in self._names)
        failed = [one for one in results if one.action == "failed"]
        code = next((one.exit for one in failed if one.exit), 1 if failed else 0)
        staged = worktree.stage(self._repo, list(self._to_stage), self._options.stage)
        display = self._repo.display
        to_stage = () if staged else tuple(display(path) for path in self._to_stage)
        return ReproResult(results, False, to_stage, staged, code, self._interrupted)

    def _run_beside(self) -> None:
        from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

        running: dict[Future[ReproStep], str] = {}
        with ThreadPoolExecutor(self._options.jobs) as pool:
            try:
                while len(self._results) < len(self._names):
                    for name in self._ready(set(running.values())):
                        if len(running) >= self._options.jobs:
                            break
                        judged = self._judge(name)
                        if judged is not None:
                            running[pool.submit(self._perform, name, judged)] = name
                    if running:
                        done, _ = wait(running, return_when=FIRST_COMPLETED)
                        for one in done:
                            del running[one]
                            self._ended(one.result())
            except KeyboardInterrupt as told:
                # The terminal told the commands as well; whoever told only dver means all.
                self._interrupted = True
                if type(told) is KeyboardInterrupt:
                    wait(running, timeout=_GRACE)
                executing.stop_running()
                for one in running:
                    self._ended(one.result())
                for name in self._names:
                    self._results.setdefault(name, ReproStep(name, "blocked"))
            except BaseException:
                executing.stop_running()
                raise

    def _ready(self, running: set[str]) -> list[str]:
        after = self._planner.pipeline.after
        chosen = set(self._names)
        return [
            name
            for name in self._names
            if name not in self._results
            and name not in running
            and all(one in self._results or one not in chosen for one in after[name])
        ]

    def _judge(self, name: str) -> Judgement | None:
        """Say what is to be done for a step whose turn it is; None if that is nothing."""
        after = self._planner.pipeline.after[name]
        failed = [one for one in self._results.values() if one.action in ("failed", "blocked")]
        first = [one.name for one in failed if one.name in after]
        if first or (failed and not self._options.keep_going) or self._interrupted:
            reasons = tuple(f"{one} did not end well" for one in first)
            self._ended(ReproStep(name, "blocked", reasons))
            return None
        step = self._planner.pipeline.steps[name]
        try:
            judged = self._planner.judge(step, forced=name in self._forced)
        except DverError as error:
            self._ended(_failed(_told(self._repo, name, Judgement("run")), error))
            return None
        if judged.action in ("current", "frozen"):
            self._ended(_told(self._repo, name, judged))
            return None
        if judged.donor is not None:
            self._donors[name] = (judged.donor, self._planner.record(judged.donor))
        if judged.action == "reuse":
            self._captured[name] = self._planner.environment(step)
        self._watch.began(_told(self._repo, name, judged))
        return judged

    def _perform(self, name: str, judged: Judgement) -> ReproStep:
        """Run one step, or take over what an earlier run made. May be called in any thread."""
        step = self._planner.pipeline.steps[name]
        told = _told(self._repo, name, judged)
        try:
            repo = self._repo.at(self._repo.root / step.cwd)
            with contextlib.closing(repo):
                if repo.root != self._repo.root:
                    raise RefusedError(
                        f"the directory {show(step.cwd)} belongs to another repository",
                        hint="let the command change to it: 'sh -c \"cd DIR && COMMAND\"'",
                    )
                if judged.action == "restore":
                    return self._restore(repo, step, told)
                if judged.action == "reuse":
                    return self._reuse(repo, step, told)
                return self._run(repo, step, told)
        except DverError as error:
            return _failed(told, error)

    def _restore(self, repo: Repo, step: Step, told: ReproStep) -> ReproStep:
        to_stage = restore(repo, self._donors[step.name][1].outputs, self._reporter)
        if to_stage is None:
            return self._run(repo, step, self._instead(told))
        self._to_stage.update(dict.fromkeys(to_stage))
        return replace(told, outputs=self._outputs(step))

    def _reuse(self, repo: Repo, step: Step, told: ReproStep) -> ReproStep:
        donor, captured = self._donors[step.name], self._captured[step.name]
        found = take_over(repo, self._run_options(step), donor, captured, self._reporter)
        if found is None:
            return self._run(repo, step, self._instead(told))
        self._to_stage.update(dict.fromkeys(found[1]))
        return replace(told, record=found[0], outputs=self._outputs(step))

    def _run(self, repo: Repo, step: Step, told: ReproStep) -> ReproStep:
        for path in step.made:
            # git keeps no empty directories, so that a clone has none for what is to be made.
            fsio.make_dirs(os.path.dirname(repo.absolute(path)))
        alone = self._options.jobs == 1
        sink = self._watch.sink(step.name, alone=alone)
        result, problem = run_and_tell(repo, self._run_options(step), sink, self._reporter)
        self._to_stage.update((_located(repo, path), None) for path in result.to_stage)
        if problem is not None:
            return _failed(replace(told, record=result.record, exit=result.exit), problem)
        if result.interrupted:
            self._interrupted = True
        return replace(
            told,
            action="failed" if result.exit or result.interrupted else "run",
            record=result.record,
            exit=result.exit,
            milliseconds=result.milliseconds,
            outputs=self._outputs(step) if not result.exit else (),
            metrics={one.name: one.value for one in result.metrics},
            reads=tuple(self._repo.display(_located(repo, path)) for path in result.reads),
            writes=tuple(self._repo.display(_located(repo, path)) for path in result.writes),
        )

    def _instead(self, told: ReproStep) -> ReproStep:
        """Say that a step is run after all."""
        reasons = (*told.reasons, "the outputs of the earlier run are not to be had")
        told = replace(told, action="run", donor=None, reasons=reasons)
        self._watch.began(told)
        return told

    def _run_options(self, step: Step) -> RunOptions:
        def absolute(path: bytes) -> str:
            return os.fsdecode(self._repo.absolute(path))

        return RunOptions(
            argv=step.argv,
            step=step.name,
            deps=tuple(f"{absolute(path)}:{role}" for path, role in step.deps.items()),
            params=tuple(f"{absolute(path)}:{','.join(k)}" for path, k in step.params.items()),
            outs=tuple(f"{absolute(path)}:{role}" for path, role in step.outs.items()),
            metrics=tuple(map(absolute, step.metrics)),
            locks=tuple(map(absolute, step.locks)),
            message=self._options.message,
            strict=self._options.strict,
            uncontrolled=step.uncontrolled,
            stage=False,
            apart=self._apart,
        )

    def _outputs(self, step: Step) -> tuple[str, ...]:
        return tuple(self._repo.display(path) for path in step.made)

    def _ended(self, told: ReproStep) -> None:
        self._results[told.name] = told
        if told.action in ("run", "reuse", "restore", "failed"):
            self._planner.looker.forget()
        if told.record is not None and told.action != "failed":
            self._planner.made(told.name, parse_oid(told.record))
        self._watch.ended(told)


def _located(repo: Repo, shown: str) -> bytes:
    return repo.locate(os.path.join(repo.cwd, shown))


def _failed(told: ReproStep, error: DverError) -> ReproStep:
    problem = error.message if error.hint is None else f"{error.message} ({error.hint})"
    if error.paths:
        problem += ": " + ", ".join(show(path) for path in error.paths[:5])
    return replace(told, action="failed", exit=error.exit_code, problem=problem)


class _Spoken(Reporter):
    """Passes on what is said from several threads, without the progress of each."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._lock = threading.Lock()

    def note(self, message: str) -> None:
        """Say something useful."""
        with self._lock:
            self._reporter.note(message)

    def warn(self, message: str, *, hint: str | None = None) -> None:
        """Say something that the user should act on."""
        with self._lock:
            self._reporter.warn(message, hint=hint)
