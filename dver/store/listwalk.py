"""Reading the chunk lists of an object: the top one, and the lists that lists name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dver.base.errors import CorruptError, FormatError
from dver.base.oid import Oid, format_oid
from dver.formats import chunklist, pack
from dver.formats.chunklist import ChunkList
from dver.formats.segment import Place
from dver.store.othercopies import open_sound

if TYPE_CHECKING:
    from dver.store.store import Store


def read_list(store: Store, oid: Oid, place: Place) -> ChunkList:
    """Return the list that lies at a place. Raises CorruptError."""
    try:
        return chunklist.decode(bytes(open_sound(store, oid, place)))
    except FormatError as error:
        raise store.damaged(oid, place, error.message) from error


def walk_lists(
    store: Store, oid: Oid, place: Place, seen: set[tuple[Oid, int]] | None = None
) -> Iterator[ChunkList]:
    """Yield a chunked object's lists, each before those below it, in order.

    With ``seen`` no list is yielded twice: five that name each other thousands of times stand
    for 2^60 chunks.
    """
    yield from _walk(store, read_list(store, oid, place), oid, seen)


def _walk(
    store: Store, chunks: ChunkList, top: Oid, seen: set[tuple[Oid, int]] | None
) -> Iterator[ChunkList]:
    yield chunks
    for row, size in chunks.rows if chunks.level else ():
        if seen is not None:
            if (row, size) in seen:
                continue
            seen.add((row, size))
        place = store.find(row)
        below = read_list(store, row, place) if place.kind == pack.LIST else None
        if below is None or below.level != chunks.level - 1 or below.size != size:
            raise CorruptError(f"the chunk lists of {format_oid(top)} do not fit together")
        yield from _walk(store, below, top, seen)
