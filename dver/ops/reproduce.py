"""Make something again from its record, apart from the work tree, and grade what comes out."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.errors import DverError, NotFoundError
from dver.base.fsio import show
from dver.base.oid import Oid, short_oid
from dver.base.reporter import Reporter
from dver.formats.record import (
    Grade,
    Graded,
    Item,
    Metric,
    Parent,
    Record,
    Verdict,
)
from dver.lineage import actor, executing, grading, running, values
from dver.lineage.checkedout import CodeUnavailableError, FoundCode, check_out, find_code
from dver.lineage.environment import Capture, differences
from dver.lineage.executing import Sink
from dver.lineage.grading import Tolerance
from dver.lineage.index import LineageIndex
from dver.lineage.keeping import content_of
from dver.lineage.running import Draft
from dver.ops.making import find, maker_of
from dver.ops.materialise import remove_all
from dver.ops.recordeditems import bring, is_here, write_out
from dver.ops.verdict import GradedOutput, Grader

if TYPE_CHECKING:
    from dver.repo import Repo

#: What the command line ends with for each grade.
EXIT_OF: Mapping[Grade, int] = {
    "exact": 0,
    "content": 20,
    "metric": 21,
    "diverged": 22,
    "blocked": 23,
}


@dataclass(frozen=True, slots=True)
class ReproduceOptions:
    """What to make again: ``PATH[@REV]``, a record's id, or a file on disk.

    ``relative`` and ``absolute`` say how far apart metrics may be and still count as the same.
    ``remote`` is where missing inputs come from, None the default one. ``keep`` leaves the
    directory in which it was made. ``check`` only tells whether it could be made. ``note`` False
    writes no record of the verdict.
    """

    target: str
    relative: float = 0.0
    absolute: float = 0.0
    remote: str | None = None
    keep: bool = False
    check: bool = False
    note: bool = True


@dataclass(frozen=True, slots=True)
class ReproduceResult:
    """The verdict on a record.

    ``record`` is what was made again and ``verdict`` the id of the record that says so, None where
    none was written. ``differs`` is what in the environment is not as it was, ``missing`` what
    stood in the way, ``metrics`` those that changed. ``directory`` is where it was made, None if
    that was removed. ``exit`` is the command's exit code, None if it was not run.
    """

    record: str
    step: str
    command: tuple[str, ...]
    commit: str
    grade: Grade
    outputs: tuple[GradedOutput, ...]
    metrics: tuple[str, ...]
    differs: tuple[str, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    milliseconds: int
    recorded_milliseconds: int
    exit: int | None
    verdict: str | None
    file: str | None
    directory: str | None


def reproduce(
    repo: Repo, options: ReproduceOptions, sink: Sink, reporter: Reporter
) -> ReproduceResult:
    """Make what a record made, of the same inputs with the same code, and compare.

    Nothing in the work tree, the index or the branches changes but for the new record's file.
    What is missing is told before anything is run: the grade is then ``blocked``.
    """
    with LineageIndex(repo) as index:
        record_id, value = maker_of(repo, index, find(repo, index, options.target))
    return _Reproduction(repo, options, record_id, value, sink, reporter).run()


@dataclass(slots=True)
class _State:
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    outputs: list[GradedOutput] = field(default_factory=list)
    metric_lines: list[str] = field(default_factory=list)
    metrics: tuple[Metric, ...] = ()
    differs: tuple[str, ...] = ()
    grade: Grade = "blocked"
    made: dict[str, Item] = field(default_factory=dict)


class _Reproduction:
    """One reproduction under way."""

    def __init__(
        self,
        repo: Repo,
        options: ReproduceOptions,
        record_id: Oid,
        value: Record,
        sink: Sink,
        reporter: Reporter,
    ) -> None:
        self._repo = repo
        self._options = options
        self._id = record_id
        self._record = value
        self._sink = sink
        self._reporter = reporter
        self._state = _State()
        self._code = FoundCode()
        self._draft = Draft(
            kind="reproduce",
            step=value.step,
            command=value.command,
            params=value.params,
            inputs=value.inputs,
            parents=(Parent(record_id.hex(), "reproduces"),),
        )

    def run(self) -> ReproduceResult:
        """Do it."""
        self._preflight()
        state = self._state
        directory = None
        if not state.missing and not self._options.check:
            base = Path(tempfile.mkdtemp(prefix="dver-reproduce-"))
            try:
                self._make(base)
            finally:
                if self._options.keep:
                    directory = os.fspath(base / "work")
                else:
                    remove_all(base)
        elif not state.missing:
            state.grade = "exact"
            state.notes.append("all that is needed is here; nothing was run")
        verdict, path = self._note() if self._options.note and not self._options.check else ("", "")
        outcome = self._draft.outcome
        return ReproduceResult(
            record=self._id.hex(),
            step=self._record.step,
            command=self._record.command.argv if self._record.command else (),
            commit=self._record.code.commit,
            grade=state.grade,
            outputs=tuple(state.outputs),
            metrics=tuple(state.metric_lines),
            differs=state.differs,
            missing=tuple(state.missing),
            notes=tuple(state.notes),
            milliseconds=outcome.milliseconds if outcome else 0,
            recorded_milliseconds=self._record.run.milliseconds if self._record.run else 0,
            exit=outcome.exit if outcome else None,
            verdict=verdict or None,
            file=path or None,
            directory=directory,
        )

    # before

    def _preflight(self) -> None:
        """Find out what is missing, and bring what can be brought."""
        value, state = self._record, self._state
        if value.command is None:
            state.missing.append("the record names no command: it was made elsewhere")
            return
        if value.run is not None and value.run.exit != 0:
            state.notes.append(f"the recorded run itself ended with exit code {value.run.exit}")
        try:
            self._code = find_code(self._repo, value)
            if self._code.note:
                state.notes.append(self._code.note)
        except CodeUnavailableError as error:
            state.missing.append(error.message)
        self._bring_inputs()
        for text in value.code.left_out:
            state.notes.append(f"the code lacks {text}, which was not kept")
        for text in value.uncontrolled:
            state.notes.append(f"not controlled: {text}")

    def _bring_inputs(self) -> None:
        repo = self._repo
        looked = bring(repo, self._record.inputs, self._options.remote, self._reporter)
        for one in self._record.inputs:
            if not is_here(repo, one):
                self._state.missing.append(
                    f"the input {show(one.path)} ({short_oid(one.oid)}) is not in"
                    f" {' and '.join(looked)}"
                )

    # making

    def _make(self, base: Path) -> None:
        value, state = self._record, self._state
        if value.command is None:
            return
        work = base / "work"
        check_out(self._repo, self._code, work)
        self._lay_out(work, base)
        cwd = work / value.command.cwd
        fsio.make_dirs(os.fspath(cwd))
        env = self._environment()
        argv = list(value.command.argv)
        try:
            executing.find_program(argv, os.fspath(cwd), env)
        except NotFoundError as error:
            state.missing.append(error.message)
            return
        capture = Capture(argv, env)
        outcome = executing.execute(argv, os.fspath(cwd), env, self._sink)
        captured = capture.finish(tuple(value.env.vars), value.env.container)
        self._draft.outcome = outcome
        self._draft.env, self._draft.packages = captured.environment, captured.packages
        self._draft.seeds = value.seeds
        state.differs = tuple(
            differences(value.env, captured.environment, self._packages(), captured.packages)
        )
        recorded = value.run.exit if value.run is not None else 0
        if outcome.exit != recorded:
            state.grade = "diverged"
            state.notes.append(f"the command ended with exit code {outcome.exit}, not {recorded}")
            return
        self._compare(work, base)

    def _environment(self) -> dict[str, str]:
        """Return the variables of this process, with those that were recorded set as they were."""
        env = dict(self._repo.environ)
        for name in [one for one in env if one.startswith("GIT_")]:
            del env[name]
        for name in self._record.env.vars:
            env.pop(name, None)
        return env | dict(self._record.env.vars) | dict(self._record.seeds)

    def _lay_out(self, work: Path, base: Path) -> None:
        """Put the inputs where the command expects them, read-only, and take outputs away."""
        for out in self._record.outputs:
            place = work / out.path
            if os.path.lexists(place):
                remove_all(place)
            fsio.make_dirs(os.fspath(place.parent))
        scratch = base / "scratch"
        for n, one in enumerate(self._record.inputs):
            place = work / one.path
            if one.kind == "file" and place.is_file() and content_of(place) == one.oid:
                continue
            write_out(self._repo, one, place, scratch / str(n), self._reporter)
            _protect(place)

    def _packages(self) -> bytes:
        oid = self._record.env.packages
        if oid is None or not self._repo.store.has(oid):
            return b""
        return self._repo.store.read(oid)

    # afterwards

    def _compare(self, work: Path, base: Path) -> None:
        """Grade each output; the worst decides."""
        state = self._state
        tolerance = Tolerance(self._options.relative, self._options.absolute)
        store = self._repo.store
        grader = Grader(self._repo, self._options.remote, self._reporter)
        with store.hold():
            store.refresh()
            with store.writer() as writer:
                for n, one in enumerate(self._record.outputs):
                    place, scratch = work / one.path, base / "compare" / str(n)
                    graded, made = grader.grade(one, place, scratch, writer)
                    state.outputs.append(graded)
                    if made is not None:
                        state.made[one.path] = made
                writer.commit()
        self._read_metrics(work)
        close, lines = grading.compare_metrics(self._record.metrics, state.metrics, tolerance)
        state.metric_lines = lines
        grades = [one.grade for one in state.outputs]
        worst = grading.worst(grades)
        if worst == "diverged" and close and all(one.made for one in state.outputs):
            # Bytes and content differ, and by its own measure it is as good as before.
            worst = "metric"
        state.grade = worst
        if not state.outputs:
            state.grade = "exact" if close or not self._record.metrics else "diverged"
            state.notes.append("the record names no outputs; only the exit code was compared")

    def _read_metrics(self, work: Path) -> None:
        found: list[Metric] = []
        for source in dict.fromkeys(one.source for one in self._record.metrics):
            try:
                found += values.metrics(os.fsencode(work / source), source)
            except DverError as error:
                self._state.notes.append(error.message)
        self._state.metrics = tuple(found)

    def _note(self) -> tuple[str, str]:
        """Write the record of the verdict; return its id and its path."""
        repo, state, draft = self._repo, self._state, self._draft
        draft.actor = actor.who(repo.git, repo.environ)
        draft.repo = actor.identity(repo.git)
        draft.outputs = tuple(state.made.values())
        draft.metrics = state.metrics
        draft.verdict = Verdict(
            state.grade,
            tuple(Graded(one.path, one.grade, one.note) for one in state.outputs),
            (*state.differs, *state.missing),
        )
        # What could not be had is named by the record that was to be made again.
        draft.inputs = tuple(one for one in draft.inputs if is_here(repo, one))
        store = repo.store
        with store.hold():
            store.refresh()
            with store.writer() as writer:
                record_id, data = running.finish(draft, writer)
                writer.commit()
            path = running.write(repo, record_id, data)
        return record_id.hex(), repo.display(path)


def _protect(place: Path) -> None:
    """Make an input read-only, so that a command that changes its inputs is noticed."""
    if place.is_symlink():
        return
    for where, _, files in os.walk(place):
        for name in files:
            inner = os.path.join(where, name)
            if not os.path.islink(inner):
                os.chmod(inner, stat.S_IMODE(os.stat(inner).st_mode) & ~0o222)
    if place.is_file():
        os.chmod(place, stat.S_IMODE(place.stat().st_mode) & ~0o222)
