"""The recorded runs: which there are, chosen and ordered by what they say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dver.base.dataclass import dataclass
from dver.base.errors import UsageError
from dver.formats.record import Record
from dver.lineage.index import LineageIndex
from dver.lineage.values import number

if TYPE_CHECKING:
    from dver.repo import Repo

_CONDITION = re.compile(
    r"\s*(?P<name>[^\s=!<>~]+)\s*(?P<op>==|=|!=|<=|>=|<|>|~)\s*(?P<value>.*?)\s*"
)
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "~": lambda a, b: str(b) in str(a),
}


@dataclass(frozen=True, slots=True)
class RunsOptions:
    """Which runs to list.

    ``where`` are conditions such as ``auc > 0.9``, all of which must hold; ``sort`` is the name
    that they are ordered by, with ``-`` before it from the largest on. Names are those of
    metrics and parameters, or ``step``, ``kind``, ``exit``, ``created``, ``author``, ``commit``,
    ``reason``, ``input``, ``output`` and ``seconds``; ``metrics.NAME`` and ``params.NAME`` tell
    them apart. ``limit`` is how many are listed, the newest first; None lists all. ``failed``
    lists failed runs as well.
    """

    where: tuple[str, ...] = ()
    sort: str | None = None
    limit: int | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class RunRow:
    """One recorded run: ``created`` in UTC, ``milliseconds`` of the command."""

    id: str
    kind: str
    created: str
    step: str
    command: tuple[str, ...]
    commit: str
    dirty: bool
    author: str
    reason: str
    exit: int | None
    milliseconds: int
    params: Mapping[str, str]
    metrics: Mapping[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    grade: str | None


@dataclass(frozen=True, slots=True)
class RunsResult:
    """The runs that were asked for; ``total`` counts all that are recorded."""

    runs: tuple[RunRow, ...]
    total: int


def runs(repo: Repo, options: RunsOptions) -> RunsResult:
    """List the runs that any ref's records tell of. Raises UsageError for a malformed condition."""
    conditions = [_Condition(text) for text in options.where]
    found: list[tuple[RunRow, Mapping[str, Any]]] = []
    total = 0
    with LineageIndex(repo) as index:
        for record_id, value in index.records():
            total += 1
            if not options.failed and value.run is not None and value.run.exit != 0:
                continue
            names = dict(_names(record_id.hex(), value))
            if all(condition.holds(names) for condition in conditions):
                found.append((_row(record_id.hex(), value), names))
    found.reverse()
    if options.sort is not None:
        key = options.sort.removeprefix("-")
        with_it = [pair for pair in found if _look_up(pair[1], key) is not None]
        without = [pair for pair in found if _look_up(pair[1], key) is None]
        with_it.sort(
            key=lambda pair: _order(_look_up(pair[1], key)), reverse=options.sort[0] == "-"
        )
        found = with_it + without
    return RunsResult(tuple(row for row, _ in found[: options.limit]), total)


class _Condition:
    """``NAME OP VALUE``."""

    def __init__(self, text: str) -> None:
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise UsageError(
                f"{text!r} is no condition",
                hint="a condition is NAME OP VALUE, such as 'auc > 0.9' or 'step = train'",
            )
        self._name = match["name"]
        self._operator = match["op"]
        self._text = match["value"].strip("\"'")
        try:
            self._number: float | None = float(self._text)
        except ValueError:
            self._number = None

    def holds(self, names: Mapping[str, Any]) -> bool:
        value = _look_up(names, self._name)
        if value is None:
            return False
        compare = _OPERATORS[self._operator]
        if isinstance(value, tuple):
            return any(compare(one, self._text) for one in value)
        if isinstance(value, float) and self._operator != "~":
            if self._number is None:
                return self._operator == "!="
            return compare(value, self._number)
        return compare(str(value), self._text)


def _look_up(names: Mapping[str, Any], name: str) -> Any:
    """Return what a name stands for: a field, a metric, a parameter, in this order."""
    for candidate in (name, f"metrics.{name}", f"params.{name}"):
        if candidate in names:
            return names[candidate]
    return None


def _order(value: Any) -> tuple[int, float, str]:
    if isinstance(value, float):
        return 0, value, ""
    return 1, 0.0, str(value)


def _names(record_id: str, value: Record) -> Iterator[tuple[str, Any]]:
    yield "id", record_id
    yield "kind", value.kind
    yield "step", value.step
    yield "created", value.created
    yield "author", value.actor.name or value.actor.user
    yield "commit", value.code.commit
    yield "reason", value.reason
    yield "input", tuple(one.path for one in value.inputs)
    yield "output", tuple(one.path for one in value.outputs)
    if value.run is not None:
        yield "exit", float(value.run.exit)
        yield "seconds", value.run.milliseconds / 1000
    if value.verdict is not None:
        yield "grade", value.verdict.grade
    for param in value.params:
        found = number(param.value, param.type)
        yield f"params.{param.key}", param.value if found is None else found
    for metric in value.metrics:
        found = number(metric.value, metric.type)
        yield f"metrics.{metric.name}", metric.value if found is None else found


def _row(record_id: str, value: Record) -> RunRow:
    return RunRow(
        record_id,
        value.kind,
        value.created,
        value.step,
        value.command.argv if value.command is not None else (),
        value.code.commit,
        value.code.dirty,
        value.actor.name or value.actor.user,
        value.reason,
        value.run.exit if value.run is not None else None,
        value.run.milliseconds if value.run is not None else 0,
        {one.key: one.value for one in value.params},
        {one.name: one.value for one in value.metrics},
        tuple(one.path for one in value.inputs),
        tuple(one.path for one in value.outputs),
        value.verdict.grade if value.verdict is not None else None,
    )
