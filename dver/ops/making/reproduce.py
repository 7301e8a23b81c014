"""Make something again from its record, apart from the work tree, and grade what comes out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.oid import Oid
from dver.base.reporter import Reporter
from dver.formats.record import Grade, Graded, Item, Parent, Record, Verdict
from dver.lineage import actor, closeness, grading, running
from dver.lineage.closeness import Tolerance
from dver.lineage.executing import Sink
from dver.lineage.index import LineageIndex
from dver.lineage.running import Draft
from dver.lineage.setting import Kind
from dver.ops.data.materialise import remove_all
from dver.ops.making.maker import find, maker_of
from dver.ops.making.recordeditems import absent
from dver.ops.making.remaking import Made, Ready, Remaking
from dver.ops.making.remoterecords import asking
from dver.ops.making.upstream import upstream, with_rebuilt
from dver.ops.making.verdict import GradedOutput

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
    ``remote`` is where missing inputs and records come from, None the default one. ``keep`` leaves
    the directories in which it was made. ``check`` only tells whether it could be made. ``note``
    False writes no record of the verdict. ``environment`` is what to run in. ``times`` runs as
    often, and takes how far apart metrics are in those runs for their noise. ``chain`` makes first
    what the inputs were made of, from the roots on, and goes on with what came out.
    """

    target: str
    relative: float = 0.0
    absolute: float = 0.0
    remote: str | None = None
    keep: bool = False
    check: bool = False
    note: bool = True
    environment: Kind = "current"
    times: int = 1
    chain: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """Something that was made again on the way, since the target was made of it."""

    record: str
    step: str
    grade: Grade
    outputs: tuple[GradedOutput, ...]
    missing: tuple[str, ...]
    verdict: str | None
    directory: str | None


@dataclass(frozen=True, slots=True)
class ReproduceResult:
    """The verdict on a record.

    ``record`` is what was made again and ``verdict`` the id of the record that says so, None where
    none was written. ``differs`` is what in the environment is not as it was, ``missing`` what
    stood in the way, ``metrics`` those that changed. ``directory`` is where it was made, None if
    that was removed. ``exit`` is the command's exit code, None if it was not run.
    ``environment`` is what it ran in, ``runs`` how often, ``noise`` how far apart each metric was
    in those runs (texts), ``chain`` what was made before it, the roots first. ``files`` are the
    records that were written, of the whole chain.
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
    environment: Kind = "current"
    runs: int = 1
    noise: Mapping[str, str] = field(default_factory=dict)
    chain: tuple[Link, ...] = ()
    files: tuple[str, ...] = ()


def reproduce(
    repo: Repo, options: ReproduceOptions, sink: Sink, reporter: Reporter
) -> ReproduceResult:
    """Make what a record made, of the same inputs with the same code, and compare.

    Nothing in the work tree, the index or the branches changes but for the new records' files.
    What is missing is told before anything is run: the grade is then ``blocked``.
    """
    with LineageIndex(repo) as index:
        record_id, value = asking(
            repo,
            index,
            options.target,
            options.remote,
            lambda: maker_of(repo, index, find(repo, index, options.target)),
        )
        records = upstream(index, record_id, value) if options.chain else [(record_id, value)]
    return _Reproductions(repo, options, sink, reporter).run(records)


@dataclass(slots=True)
class _One:
    """The reproduction of one record."""

    id: Oid
    record: Record
    ready: Ready
    runs: list[Made] = field(default_factory=list)
    grade: Grade = "blocked"
    outputs: tuple[GradedOutput, ...] = ()
    metric_lines: list[str] = field(default_factory=list)
    noise: dict[str, str] = field(default_factory=dict)
    directory: str | None = None
    verdict: tuple[str, str] | None = None

    @property
    def missing(self) -> list[str]:
        """What stands in the way."""
        return self.ready.missing + [text for made in self.runs[:1] for text in made.missing]


class _Reproductions:
    """One record to be made again, or a chain of them."""

    def __init__(
        self, repo: Repo, options: ReproduceOptions, sink: Sink, reporter: Reporter
    ) -> None:
        self._repo = repo
        self._options = options
        self._remaking = Remaking(repo, options.environment, options.remote, sink, reporter)
        self._rebuilt: dict[Oid, Item] = {}

    def run(self, records: Sequence[tuple[Oid, Record]]) -> ReproduceResult:
        """Make them in this order; the last is what was asked for."""
        options = self._options
        made_first = {out.oid for _, value in records[:-1] for out in value.outputs}
        ones = []
        for record_id, value in records:
            # What is made on the way need not be here.
            inputs = tuple(item for item in value.inputs if item.oid not in made_first)
            ready = self._remaking.preflight(value, inputs)
            ones.append(_One(record_id, value, ready))
        blocked = any(one.missing for one in ones)
        for one in ones:
            if blocked and not one.missing and not options.check:
                one.ready.notes.append("not made, since something else in the chain is missing")
        if options.check:
            for one in ones:
                if not one.missing:
                    one.grade = "exact"
            if not blocked:
                ones[-1].ready.notes.append("all that is needed is here; nothing was run")
        elif not blocked:
            self._make_all(ones)
        if options.note and not options.check:
            for one in ones:
                one.verdict = self._note(one)
        return self._result(ones)

    # making

    def _make_all(self, ones: Sequence[_One]) -> None:
        options = self._options
        base = Path(tempfile.mkdtemp(prefix="dver-reproduce-"))
        try:
            for n, one in enumerate(ones):
                one.ready.inputs = with_rebuilt(one.record.inputs, self._rebuilt)
                gone = absent(self._repo, one.ready.inputs)
                if gone:
                    one.ready.missing += [f"{item.path} was not made again" for item in gone]
                    continue
                for again in range(options.times):
                    name = "work" if len(ones) == options.times == 1 else f"{n + 1}-{again + 1}"
                    one.runs.append(self._remaking.make(one.record, one.ready, base / name))
                    if options.keep:
                        one.directory = os.fspath(base / name)
                    if one.missing:
                        break
                self._grade(one)
                for path, item in one.runs[0].items.items():
                    for out in one.record.outputs:
                        if out.path == path:
                            self._rebuilt[out.oid] = item
        finally:
            if not options.keep:
                remove_all(base)

    def _grade(self, one: _One) -> None:
        """Grade all runs of one record together: the worst of each output decides."""
        notes, record = one.ready.notes, one.record
        if one.missing:
            return
        expected = record.run.exit if record.run is not None else 0
        exits = [made.outcome.exit for made in one.runs if made.outcome is not None]
        for code in dict.fromkeys(code for code in exits if code != expected):
            one.grade = "diverged"
            notes.append(f"the command ended with exit code {code}, not {expected}")
        if one.grade == "diverged":
            return
        one.outputs = _together([made.outputs for made in one.runs], notes)
        runs = [made.metrics for made in one.runs]
        noise = closeness.noise_of(runs) if len(runs) > 1 else {}
        one.noise = {name: repr(value) for name, value in sorted(noise.items())}
        tolerance = Tolerance(self._options.relative, self._options.absolute, noise)
        nearest = closeness.nearest(record.metrics, runs)
        close, one.metric_lines = closeness.compare_metrics(record.metrics, nearest, tolerance)
        worst = grading.worst([output.grade for output in one.outputs])
        if worst == "diverged" and close and all(output.made for output in one.outputs):
            # Bytes and content differ, and by its own measure it is as good as before.
            worst = "metric"
        one.grade = worst
        if not one.outputs:
            one.grade = "exact" if close or not record.metrics else "diverged"
            notes.append("the record names no outputs; only the exit code was compared")

    # afterwards

    def _note(self, one: _One) -> tuple[str, str]:
        """Write the record of a verdict; return its id and its path."""
        repo, value = self._repo, one.record
        draft = Draft(
            kind="reproduce",
            step=value.step,
            command=value.command,
            params=value.params,
            parents=(Parent(one.id.hex(), "reproduces"),),
            actor=actor.who(repo.git, repo.environ),
            repo=actor.identity(repo.git),
            seeds=value.seeds if one.runs else {},
        )
        # What could not be had is named by the record that was to be made again.
        gone = absent(repo, one.ready.inputs)
        draft.inputs = tuple(item for item in one.ready.inputs if item not in gone)
        if one.runs:
            first = one.runs[0]
            draft.outcome, draft.metrics = first.outcome, first.metrics
            draft.outputs = tuple(first.items.values())
            if first.captured is not None:
                draft.env, draft.packages = first.captured.environment, first.captured.packages
        draft.verdict = Verdict(
            one.grade,
            tuple(Graded(output.path, output.grade, output.note) for output in one.outputs),
            (*_differs(one), *one.missing),
            one.ready.setting.kind if one.runs else self._options.environment,
            len(one.runs) if len(one.runs) > 1 else 0,
            one.noise,
        )
        store = repo.store
        with store.hold():
            store.refresh()
            with store.writer() as writer:
                record_id, data = running.finish(draft, writer)
                writer.commit()
            path = running.write(repo, record_id, data)
        return record_id.hex(), repo.display(path)

    def _result(self, ones: Sequence[_One]) -> ReproduceResult:
        one = ones[-1]
        value = one.record
        outcome = one.runs[0].outcome if one.runs else None
        notes = [*one.ready.notes, *(text for made in one.runs for text in made.notes)]
        return ReproduceResult(
            record=one.id.hex(),
            step=value.step,
            command=value.command.argv if value.command else (),
            commit=value.code.commit,
            grade=one.grade,
            outputs=one.outputs,
            metrics=tuple(one.metric_lines),
            differs=_differs(one),
            missing=tuple(one.missing),
            notes=tuple(dict.fromkeys(notes)),
            milliseconds=outcome.milliseconds if outcome else 0,
            recorded_milliseconds=value.run.milliseconds if value.run else 0,
            exit=outcome.exit if outcome else None,
            verdict=one.verdict[0] if one.verdict else None,
            file=one.verdict[1] if one.verdict else None,
            directory=one.directory,
            environment=self._options.environment,
            runs=max(1, len(one.runs)),
            noise=one.noise,
            chain=tuple(
                Link(
                    link.id.hex(),
                    link.record.step,
                    link.grade,
                    link.outputs,
                    tuple(link.missing),
                    link.verdict[0] if link.verdict else None,
                    link.directory,
                )
                for link in ones[:-1]
            ),
            files=tuple(link.verdict[1] for link in ones if link.verdict),
        )


def _differs(one: _One) -> tuple[str, ...]:
    return one.runs[0].differs if one.runs else ()


def _together(runs: Sequence[Sequence[GradedOutput]], notes: list[str]) -> tuple[GradedOutput, ...]:
    """Return of each output the worst that came of several runs, and note which were unlike."""
    found = []
    for versions in zip(*runs, strict=True):
        made = {one.made for one in versions}
        if len(made) > 1:
            notes.append(f"{versions[0].path}: {len(made)} different results in {len(runs)} runs")
        found.append(max(versions, key=lambda one: grading.GRADES.index(one.grade)))
    return tuple(found)
