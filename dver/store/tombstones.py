"""What was purged, as the local store remembers it: ``purged/<id>``, see ``docs/format/purged.md``.

A purged object is not missing by accident, and must not come back by one: whoever fails to find it
tells what happened, and transfers leave it out.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dver.base import fsio
from dver.base.errors import CorruptError, DverError, FormatError
from dver.base.oid import Oid
from dver.base.quoting import show
from dver.base.regular import read_regular
from dver.formats import purged as notes
from dver.formats.purged import Purged
from dver.store import layout

DIRECTORY = "purged"


class Tombstones(Mapping[Oid, Purged]):
    """Which objects were purged, each with the newest purge that named it."""

    def __init__(self, purges: Iterable[Purged] = ()) -> None:
        self.purges = {one.id: one for one in purges}
        self._by_oid = {
            named.oid: one
            for one in sorted(self.purges.values(), key=lambda one: (one.moment, one.id))
            for named in one.objects
        }

    def __getitem__(self, oid: Oid) -> Purged:
        return self._by_oid[oid]

    def __iter__(self) -> Iterator[Oid]:
        return iter(self._by_oid)

    def __len__(self) -> int:
        return len(self._by_oid)

    def with_others(self, others: Tombstones) -> Tombstones:
        """Return these and others together."""
        return Tombstones([*self.purges.values(), *others.purges.values()])


def read_tombstones(top: str) -> Tombstones:
    """Return what a local store remembers. One that is damaged is an error: it must not be lost.

    Costs one look at a directory that is not there, as long as nothing was ever purged.
    """
    directory = os.path.join(top, DIRECTORY)
    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return Tombstones()
    except OSError as error:
        raise fsio.failure(error, "list", directory) from error
    found: list[Purged] = []
    for name in names:
        if name.startswith(fsio.TEMP_PREFIX):
            continue
        path = os.path.join(directory, name)
        try:
            one = notes.decode(read_regular(path, limit=notes.MAX_SIZE))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise fsio.failure(error, "read", path) from error
        except CorruptError as error:
            raise FormatError(
                f"{show(path)}, which says what was purged, is damaged: {error.message}",
                hint="copy it from another clone or a remote's trash/, or remove it: then what it"
                " named can come back",
            ) from error
        found.append(one)
    return Tombstones(found)


def explain(top: str, oid: Oid) -> str | None:
    """Return the words for an object that was purged, None for any other or for damaged words.

    Costs one look, since it may be asked for each of many objects that are not there.
    """
    try:
        moment = os.stat(os.path.join(top, DIRECTORY)).st_mtime_ns
        purged = _read_once(top, moment).get(oid)
    except (OSError, DverError):
        return None
    return None if purged is None else purged.words


@functools.lru_cache(maxsize=1)
def _read_once(top: str, moment: int) -> Tombstones:  # noqa: ARG001  another moment, another answer
    return read_tombstones(top)


def keep_tombstones(top: str, purges: Iterable[Purged]) -> list[Purged]:
    """Remember purges durably; return those that were not known."""
    known = read_tombstones(top).purges
    new = [one for one in purges if one.id not in known]
    for one in new:
        fsio.write_atomic(os.path.join(top, DIRECTORY, one.id), notes.encode(one))
    if new:
        note_holes(top)
    return new


def forget_tombstone(top: str, purge: str) -> None:
    """Forget a purge, so that what it named may come back."""
    fsio.remove(os.path.join(top, DIRECTORY, purge))


def note_holes(top: str) -> None:
    """Note that a version may have lost parts whose top is still here."""
    path = Path(top, layout.HOLES)
    if not path.exists():
        fsio.write_atomic(path, b"")
