"""How close the metrics of two runs are, and how far apart those of several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dver.base.dataclass import dataclass
from dver.formats.record import Metric
from dver.lineage.values import number


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far apart two numbers may be: ``absolute + relative * |recorded|``.

    ``by_name`` gives some metrics another distance, where that is larger: their noise.
    """

    relative: float = 0.0
    absolute: float = 0.0
    by_name: Mapping[str, float] | None = None

    def allows(self, name: str, recorded: float, now: float) -> bool:
        """Say whether two values of a metric count as the same."""
        if recorded == now or (math.isnan(recorded) and math.isnan(now)):
            return True
        limit = self.absolute + self.relative * abs(recorded)
        return abs(recorded - now) <= max(limit, (self.by_name or {}).get(name, 0.0))


def compare_metrics(
    recorded: Sequence[Metric], now: Sequence[Metric], tolerance: Tolerance
) -> tuple[bool, list[str]]:
    """Return whether all metrics are close enough, and a line for each that is not the same.

    Without a metric that is a number there is nothing to be close to, and the answer is no.
    """
    found = {one.name: one for one in now}
    lines, close, numbers = [], True, 0
    for one in recorded:
        other = found.get(one.name)
        if other is None:
            lines.append(f"{one.name} was {one.value} and is not there")
            close = False
            continue
        before, after = number(one.value, one.type), number(other.value, other.type)
        if before is None or after is None:
            if one.value != other.value:
                lines.append(f"{one.name} was {one.value} and is {other.value}")
                close = False
            continue
        numbers += 1
        if one.value != other.value and before != after:
            lines.append(f"{one.name} was {one.value} and is {other.value}")
        close &= tolerance.allows(one.name, before, after)
    return close and numbers > 0, lines


def noise_of(runs: Sequence[Sequence[Metric]]) -> dict[str, float]:
    """Return how far apart each metric is in several runs of the same: its range."""
    return {
        name: max(values) - min(values)
        for name, values in _numbers(runs).items()
        if all(map(math.isfinite, values))
    }


def nearest(recorded: Sequence[Metric], runs: Sequence[Sequence[Metric]]) -> list[Metric]:
    """Return each metric of several runs as it came closest to the recorded one."""
    before = {one.name: number(one.value, one.type) for one in recorded}
    found: dict[str, tuple[float, Metric]] = {}
    for metrics in runs:
        for one in metrics:
            value, old = number(one.value, one.type), before.get(one.name)
            apart = 0.0 if value is None or old is None else abs(value - old)
            if one.name not in found or apart < found[one.name][0]:
                found[one.name] = (apart, one)
    return [one for _, one in found.values()]


def _numbers(runs: Sequence[Sequence[Metric]]) -> dict[str, list[float]]:
    """Return the values of those metrics that are numbers in every run."""
    found: dict[str, list[float]] = {}
    for metrics in runs:
        for one in metrics:
            value = number(one.value, one.type)
            if value is not None:
                found.setdefault(one.name, []).append(value)
    return {name: values for name, values in found.items() if len(values) == len(runs)}
