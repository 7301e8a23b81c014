"""Reading chunked content in windows: chunks that lie together in a pack come with one read.

Each chunk is read to where it belongs in the window, and frame headers aside. The window is then
hashed as part of the whole, which decides alone whether the content is right: hashing its chunks or
checking their checksums as well would find nothing more. They are looked at one by one only when
something is wrong, to tell what.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Self

from dver.base import fsio
from dver.base.errors import CorruptError, DverError
from dver.base.oid import Hasher, Oid, finish, format_oid
from dver.formats import pack
from dver.formats.pack import LIST_KINDS
from dver.formats.segment import Place
from dver.store.codec import decompress
from dver.store.store import Store

#: How long a window is at most (bytes). Several of them fit the processor's cache.
_WINDOW = pack.MAX_FRAME
#: How many chunks a window holds at most: one read takes two buffers for each.
_MOST = 256
#: How many windows the hashing thread may be behind.
_BEHIND = 4
#: From so many bytes on, threads are worth starting.
_WORTH = 16 << 20

_Chunk = tuple[Oid, Place]


class OtherCopyNeeded(CorruptError):
    """A chunk is damaged where it was read; ``Store.stream`` finds another copy of it."""


def windows(store: Store, oid: Oid) -> Iterator[memoryview]:
    """Yield an object's content in order; a piece is only good until the next one is taken.

    The content counts only if the iteration ends without CorruptError. Raises MissingContentError.
    """
    store.settle(oid)
    place = store.place(oid)
    if place is None or place.kind not in LIST_KINDS:
        yield memoryview(store.read(oid))
        return
    whole = Hasher()
    for view in _fill_windows(store, oid, 1):
        whole.update(view)
        yield view
    _check_whole(store, oid, whole)


def _fill_windows(store: Store, oid: Oid, count: int) -> Iterator[memoryview]:
    """Yield windows of a chunked object, of which the last ``count`` stay as they are."""
    room = [fsio.buffer(_WINDOW) for _ in range(count)]
    for number, chunks in enumerate(_batches(store.chunks(oid))):
        view = room[number % count][: sum(place.raw for _, place in chunks)]
        try:
            _fill(store, chunks, view)
        except (DverError, OSError):
            # A pack may have been merged into another one meanwhile, or a chunk be damaged.
            _fill_each(store, chunks, view)
        yield view


def _check_whole(store: Store, oid: Oid, whole: Hasher) -> None:
    if finish(whole) != oid:
        for _ in store.stream(oid):
            pass  # it raises what tells where the damage is
        raise OtherCopyNeeded(f"the object {format_oid(oid)} is damaged, and has a sound copy")


def _batches(chunks: Iterable[_Chunk]) -> Iterator[list[_Chunk]]:
    batch: list[_Chunk] = []
    size = 0
    for one in chunks:
        size += one[1].raw
        if batch and (size > _WINDOW or len(batch) == _MOST):
            yield batch
            batch, size = [], one[1].raw
        batch.append(one)
    if batch:
        yield batch


def _fill(store: Store, chunks: Sequence[_Chunk], view: memoryview) -> None:
    """Read chunks into a window, neighbours with one read. Nothing is checked but lengths."""
    header = bytearray(pack.FRAME.size)
    buffers: list[bytearray | memoryview] = []
    packed: list[tuple[bytearray, Place, memoryview]] = []
    name, start, end, at = b"", 0, -1, 0
    for _, place in chunks:
        if place.offset != end or place.pack != name:
            _read(store, name, start, end, buffers)
            buffers, name, start = [], place.pack, place.offset
        end = place.offset + pack.FRAME.size + place.stored
        into = view[at : at + place.raw]
        at += place.raw
        buffers.append(header)
        if place.codec == pack.RAW and place.stored == place.raw:
            buffers.append(into)
        else:
            stored = bytearray(place.stored)
            buffers.append(stored)
            packed.append((stored, place, into))
    _read(store, name, start, end, buffers)
    for stored, place, into in packed:
        into[:] = decompress(place.codec, stored, place.raw)


def _read(
    store: Store, name: bytes, start: int, end: int, buffers: Sequence[bytearray | memoryview]
) -> None:
    if buffers and store.read_into(name, start, buffers) != end - start:
        raise CorruptError(f"the pack {name.hex()} is shorter than its index says")


def _fill_each(store: Store, chunks: Sequence[_Chunk], view: memoryview) -> None:
    at = 0
    for oid, place in chunks:
        view[at : at + place.raw] = store.read(oid)
        at += place.raw


def copy_content(store: Store, oid: Oid, size: int, fd: int, path: bytes) -> None:
    """Write an object's content at a descriptor's position; ``path`` is for messages.

    Raises CorruptError if the content is not that of ``oid``, or not ``size`` bytes long: what was
    written by then is worth nothing. Raises MissingContentError and SystemFailure too.
    """
    store.settle(oid)
    if store.size(oid) != size:
        raise CorruptError(f"the object {oid.hex()} is not {size} bytes long, as its tree says")
    start = os.lseek(fd, 0, os.SEEK_CUR)
    try:
        _copy(store, oid, size, fd, path)
    except OtherCopyNeeded:
        fsio.step("write")
        with fsio.explained("write", path):
            os.lseek(fd, start, os.SEEK_SET)
            os.ftruncate(fd, start)
        for piece in store.stream(oid):
            fsio.write_all(fd, piece, path)


def _copy(store: Store, oid: Oid, size: int, fd: int, path: bytes) -> None:
    place = store.place(oid)
    if place is None or place.kind not in LIST_KINDS or size < _WORTH:
        for view in windows(store, oid):
            fsio.write_all(fd, view, path)
        return
    whole = Hasher()
    with _Behind(whole.update) as update:
        for view in _fill_windows(store, oid, _BEHIND + 1):
            update(view)
            # By this thread: what it has just read is still in its core's cache.
            fsio.write_all(fd, view, path)
    _check_whole(store, oid, whole)


class _Behind:
    """Does something with each window in a thread of its own, some windows behind the reader.

    Leaving the ``with`` block waits for the thread, and raises what it failed with.
    """

    def __init__(self, work: Callable[[memoryview], object]) -> None:
        self._work = work
        self._waiting: deque[memoryview | None] = deque()
        self._ready = threading.Semaphore(0)
        self._room = threading.Semaphore(_BEHIND)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __call__(self, view: memoryview) -> None:
        """Hand a window over, once no more than so many are waiting."""
        self._waiting.append(view)
        self._ready.release()
        self._room.acquire()
        if self._failure is not None:
            raise self._failure

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._waiting.append(None)
        self._ready.release()
        self._thread.join()
        if kind is None and self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while True:
            self._ready.acquire()
            view = self._waiting.popleft()
            if view is None:
                return
            if self._failure is None:
                try:
                    self._work(view)
                except BaseException as error:  # noqa: BLE001 - raised in the other thread
                    self._failure = error
            self._room.release()
