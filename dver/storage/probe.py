"""Trying out what a storage really does, rather than what it says."""

from __future__ import annotations

import contextlib
import os

from dver.base import clock
from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, DverError
from dver.storage.base import Storage

#: Below this prefix, and nowhere else, a probe writes; it removes what it wrote.
PREFIX = "tmp/"
_DATA = bytes(range(256)) * 4


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a probe found out; None is "not known, since something before it failed".

    ``conditional_create``: a second create of the same key is refused. ``skew`` is by how many
    seconds the storage's clock is ahead of this machine's. ``problem`` is the first thing that
    failed, and then ``usable`` is False.
    """

    reachable: bool
    writable: bool | None = None
    lists: bool | None = None
    ranges: bool | None = None
    conditional_create: bool | None = None
    deletes: bool | None = None
    skew: float | None = None
    problem: DverError | None = None

    @property
    def usable(self) -> bool:
        """Tell whether a remote can be kept there."""
        return self.problem is None and bool(self.writable and self.lists and self.ranges)


def probe_capabilities(storage: Storage, *, write: bool = True) -> Capabilities:
    """Find out what a storage can do, by using it; with ``write`` off, only whether it answers.

    Never raises for what the storage does wrong: the result tells.
    """
    key = f"{PREFIX}probe-{os.urandom(8).hex()}"
    facts: dict[str, bool | float | None] = {}
    try:
        # On a new directory remote there is nothing to list before the first write.
        storage.head(key)
        if not write:
            for _ in storage.list(key):
                pass
            return Capabilities(reachable=True)
        facts["reachable"] = True
        _try_out(storage, key, facts)
    except DverError as error:
        return _result(facts, error)
    finally:
        if "writable" in facts:
            with contextlib.suppress(DverError):
                storage.delete(key)
    return _result(facts, None)


def _result(facts: dict[str, bool | float | None], problem: DverError | None) -> Capabilities:
    def known(name: str) -> bool | None:
        value = facts.get(name)
        return None if value is None else bool(value)

    skew = facts.get("skew")
    return Capabilities(
        reachable=bool(facts.get("reachable")),
        writable=known("writable"),
        lists=known("lists"),
        ranges=known("ranges"),
        conditional_create=known("conditional_create"),
        deletes=known("deletes"),
        skew=None if skew is None else float(skew),
        problem=problem,
    )


def _try_out(storage: Storage, key: str, facts: dict[str, bool | float | None]) -> None:
    facts["writable"] = False
    storage.put(key, _DATA)
    now = clock.now_ns() / 1e9
    entry = storage.head(key)
    facts["writable"] = entry is not None and storage.get(key) == _DATA
    if entry is not None and entry.modified is not None:
        facts["skew"] = entry.modified - now
    facts["lists"] = [found.key for found in storage.list(key)] == [key]
    facts["ranges"] = False
    facts["ranges"] = storage.get(key, 100, 300) == _DATA[100:400] and _refuses(storage, key)
    storage.delete(key)
    facts["deletes"] = storage.head(key) is None
    facts["conditional_create"] = storage.try_conditional_create(key)


def _refuses(storage: Storage, key: str) -> bool:
    try:
        storage.get(key, len(_DATA) - 1, 2)
    except CorruptError:
        return True
    return False
