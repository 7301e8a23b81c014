"""Spreading the files of a checkout over worker processes, or writing them here if they are few."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import field

from dver.base.dataclass import dataclass
from dver.base.oid import OID_SIZE
from dver.base.reporter import Task
from dver.base.workers import run_jobs, usable_cores
from dver.formats.statindex import STAT_FIELDS
from dver.formats.tree import DIRECTORY, SYMLINK
from dver.store.store import Store
from dver.workspace.links import LinkMode
from dver.workspace.plan import Batch
from dver.workspace.safedir import SafeRoot
from dver.workspace.writing import Failure, Group, GroupWriter, write_job

#: A job for a worker ends at so many files, or at so many bytes.
_JOB_FILES = 1024
_JOB_BYTES = 16 << 20
#: Below so many files, or bytes in several files, starting workers takes longer than the work.
_WORTH_FILES = 3000
_WORTH_BYTES = 64 << 20
_MAX_WORKERS = 16


@dataclass(slots=True)
class Output:
    """A batch and where it is written; ``rows`` gets its stat rows, zeros where it failed."""

    batch: Batch
    directory: bytes
    rows: array[int]
    failures: list[Failure] = field(default_factory=list)

    @classmethod
    def of(cls, batch: Batch, directory: bytes) -> Output:
        """Return the output for a batch, with nothing written yet."""
        return cls(batch, directory, array("Q", bytes(8 * STAT_FIELDS * len(batch.names))))

    def row(self, i: int) -> tuple[int, ...] | None:
        """Return the stat row of an entry, or None if it was not written."""
        row = tuple(self.rows[i * STAT_FIELDS : (i + 1) * STAT_FIELDS])
        return row if row[0] else None


#: Some entries of one output, by position.
_Part = tuple[Output, Sequence[int]]


def write_files(
    outputs: Sequence[Output],
    safe: SafeRoot,
    store: Store,
    modes: Sequence[LinkMode],
    *,
    workers: int | None,
    task: Task,
) -> None:
    """Write all regular files of some batches, and note their stat rows and failures."""
    count = min(workers or usable_cores(), _MAX_WORKERS)
    if count > 1 and _worth_workers(outputs):
        _write_in_workers(outputs, safe, store, modes, count, task)
        return
    write = GroupWriter(safe, store, modes)
    for job in _jobs(outputs):
        for part in job:
            _note([part], *write(_group(part)))
            task.advance(len(part[1]))


def _write_in_workers(
    outputs: Sequence[Output],
    safe: SafeRoot,
    store: Store,
    modes: Sequence[LinkMode],
    count: int,
    task: Task,
) -> None:
    waiting: dict[int, list[_Part]] = {}

    def jobs() -> Iterator[tuple[int, list[tuple[object, ...]]]]:
        for number, job in enumerate(_jobs(outputs)):
            waiting[number] = job
            yield number, [_group(part).pack() for part in job]

    def answered(job: tuple[int, object], answer: tuple[bytes, list[Failure]]) -> None:
        parts = waiting.pop(job[0])
        _note(parts, *answer)
        task.advance(sum(len(positions) for _, positions in parts))

    setup = (safe.root, safe.identity(), store.local_directory(), list(modes))
    handler = "dver.workspace.writing:Worker"
    write = GroupWriter(safe, store, modes)
    run_jobs(
        handler,
        setup,
        jobs(),
        workers=count - 1,
        answered=answered,
        here=lambda job: write_job(write, job),
    )


def _worth_workers(outputs: Sequence[Output]) -> bool:
    files = sum(len(one.batch.names) for one in outputs)
    if files >= _WORTH_FILES:
        return True
    return files > 1 and sum(sum(one.batch.sizes) for one in outputs) >= _WORTH_BYTES


def _jobs(outputs: Sequence[Output]) -> Iterator[list[_Part]]:
    job: list[_Part] = []
    count = size = 0
    for output in outputs:
        positions: list[int] = []
        sizes = output.batch.sizes
        for i, kind in enumerate(output.batch.kinds):
            if kind in (DIRECTORY, SYMLINK):
                continue
            positions.append(i)
            count += 1
            size += sizes[i]
            if count >= _JOB_FILES or size >= _JOB_BYTES:
                yield [*job, (output, positions)]
                job, positions, count, size = [], [], 0, 0
        if positions:
            job.append((output, positions))
    if job:
        yield job


def _group(part: _Part) -> Group:
    output, positions = part
    batch = output.batch
    names, kinds, sizes, oids = batch.names, batch.kinds, batch.sizes, batch.oids
    replaces = batch.replaces
    return Group(
        output.directory,
        [names[i] for i in positions],
        bytes([kinds[i] for i in positions]),
        array("Q", [sizes[i] for i in positions]),
        b"".join([oids[i * OID_SIZE : (i + 1) * OID_SIZE] for i in positions]),
        None if replaces is None else [replaces[i] for i in positions],
        batch.path,
    )


def _note(parts: Sequence[_Part], rows: bytes, failures: Sequence[Failure]) -> None:
    values = array("Q", rows)
    done = 0
    for output, positions in parts:
        for n, i in enumerate(positions):
            at = (done + n) * STAT_FIELDS
            output.rows[i * STAT_FIELDS : (i + 1) * STAT_FIELDS] = values[at : at + STAT_FIELDS]
        end = done + len(positions)
        output.failures += [
            (positions[at - done], kind, message)
            for at, kind, message in failures
            if done <= at < end
        ]
        done = end
