"""Verifying packs that came whole: every content against its oid, in worker processes if many.

The name of a pack shows only that it is as somebody wrote it. Whoever that was may have lied, so
each content is hashed before the local index names it.
"""

from __future__ import annotations

import mmap
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from dver.base import fsio
from dver.base.errors import CorruptError
from dver.base.oid import split_oids
from dver.base.workers import Worker, usable_cores
from dver.formats import pack
from dver.formats.pack import LIST_KINDS, TOP_KINDS
from dver.store.codec import Buffer, decompress
from dver.store.packfile import check_pack, is_named_by

if TYPE_CHECKING:
    from queue import SimpleQueue

_OBJECTS = (pack.BLOB, pack.TREE)
#: So much of a mapped pack is let go of at once (bytes).
_RELEASE = 8 << 20
#: Below so many wanted frames, or packs, starting processes takes longer than the work.
_WORTH_FRAMES = 20_000
_WORTH_PACKS = 2
_MAX_WORKERS = 16
_header = pack.FRAME.pack

_List = tuple[tuple[Any, ...], bytes, bytes]


class Adopted(NamedTuple):
    """What is sound in a pack: values that can travel between processes.

    ``rows`` are the footer rows of all frames that verified, but for top lists, which nobody can
    verify alone; None if these are all rows of the pack, as of most. ``objects`` counts those that
    were wanted, without chunks and lists. ``lists`` are the wanted lists as (frame's fields, stored
    bytes, content), ``lost`` the joined oids of what was wanted and is not sound.
    """

    rows: bytes | None
    objects: int
    lists: list[_List]
    lost: bytes


def adopt(path: str, name: bytes, size: int, wanted: bytes) -> Adopted:
    """Verify every frame of a whole pack, and make it durable.

    ``wanted`` are the oids that it should hold, joined. Raises CorruptError if the pack is not as
    its name says.
    """
    with fsio.explained("read", path), ExitStack() as held:
        footer = check_pack(path, name)
        file = held.enter_context(open(path, "rb", buffering=0))
        if os.fstat(file.fileno()).st_size != size:
            raise CorruptError("a pack has another length than the index says")
        data = held.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        view = held.enter_context(memoryview(data))
        found = _sound(data, view, footer, size, wanted)
        fsio.sync_file(file.fileno(), path)
    return found


def _sound(data: mmap.mmap, view: memoryview, footer: bytes, size: int, wanted: bytes) -> Adopted:
    """Look at each frame.

    The pack is as it was written, so the checksums of frames are not looked at again; the content
    of each is hashed.
    """
    missing = set(split_oids(wanted))
    trailer = bytes(view[size - pack.TRAILER.size :])
    pack.check_header(view, trailer)
    lists: list[_List] = []
    unsound: list[int] = []
    objects = released = 0
    head, magic = pack.FRAME.size, pack.FRAME_MAGIC
    content: Buffer | None = None
    try:
        for number, frame in enumerate(pack.walk_footer(footer, trailer, size)):
            oid, offset, length, raw, kind, codec, check = frame
            at = offset + head
            if at - released >= _RELEASE:
                _let_go(data, released)
                released += _RELEASE
            content = view[at : at + length]
            if data[offset:at] != _header(magic, kind, codec, 0, length, raw, check, oid):
                content = None
            elif codec != pack.RAW:
                content = _unpacked(codec, content, raw)
            if content is None or not is_named_by(kind, content, oid):
                unsound.append(number)
                continue
            if kind in TOP_KINDS:
                unsound.append(number)  # as long as nobody has read all that it lists
            if oid in missing:
                missing.discard(oid)
                if kind in _OBJECTS:
                    objects += 1
                elif kind in LIST_KINDS:
                    lists.append((tuple(frame), data[at : at + length], bytes(content)))
    finally:
        content = None  # or else nobody could close the map, when an error holds this frame
    rows = _without(footer, unsound) if unsound else None
    return Adopted(rows, objects, lists, b"".join(missing))


def _unpacked(codec: int, stored: Buffer, raw: int) -> Buffer | None:
    try:
        return decompress(codec, stored, raw)
    except CorruptError:
        return None


def _without(rows: bytes, numbers: list[int]) -> bytes:
    size = pack.ROW.size
    starts = [0, *((number + 1) * size for number in numbers)]
    ends = [*(number * size for number in numbers), len(rows)]
    return b"".join([rows[start:end] for start, end in zip(starts, ends, strict=True)])


def _let_go(data: mmap.mmap, start: int) -> None:
    """Count a stretch that was read as ours no longer; it stays in the system's cache."""
    if hasattr(mmap, "MADV_DONTNEED") and hasattr(data, "madvise"):
        data.madvise(mmap.MADV_DONTNEED, start, _RELEASE)


class Adopters:
    """Worker processes that verify packs for several threads; without any, each does it itself.

    Use it in a ``with`` block.
    """

    def __init__(self) -> None:
        self._held = ExitStack()
        self._idle: SimpleQueue[Worker] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._held.close()

    def start(self, packs: int, frames: int, workers: int | None) -> None:
        """Start processes if so many packs, with so many wanted frames, are worth it."""
        count = min(workers or usable_cores(), _MAX_WORKERS)
        if count < 2 or packs < _WORTH_PACKS or frames < _WORTH_FRAMES:
            return
        from queue import SimpleQueue

        self._idle = SimpleQueue()
        for _ in range(min(count, packs)):
            worker = self._held.enter_context(Worker("dver.transfer.adoption:Adopter", None))
            self._idle.put(worker)

    def adopt(self, path: str, name: bytes, size: int, wanted: bytes) -> Adopted:
        """Do what :func:`adopt` does."""
        if self._idle is None:
            return adopt(path, name, size, wanted)
        worker = self._idle.get()
        try:
            worker.send((path, name, size, wanted))
            return Adopted(*worker.receive())
        finally:
            self._idle.put(worker)


class Adopter:
    """What a worker process runs: verifies one pack after the other."""

    def __init__(self, setup: None) -> None:
        pass

    def __call__(self, job: tuple[str, bytes, int, bytes]) -> tuple[object, ...]:
        """Return what is sound in a pack. Raises CorruptError; see :func:`adopt`."""
        return tuple(adopt(*job))

    def close(self) -> None:
        """Nothing is left to say."""
