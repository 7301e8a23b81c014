"""Whether a step has to run: its newest record is compared with what is there now, by content."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Literal

from dver.base.dataclass import dataclass
from dver.base.oid import Oid, short_oid
from dver.base.quoting import show
from dver.formats.record import Item, Record, Value
from dver.lineage.looking import Seen
from dver.lineage.pipelinefile import Step

Kind = Literal[
    "never", "forced", "command", "input", "param", "lock", "output", "dropped", "upstream"
]


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing for which a step is not up to date.

    ``subject`` is the path, parameter or step that it is about; ``old`` and ``new`` are short oids
    or values, None where there is none.
    """

    kind: Kind
    subject: str = ""
    old: str | None = None
    new: str | None = None

    @property
    def text(self) -> str:
        """The reason as a person reads it."""
        if self.kind == "never":
            return "no run of it is recorded on this branch"
        if self.kind == "forced":
            return "forced"
        if self.kind == "command":
            return "the command changed"
        if self.kind == "upstream":
            return f"{self.subject} comes first"
        if self.kind == "dropped":
            return f"{show(self.subject)} is not an output any more"
        return f"{_WORDS[self.kind]} {show(self.subject)} {self._change()}"

    def _change(self) -> str:
        if self.kind == "output" and self.new is None:
            return "is missing"
        if self.old is None:
            return "is new"
        if self.new is None:
            return "is not one any more" if self.kind == "input" else "is gone"
        return f"changed from {self.old} to {self.new}"


_WORDS = {"input": "input", "param": "parameter", "lock": "lock file", "output": "output"}


@dataclass(frozen=True, slots=True)
class Now:
    """What a step would be run with: what is at its paths, and its parameters."""

    seen: Mapping[bytes, Seen | None]
    params: tuple[Value, ...]


def reasons(step: Step, value: Record, now: Now) -> Iterator[Reason]:
    """Yield for what a record of a step is not one of what is there now, outputs last."""
    yield from causes(step, value, now)
    recorded = {os.fsencode(one.path): one for one in value.outputs}
    for path in step.made:
        yield from _compare("output", path, recorded.pop(path, None), now.seen[path])
    for path in sorted(recorded):
        yield Reason("dropped", os.fsdecode(path), _short(recorded[path].oid))


def causes(step: Step, value: Record, now: Now) -> Iterator[Reason]:
    """Yield for what the outputs of a record may not be those that a step would make now."""
    command = value.command
    if command is None or command.argv != step.argv or command.cwd != step.cwd:
        yield Reason("command")
    recorded = {
        os.fsencode(one.path): one
        for one in value.inputs
        if not one.observed and (one.role != "config" or os.fsencode(one.path) in step.deps)
    }
    for path in sorted(step.deps):
        yield from _compare("input", path, recorded.pop(path, None), now.seen[path])
    for path in sorted(recorded.keys() - step.params.keys()):
        yield Reason("input", os.fsdecode(path), _short(recorded[path].oid), None)
    yield from _params(value, now)
    locks = {os.fsencode(one.path): one.oid for one in value.env.locks}
    for path in sorted(locks.keys() | set(step.locks)):
        seen = now.seen.get(path)
        before, after = locks.get(path), None if seen is None else seen.oid
        if before != after:
            yield Reason("lock", os.fsdecode(path), _short(before), _short(after))


def _compare(
    kind: Literal["input", "output"], path: bytes, before: Item | None, after: Seen | None
) -> Iterator[Reason]:
    old = None if before is None else (before.kind, before.oid)
    new = None if after is None else (after.kind, after.oid)
    if old is None or old != new:
        yield Reason(kind, os.fsdecode(path), _short(old and old[1]), _short(new and new[1]))


def _params(value: Record, now: Now) -> Iterator[Reason]:
    def by_key(params: tuple[Value, ...]) -> dict[tuple[str, str], tuple[str, str]]:
        return {(one.source, one.key): (one.value, one.type) for one in params}

    before, after = by_key(value.params), by_key(now.params)
    for source, key in sorted(before.keys() | after.keys()):
        old, new = before.get((source, key)), after.get((source, key))
        if old != new:
            yield Reason("param", key, old and old[0], new and new[0])


def _short(oid: Oid | None) -> str | None:
    return None if oid is None else short_oid(oid)
