"""Taking some objects out of a local store, and nothing else.

A collection of garbage asks what is needed and removes the rest. Here it is the other way round:
named objects go, with all that only they lead to; whatever else is in the store stays, whether
anything needs it or not. The caller holds the store's lock exclusively.
"""

from __future__ import annotations

import mmap
import operator
import os
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import compress

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError
from dver.base.oid import OID_SIZE, Oid, split_oids
from dver.base.regular import open_regular, read_regular
from dver.formats import pack
from dver.formats.segment import ROW
from dver.store import gc, layout
from dver.store.gc import Plan
from dver.store.mark import Marks
from dver.store.quarantine import DIRECTORY as QUARANTINE
from dver.store.store import Store

#: With more objects than this, a file is taken to hold one of them without a look (count).
_MOST_LOOKED_FOR = 2000
_MOST_BEGUN = 1 << 30
_KIND_AT = OID_SIZE + 16
_PARTS = (pack.CHUNK, pack.LIST)


@dataclass(frozen=True, slots=True)
class Removal:
    """What goes from a local store.

    ``named`` are the objects that were asked for and are here; ``shared`` those of them whose
    bytes are also a part of something that stays, so that they stay too. ``dead`` are all objects,
    lists and chunks that go, and ``objects`` those of them that are files and trees.
    """

    named: frozenset[Oid]
    shared: frozenset[Oid]
    dead: frozenset[Oid]
    objects: frozenset[Oid]


def choose(store: Store, named: Iterable[tuple[Oid, str]], *live: Marks) -> Removal:
    """Find what goes with some named objects, given as (oid, "file" or "tree").

    ``live`` mark all that something else needs, the named objects left out. What is not here is
    no obstacle, and neither is damage: what it hides stays, and is garbage from then on.
    """
    wanted = list(dict.fromkeys(named))
    reached = Marks(store)
    for oid, kind in wanted:
        for _ in reached.mark(oid, kind):
            pass
    dead: set[Oid] = set()
    objects: set[Oid] = set()
    for one in reached.segments:
        ours = reached.bits(one)
        others = bytes(map(max, *(marks.bits(one) for marks in live), bytes(len(one))))
        for first, block in one.blocks():
            rows = range(0, len(block), ROW.size)
            end = first + len(rows)
            gone = bytes(map(operator.gt, ours[first:end], others[first:end]))
            for at in compress(rows, gone) if 1 in gone else ():
                oid = Oid(block[at : at + OID_SIZE])
                dead.add(oid)
                if block[at + _KIND_AT] not in _PARTS:
                    objects.add(oid)
    here = frozenset(oid for oid, _ in wanted if store.has(oid))
    # The bytes of a whole file may be a chunk of another one that goes as well.
    objects.update(here & dead)
    return Removal(here, here - dead, frozenset(dead), frozenset(objects))


def plan(
    store: Store, dead: AbstractSet[Oid], *, strays: AbstractSet[Oid] = frozenset()
) -> tuple[Marks, Plan]:
    """Say what is to be done to a store's packs so that some objects are in none of them.

    Files go as well that no segment names and that hold any of ``strays``: what crashes left. Carry
    it out with :func:`dver.store.gc.sweep`.
    """
    marks = Marks.everything(store)
    before = marks.count
    touched = marks.unmark(set(dead)) - store.index.lost_packs
    uses = gc.uses_of(marks)
    delete = tuple(sorted(name for name in touched if not uses[name].live_count))
    rewrite = tuple(sorted(name for name in touched if uses[name].live_count))
    orphans: tuple[str, ...] = ()
    if strays:
        orphans = tuple(path for path in gc.orphans_of(store, uses) if holds_any(path, strays))
    freed = sum(uses[name].size for name in delete)
    freed += sum(max(uses[name].size - uses[name].live, 0) for name in rewrite)
    freed += sum(os.lstat(path).st_size for path in orphans)
    return marks, Plan(delete, rewrite, orphans, marks.count, before - marks.count, freed, freed)


def begin(top: str, dead: AbstractSet[Oid]) -> None:
    """Note durably what is about to go, for whoever ends it if this process does not.

    Once no segment names its packs any more, nothing else tells which chunks it was made of.
    """
    fsio.write_atomic(os.path.join(top, layout.PURGING), b"".join(sorted(dead)))


def begun(top: str) -> frozenset[Oid]:
    """Return what an earlier removal that did not end was about to remove."""
    try:
        data = read_regular(os.path.join(top, layout.PURGING), limit=_MOST_BEGUN)
    except (FileNotFoundError, CorruptError):
        return frozenset()
    except OSError as error:
        raise fsio.failure(error, "read", os.path.join(top, layout.PURGING)) from error
    return frozenset(split_oids(data))


def end(top: str) -> None:
    """Forget what was begun: all of it is gone."""
    fsio.remove(os.path.join(top, layout.PURGING))


def set_aside_with(store: Store, dead: AbstractSet[Oid]) -> Iterator[str]:
    """Yield the paths of what repairs set aside that may hold any of some objects."""
    top = store.local_directory()
    names = {oid.hex() for oid in dead}
    for where, _, files in os.walk(os.path.join(top, QUARANTINE)):
        for name in files:
            path = os.path.join(where, name)
            # A file of the link cache has its object in its name: 2 digits, a dash, 62 more.
            text = name.partition("-links-")[2].replace("-", "", 1)[:64]
            if text in names or (not text and holds_any(path, dead)):
                yield path


def spooled_with(store: Store, dead: AbstractSet[Oid]) -> Iterator[str]:
    """Yield the paths of what interrupted transfers left that may hold any of some objects."""
    for where, _, files in os.walk(os.path.join(store.local_directory(), "spool")):
        for name in files:
            path = os.path.join(where, name)
            if layout.name_of(name) is None or holds_any(path, dead):
                yield path


def holds_any(path: str, oids: AbstractSet[Oid]) -> bool:
    """Say whether a file of frames may hold any of some objects: each frame names its own."""
    if len(oids) > _MOST_LOOKED_FOR:
        return True
    try:
        fd = open_regular(path)
    except (OSError, CorruptError):
        return False
    try:
        if not os.fstat(fd).st_size:
            return False
        with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as data:
            return any(data.find(oid) >= 0 for oid in oids)
    finally:
        os.close(fd)
