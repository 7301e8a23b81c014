"""Reading many small objects out of packs, neighbours with one read.

What was added together lies together, so that the files of a directory mostly come out of a pack
in long runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter

from dver.base.errors import DverError
from dver.base.oid import Oid, oid_of
from dver.formats import pack
from dver.formats.segment import Place
from dver.store.codec import Buffer, decompress
from dver.store.store import Store

#: No run is longer than this (bytes).
_RUN = 1 << 20
_FRAME = pack.FRAME.size

#: (pack, offset in it, place, position in the request)
_Found = tuple[bytes, int, Place, int]


def read_small(store: Store, oids: Sequence[Oid]) -> Iterator[tuple[int, Buffer | None]]:
    """Yield (position, content) for some objects, in the order in which they lie in packs.

    Content was hashed and compared with its oid. It is None for an object that is stored in
    chunks, is missing or is damaged: reading that one from the store tells what is wrong.
    """
    found: list[_Found] = []
    for i, oid in enumerate(oids):
        place = store.place(oid)
        if place is None or place.kind in pack.LIST_KINDS:
            yield i, None
        else:
            found.append((place.pack, place.offset, place, i))
    found.sort(key=itemgetter(0, 1))
    for run in _runs(found):
        yield from _read_run(store, run, oids)


def _runs(found: Sequence[_Found]) -> Iterator[list[_Found]]:
    run: list[_Found] = []
    name, end, limit = b"", -1, 0
    for one in found:
        where, offset, place, _ = one
        if offset != end or where != name or offset > limit:
            if run:
                yield run
            run, name, limit = [], where, offset + _RUN
        run.append(one)
        end = offset + _FRAME + place.stored
    if run:
        yield run


def _read_run(
    store: Store, run: list[_Found], oids: Sequence[Oid]
) -> Iterator[tuple[int, Buffer | None]]:
    _, start, first, _ = run[0]
    _, last, place, _ = run[-1]
    try:
        whole = first._replace(stored=last + place.stored - start)
        view = memoryview(store.read_frame(whole))
    except DverError:
        view = memoryview(b"")
    for _, offset, place, i in run:
        at = offset - start + _FRAME
        content: Buffer | None
        try:
            content = decompress(place.codec, view[at : at + place.stored], place.raw)
        except DverError:
            content = None
        if content is not None and oid_of(content) != oids[i]:
            content = None
        yield i, content
