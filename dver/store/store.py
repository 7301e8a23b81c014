"""The store: finding and reading objects, verified, from a local store or a remote."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.errors import (
    AlreadyExists,
    CorruptError,
    FormatError,
    MissingContentError,
    ObjectNotFound,
    RepositoryError,
)
from dver.base.locking import Lock
from dver.base.oid import Hasher, Oid, finish, format_oid, list_name_of
from dver.base.regular import OpenFile, OpenFiles
from dver.formats import pack, storeinfo
from dver.formats.pack import LIST_KINDS
from dver.formats.segment import Place
from dver.formats.storeinfo import Chunker, StoreInfo
from dver.storage.base import Storage
from dver.store import layout
from dver.store.index import Index, Segment, odd_packs

if TYPE_CHECKING:
    from dver.formats.chunklist import ChunkList
    from dver.formats.tree import Tree
    from dver.store.codec import Buffer
    from dver.store.writer import Writer

_MAX_OPEN_PACKS = 64
#: So many chunks of an object are looked up at once.
_CHUNKS = 8192
#: Objects longer than this are read with :meth:`Store.stream`, not into memory (bytes).
READ_LIMIT = 4 << 30


class Store:
    """Objects over packs and segments over a storage.

    Reading may happen in several threads. Everything that leaves ``read``, ``stream`` and
    ``read_tree`` was hashed and compared with its oid.
    """

    def __init__(self, storage: Storage, info: StoreInfo, index: Index) -> None:
        self.storage = storage
        self.info = info
        self.index = index
        self._packs = OpenFiles(_MAX_OPEN_PACKS)
        #: Where whole objects were found sound, of which the index has other copies too.
        self._settled: dict[Oid, Place] = {}

    @classmethod
    def create(cls, storage: Storage, chunker: Chunker | None = None) -> Store:
        """Make a storage a store if it is not one yet, and open it."""
        info = StoreInfo(os.urandom(16).hex(), chunker or Chunker())
        if storage.head(storeinfo.KEY) is None:
            with contextlib.suppress(AlreadyExists):
                storage.put(storeinfo.KEY, storeinfo.encode(info), if_absent=True)
        return cls.open(storage)

    @classmethod
    def open(cls, storage: Storage) -> Store:
        """Open a local store. Raises RepositoryError if there is none, CorruptError for damage."""
        store = cls.open_unindexed(storage)
        store.refresh()
        return store

    @classmethod
    def open_unindexed(cls, storage: Storage) -> Store:
        """Open a local store without its index, which may be damaged; nothing is found in it."""
        try:
            info = storeinfo.decode(storage.get(storeinfo.KEY))
        except ObjectNotFound as error:
            raise RepositoryError(
                f"{storage.description} is not a dver store: it has no format.json",
                hint="run 'dver init'",
            ) from error
        except FormatError as error:
            raise FormatError(
                f"the store {storage.description} cannot be opened: {error.message}",
                hint=error.hint
                or "move its format.json aside: the next command writes a new one, and no content"
                " is lost by that",
            ) from error
        return cls(storage, info, Index())

    def refresh(self) -> None:
        """List the segments again, so that what others added or merged is seen."""
        known = {one.name: one for one in self.index.segments}
        directory = os.path.join(self.local_directory(), "index")
        try:
            names = os.listdir(directory)
        except FileNotFoundError:
            names = []
        except OSError as error:
            raise fsio.failure(error, "list", directory) from error
        segments = []
        for text in names:
            name = layout.name_of(text)
            if name is None:
                continue
            try:
                segments.append(known.get(name) or Segment.map(os.path.join(directory, text), name))
            except FileNotFoundError:
                continue  # merged and removed by another process since the listing
            except OSError as error:
                raise fsio.failure(error, "read", os.path.join(directory, text)) from error
        segments.sort(key=len, reverse=True)
        self._settled.clear()
        self.index = Index(segments, *odd_packs(self.local_directory(), segments))

    def local_directory(self) -> str:
        """Return the directory of a local store. Raises ValueError for any other."""
        path = self.storage.local_path(storeinfo.KEY)
        if path is None:
            raise ValueError(f"{self.storage.description} is not a local store")
        return os.path.dirname(path)

    @contextlib.contextmanager
    def hold(self, *, exclusive: bool = False, timeout: float = 3600.0) -> Iterator[None]:
        """Hold the store's lock: shared while adding and referring, exclusive to delete.

        Whoever adds objects holds it until the pointers to them are written, so that garbage
        collection, which takes it exclusively, cannot come between.
        """
        lock = Path(self.local_directory(), "lock")
        with Lock(lock, exclusive=exclusive, timeout=timeout):
            yield

    def writer(self) -> Writer:
        """Return a :class:`~dver.store.writer.Writer`, to be used in a ``with`` block."""
        from dver.store.writer import Writer

        return Writer(self)

    # finding

    def place(self, oid: Oid) -> Place | None:
        """Return where an object is, or None if the index does not have it."""
        return self._settled.get(oid) or self.index.find(oid)

    def has(self, oid: Oid) -> bool:
        """Say whether the index has an object (for a list: the list, not yet its parts)."""
        return oid in self.index

    def missing(self, oids: Iterable[Oid]) -> list[Oid]:
        """Return the distinct oids that the index does not have, in their order."""
        return [oid for oid in dict.fromkeys(oids) if oid not in self.index]

    def size(self, oid: Oid) -> int:
        """Return the length of an object's content in bytes."""
        place = self.find(oid)
        if place.kind in LIST_KINDS:
            return self._read_list(oid, place).size
        return place.raw

    def parts(self, oid: Oid) -> Iterator[tuple[Oid, Place]]:
        """Yield every frame that an object consists of: itself, its lists, its chunks.

        What a list names is yielded once for each distinct list. Raises MissingContentError at the
        first part that the index does not have.
        """
        place = self.find(oid)
        yield oid, place
        if place.kind in LIST_KINDS:
            for one in self._walk_lists(oid, place, seen=set()):
                for row, _ in one.rows:
                    part = self.find(row)
                    yield row, part
                    if not one.level and part.kind in LIST_KINDS:
                        raise CorruptError(
                            f"a chunk list of {format_oid(oid)} names a list as chunk"
                        )

    def leaves(self, oid: Oid) -> Iterator[tuple[Oid, int]]:
        """Yield (oid, bytes) of a chunked object's chunks as its list names them, not looked up."""
        lists = self._walk_lists(oid, self.find(oid))
        return chain.from_iterable(one.rows for one in lists if not one.level)

    def gather(self, oid: Oid, lists: set[bytes], chunks: set[bytes]) -> None:
        """Add a chunked object's lists below its own and its chunks to sets, chunks not looked up.

        What was added before an error stays.
        """
        for one in self._walk_lists(oid, self.find(oid), seen=set()):
            (lists if one.level else chunks).update([row for row, _ in one.rows])

    def list_name(self, oid: Oid) -> Oid:
        """Return the hash of a chunked object's top list: it binds all lists and chunks below."""
        return list_name_of(self._open(oid, self.find(oid)))

    def chunk_list(self, oid: Oid) -> ChunkList | None:
        """Return the chunk list that is stored under an oid, or None for what is stored whole.

        A list below the top is checked against its name. The top one cannot be, so what it names
        is only known to be the object once all of it was hashed.
        """
        place = self.find(oid)
        return self._read_list(oid, place) if place.kind in LIST_KINDS else None

    def expect(self, lists: Sequence[Oid]) -> None:
        """Take note that the chunk lists of these objects are read next, in this order."""

    def is_complete(self, oid: Oid) -> bool:
        """Say whether the index has an object and every part of it."""
        try:
            for _ in self.parts(oid):
                pass
        except MissingContentError:
            return False
        return True

    # reading

    def read(self, oid: Oid, *, limit: int = READ_LIMIT) -> bytes:
        """Return an object's content. Raises MissingContentError or CorruptError.

        ``limit`` bounds the memory (bytes); a longer object is a CorruptError, since its pointer
        or tree promised less.
        """
        try:
            return self._read(oid, limit)
        except CorruptError:
            if not self.settle(oid):
                raise
            return self._read(oid, limit)

    def _read(self, oid: Oid, limit: int) -> bytes:
        place = self.find(oid)
        if place.kind not in LIST_KINDS:
            data = self._open(oid, place)
            return data if isinstance(data, bytes) else bytes(data)
        if self._read_list(oid, place).size > limit:
            raise CorruptError(f"the object {format_oid(oid)} is longer than {limit} bytes")
        return b"".join(self.stream(oid))

    def read_tree(self, oid: Oid) -> Tree:
        """Return a decoded tree. Raises MissingContentError or CorruptError."""
        from dver.formats import tree

        try:
            return tree.decode(self.read(oid))
        except FormatError as error:
            raise FormatError(
                f"the tree {format_oid(oid)} is malformed: {error.message}"
            ) from error

    def stream(self, oid: Oid) -> Iterator[Buffer]:
        """Yield an object's content in order, in pieces of at most 1 MiB.

        The pieces are checked against accidents one by one, and against people when the last
        one was taken: the content counts only if the iteration ends without CorruptError.
        """
        # What was taken cannot be taken back, so it is found out first which copy counts.
        self.settle(oid)
        place = self.find(oid)
        if place.kind not in LIST_KINDS:
            yield self._read(oid, READ_LIMIT)
            return
        whole = Hasher()
        for row, part in self.chunks_at(oid, place):
            data = self._open(row, part)
            whole.update(data)
            yield data
        if finish(whole) != oid:
            raise self.damaged(oid, place)

    def settle(self, oid: Oid) -> bool:
        """If copies of an object contradict each other, find the right one; say if that is new."""
        if len(self.index.segments) < 2 or oid in self._settled or not self.storage.facts.local:
            return False
        from dver.store.othercopies import sound_copy

        place = sound_copy(self, oid)
        if place is not None:
            self._settled[oid] = place
        return place is not None and place != self.index.find(oid)

    def chunks(self, oid: Oid) -> Iterator[tuple[Oid, Place]]:
        """Yield the chunks of a chunked object in order, each as long as its list says."""
        return self.chunks_at(oid, self.find(oid))

    def chunks_at(self, oid: Oid, place: Place) -> Iterator[tuple[Oid, Place]]:
        """Yield what :meth:`chunks` does, of the list that lies at a place."""
        lists = self._walk_lists(oid, place)
        rows = chain.from_iterable(one.rows for one in lists if not one.level)
        while batch := list(islice(rows, _CHUNKS)):
            places = self.index.places({row for row, _ in batch})
            for row, size in batch:
                part = places.get(row) or self.find(row)
                if part.kind in LIST_KINDS or part.raw != size:
                    from dver.store.othercopies import fitting

                    part = fitting(self, row, size, oid)
                yield row, part

    def read_into(self, name: bytes, offset: int, buffers: Sequence[bytearray | memoryview]) -> int:
        """Fill buffers with what lies in a local pack from an offset on; return the bytes read."""
        if not self.storage.facts.local:
            data = memoryview(
                self.storage.get(layout.pack_key(name), offset, sum(map(len, buffers)))
            )
            for buffer in buffers:
                buffer[:] = data[: len(buffer)]
                data = data[len(buffer) :]
            return sum(map(len, buffers))
        file = self._pack_file(name)
        with fsio.explained("read", file.path):
            return fsio.read_into(file.fd, buffers, offset)

    def will_read(self, name: bytes, offset: int, length: int) -> None:
        """Let the system bring a range of a local pack into memory, to be read soon."""
        if sys.platform == "linux" and hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError):
                os.posix_fadvise(self._pack_file(name).fd, offset, length, os.POSIX_FADV_WILLNEED)

    def read_frame(self, place: Place) -> Buffer:
        """Return a frame's header and stored bytes as they lie in the pack, unchecked."""
        length = pack.FRAME.size + place.stored
        if not self.storage.facts.local:
            return self.storage.get(layout.pack_key(place.pack), place.offset, length)
        file = self._pack_file(place.pack)
        with fsio.explained("read", file.path):
            data = fsio.pread(file.fd, length, place.offset)
        if len(data) != length:
            raise CorruptError(f"the pack {place.pack.hex()} is shorter than its index says")
        return data

    def _open(self, oid: Oid, place: Place) -> Buffer:
        from dver.store.othercopies import open_sound

        return open_sound(self, oid, place)

    def open_at(self, oid: Oid, place: Place) -> Buffer:
        """Return the content of a frame at a place, or where it was moved to, by its checksum."""
        from dver.store.packfile import open_frame

        try:
            stored = self.read_frame(place)
        except (MissingContentError, ObjectNotFound):
            # Another process may have merged the pack into a new one since the look-up.
            self.refresh()
            moved = self.find(oid)
            if moved.pack == place.pack:
                raise
            stored = self.read_frame(moved)
        try:
            _, data = open_frame(stored, oid=oid)
        except CorruptError as error:
            raise self.damaged(oid, place, error.message) from error
        return data

    def _read_list(self, oid: Oid, place: Place) -> ChunkList:
        from dver.store.listwalk import read_list

        return read_list(self, oid, place)

    def _walk_lists(
        self, oid: Oid, place: Place, seen: set[tuple[Oid, int]] | None = None
    ) -> Iterator[ChunkList]:
        from dver.store.listwalk import walk_lists

        return walk_lists(self, oid, place, seen)

    def find(self, oid: Oid) -> Place:
        """Return where an object is. Raises MissingContentError."""
        place = self.place(oid)
        if place is None:
            raise self._missing(oid)
        return place

    def _missing(self, oid: Oid) -> MissingContentError:
        for one in self.index.segments if self.index.lost_packs else ():
            place = one.find(oid)
            if place is not None:
                return self._pack_gone(place.pack)
        from dver.store.tombstones import explain

        words = explain(self.local_directory(), oid) if self.storage.facts.local else None
        where = f"is not in {self.storage.description}" if words is None else f"was {words}"
        return MissingContentError(f"the object {format_oid(oid)} {where}")

    def _pack_gone(self, name: bytes) -> MissingContentError:
        return MissingContentError(
            f"the pack {name.hex()} is gone from {self.storage.description}",
            hint="run 'dver fetch' to get its objects again",
        )

    def damaged(
        self, oid: Oid, place: Place, why: str = "its content has another hash"
    ) -> CorruptError:
        """Return the error for an object that is damaged where it lies."""
        where = f"{layout.pack_key(place.pack)} at {place.offset} in {self.storage.description}"
        return CorruptError(
            f"a stored object is damaged: {why}",
            paths=[format_oid(oid), where],
            hint="run 'dver fsck --repair', then 'dver fetch' to get a good copy",
        )

    def pack_path(self, name: bytes) -> str:
        """Return the file of a pack of a local store."""
        return os.path.join(self.local_directory(), layout.pack_key(name))

    def _pack_file(self, name: bytes) -> OpenFile:
        file = self._packs.get(name)
        if file is not None:
            return file
        path = self.pack_path(name)
        try:
            return self._packs.open(name, path)
        except FileNotFoundError as error:
            raise self._pack_gone(name) from error
        except OSError as error:
            raise fsio.failure(error, "read", path) from error

    def close(self) -> None:
        """Close open packs and the storage."""
        self._packs.close()
        self.storage.close()
