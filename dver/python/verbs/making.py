"""Making things and asking what made them: ``dver run``, ``repro``, ``lineage`` and their like."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dver.python.sessions import PathLike
from dver.python.verbs.handle import Group, Handle

if TYPE_CHECKING:
    from dver.lineage.executing import Sink
    from dver.lineage.setting import Kind
    from dver.ops.making.contrast import ContrastResult
    from dver.ops.making.dag import DagResult
    from dver.ops.making.export import ExportResult, Standard
    from dver.ops.making.lineage import LineageResult
    from dver.ops.making.record import RecordResult
    from dver.ops.making.recordedvalues import DiffValuesResult, ShowValuesResult, What
    from dver.ops.making.repro import ReproResult, Watch
    from dver.ops.making.reproduce import ReproduceResult
    from dver.ops.making.runfinish import RunResult
    from dver.ops.making.runs import RunsResult
    from dver.ops.making.sign import SignResult, VerifyResult


def unheard(stream: str, data: bytes) -> None:
    """Take what a command prints, and do nothing with it."""


class MakingVerbs(Handle):
    """Methods that run things, and that ask records."""

    def run(
        self,
        *argv: str,
        step: str = "",
        deps: tuple[str, ...] = (),
        params: tuple[str, ...] = (),
        outs: tuple[str, ...] = (),
        metrics: tuple[str, ...] = (),
        locks: tuple[str, ...] = (),
        message: str = "",
        clean: bool = False,
        strict: bool = False,
        variables: tuple[str, ...] = (),
        container: str = "",
        uncontrolled: tuple[str, ...] = (),
        stage: bool | None = None,
        sink: Sink = unheard,
    ) -> RunResult:
        """Run a command, and record what it made out of what: ``dver run``.

        ``sink`` takes what the command prints. A command that fails is recorded, and told by
        ``exit`` in the result. To record a block of Python, see :func:`dver.run`.
        """
        from dver.ops.making.run import run
        from dver.ops.making.runplan import RunOptions

        asked = RunOptions(
            argv,
            step=step,
            deps=deps,
            params=params,
            outs=outs,
            metrics=metrics,
            locks=locks,
            message=message,
            clean=clean,
            strict=strict,
            variables=variables,
            container=container,
            uncontrolled=uncontrolled,
            stage=stage,
        )
        with self.opened() as repo:
            return run(repo, asked, sink, self.reporter)

    def record(self, source: PathLike, *, stage: bool | None = None) -> RecordResult:
        """Record something that was made elsewhere, from a file that tells it: ``dver record``."""
        from dver.ops.making.record import RecordOptions, record

        with self.opened() as repo:
            return record(repo, RecordOptions(os.fspath(source), stage), self.reporter)

    def repro(
        self,
        *steps: str,
        jobs: int = 1,
        force: bool = False,
        downstream: bool = False,
        pull: bool = False,
        keep_going: bool = False,
        dry_run: bool = False,
        reuse: bool = True,
        message: str = "",
        strict: bool = False,
        stage: bool | None = None,
        watch: Watch | None = None,
    ) -> ReproResult:
        """Run what is not up to date of the pipeline in dver.yaml: ``dver repro``.

        ``watch`` hears of each step as it happens. Failures are told by ``exit`` in the result.
        """
        from dver.ops.making.repro import ReproOptions, Watch, repro

        asked = ReproOptions(
            steps,
            jobs=jobs,
            force=force,
            downstream=downstream,
            pull=pull,
            keep_going=keep_going,
            dry_run=dry_run,
            reuse=reuse,
            message=message,
            strict=strict,
            stage=stage,
        )
        with self.opened() as repo:
            return repro(repo, asked, watch or Watch(), self.reporter)

    def dag(self, *steps: str, downstream: bool = False) -> DagResult:
        """Return the pipeline: its steps, and which needs which: ``dver dag``."""
        from dver.ops.making.dag import dag

        with self.opened() as repo:
            return dag(repo, steps, downstream=downstream)

    def lineage(
        self, target: PathLike, *, down: bool = False, depth: int | None = None
    ) -> LineageResult:
        """Return what made something, or with ``down`` what was made with it: ``dver lineage``."""
        from dver.ops.making.lineage import LineageOptions, lineage

        with self.opened() as repo:
            return lineage(repo, LineageOptions(os.fspath(target), down, depth))

    def export_lineage(
        self,
        target: PathLike,
        standard: Standard,
        *,
        down: bool = False,
        depth: int | None = None,
    ) -> ExportResult:
        """Return lineage as documents of a standard: ``dver lineage --format``."""
        from dver.ops.making.export import ExportOptions, export

        with self.opened() as repo:
            return export(repo, ExportOptions(os.fspath(target), standard, down, depth))

    def runs(
        self,
        *,
        where: tuple[str, ...] = (),
        sort: str | None = None,
        limit: int | None = None,
        failed: bool = False,
    ) -> RunsResult:
        """Return recorded runs, with their parameters and metrics: ``dver runs``."""
        from dver.ops.making.runs import RunsOptions, runs

        with self.opened() as repo:
            return runs(repo, RunsOptions(where, sort, limit, failed))

    def compare(
        self,
        *targets: str,
        all: bool = False,  # noqa: A002 - as the option is called
        files: bool = False,
    ) -> ContrastResult:
        """Put runs side by side: ``dver compare``, with ``files`` also ``dver lineage diff``."""
        from dver.ops.making.contrast import ContrastOptions, contrast

        with self.opened() as repo:
            return contrast(repo, ContrastOptions(targets, all, files))

    def reproduce(
        self,
        target: PathLike,
        *,
        relative: float = 0.0,
        absolute: float = 0.0,
        remote: str | None = None,
        keep: bool = False,
        check: bool = False,
        note: bool = True,
        environment: Kind = "current",
        times: int = 1,
        chain: bool = False,
        sink: Sink = unheard,
    ) -> ReproduceResult:
        """Make something again from its record, and grade what comes out: ``dver reproduce``.

        ``sink`` takes what the command prints. The grade is in the result.
        """
        from dver.ops.making.reproduce import ReproduceOptions, reproduce

        asked = ReproduceOptions(
            os.fspath(target),
            relative,
            absolute,
            remote,
            keep,
            check,
            note,
            environment,
            times,
            chain,
        )
        with self.opened() as repo:
            return reproduce(repo, asked, sink, self.reporter)

    def sign(
        self,
        target: PathLike,
        *,
        key: str | None = None,
        ssh_key: str | None = None,
        stage: bool | None = None,
    ) -> SignResult:
        """Sign the record of what made something: ``dver sign``."""
        from dver.ops.making.sign import SignOptions, sign

        with self.opened() as repo:
            return sign(repo, SignOptions(os.fspath(target), key, ssh_key, stage))

    def verify(self, target: PathLike) -> VerifyResult:
        """Verify the signatures of the record that made something: ``dver verify``."""
        from dver.ops.making.sign import VerifyOptions, verify

        with self.opened() as repo:
            return verify(repo, VerifyOptions(os.fspath(target)))

    @property
    def metrics(self) -> ValuesGroup:
        """Recorded metrics: ``dver metrics``."""
        return ValuesGroup(self, "metrics")

    @property
    def params(self) -> ValuesGroup:
        """Recorded parameters: ``dver params``."""
        return ValuesGroup(self, "params")


class ValuesGroup(Group):
    """The verbs of ``dver metrics`` and ``dver params``."""

    def __init__(self, handle: Handle, what: What) -> None:
        super().__init__(handle)
        self._what = what

    def show(self, *revs: str, step: str | None = None) -> ShowValuesResult:
        """Return what the newest runs on some revisions recorded, by default on HEAD."""
        from dver.ops.making.recordedvalues import ShowValuesOptions, show_values

        with self._handle.opened() as repo:
            return show_values(repo, ShowValuesOptions(self._what, revs, step))

    def diff(self, *revs: str) -> DiffValuesResult:
        """Return how recorded values differ between two revisions."""
        from dver.ops.making.recordedvalues import diff_values

        with self._handle.opened() as repo:
            return diff_values(repo, self._what, revs)
