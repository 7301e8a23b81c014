"""Single chunks and trees out of a remote where they lie, for readers that skip about.

What one call wants comes in as few ranged requests as its chunks lie in runs, several at once.
Everything is hashed and compared with its name before anybody sees it, since whoever can write to
the remote could have put anything there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dver.base.errors import CorruptError, MissingContentError, ObjectNotFound
from dver.base.oid import Oid, format_oid, oid_of
from dver.formats import pack
from dver.formats.chunklist import ChunkList
from dver.formats.pack import LIST_KINDS
from dver.formats.segment import Place
from dver.formats.tree import Tree
from dver.store import layout
from dver.store.codec import Buffer
from dver.store.packfile import open_frame
from dver.store.ranged import Wanted
from dver.store.store import Store
from dver.transfer.ranges import coalesce
from dver.transfer.reader import reader
from dver.transfer.remote import Remote
from dver.transfer.workers import each

#: Chunks less than this apart are read together: what lies between them costs less than a request,
#: and never makes up more than a fraction of what was asked for (bytes).
GAP = 16 << 10
#: No request is longer than this, so that a long range comes over several connections (bytes).
LIMIT = 2 << 20
#: Places that are remembered.
_MAX_KNOWN = 100_000
_HEADER = pack.FRAME.size


class _Request(NamedTuple):
    """One ranged read, and the positions of what it brings in the caller's request."""

    pack: bytes
    start: int
    end: int
    found: list[tuple[int, Place]]


class RemoteChunks:
    """The objects of one remote. For several threads; ``remote`` is used by nobody else."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._opened = False
        self._places: dict[Oid, Place] = {}

    @property
    def description(self) -> str:
        """What to call the remote in messages."""
        return self.remote.description

    def has(self, oid: Oid) -> bool:
        """Say whether the index of the remote has an object."""
        with self._lock:
            store = self._reader()
            return store is not None and store.has(oid)

    def read_tree(self, oid: Oid) -> Tree:
        """Return a tree. Raises MissingContentError or CorruptError."""
        with self._lock:
            return self._required(oid).read_tree(oid)

    def chunk_list(self, oid: Oid) -> ChunkList | None:
        """Return the chunk list stored under an oid, or None. Raises MissingContentError."""
        with self._lock:
            return self._required(oid).chunk_list(oid)

    def fill(self, wanted: Sequence[Wanted]) -> list[Buffer]:
        """Return the content of each chunk; see :class:`~dver.store.ranged.ChunkSource`."""
        try:
            return self._fill(wanted)
        except ObjectNotFound:
            # Somebody has merged packs meanwhile; the index tells now where things are.
            self.forget()
        try:
            return self._fill(wanted)
        except ObjectNotFound as error:
            raise MissingContentError(
                f"a pack is gone from {self.description}",
                hint="push again from a clone that has its content",
            ) from error

    def forget(self) -> None:
        """Read the index anew when it is asked next."""
        with self._lock:
            self._places.clear()
            self._store, self._opened = None, False

    def _fill(self, wanted: Sequence[Wanted]) -> list[Buffer]:
        places = self._locate(wanted)
        results: list[Buffer] = [b""] * len(wanted)
        requests = list(_requests(places, wanted))
        storage = self.remote.storage

        def get(one: _Request) -> bytes:
            return storage.get(layout.pack_key(one.pack), one.start, one.end - one.start)

        for one, data in each(min(self.remote.jobs, len(requests)), requests, get):
            view = memoryview(data)
            for i, place in one.found:
                at = place.offset - one.start
                content = self._content(view[at : at + _HEADER + place.stored], wanted[i], place)
                results[i] = content
                into = wanted[i].into
                if into is not None:
                    into[:] = content
        return results

    def _content(self, frame: memoryview, want: Wanted, place: Place) -> Buffer:
        try:
            _, content = open_frame(frame, oid=want.oid)
            if len(content) == want.size and oid_of(content) == want.oid:
                return bytes(content)
            why = "a chunk has another hash"
        except CorruptError as error:
            why = error.message
        raise CorruptError(
            f"{layout.pack_key(place.pack)} at {place.offset} in {self.description} is damaged:"
            f" {why}",
            paths=[format_oid(want.oid)],
            hint=f"'dver fsck --full -r {self.remote.name}' tells what is damaged there; a push"
            " from a clone that has the content mends it",
        )

    def _locate(self, wanted: Sequence[Wanted]) -> list[Place]:
        with self._lock:
            unknown = {want.oid for want in wanted}.difference(self._places)
            if unknown:
                self._required(wanted[0].oid)
                if len(self._places) + len(unknown) > _MAX_KNOWN:
                    self._places.clear()
                    unknown = {want.oid for want in wanted}
                self._places.update(self.remote.locate(sorted(unknown)))
            try:
                return [self._places[want.oid] for want in wanted]
            except KeyError as error:
                raise self._missing(Oid(error.args[0])) from None

    def _required(self, oid: Oid) -> Store:
        store = self._reader()
        if store is None:
            raise self._missing(oid)
        return store

    def _missing(self, oid: Oid) -> MissingContentError:
        return MissingContentError(
            f"the object {format_oid(oid)} is not in {self.description}",
            hint=f"dver whereis --check {format_oid(oid)}",
        )

    def _reader(self) -> Store | None:
        if not self._opened:
            self._store = reader(self.remote)
            self._opened = True
        return self._store

    def close(self) -> None:
        """Let go of the connections."""
        self.remote.close()


def _requests(places: Sequence[Place], wanted: Sequence[Wanted]) -> Iterator[_Request]:
    """Yield the ranged reads that bring all of the places, each holding whole frames."""
    by_pack: dict[bytes, list[tuple[int, Place]]] = {}
    for i, place in enumerate(places):
        if place.kind in LIST_KINDS or place.raw != wanted[i].size:
            raise CorruptError("a chunk list does not fit its chunks")
        by_pack.setdefault(place.pack, []).append((i, place))
    for name, found in by_pack.items():
        found.sort(key=lambda one: one[1].offset)
        extents = ((p.offset, p.offset + _HEADER + p.stored) for _, p in found)
        at = 0
        for start, end, count in coalesce(extents, GAP, LIMIT):
            yield _Request(name, start, end, found[at : at + count])
            at += count
