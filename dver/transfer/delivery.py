"""Reading many frames of a remote: few requests, several at once, every frame verified.

A frame that does not come, or comes damaged, is asked for once more by itself, and then from every
other pack that holds it, before it counts as lost. One lost frame never stops the others.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, ObjectNotFound, RemoteError, TransientError
from dver.base.oid import Oid, split_oids
from dver.base.osat import osat
from dver.base.reporter import Task
from dver.formats import pack
from dver.formats.pack import LIST_KINDS
from dver.formats.segment import Place
from dver.store import layout
from dver.store.codec import Buffer
from dver.store.packfile import FinishedPack, verify_frame
from dver.transfer.adoption import Adopters
from dver.transfer.closure import Reason
from dver.transfer.ranges import Frames, Read, Wanted, is_taken_whole, plan_reads
from dver.transfer.remote import Remote
from dver.transfer.spool import Spool
from dver.transfer.workers import each


@dataclass(frozen=True, slots=True)
class Got:
    """A frame that came and verified. ``content`` is kept for lists and, if asked for, for all.

    The top list of a chunked object cannot be verified by itself: whoever uses it must hash what
    it stands for.
    """

    frame: pack.Frame
    stored: Buffer
    content: Buffer


@dataclass(slots=True)
class Batch:
    """What one request brought.

    ``whole`` is a durable pack in the spool, of whose footer rows all frames that verified count;
    ``got`` then holds the wanted lists among them only, and ``objects`` counts all that was
    wanted of it but chunks and lists below the top. ``between`` are chunks that lay between wanted
    lists and so came with them, unverified: see :meth:`Delivery.open_chunk`.
    """

    got: list[Got] = field(default_factory=list)
    failed: dict[Oid, Reason] = field(default_factory=dict)
    whole: FinishedPack | None = None
    objects: int = 0
    between: dict[Oid, memoryview] = field(default_factory=dict)


class Delivery:
    """Brings wanted frames.

    ``spool`` gives the directory for packs that are taken whole; without it only ranges are read.
    ``contents`` asks for the content of every frame to be kept, not only of lists; it goes with
    ranges only. ``workers`` is how many processes verify packs that are taken whole; None decides
    by the processors.
    """

    def __init__(
        self,
        remote: Remote,
        spool: Callable[[], Spool] | None,
        task: Task,
        *,
        contents: bool = False,
        workers: int | None = None,
    ) -> None:
        self._remote = remote
        self._make_spool = spool
        self._spool: Spool | None = None
        self._task = task
        self._contents = contents
        self._workers = workers
        self._adopters = Adopters()
        self._refreshed = False

    def read(self, wanted: Wanted, reads: list[Read]) -> Iterator[Batch]:
        """Yield what was wanted by the requests that :meth:`plan` returned, in their order.

        What came with a whole pack is taken out of what is ``wanted``.
        """
        whole = [read for read in reads if read.whole]
        with self._adopters, contextlib.ExitStack() as held:
            if self._make_spool is not None and whole:
                self._spool = self._make_spool()
                frames = sum(read.last - read.first for read in whole)
                self._adopters.start(len(whole), frames, self._workers)
            batches = each(self._remote.jobs, reads, lambda read: self._one(wanted, read))
            held.enter_context(contextlib.closing(batches))
            for read, batch in batches:
                self._task.advance(read.end - read.start)
                for oid in list(batch.failed):
                    got = self._once_more(oid, batch.failed)
                    if got is not None:
                        del batch.failed[oid]
                        batch.got.append(got)
                if read.whole:
                    del wanted.packs[read.pack]
                yield batch

    def plan(self, wanted: Wanted) -> list[Read]:
        """Return the requests that reading takes, after putting frames in order where it matters.

        For a pack that comes whole it does not.
        """
        sizes = self._remote.index.packs()
        reads: list[Read] = []
        for name, frames in wanted.packs.items():
            # Without a spool no pack is kept whole.
            size = sizes.get(name, 0) if self._make_spool is not None else 0
            if not is_taken_whole(frames, size):
                wanted.packs[name] = frames.ordered()
            reads += plan_reads(name, wanted.packs[name], size)
        return reads

    def _one(self, wanted: Wanted, read: Read) -> Batch:
        frames = wanted.packs[read.pack]
        try:
            if read.whole and self._spool is not None:
                return self._whole(self._spool, read, frames)
            data = self._remote.storage.get(
                layout.pack_key(read.pack), read.start, read.end - read.start
            )
        except TransientError:
            raise
        except (RemoteError, CorruptError) as error:
            reason = self._why_not(read, error)
            return Batch(failed={frames.oid(i): reason for i in range(read.first, read.last)})
        return self._take_apart(data, read, frames)

    def _why_not(self, read: Read, error: RemoteError | CorruptError) -> Reason:
        """Say what is wrong with a pack that could not be read; re-raise if it is not the pack."""
        if isinstance(error, ObjectNotFound):
            return "missing"
        if isinstance(error, CorruptError):
            return "damaged"
        entry = self._remote.storage.head(layout.pack_key(read.pack))
        if entry is None:
            return "missing"
        if entry.size < read.end:
            return "damaged"
        raise error

    def _take_apart(self, data: Buffer, read: Read, frames: Frames) -> Batch:
        batch = Batch()
        view = memoryview(data)
        end = read.start
        for i in range(read.first, read.last):
            oid = frames.oid(i)
            offset = frames.offsets[i]
            at = offset - read.start
            if end < offset and self._make_spool is not None:
                self._keep_between(batch, view, end - read.start, at)
            end = offset + frames.lengths[i]
            got = self._verify(view[at : at + frames.lengths[i]], oid, read.pack)
            if got is None:
                batch.failed[oid] = "damaged"
            else:
                batch.got.append(got)
        return batch

    def _keep_between(self, batch: Batch, view: memoryview, at: int, end: int) -> None:
        """Keep the chunks that lie in a gap: those of a file lie before its list."""
        while at < end:
            try:
                frame = pack.decode_frame(view[at:end], at)
            except CorruptError:
                return
            if frame.kind == pack.CHUNK and frame.end <= end:
                batch.between[frame.oid] = view[at : frame.end]
            at = frame.end

    def _verify(self, data: memoryview, oid: Oid, name: bytes) -> Got | None:
        try:
            frame, content = verify_frame(data, name.hex())
        except CorruptError:
            return None
        if frame.oid != oid:
            return None
        keep = self._contents or frame.kind in LIST_KINDS
        return Got(frame, data[pack.FRAME.size :], content if keep else b"")

    @staticmethod
    def open_chunk(batch: Batch, oid: Oid) -> Got | None:
        """Return a chunk that came between what was wanted, verified; None if it did not."""
        data = batch.between.get(oid)
        if data is None:
            return None
        try:
            frame, _ = verify_frame(data, oid.hex())
        except CorruptError:
            return None
        return Got(frame, data[pack.FRAME.size :], b"")

    # whole packs

    def _whole(self, spool: Spool, read: Read, frames: Frames) -> Batch:
        path = spool.pack_path(read.pack)
        if not path.exists() or path.stat().st_size != read.end:
            self._download(read.pack, path)
        with contextlib.suppress(CorruptError):
            found = self._adopters.adopt(str(path), read.pack, read.end, bytes(frames.oids))
            batch = Batch(objects=found.objects)
            batch.got = [
                Got(pack.Frame._make(frame), stored, content)
                for frame, stored, content in found.lists
            ]
            batch.failed = dict.fromkeys(split_oids(found.lost), "damaged")
            batch.whole = FinishedPack(str(path), read.pack, read.end, found.rows)
            return batch
        # It is not what its name says: take what is sound of it.
        try:
            ordered = frames.ordered()
            each_one = Read(read.pack, 0, read.end, 0, len(ordered))
            return self._take_apart(path.read_bytes(), each_one, ordered)
        finally:
            spool.drop(read.pack)

    def _download(self, name: bytes, path: Path) -> None:
        temp = path.with_name(fsio.TEMP_PREFIX + os.urandom(8).hex())
        try:
            self._remote.storage.get_file(layout.pack_key(name), temp)
            fsio.publish(temp, path, replace=True)
        finally:
            with contextlib.suppress(OSError):
                osat.unlink(temp)

    # second chances

    def _once_more(self, oid: Oid, failed: Mapping[Oid, Reason]) -> Got | None:
        """Ask for one frame from every pack that is said to hold it."""
        got = self._from(oid, self._remote.index.copies(oid))
        if got is None and failed[oid] == "missing" and not self._refreshed:
            # Packs may have been merged since the listing: the index of now tells.
            self._refreshed = True
            self._remote.refresh_index()
            got = self._from(oid, self._remote.index.copies(oid))
        return got

    def _from(self, oid: Oid, places: Iterable[Place]) -> Got | None:
        for place in places:
            frames = Frames()
            frames.add(oid, place)
            end = place.offset + frames.lengths[0]
            wanted = Wanted()
            wanted.packs[place.pack] = frames
            batch = self._one(wanted, Read(place.pack, place.offset, end, 0, 1))
            if batch.got:
                return batch.got[0]
        return None
