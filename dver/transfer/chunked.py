"""Completing chunked files: first the chunks, then the hash of it all, then the chunk list."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError
from dver.base.oid import Hasher, Oid, finish
from dver.formats import chunklist, pack
from dver.formats.chunklist import ChunkList
from dver.formats.pack import TOP_KINDS
from dver.store.packfile import open_frame
from dver.store.store import Store
from dver.transfer.closure import Reason
from dver.transfer.delivery import Got
from dver.transfer.receiver import Receiver
from dver.transfer.supply import Supply
from dver.transfer.workers import each

_HASHERS = 4


@dataclass(frozen=True, slots=True)
class Top:
    """The top list of a file whose chunks may not be here yet."""

    got: Got
    chunks: ChunkList

    @property
    def oid(self) -> Oid:
        """The oid of the whole content."""
        return self.got.frame.oid


def open_top(got: Got, expected: int | None) -> Top | None:
    """Return a top list, or None if it is malformed or not for a file of the expected size."""
    try:
        chunks = chunklist.decode(bytes(got.content))
    except CorruptError:
        return None
    return Top(got, chunks) if chunks.size == expected else None


class Completion:
    """Brings what chunked files lack, and makes those visible that turn out to be right."""

    def __init__(self, local: Store, supply: Supply, receiver: Receiver) -> None:
        self._local = local
        self._supply = supply
        self._receiver = receiver
        self._lost_parts: dict[Oid, Reason] = {}

    def run(self, tops: Sequence[Top], failed: dict[Oid, Reason]) -> None:
        """Complete these files; those that cannot be are put into ``failed``."""
        if not tops:
            return
        self._lost_parts.clear()
        self._bring_parts([top.chunks for top in tops])
        self._receiver.commit()
        hashers = min(self._supply.remote.jobs, _HASHERS)
        for top, reason in each(hashers, tops, self._check):
            if reason is None:
                self._receiver.add(top.got)
            else:
                failed[top.oid] = reason

    def _bring_parts(self, lists: list[ChunkList]) -> None:
        label = f"Fetching from {self._supply.remote.name}"
        seen: set[Oid] = set()
        while lists:
            self._receiver.commit_packs()
            parts = self._absent(lists, seen)
            lists = []
            batches = self._supply.bring(
                parts, self._lost_parts, spool=self._receiver.spool, label=label
            )
            for batch in batches:
                self._receiver.adopt(batch)
                for one in batch.got:
                    if one.frame.kind in TOP_KINDS:
                        # A part is a chunk or a list of chunks, never an object of its own.
                        self._lost_parts[one.frame.oid] = "damaged"
                        continue
                    self._receiver.add(one)
                    if one.frame.kind == pack.LIST:
                        with contextlib.suppress(CorruptError):
                            lists.append(chunklist.decode(bytes(one.content)))

    def _absent(self, lists: list[ChunkList], seen: set[Oid]) -> list[Oid]:
        """Return the parts that are not here, after going down through the lists that are."""
        absent = []
        stack = list(lists)
        while stack:
            chunks = stack.pop()
            for oid, _ in chunks.rows:
                if oid in seen:
                    continue
                seen.add(oid)
                if not self._receiver.has(oid):
                    absent.append(oid)
                elif chunks.level:
                    with contextlib.suppress(CorruptError):
                        stack.append(self._local_list(oid))
        return absent

    def _local_list(self, oid: Oid) -> ChunkList:
        return chunklist.decode(bytes(self._content(oid)))

    def _content(self, oid: Oid) -> bytes | bytearray | memoryview:
        place = self._local.place(oid)
        if place is None:
            raise CorruptError(f"the part {oid.hex()} is not here")
        return open_frame(self._local.read_frame(place), place.pack.hex(), oid=oid)[1]

    def _check(self, top: Top) -> Reason | None:
        """Hash a whole file; return what is wrong with it, or None."""
        hasher = Hasher()
        try:
            for oid, size in self._walk(top.chunks):
                if not self._local.has(oid):
                    return self._lost_parts.get(oid, "missing")
                data = self._content(oid)
                if len(data) != size:
                    return "damaged"
                hasher.update(data)
        except CorruptError:
            return "damaged"
        return None if finish(hasher) == top.oid else "damaged"

    def _walk(self, chunks: ChunkList) -> Iterator[tuple[Oid, int]]:
        for oid, size in chunks.rows:
            if chunks.level == 0 or not self._local.has(oid):
                yield oid, size
                continue
            below = self._local_list(oid)
            if below.level != chunks.level - 1 or below.size != size:
                raise CorruptError(f"the chunk list {oid.hex()} does not fit its parent")
            yield from self._walk(below)
