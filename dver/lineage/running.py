"""From a finished command to its record."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from dver.base import clock, fsio
from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError
from dver.base.oid import Oid, oid_of
from dver.base.quoting import show
from dver.formats import pack, record, recordpath
from dver.formats.record import (
    Actor,
    Claim,
    Code,
    Command,
    Environment,
    Item,
    Kind,
    Lock,
    Metric,
    Parent,
    Record,
    RepoIdentity,
    Run,
    Undeclared,
    Value,
    Verdict,
)
from dver.git.snapshot import Snapshot
from dver.lineage.executing import Outcome
from dver.lineage.keeping import Bundle

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.store.writer import Writer


@dataclass(slots=True)
class Draft:
    """All that a record will say, as it comes together; ``packages`` is the text of the list."""

    kind: Kind = "run"
    reason: str = ""
    step: str = ""
    actor: Actor = field(default_factory=Actor)
    repo: RepoIdentity = field(default_factory=RepoIdentity)
    code: Snapshot | None = None
    archive: tuple[Oid, int, int] | None = None
    command: Command | None = None
    inputs: tuple[Item, ...] = ()
    outputs: tuple[Item, ...] = ()
    params: tuple[Value, ...] = ()
    metrics: tuple[Metric, ...] = ()
    env: Environment = field(default_factory=Environment)
    packages: bytes = b""
    locks: tuple[Item, ...] = ()
    seeds: Mapping[str, str] = field(default_factory=dict)
    outcome: Outcome | None = None
    undeclared: Undeclared = field(default_factory=Undeclared)
    uncontrolled: Sequence[str] = ()
    parents: tuple[Parent, ...] = ()
    verdict: Verdict | None = None
    claim: Claim | None = None
    used: tuple[str, ...] = ()


def finish(draft: Draft, writer: Writer) -> tuple[Oid, bytes]:
    """Store a record with all that it keeps; return its id and its bytes.

    The caller commits the writer, and then lets :func:`write` put the file into the work tree.
    """
    from dataclasses import replace

    bundle = Bundle(writer)
    bundle.put_items("inputs", draft.inputs)
    bundle.put_items("outputs", draft.outputs)
    if draft.packages:
        bundle.put_texts({"env/packages": draft.packages})
    bundle.put_items("env/locks", draft.locks)
    if draft.archive is not None:
        oid, size, files = draft.archive
        bundle.put("code", "tree", oid, size, files)
    run = None
    if draft.outcome is not None:
        run = _run(draft.outcome)
        printed = {"stdout": draft.outcome.stdout, "stderr": draft.outcome.stderr}
        bundle.put_texts({name: data for name, data in printed.items() if data})
    locks = tuple(Lock(one.path, one.oid) for one in draft.locks)
    made = Record(
        record.VERSION,
        draft.kind,
        utc_millis(clock.now_ns()),
        bundle.finish(),
        reason=draft.reason,
        step=draft.step,
        actor=draft.actor,
        repo=draft.repo,
        code=_code(draft),
        command=draft.command,
        inputs=draft.inputs,
        outputs=draft.outputs,
        params=draft.params,
        metrics=draft.metrics,
        env=replace(draft.env, locks=locks),
        seeds=draft.seeds,
        run=run,
        undeclared=draft.undeclared,
        uncontrolled=tuple(draft.uncontrolled),
        parents=draft.parents,
        verdict=draft.verdict,
        claim=draft.claim,
    )
    data = record.encode(made)
    return writer.add(data, pack.BLOB), data


def write(repo: Repo, record_id: Oid, data: bytes) -> bytes:
    """Put a record's file into the work tree, durably; return its path in the repository.

    It is never replaced: a file of that name either has this content, or CorruptError is raised.
    """
    path = recordpath.path_of(record_id)
    absolute = os.fsdecode(repo.absolute(path))
    try:
        with open(absolute, "rb") as file:
            if oid_of(file.read()) != record_id:
                raise CorruptError(f"{show(repo.display(path))} is damaged", hint="move it away")
            return path
    except FileNotFoundError:
        pass
    fsio.make_dirs(os.path.dirname(absolute))
    fsio.write_atomic(absolute, data)
    return path


def utc_millis(ns: int) -> str:
    """Return a moment as ``2026-01-31T12:00:00.000Z``."""
    return f"{clock.utc_text(ns)[:-1]}.{ns // 1_000_000 % 1000:03}Z"


def _code(draft: Draft) -> Code:
    if draft.code is None:
        return Code()
    return Code(
        draft.code.commit,
        draft.code.tree,
        draft.code.branch,
        draft.code.is_dirty,
        draft.code.snapshot,
        None if draft.archive is None else draft.archive[0],
        tuple(os.fsdecode(one.path) for one in draft.code.left_out),
        draft.used,
    )


def _run(outcome: Outcome) -> Run:
    return Run(
        utc_millis(outcome.started),
        utc_millis(outcome.finished),
        outcome.milliseconds,
        outcome.exit,
        outcome.signal,
        outcome.peak_rss,
        oid_of(outcome.stdout) if outcome.stdout else None,
        oid_of(outcome.stderr) if outcome.stderr else None,
    )
