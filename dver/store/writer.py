"""Adding objects to a local store: packs first, then the segment that makes them visible."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Self

from dver.base import fsio
from dver.base.errors import CorruptError, MissingContentError
from dver.base.oid import Hasher, Oid, finish, list_name_of, oid_of
from dver.base.osat import osat
from dver.formats import chunklist, pack, segment
from dver.store import layout
from dver.store.chunking import cut
from dver.store.codec import Buffer, compress
from dver.store.index import Index
from dver.store.packfile import FinishedPack, PackBuilder

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from dver.store.store import Store

#: A pack is closed once it is this long (bytes).
PACK_TARGET = 64 << 20
#: After so many contents in turn that did not compress, only one in so many is tried.
_HOPELESS = 64
_PROBE = 4


class PackSet:
    """Objects going into new packs: data in one, trees in another, each closed at 64 MiB.

    Nothing is written that the store's index or this set has already. What lies in the pack of
    another account counts as there only once it was read and hashed: nobody's word is taken for
    content that only this account may have. The packs stay invisible temporary files until
    a :class:`Writer` publishes them.
    """

    def __init__(self, store: Store, directory: str, *, ignore_index: bool = False) -> None:
        self._index = Index() if ignore_index else store.index
        self._store = store
        self.chunker = store.info.chunker
        self._directory = directory
        self._syncing: ThreadPoolExecutor | None = None
        self._open: dict[bool, PackBuilder] = {}
        self._closing: list[PackBuilder] = []
        self._seen: set[Oid] = set()
        self._raw_in_turn = 0
        self.stored_bytes = 0
        self.new_objects = 0

    def __contains__(self, oid: Oid) -> bool:
        if oid in self._seen:
            return True
        return oid in self._index and (not self._index.foreign_packs or self._is_sound(oid))

    def _is_sound(self, oid: Oid) -> bool:
        """Say whether an object in the index is what it should be, if another account put it there.

        One that is not is stored once more; ``dver fsck --repair`` puts the bad one aside.
        """
        place = self._index.find(oid)
        if place is None or place.pack not in self._index.foreign_packs:
            return place is not None
        try:
            if place.kind == pack.LIST:
                sound = self._store.list_name(oid) == oid
            else:
                for _ in self._store.stream(oid):
                    pass
                sound = True
        except (CorruptError, MissingContentError):
            return False
        if sound:
            self._seen.add(oid)
        return sound

    def sync_in_background(self) -> None:
        """Let a thread wait for the disk whenever a pack is full, beside the caller's work."""
        from concurrent.futures import ThreadPoolExecutor

        if self._syncing is None:
            self._syncing = ThreadPoolExecutor(1, "dver-sync")

    def add(self, data: Buffer, kind: int = pack.BLOB) -> Oid:
        """Store one object held in memory and return its oid."""
        oid = oid_of(data)
        if oid in self:
            return oid
        tree = kind == pack.TREE
        if len(data) <= self.chunker.max_size:
            self.put(oid, kind, data, tree=tree)
            self.new_objects += 1
            return oid
        view = memoryview(data)
        pieces = cut(view, self.chunker, last=True)
        rows = [self.add_chunk(view[at : at + length], tree=tree) for at, length in pieces]
        self.flush(tree=tree)
        return self.add_list(oid, rows, kind)

    def add_chunk(self, data: Buffer, *, tree: bool = False) -> chunklist.Row:
        """Store one chunk and return its row. ``data`` must not change until it was flushed."""
        oid = oid_of(data)
        if oid not in self:
            self.put(oid, pack.CHUNK, data, tree=tree)
        return oid, len(data)

    def add_list(self, oid: Oid, rows: Sequence[chunklist.Row], kind: int = pack.BLOB) -> Oid:
        """Store the chunk list of an object whose chunks are stored, and return its ``oid``."""
        if oid in self:
            return oid
        tree = kind == pack.TREE
        level = 0
        while len(rows) > chunklist.MIN_ROWS:
            parts = [chunklist.ChunkList(level, tuple(part)) for part in chunklist.split(rows)]
            if len(parts) == 1:
                break
            rows = [(self._add_sublist(part, tree=tree), part.size) for part in parts]
            level += 1
        data = chunklist.encode(chunklist.ChunkList(level, tuple(rows)))
        self.put(oid, pack.TREE_LIST if tree else pack.BLOB_LIST, data, tree=tree)
        self.new_objects += 1
        return oid

    def _add_sublist(self, part: chunklist.ChunkList, *, tree: bool) -> Oid:
        data = chunklist.encode(part)
        oid = list_name_of(data)
        if oid not in self:
            self.put(oid, pack.LIST, data, tree=tree)
        return oid

    def add_frame(self, frame: pack.Frame, stored: Buffer, *, tree: bool) -> None:
        """Store a frame of another store as it is. The caller has verified it."""
        if frame.oid in self:
            return
        self._room(tree).add(frame.oid, frame.kind, frame.codec, bytes(stored), frame.raw)
        self._seen.add(frame.oid)
        self.stored_bytes += len(stored)
        self.new_objects += frame.kind not in (pack.CHUNK, pack.LIST)

    def put(self, oid: Oid, kind: int, data: Buffer, *, tree: bool = False) -> None:
        """Store one frame whose oid is known and not stored yet."""
        raw = self._raw_in_turn
        if raw >= _HOPELESS and raw % _PROBE and not tree:
            codec, stored = pack.RAW, data
            self._raw_in_turn = raw + 1
        else:
            codec, stored = compress(data)
            if not tree:
                self._raw_in_turn = raw + 1 if codec == pack.RAW else 0
        builder = self._open.get(tree)
        if builder is None or builder.size >= PACK_TARGET:
            builder = self._room(tree)
        builder.add(oid, kind, codec, stored, len(data))
        self._seen.add(oid)
        self.stored_bytes += len(stored)

    def _room(self, tree: bool) -> PackBuilder:
        builder = self._open.get(tree)
        if builder is not None and builder.size >= PACK_TARGET:
            builder.finish()
            self._closing.append(self._open.pop(tree))
            builder = None
        if builder is None:
            builder = self._open[tree] = PackBuilder(self._directory, self._syncing)
        return builder

    def flush(self, *, tree: bool = False) -> None:
        """Write what is pending, so that the buffers given to ``add_chunk`` may change."""
        if tree in self._open:
            self._open[tree].flush()

    def finish(self) -> list[FinishedPack]:
        """Close the open packs and return all of them, durable."""
        for tree in sorted(self._open):
            self._open[tree].finish()
            self._closing.append(self._open.pop(tree))
        finished = [builder.result() for builder in self._closing]
        self._closing.clear()
        self._stop()
        return finished

    def abandon(self) -> None:
        """Remove every temporary file."""
        for builder in (*self._open.values(), *self._closing):
            builder.abandon()
        self._open.clear()
        self._closing.clear()
        self._stop()

    def _stop(self) -> None:
        if self._syncing is not None:
            self._syncing.shutdown()
            self._syncing = None


class Writer:
    """Adds objects to a local store. Leave the ``with`` block without :meth:`commit` to undo all.

    Objects become visible together, when their segment is published: packs are durable before
    the segment names them, and whoever refers to an object does so after ``commit`` returned.
    While it is open, garbage collection waits.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.directory = store.local_directory()
        self.temp = os.path.join(self.directory, "tmp")
        self.packs = PackSet(store, self.temp)
        self._adopted: list[FinishedPack] = []
        self._held = contextlib.ExitStack()
        self.stored_bytes = 0
        self.new_objects = 0

    def __enter__(self) -> Self:
        self._held.enter_context(self._store.hold())
        return self

    def __exit__(self, *exc: object) -> None:
        self.packs.abandon()
        for one in self._adopted:
            with contextlib.suppress(OSError):
                osat.unlink(one.temp)
        self._adopted.clear()
        self._held.close()

    def add(self, data: Buffer, kind: int = pack.BLOB) -> Oid:
        """Store one object held in memory and return its oid."""
        return self.packs.add(data, kind)

    def add_frame(self, frame: pack.Frame, stored: Buffer) -> None:
        """Copy a frame of another store as it is. The caller has verified it."""
        self.packs.add_frame(frame, stored, tree=frame.kind in (pack.TREE, pack.TREE_LIST))

    def adopt(self, finished: FinishedPack) -> None:
        """Take over a durable temporary pack that somebody else wrote for this store."""
        self._adopted.append(finished)

    def commit(self) -> None:
        """Publish everything that was added, durably; visible in ``store`` when this returns."""
        finished = self.packs.finish() + self._adopted
        self.stored_bytes += self.packs.stored_bytes
        self.new_objects += self.packs.new_objects
        self._adopted = list(finished)
        finished = [one for one in finished if not one.is_empty]
        if finished:
            rows = list(blocks_of_rows(finished))
            publish_packs(self.directory, finished)
            write_segment(self.directory, rows, _table(finished))
            self._store.refresh()
        for one in self._adopted:
            with contextlib.suppress(OSError):
                osat.unlink(one.temp)
        self._adopted.clear()


def publish_packs(directory: str, finished: Sequence[FinishedPack]) -> None:
    """Give durable temporary packs their names, and make the names durable.

    What got no name is removed if that fails.
    """
    parents = set()
    try:
        for one in finished:
            final = os.path.join(directory, layout.pack_key(one.name))
            parent = os.path.dirname(final)
            if parent not in parents:
                fsio.make_dirs(parent)
                parents.add(parent)
            fsio.publish(one.temp, final)
        for parent in sorted(parents):
            fsio.sync_dir(parent)
    except BaseException:
        for one in finished:
            with contextlib.suppress(OSError):
                osat.unlink(one.temp)
        raise


def _table(finished: Iterable[FinishedPack]) -> list[tuple[bytes, int]]:
    return sorted((one.name, one.size) for one in finished)


def blocks_of_rows(finished: Iterable[FinishedPack]) -> Iterator[bytes]:
    """Yield the segment rows of some packs in ascending order, each oid once, in blocks."""
    packs = sorted(finished, key=lambda one: one.name)
    return segment.in_order(
        segment.rows_of_footer(one.rows, number) for number, one in enumerate(packs)
    )


def encode_rows(finished: Iterable[FinishedPack]) -> list[bytes]:
    """Return the same, row by row."""
    return [row for block in blocks_of_rows(finished) for row in segment.split(block)]


def write_segment(
    directory: str,
    blocks: Sequence[bytes],
    table: Sequence[tuple[bytes, int]],
    superseded: Iterable[bytes] = (),
) -> bytes:
    """Write a segment of rows, joined in blocks, durably into a local store and return its name."""
    data = segment.pieces(blocks, table, os.urandom(16), superseded)
    hasher = Hasher()
    for piece in data:
        hasher.update(piece)
    name = bytes(finish(hasher))
    fsio.write_atomic(
        os.path.join(directory, layout.segment_key(name)), data, mode=0o444, replace=False
    )
    return name
