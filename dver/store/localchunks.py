"""Chunks out of the packs of a local store, each verified before anybody sees it.

Neighbours in a pack are read at once. The frame's header must name the chunk, and the checksum in
it must be that of the bytes: that finds every accident. A pack of another account is not trusted
that far, and what lies in it is hashed, and so is an object that is stored whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from dver.base import fsio
from dver.base.errors import CorruptError, DverError
from dver.base.oid import Oid, checksum, oid_of
from dver.formats import pack
from dver.formats.chunklist import ChunkList
from dver.formats.pack import LIST_KINDS
from dver.formats.segment import Place
from dver.store.codec import Buffer, decompress
from dver.store.ranged import Wanted
from dver.store.store import Store

#: How much is read at once (bytes), so that it is checked while the processor's cache has it; the
#: last frame may go beyond that.
_RUN = 1 << 20
_PAGE = 4096
#: From so many runs on they are read by several threads, and by how many at most.
_MANY = 4
_THREADS = 2
#: How far the system is told to read ahead of one who reads on (bytes).
_AHEAD = 8 << 20
_ROOM = _PAGE + _RUN + pack.FRAME.size + pack.MAX_FRAME
_HEADER = pack.FRAME.size

#: (position in the request, place in a pack)
_Found = tuple[int, Place]


class LocalChunks:
    """The chunks of one local store. For several threads."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._room: list[memoryview] = []
        #: Where the last run ended, and up to where the system was told to read ahead.
        self._last = (b"", 0)
        self._told = 0

    def has(self, oid: Oid) -> bool:
        """Say whether the store has an object, as its index was read last."""
        return self.store.has(oid)

    def places(self, wanted: Sequence[Wanted]) -> dict[Oid, Place]:
        """Return where those of the chunks are that the store has."""
        return self.store.index.places([want.oid for want in wanted])

    def chunk_list(self, oid: Oid) -> ChunkList | None:
        """Return the chunk list stored under an oid, or None. Raises MissingContentError."""
        return self.store.chunk_list(oid)

    def fill(self, wanted: Sequence[Wanted], found: Mapping[Oid, Place]) -> list[Buffer]:
        """Return the content of each chunk, found at these places; see ChunkSource.

        Raises MissingContentError for one that has no place.
        """
        results: list[Buffer] = [b""] * len(wanted)
        known = [(i, found[want.oid]) for i, want in enumerate(wanted) if want.oid in found]
        runs = list(_runs(known, wanted))
        threads = min(_THREADS, os.cpu_count() or 1)
        if len(runs) < _MANY or threads == 1:
            self._fill_runs(runs, wanted, results)
        else:
            # Reading, checking and copying leave Python to the other threads.
            from concurrent.futures import ThreadPoolExecutor

            share = -(-len(runs) // threads)
            parts = [runs[i : i + share] for i in range(0, len(runs), share)]
            with ThreadPoolExecutor(threads, "dver-read") as pool:
                for _ in pool.map(lambda part: self._fill_runs(part, wanted, results), parts):
                    pass
        if len(known) < len(wanted):
            for i, want in enumerate(wanted):
                if want.oid not in found:
                    # It raises what tells that the chunk is missing, and why.
                    results[i] = self._alone(want)
        return results

    def _fill_runs(
        self, runs: Sequence[list[_Found]], wanted: Sequence[Wanted], results: list[Buffer]
    ) -> None:
        try:
            room = self._room.pop()
        except IndexError:
            room = fsio.buffer(_ROOM)
        try:
            for run in runs:
                self._fill_run(run, wanted, results, room)
        finally:
            self._room.append(room)

    def _fill_run(
        self,
        run: Sequence[_Found],
        wanted: Sequence[Wanted],
        results: list[Buffer],
        room: memoryview,
    ) -> None:
        first, last = run[0][1], run[-1][1]
        # From where a page begins to where a page begins: anything else copies at half the speed.
        skip = first.offset % _PAGE
        length = last.offset + _HEADER + last.stored - first.offset
        try:
            buffers = [room[: skip + length]]
            intact = self.store.read_into(first.pack, first.offset - skip, buffers) == skip + length
        except (DverError, OSError):
            # The pack may have been merged into another one meanwhile.
            intact = False
        self._look_ahead(first, last)
        strict = first.pack in self.store.index.foreign_packs
        for i, place in run:
            want, at = wanted[i], skip + place.offset - first.offset
            data = _content(room, at, place, want, strict=strict) if intact else None
            if data is None:
                results[i] = self._alone(want)
            elif want.into is None:
                results[i] = bytes(data)
            else:
                want.into[:] = data
                results[i] = want.into

    def _look_ahead(self, first: Place, last: Place) -> None:
        """Let the system read on in a pack while what it has brought is checked.

        A file's chunks lie one behind the other, so this helps whoever reads a file from its
        beginning on. Several readers at once only take the hints from each other.
        """
        end = last.offset + _HEADER + last.stored
        if self._last != (first.pack, first.offset):
            self._told = end
        elif end + _AHEAD // 2 > self._told:
            self._told = end + _AHEAD
            self.store.will_read(first.pack, end, _AHEAD)
        self._last = (first.pack, end)

    def _alone(self, want: Wanted) -> Buffer:
        """Read one chunk by the long way, which finds another copy, or says what is wrong."""
        data = self.store.read(want.oid, limit=pack.MAX_FRAME)
        if len(data) != want.size:
            raise CorruptError(f"the chunk {want.oid.hex()} is not as long as its list says")
        if want.into is not None:
            want.into[:] = data
        return data


def _runs(found: Sequence[_Found], wanted: Sequence[Wanted]) -> Iterator[list[_Found]]:
    """Group what lies one behind the other in a pack, in the order of the request."""
    run: list[_Found] = []
    name, end, limit = b"", -1, 0
    for one in found:
        i, place = one
        if place.kind in LIST_KINDS or place.raw != wanted[i].size:
            raise CorruptError("a chunk list does not fit its chunks")
        if place.offset != end or place.pack != name or end > limit:
            if run:
                yield run
            run, name, limit = [], place.pack, place.offset + _RUN
        run.append(one)
        end = place.offset + _HEADER + place.stored
    if run:
        yield run


def _content(
    room: memoryview, at: int, place: Place, want: Wanted, *, strict: bool
) -> Buffer | None:
    """Return a frame's content if header, checksum and, for some, the hash are right."""
    _, kind, codec, _, length, raw, check, oid = pack.FRAME.unpack_from(room, at)
    if oid != want.oid or length != place.stored or raw != place.raw:
        return None
    at += _HEADER
    stored = room[at : at + length]
    if checksum(stored) != check:
        return None
    if codec != pack.RAW or length != raw:
        try:
            stored = memoryview(decompress(codec, stored, raw))
        except CorruptError:
            return None
    if (strict or kind != pack.CHUNK) and oid_of(stored) != oid:
        return None
    return stored
