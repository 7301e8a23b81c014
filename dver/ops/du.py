"""How much room data takes: as files, and in the store after dedup and compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class DuOptions:
    """What to measure.

    ``paths`` restrict to targets and paths inside them; none means every target. ``rev`` None
    reads the pointers in the work tree; ``all`` sums over every version that any ref reaches.
    ``depth`` is how many levels below each path to list by themselves.
    """

    paths: tuple[str, ...] = ()
    rev: str | None = None
    all: bool = False
    depth: int = 0


@dataclass(frozen=True, slots=True)
class DuEntry:
    """One target or directory. All sizes are in bytes.

    ``size`` is what its files add up to (over all versions with ``all``), ``unique`` what its
    distinct contents add up to, ``stored`` what they take in the local store. What two entries
    share counts in both. ``missing`` counts contents that are not in the local store, which
    ``stored`` then lacks.
    """

    path: str
    kind: Literal["file", "directory"]
    size: int
    files: int
    unique: int
    stored: int
    versions: int = 1
    missing: int = 0


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """What the local store takes on disk, in bytes, whoever it belongs to."""

    path: str
    packs: int
    pack_bytes: int
    index_bytes: int
    link_bytes: int
    other_bytes: int

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return self.pack_bytes + self.index_bytes + self.link_bytes + self.other_bytes


@dataclass(frozen=True, slots=True)
class DuResult:
    """The entries, largest first; ``total`` counts what they share once."""

    rev: str | None
    entries: tuple[DuEntry, ...]
    total: DuEntry
    store: StoreUsage
