"""Any range of an object without the rest of it: only the chunks that a range needs are read.

Chunk lists say where each chunk begins; a long list is itself cut into lists, and only those on the
way to the range are read. What the chunks come from is a :class:`ChunkSource`: the packs of a local
store, a remote, or both.
"""

from __future__ import annotations

import io
import itertools
import threading
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from dver.base.errors import CorruptError
from dver.base.oid import Oid, format_oid
from dver.formats.chunklist import ChunkList
from dver.store.codec import Buffer

#: Chunk lists of one object that are kept decoded (each has at most 4,096 rows).
_LISTS = 8
#: How many chunks are asked for at once at most, since that takes memory: a hostile list may name
#: one of a single byte for each byte of the object.
_AT_ONCE = 4096


class Wanted(NamedTuple):
    """One chunk that is wanted: its oid and length, and where to put it, if that is known."""

    oid: Oid
    size: int
    into: memoryview | None = None


class ChunkSource(Protocol):
    """Where chunk lists and chunks come from. All methods may be called from several threads."""

    def chunk_list(self, oid: Oid) -> ChunkList | None:
        """Return the list that is stored under an oid, or None for an object stored whole."""

    def fill(self, wanted: Sequence[Wanted]) -> list[Buffer]:
        """Return the content of each chunk, verified; one with ``into`` is put there as well.

        Raises MissingContentError, CorruptError, and what reading a remote raises. What was put
        into buffers before an error must not be used.
        """


class ChunkCache:
    """Chunks that were read last, by oid, up to so many bytes. For several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._chunks: OrderedDict[Oid, Buffer] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, oid: Oid) -> Buffer | None:
        """Return a chunk if it is here."""
        with self._lock:
            data = self._chunks.get(oid)
            if data is not None:
                self._chunks.move_to_end(oid)
            return data

    def put(self, oid: Oid, data: Buffer) -> None:
        """Keep a chunk, and let go of those that were not used for longest."""
        with self._lock:
            if oid in self._chunks or len(data) > self._most:
                return
            self._chunks[oid] = data
            self._size += len(data)
            while self._size > self._most:
                self._size -= len(self._chunks.popitem(last=False)[1])

    def clear(self) -> None:
        """Let go of all chunks."""
        with self._lock:
            self._chunks.clear()
            self._size = 0

    @property
    def size(self) -> int:
        """How many bytes are held."""
        return self._size


class _Node:
    """A chunk list, and where in its part of the content each of its rows ends."""

    __slots__ = ("ends", "level", "rows")

    def __init__(self, chunks: ChunkList) -> None:
        self.level = chunks.level
        self.rows = chunks.rows
        self.ends = array("Q", itertools.accumulate(size for _, size in chunks.rows))


class _Span(NamedTuple):
    """A chunk and where in the content it begins."""

    oid: Oid
    start: int
    size: int

    @property
    def end(self) -> int:
        return self.start + self.size


class ObjectReader:
    """Random access to the content of one object of ``size`` bytes. For several threads.

    Raises CorruptError if the object is not of that size, MissingContentError if it is nowhere.
    """

    def __init__(self, source: ChunkSource, cache: ChunkCache, oid: Oid, size: int) -> None:
        self.oid, self.size = oid, size
        self._source, self._cache = source, cache
        self._below: OrderedDict[Oid, _Node] = OrderedDict()
        self._lock = threading.Lock()
        top = source.chunk_list(oid) if size else None
        self.is_chunked = top is not None
        self._top = _Node(top or ChunkList(0, ((oid, size),)))
        if self._top.ends[-1] != size:
            raise CorruptError(
                f"the object {format_oid(oid)} is {size} bytes long by its pointer or tree, and"
                f" {self._top.ends[-1]} by its chunk list"
            )

    def read_into(self, start: int, view: memoryview) -> int:
        """Fill ``view`` with what begins at ``start``; return how many bytes that were.

        They are fewer than asked only at the end. After an error nothing in ``view`` counts.
        """
        end = min(start + len(view), self.size)
        if end <= start:
            return 0
        spans: list[_Span] = []
        wanted: list[Wanted] = []

        def bring() -> None:
            found = self._source.fill(wanted) if wanted else ()
            for span, want, data in zip(spans, wanted, found, strict=True):
                if want.into is None:
                    self._cache.put(span.oid, data)
                    _lay(data, span, start, end, view)
            spans.clear()
            wanted.clear()

        for span in self._spans(start, end):
            data = self._cache.get(span.oid)
            if data is not None:
                _lay(data, span, start, end, view)
                continue
            whole = span.start >= start and span.end <= end
            into = view[span.start - start : span.end - start] if whole else None
            spans.append(span)
            wanted.append(Wanted(span.oid, span.size, into))
            if len(wanted) == _AT_ONCE:
                bring()
        bring()
        return end - start

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to ``end``, or to the object's end if that is earlier."""
        length = max(0, min(end, self.size) - start)
        if not length:
            return b""
        # What is written into its buffer comes out as bytes without being copied once more.
        room = io.BytesIO()
        room.seek(length - 1)
        room.write(b"\0")
        with room.getbuffer() as view:
            self.read_into(start, view)
        return room.getvalue()

    def prepare(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Bring the chunks of several (start, end) into the cache, with as few requests as can be.

        Those that are more than the cache holds are read again when they are asked for.
        """
        spans = (span for start, end in ranges for span in self._spans(start, min(end, self.size)))
        found = {
            span.oid: Wanted(span.oid, span.size)
            for span in itertools.islice(spans, _AT_ONCE)
            if self._cache.get(span.oid) is None
        }
        wanted = list(found.values())
        for want, data in zip(wanted, self._source.fill(wanted) if wanted else (), strict=True):
            self._cache.put(want.oid, data)

    def _spans(self, start: int, end: int) -> Iterator[_Span]:
        return self._walk(self._top, 0, start, end)

    def _walk(self, node: _Node, base: int, start: int, end: int) -> Iterator[_Span]:
        first = bisect_right(node.ends, max(0, start - base))
        for i in range(first, len(node.rows)):
            low = base + (node.ends[i - 1] if i else 0)
            if low >= end:
                return
            oid, size = node.rows[i]
            if node.level:
                yield from self._walk(self._node(oid, size, node.level - 1), low, start, end)
            else:
                yield _Span(oid, low, size)

    def _node(self, oid: Oid, size: int, level: int) -> _Node:
        with self._lock:
            node = self._below.get(oid)
            if node is not None:
                self._below.move_to_end(oid)
        if node is None:
            below = self._source.chunk_list(oid)
            node = None if below is None else _Node(below)
        if node is None or node.level != level or node.ends[-1] != size:
            raise CorruptError(f"the chunk lists of {format_oid(self.oid)} do not fit together")
        with self._lock:
            self._below[oid] = node
            while len(self._below) > _LISTS:
                self._below.popitem(last=False)
        return node


def _lay(data: Buffer, span: _Span, start: int, end: int, view: memoryview) -> None:
    """Copy what a chunk has of the range from ``start`` to ``end`` to its place in the view."""
    low, high = max(span.start, start), min(span.end, end)
    if low < high:
        part = memoryview(data)[low - span.start : high - span.start]
        view[low - start : high - start] = part
