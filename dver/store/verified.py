"""Which packs to read when not all of them are: the longest unverified first.

What is remembered, and where, is in ``docs/format/verified.md``: a file ``verified`` in a local
store, and for a remote in what a clone remembers of it. Losing it costs the order, so that it is
neither synced nor missed when it cannot be written.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from dver.base import clock, fsio
from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, SystemFailure, UsageError
from dver.base.regular import open_regular
from dver.formats import verified as form

NAME = "verified"
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTP]?)(i?B)?", re.IGNORECASE)
_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}


@dataclass(frozen=True, slots=True)
class Subset:
    """A part of the packs: some ``percent`` of the bytes, so many ``size`` bytes, or a ``group``.

    Groups are (number from 1, of how many): each pack is in one of them, always the same.
    """

    percent: float | None = None
    size: int | None = None
    group: tuple[int, int] | None = None

    @classmethod
    def parse(cls, text: str) -> Subset:
        """Read ``5%``, ``500M`` or ``1/7``. Raises UsageError."""
        plain = text.strip()
        with contextlib.suppress(ValueError):
            if plain.endswith("%"):
                percent = float(plain[:-1])
                if 0 < percent <= 100:
                    return cls(percent=percent)
            elif "/" in plain:
                first, _, count = plain.partition("/")
                number, of = int(first), int(count)
                if 1 <= number <= of:
                    return cls(group=(number, of))
            elif match := _SIZE.fullmatch(plain):
                size = int(float(match[1]) * 1024 ** _UNITS[match[2].upper()])
                if size > 0:
                    return cls(size=size)
        raise UsageError(
            f"{text!r} is no part of a store",
            hint="give a percentage (5%), a size (500M) or a group of several (1/7)",
        )

    def choose(self, packs: Mapping[bytes, int], times: Mapping[bytes, int]) -> set[bytes]:
        """Return the packs to read, of all with their sizes in bytes; at least one if there is any.

        ``times`` say when they were verified last. What never was, or in the future, comes first.
        """
        if self.group is not None:
            number, of = self.group
            return {name for name in packs if int.from_bytes(name[:8], "big") % of == number - 1}
        wanted = self.size or 0
        if self.percent is not None:
            wanted = int(sum(packs.values()) * self.percent / 100)
        now = _now()
        order = sorted(packs, key=lambda name: (_age_key(times.get(name, -1), now), name))
        chosen: set[bytes] = set()
        left = wanted
        for name in order:
            if chosen and left < packs[name]:
                break
            chosen.add(name)
            left -= packs[name]
        return chosen


def read_times(directory: str | Path) -> dict[bytes, int]:
    """Return when each pack was verified last (seconds since 1970), as far as that is known."""
    try:
        with open(open_regular(os.path.join(directory, NAME)), "rb") as file:
            return form.decode(file.read(form.MAX_SIZE + 1))
    except (OSError, CorruptError):
        return {}


def note_times(
    directory: str | Path, sound: Iterable[bytes], others: Iterable[bytes], there: Iterable[bytes]
) -> None:
    """Remember that packs are sound now and that ``others`` are not; keep those still ``there``."""
    now = int(_now())
    times = {**read_times(directory), **dict.fromkeys(sound, now)}
    kept = set(there).difference(others)
    data = form.encode({name: when for name, when in times.items() if name in kept})
    with contextlib.suppress(SystemFailure):
        fsio.write_atomic(os.path.join(directory, NAME), data, durable=False)


def _now() -> float:
    return clock.now_ns() / 1e9


def _age_key(when: int, now: float) -> int:
    return -1 if when > now else when
