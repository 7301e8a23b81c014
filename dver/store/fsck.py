"""Checking a store, local or remote: is everything there, and is it what its name promises.

Quick: every segment matches its checksum, every pack it names is listed with the right size, and
every row lies inside its pack. What a full check does besides is in :mod:`dver.store.contents`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from operator import add, gt

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, ObjectNotFound
from dver.base.oid import Oid, oid_of
from dver.formats import pack
from dver.formats.segment import columns
from dver.storage.base import Storage
from dver.store import layout
from dver.store.index import Index, Segment

_ROW_BITS = 40


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. ``key`` is where, ``oids`` what is lost by it (may be empty)."""

    what: str
    key: str
    detail: str
    oids: tuple[Oid, ...] = ()


def check_segments(storage: Storage) -> tuple[Index, list[Problem]]:
    """Read every segment of a store and return those that are sound, and what is wrong."""
    sound, problems = [], []
    for entry in storage.list(layout.INDEX):
        name = layout.name_of(entry.key)
        if name is None:
            continue
        try:
            data = storage.get(entry.key)
            if oid_of(data) != name:
                raise CorruptError("its bytes do not hash to its name")
            one = Segment(name, data)
            one.check()
            sound.append(one)
        except ObjectNotFound:
            problems.append(Problem("segment-missing", entry.key, "it is listed but not there"))
        except CorruptError as error:
            problems.append(Problem("segment-damaged", entry.key, error.message))
    sound.sort(key=len, reverse=True)
    return Index(sound), problems


def listed_packs(storage: Storage) -> dict[bytes, int]:
    """Return the packs that are there, with their sizes in bytes."""
    return {
        name: entry.size
        for entry in storage.list(layout.PACKS)
        if (name := layout.name_of(entry.key)) is not None
    }


def check_packs(
    storage: Storage, index: Index, listed: Mapping[bytes, int] | None = None
) -> Iterator[Problem]:
    """Compare the packs that the index names with those the storage lists, by size."""
    listed = listed_packs(storage) if listed is None else listed
    bad: dict[bytes, tuple[str, str]] = {}
    for name, size in sorted(index.packs().items()):
        if name not in listed:
            bad[name] = ("pack-missing", "the index names it and it is not there")
        elif listed[name] != size:
            bad[name] = ("pack-damaged", f"it has {listed[name]} bytes instead of {size}")
    lost: dict[bytes, list[Oid]] = {name: [] for name in bad}
    sizes = index.packs()
    for one in index.segments:
        ends = [sizes[name] - pack.FRAME.size for name, _ in one.packs]
        gone = {i for i, (name, _) in enumerate(one.packs) if name in lost}
        for first, block in one.blocks():
            _, ordinals, offsets, stored, _ = columns(block)
            beyond = map(gt, map(add, offsets, stored), map(ends.__getitem__, ordinals))
            if gone.isdisjoint(ordinals) and not any(beyond):
                continue
            for number in range(first, first + len(ordinals)):
                oid, place = one.row(number)
                if place.pack in lost:
                    lost[place.pack].append(oid)
                elif place.offset + pack.FRAME.size + place.stored > sizes[place.pack]:
                    key = layout.segment_key(one.name)
                    yield Problem("segment-damaged", key, "a row lies beyond its pack", (oid,))
    rest = Index(index.segments, frozenset(bad))
    for name, (what, detail) in bad.items():
        oids = tuple(oid for oid in lost[name] if oid not in rest)
        if oids or name in listed:
            yield Problem(what, layout.pack_key(name), detail, oids)


def doubtful(index: Index, listed: Mapping[bytes, int]) -> frozenset[bytes]:
    """Return the packs that an index names and that are not listed in their full size."""
    return frozenset(name for name, size in index.packs().items() if listed.get(name) != size)


def by_cause(problems: Iterable[Problem]) -> list[Problem]:
    """Return one problem for each file that is wrong: the first told of it, with all it costs."""
    found: dict[str, Problem] = {}
    oids: dict[str, dict[Oid, None]] = {}
    for problem in problems:
        found.setdefault(problem.key, problem)
        oids.setdefault(problem.key, {}).update(dict.fromkeys(problem.oids))
    return [replace(problem, oids=tuple(oids[key])) for key, problem in found.items()]
