"""Checking a whole pack in one pass, while what was read is still in the processor's cache.

This only tells whether all is well, which it nearly always is; :mod:`dver.store.contents` looks for
what is wrong, frame by frame, in a pack for which the answer is no.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter

from dver.base import fsio
from dver.base.errors import CorruptError, FormatError
from dver.base.oid import OID_SIZE, Checksummer, checksum, oid_of
from dver.base.regular import open_regular
from dver.formats import pack
from dver.formats.segment import ROW, columns, rows_of_footer
from dver.store.index import Segment
from dver.store.packfile import read_ends, verify_frame

#: How much is read at once (bytes): half of what a core's own cache holds.
_WINDOW = 512 << 10
_MOST = _WINDOW + pack.MAX_FRAME + pack.FRAME.size
_NAMED_BY_CONTENT = frozenset((pack.BLOB, pack.TREE, pack.CHUNK))

#: One row of a footer: oid, offset, stored length, raw length, kind, codec, 0, checksum.
_Row = tuple[bytes, int, int, int, int, int, int, int]


class PackChecker:
    """Checks packs one after the other, with one buffer for all."""

    def __init__(self) -> None:
        self._view = fsio.buffer(_MOST)
        self._counts: dict[bytes, Counter[int]] = {}

    def is_sound(self, path: str, name: bytes, segments: list[Segment]) -> bool:
        """Say whether a pack is what its name and checksums say, and each content what its oid.

        And each header what the footer says, and each row for it in the segments too. Raises
        CorruptError for what is no regular file, or OSError.
        """
        with open(open_regular(path), "rb", buffering=0) as file:
            rows = self._check(file.fileno(), name)
        return rows is not None and all(self._agrees(one, name, rows) for one in segments)

    def _check(self, fd: int, name: bytes) -> bytes | None:
        try:
            header, rows, trailer, size = read_ends(fd)
            pack.check_header(header, trailer)
        except FormatError:
            return None
        if pack.name_of(header, rows, trailer) != name:
            return None
        if checksum(rows) != pack.footer_checksum(trailer):
            return None
        table: list[_Row] = list(pack.ROW.iter_unpack(rows))
        offsets = [row[1] for row in table]
        at, end = pack.HEADER.size, size - len(rows) - len(trailer)
        found = Checksummer()
        first = 0
        while first < len(table):
            # Rows that are out of order end up here anyhow, and are found out below.
            last = max(bisect_right(offsets, at + _WINDOW) - 1, first + 1)
            stop = offsets[last] if last < len(table) else end
            if offsets[first] != at or not at < stop <= at + _MOST:
                return None
            view = self._view[: stop - at]
            if fsio.read_into(fd, [view], at) != len(view):
                return None
            found.update(view)
            if not _frames_hold(view, at, table[first:last]):
                return None
            first, at = last, stop
        sound = at == end and found.intdigest() == pack.frames_checksum(trailer)
        return rows if sound else None

    def _agrees(self, segment: Segment, name: bytes, footer: bytes) -> bool:
        """Say whether each row that a segment has for a pack is one of the pack's footer."""
        ordinal = next((i for i, (one, _) in enumerate(segment.packs) if one == name), None)
        if ordinal is None:
            return True
        joined = rows_of_footer(footer, ordinal)
        rows = {joined[at : at + ROW.size] for at in range(0, len(joined), ROW.size)}
        agree = 0
        for block in segment.among({row[:OID_SIZE] for row in rows}):
            places = range(0, len(block), ROW.size)
            agree += sum(map(rows.__contains__, [block[at : at + ROW.size] for at in places]))
        return agree == self._count(segment)[ordinal]

    def _count(self, segment: Segment) -> Counter[int]:
        """Return how many rows a segment has for each pack."""
        if segment.name not in self._counts:
            found = self._counts[segment.name] = Counter()
            for _, block in segment.blocks():
                found.update(columns(block).ordinals)
        return self._counts[segment.name]


def _frames_hold(view: memoryview, start: int, table: list[_Row]) -> bool:
    """Say whether a window that begins at ``start`` has just these frames, each of them sound."""
    head = pack.FRAME.size
    header, magic = pack.FRAME.pack, pack.FRAME_MAGIC
    at = 0
    for oid, offset, stored, raw, kind, codec, zero, check in table:
        content = at + head
        end = content + stored
        if offset != start + at or zero or end > len(view):
            return False
        if view[at:content] != header(magic, kind, codec, 0, stored, raw, check, oid):
            return False
        if codec == pack.RAW and kind in _NAMED_BY_CONTENT and stored <= pack.MAX_FRAME:
            data = view[content:end]
            if stored != raw or oid_of(data) != oid or checksum(data) != check:
                return False
        else:
            try:
                verify_frame(view[at:end], "")
            except CorruptError:
                return False
        at = end
    return at == len(view)
