"""The metrics or parameters that were recorded, at any revision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from dver.base.dataclass import dataclass
from dver.base.errors import UsageError
from dver.base.oid import Oid
from dver.formats.record import Record
from dver.lineage.compared import why_not_comparable
from dver.lineage.finding import records_at
from dver.lineage.values import number

if TYPE_CHECKING:
    from dver.repo import Repo

What = Literal["metrics", "params"]


@dataclass(frozen=True, slots=True)
class ShowValuesOptions:
    """``revs`` are revisions, "" for the work tree; none means the work tree alone.

    ``step`` restricts to one step.
    """

    what: What
    revs: tuple[str, ...] = ()
    step: str | None = None


@dataclass(frozen=True, slots=True)
class ShownValue:
    """A value of the newest run of a step that a revision holds; ``source`` tells where from."""

    rev: str
    step: str
    record: str
    name: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class ShowValuesResult:
    """All values, in order of revision, step and name."""

    what: What
    values: tuple[ShownValue, ...]


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One value at two revisions, None where it is not there.

    ``change`` is the difference if both are numbers. ``comparable`` is false for metrics that are
    about different data or were taken by different code; ``note`` says which.
    """

    step: str
    name: str
    old: str | None
    new: str | None
    change: float | None
    comparable: bool
    note: str


@dataclass(frozen=True, slots=True)
class DiffValuesResult:
    """The values that are not the same at two revisions."""

    what: What
    old: str
    new: str
    changes: tuple[ValueChange, ...]


def show_values(repo: Repo, options: ShowValuesOptions) -> ShowValuesResult:
    """Return what the newest run of each step at some revisions gave, or was given."""
    found: list[ShownValue] = []
    for rev in options.revs or ("",):
        for step, (record_id, value) in sorted(newest_runs(repo, rev).items()):
            if options.step in (None, step):
                found += [
                    ShownValue(rev, step, record_id.hex(), name, text, source)
                    for name, (text, _, source) in sorted(_values(value, options.what).items())
                ]
    return ShowValuesResult(options.what, tuple(found))


def diff_values(repo: Repo, what: What, revs: tuple[str, ...]) -> DiffValuesResult:
    """Compare two revisions; one alone is compared with the work tree, none means HEAD."""
    if len(revs) > 2:
        raise UsageError("there are two sides to compare", hint=f"dver {what} diff A B")
    old, new = ((*revs, "") if revs else ("HEAD", ""))[:2]
    before, after = newest_runs(repo, old), newest_runs(repo, new)
    changes: list[ValueChange] = []
    for step in sorted(before.keys() | after.keys()):
        one, other = before.get(step), after.get(step)
        reason = ""
        if what == "metrics" and one is not None and other is not None:
            reason = why_not_comparable(repo, [one[1], other[1]])
        first = _values(one[1], what) if one is not None else {}
        second = _values(other[1], what) if other is not None else {}
        for name in sorted(first.keys() | second.keys()):
            text, text2 = first.get(name), second.get(name)
            if (text and text[0]) != (text2 and text2[0]):
                changes.append(
                    ValueChange(
                        step,
                        name,
                        text[0] if text else None,
                        text2[0] if text2 else None,
                        _distance(text, text2),
                        not reason,
                        reason,
                    )
                )
    return DiffValuesResult(what, old, new, tuple(changes))


def newest_runs(repo: Repo, rev: str) -> Mapping[str, tuple[Oid, Record]]:
    """Return the newest successful run of each step that a revision's records tell of.

    Runs without a name go by what they made. ``rev`` "" is the work tree.
    """
    found: dict[str, tuple[Oid, Record]] = {}
    for record_id, value in records_at(repo, rev):
        ended_well = value.run is None or value.run.exit == 0
        if value.kind in ("run", "import") and ended_well:
            name = value.step or " ".join(sorted(one.path for one in value.outputs)) or "run"
            held = found.get(name)
            if held is None or (held[1].created, held[0]) < (value.created, record_id):
                found[name] = (record_id, value)
    return found


def _values(value: Record, what: What) -> dict[str, tuple[str, float | None, str]]:
    return dict(_each(value, what))


def _each(value: Record, what: What) -> Iterator[tuple[str, tuple[str, float | None, str]]]:
    if what == "metrics":
        for metric in value.metrics:
            yield metric.name, (metric.value, number(metric.value, metric.type), metric.source)
    else:
        for param in value.params:
            yield param.key, (param.value, number(param.value, param.type), param.source)


def _distance(
    one: tuple[str, float | None, str] | None, other: tuple[str, float | None, str] | None
) -> float | None:
    if one is None or other is None or one[1] is None or other[1] is None:
        return None
    return other[1] - one[1]
