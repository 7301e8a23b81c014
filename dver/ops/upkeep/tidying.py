"""Removing what repairs set aside and what interrupted commands left."""

from __future__ import annotations

import os
from collections.abc import Iterator

from dver.base import clock, fsio
from dver.base.clearing import clear_away
from dver.base.dataclass import dataclass
from dver.base.reporter import Reporter
from dver.ops.upkeep.temporaries import stale_temporaries
from dver.repo import Repo
from dver.repo.naming import in_git
from dver.storage.base import Storage
from dver.store import quarantine
from dver.store.store import Store

#: What was set aside is kept for so long (seconds): somebody may still want to look at it.
KEEP = 30 * 86_400.0
#: An interrupted transfer that was not taken up for so long (seconds) never will be.
_ABANDONED = 86_400.0
#: What nobody wrote to for so long (seconds) belongs to no running command.
_STALE_NS = 3600 * 10**9


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was removed, or with ``dry_run`` would be, and the bytes of it.

    ``removed`` are keys in the store, or paths. ``kept`` are set-aside files that are not old
    enough yet.
    """

    removed: tuple[str, ...]
    bytes: int
    kept: tuple[str, ...]
    dry_run: bool = False


def tidy(repo: Repo, store: Store, *, at_once: bool, dry_run: bool, reporter: Reporter) -> Cleaned:
    """Remove what was left in this repository and its store, and set aside long ago.

    With ``at_once`` what was set aside, and what interrupted transfers hold ready, goes whatever
    its age. Waits for the store's lock, so that nothing is taken away from a running command.
    """
    with store.hold(exclusive=True, timeout=60.0):
        found = _set_aside(store.storage, at_once=at_once)
        left = dict(stale_temporaries(repo.git))
        left.update(_in_store(store.local_directory()))
        left.update(_spools(store.local_directory(), 0.0 if at_once else _ABANDONED))
        if not dry_run:
            with reporter.task("Cleaning", unit="files", total=len(found.removed)) as task:
                for key in found.removed:
                    quarantine.remove(store.storage, key)
                    task.advance()
            for path in left:
                _remove(path)
    names = tuple(repo.display(os.fsencode(in_git(path, repo.root))) for path in left)
    return Cleaned(
        (*found.removed, *sorted(names)), found.bytes + sum(left.values()), found.kept, dry_run
    )


def tidy_remote(storage: Storage, *, at_once: bool, dry_run: bool, reporter: Reporter) -> Cleaned:
    """Remove what was set aside in a remote long ago."""
    found = _set_aside(storage, at_once=at_once)
    with reporter.task("Cleaning", unit="files", total=len(found.removed)) as task:
        for key in () if dry_run else found.removed:
            quarantine.remove(storage, key)
            task.advance()
    return Cleaned(found.removed, found.bytes, found.kept, dry_run)


def _set_aside(storage: Storage, *, at_once: bool) -> Cleaned:
    removed, kept, size = [], [], 0
    for key, length, age in quarantine.listed(storage):
        if at_once or age > KEEP:
            removed.append(key)
            size += length
        else:
            kept.append(key)
    return Cleaned(tuple(removed), size, tuple(kept))


def _in_store(top: str) -> Iterator[tuple[str, int]]:
    """Yield (path, bytes) of the temporary files in a store.

    Whoever writes one holds the store's lock, but for the last two, which wait for an hour.
    """
    for part in ("packs", "index", "tmp", "links", "proofs", ""):
        before = clock.now_ns() - (0 if part in ("packs", "index", "tmp", "links") else _STALE_NS)
        for directory, below, files in os.walk(os.path.join(top, part)):
            if not part:
                below.clear()
            for name in files:
                path = os.path.join(directory, name)
                if name.startswith(fsio.TEMP_PREFIX):
                    found = os.lstat(path)
                    if found.st_mtime_ns <= before:
                        yield path, found.st_size


def _spools(top: str, age: float) -> Iterator[tuple[str, int]]:
    """Yield (path, bytes) of what transfers left that were not taken up again for some seconds."""
    before = clock.now_ns() - int(age * 1e9)
    for directory, _, files in os.walk(os.path.join(top, "spool")):
        found = [os.lstat(os.path.join(directory, name)) for name in files]
        if found and max(one.st_mtime_ns for one in found) <= before:
            yield directory, sum(one.st_size for one in found)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        with fsio.explained("remove", path):
            fsio.step("unlink")
            clear_away(path)
    else:
        fsio.remove(path)
