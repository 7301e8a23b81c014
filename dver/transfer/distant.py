"""A segment that stays in the remote: looked up by ranged reads of a few rows."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from dver.base.errors import CorruptError
from dver.base.oid import OID_SIZE, Oid, split_oids
from dver.formats import segment
from dver.formats.segment import Layout, Place
from dver.storage.base import Storage
from dver.store import layout
from dver.transfer.ranges import coalesce

#: What is read of a segment first: with less than two million rows, all but the rows (bytes).
HEAD = 256 << 10
#: Buckets less than this apart are read together, up to so many bytes at once.
_GAP = 64 << 10
_LIMIT = 8 << 20
#: What a request costs, told in bytes that could have been read meanwhile.
_REQUEST = 256 << 10
_ROW = segment.ROW.size


class DistantSegment:
    """The head of a segment: enough to find any oid with one more ranged read.

    What the ranges bring cannot be checked against the segment's name. That is safe for reading,
    where every object is verified; to decide what not to upload, take the whole segment.
    """

    def __init__(self, storage: Storage, name: bytes, size: int, head: bytes) -> None:
        self.name = name
        self.size = size
        self.head = head
        self._storage = storage
        self.layout: Layout = segment.decode_header(head[: segment.HEADER.size], size)
        if len(head) < self.layout.rows_at:
            raise CorruptError(f"the head of the index segment {name.hex()} is not whole")
        lay = self.layout
        self.packs = segment.decode_packs(head[lay.packs_at : lay.superseded_at])
        names = head[lay.superseded_at : lay.fanout_at]
        self.superseded = list(split_oids(names))
        self._fanout = struct.unpack_from(f"<{(1 << lay.fanout_bits) + 1}I", head, lay.fanout_at)
        ascending = not any(map(int.__gt__, self._fanout, self._fanout[1:]))
        if not ascending or self._fanout[-1] > lay.rows:
            raise CorruptError(f"the index segment {name.hex()} has a damaged fanout table")

    @classmethod
    def open(cls, storage: Storage, name: bytes, size: int) -> DistantSegment:
        """Read a segment's head in one request, or two if it has very many rows."""
        key = layout.segment_key(name)
        head = storage.get(key, 0, min(HEAD, size))
        needed = segment.decode_header(head[: segment.HEADER.size], size).rows_at
        if len(head) < needed:
            head += storage.get(key, len(head), needed - len(head))
        return cls(storage, name, size, head[:needed])

    def is_worth(self, oids: Sequence[Oid]) -> bool:
        """Say whether looking these up costs less than to download the whole segment."""
        ranges = self._ranges(oids)
        return sum(end - start + _REQUEST for start, end, _ in ranges) < self.size

    def find(self, oids: Sequence[Oid]) -> Iterator[tuple[Oid, Place]]:
        """Yield the places of those oids that the segment has."""
        wanted = sorted(set(oids))
        at = 0
        for start, end, count in self._ranges(wanted):
            data = self._storage.get(layout.segment_key(self.name), start, end - start)
            left = count
            while left:
                low, high = self._bucket(wanted[at])
                if high > low:
                    place = self._place(wanted[at], data, low - start, high - start)
                    if place is not None:
                        yield wanted[at], place
                    left -= 1
                at += 1

    def _ranges(self, oids: Sequence[Oid]) -> list[tuple[int, int, int]]:
        buckets = (self._bucket(oid) for oid in sorted(oids))
        return list(coalesce((pair for pair in buckets if pair[1] > pair[0]), _GAP, _LIMIT))

    def _bucket(self, oid: Oid) -> tuple[int, int]:
        number = segment.bucket(oid, self.layout.fanout_bits)
        base = self.layout.rows_at
        return base + self._fanout[number] * _ROW, base + self._fanout[number + 1] * _ROW

    def _place(self, oid: Oid, data: bytes, low: int, high: int) -> Place | None:
        found = data.find(oid, low, high)
        while found >= 0 and (found - low) % _ROW:
            found = data.find(oid, found + 1, high)
        if found < 0:
            return None
        ordinal, offset, stored, raw, kind, codec, _ = segment.PLACE.unpack_from(
            data, found + OID_SIZE
        )
        if ordinal >= len(self.packs):
            raise CorruptError(f"the index segment {self.name.hex()} names an unknown pack")
        return Place(self.packs[ordinal][0], offset, stored, raw, kind, codec)
