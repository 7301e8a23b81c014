"""From ``dvc.yaml`` to ``dver.yaml``, and from ``dvc.lock`` to records of what it claims."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.foreign import dvctemplate
from dver.foreign.dvcfiles import LOCK, PIPELINE, LockedStage, Out
from dver.foreign.dvcsteps import StepText, step_of
from dver.formats.pointer import Pointer
from dver.lineage import pipelinefile
from dver.lineage.pipelinefile import Step
from dver.ops.migration import othertools
from dver.ops.migration.othertools import Found

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class ClaimedStep:
    """A step that ran by what ``dvc.lock`` says, at the contents that are named there."""

    step: Step
    stage: LockedStage
    lock: bytes


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The pipeline of DVC in dver's words.

    ``text`` is the new ``dver.yaml``, None if there is none to write. ``steps`` are its steps,
    ``claims`` those that can be recorded, ``notes`` what has no equal. With ``is_there`` an earlier
    run wrote it, and only records may be missing.
    """

    text: bytes | None = None
    steps: tuple[str, ...] = ()
    claims: tuple[ClaimedStep, ...] = ()
    notes: tuple[str, ...] = ()
    pointers: Mapping[bytes, Pointer] = field(default_factory=dict)
    is_there: bool = False


EMPTY = Pipeline()


def convert(repo: Repo, found: Found, pointers: Mapping[bytes, Pointer] | None) -> Pipeline:
    """Return what ``dver.yaml`` and the records will be; ``pointers`` None before any are known."""
    files = [path for path in _pipelines(repo) if not os.path.islink(repo.absolute(path))]
    if not files:
        return EMPTY
    notes: list[str] = []
    texts: list[StepText] = []
    for path in files:
        data = othertools.read_limited(repo.absolute(path)) or b""
        try:
            stages, problems = dvctemplate.stages_of(
                path, data, lambda one: othertools.read_limited(repo.absolute(one))
            )
            notes += problems + _top_level(path, data)
        except FormatError as error:
            notes.append(error.message)
            continue
        for stage in stages:
            try:
                texts.append(step_of(path, stage, {one.name for one in texts}))
            except FormatError as error:
                notes.append(f"{stage.name} stays with DVC: {error.message}")
    for one in texts:
        notes += [f"{one.name}: {note}" for note in one.notes]
    ours = repo.absolute(os.fsencode(pipelinefile.NAME))
    text = ("steps:\n" + "\n".join(one.text for one in texts)).encode() if texts else None
    if os.path.lexists(ours):
        if text is None or othertools.read_limited(ours) != text:
            return Pipeline(notes=(f"{pipelinefile.NAME} is there already, and stays as it is",))
        steps = {step.name: step for step in pipelinefile.parse(text)}
        claims = _claims(repo, texts, steps, found)
        return Pipeline(text, (), tuple(claims), (), pointers or {}, is_there=True)
    if text is None:
        return Pipeline(notes=tuple(notes))
    try:
        steps = {step.name: step for step in pipelinefile.parse(text)}
    except FormatError as error:
        return Pipeline(notes=(*notes, f"no {pipelinefile.NAME}: {error.message}"))
    claims = _claims(repo, texts, steps, found)
    return Pipeline(text, tuple(steps), tuple(claims), tuple(notes), pointers or {})


def _pipelines(repo: Repo) -> list[bytes]:
    args = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    out = repo.git.run(*args, "--", ":(top,glob)**/dvc.yaml")
    found = {path for path in out.split(b"\0") if path.rpartition(b"/")[2] == PIPELINE}
    return sorted(found)


def _top_level(path: bytes, data: bytes) -> list[str]:
    from dver.foreign import plainyaml

    top: Any = plainyaml.load(data, os.fsdecode(path))
    notes = []
    for key, instead in (
        ("plots", "dver draws none; its files stay outputs of their steps"),
        ("artifacts", "git tags and 'dver log' tell versions of a model"),
        ("datasets", "they stay with DVC"),
    ):
        if isinstance(top, dict) and top.get(key):
            notes.append(f"'{key}' of {os.fsdecode(path)} has no equal: {instead}")
    return notes


def _claims(
    repo: Repo, texts: Sequence[StepText], steps: Mapping[str, Step], found: Found
) -> list[ClaimedStep]:
    claims = []
    for one in texts:
        lock = one.file[: -len(PIPELINE)] + LOCK
        stage = found.stages.get(lock, {}).get(one.stage)
        if (
            stage is not None
            and not _differs(one, stage)
            and all(_is_now(repo, found, out) for out in (*stage.deps, *stage.outs))
        ):
            claims.append(ClaimedStep(steps[one.name], stage, lock))
    return claims


def _is_now(repo: Repo, found: Found, locked: Out) -> bool:
    """Say whether the content that ``dvc.lock`` names is the one that is versioned or there now."""
    from dver.ops.migration.dvcrecords import is_as_locked

    out = found.outs.get(locked.path)
    if out is not None:
        return (out.digest, out.is_directory) == (locked.digest, locked.is_directory)
    return not locked.problem and is_as_locked(repo, locked)


def _differs(one: StepText, stage: LockedStage) -> bool:
    """Say whether a stage was changed since it ran, by what the two files say."""
    if one.commands != stage.commands:
        return True
    locked = {out.path for out in stage.outs}
    return locked != set(one.outs) or {dep.path for dep in stage.deps} != set(one.deps)


def unrecorded(repo: Repo, claims: Sequence[ClaimedStep]) -> tuple[ClaimedStep, ...]:
    """Return the claims whose steps have no record that was taken over yet."""
    from dver.lineage.index import LineageIndex
    from dver.ops.migration.dvcrecords import is_taken_over

    with LineageIndex(repo) as index:
        return tuple(
            one
            for one in claims
            if not any(is_taken_over(index.record(found)) for found in index.of_step(one.step.name))
        )


def write(repo: Repo, pipeline: Pipeline) -> list[bytes]:
    """Write the records and then the pipeline; return the paths of the files."""
    if pipeline.text is None:
        return []
    from dver.ops.migration.dvcrecords import write_records

    written = write_records(repo, pipeline)
    path = os.fsencode(pipelinefile.NAME)
    if fsio.write_atomic(repo.absolute(path), pipeline.text, replace=False):
        written.append(path)
    return written
