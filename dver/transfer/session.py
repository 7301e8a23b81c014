"""The writes of one push, each its own step, in the only order that is safe.

Docs: ``docs/format/remote.md``, section "Order of writes". Packs come first, then the segments that
say what is in them, then the root that says what is to be kept: whoever reads goes the other
way, so a push that stops anywhere leaves nothing that refers to something that is not there.
Each step is verified by reading back before the next begins, so that an endpoint that answers
"stored" to everything is found out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base import clock
from dver.base.errors import AlreadyExists, CorruptError, ObjectNotFound, RemoteError
from dver.base.oid import oid_of
from dver.base.reporter import Reporter
from dver.formats import pack
from dver.formats import root as roots
from dver.formats.root import Root, RootObject
from dver.store import layout
from dver.store.packfile import FinishedPack, check_pack
from dver.transfer.remote import Remote
from dver.transfer.segments import build_segments
from dver.transfer.uploads import Upload
from dver.transfer.workers import each

if TYPE_CHECKING:
    from concurrent.futures import Future

#: After this many rows a segment is written, so that a very long push keeps what it did.
CHECKPOINT_ROWS = 1_000_000
#: Longer segments are read back by their ends only; their upload carried a checksum (bytes).
_READ_BACK = 4 << 20
_ENDS = 64 << 10
#: From so many rows on, building segments is worth a thread; beyond the second, its memory is not.
_WORTH_ROWS, _TOO_MANY_ROWS = 3_000, 300_000


class Session:
    """One push under its own random ``id``, which becomes the name of its root.

    ``sent_packs`` and ``sent_bytes`` count what went out so far.
    """

    def __init__(self, remote: Remote, reporter: Reporter, jobs: int) -> None:
        self.id = os.urandom(16).hex()
        self.sent_packs = 0
        self.sent_bytes = 0
        self._remote = remote
        self._reporter = reporter
        self._jobs = jobs
        self._pending: list[FinishedPack] = []
        self._unverified: list[FinishedPack] = []
        self._listed: Sized = ()
        self._foreseen: list[FinishedPack] = []
        self._building: Future[list[bytes]] | None = None

    # step 1: packs

    def foresee(self, uploads: Iterable[Upload]) -> None:
        """Begin to build the segments of packs that are sent next, beside the sending.

        What was built is used only if just these are sent, and all are sound.
        """
        packs = [FinishedPack("", one.name, one.size, one.rows) for one in uploads]
        rows = sum(len(one.rows) for one in packs) // pack.ROW.size
        if self._jobs < 2 or self._pending or not _WORTH_ROWS <= rows <= _TOO_MANY_ROWS:
            return
        from concurrent.futures import ThreadPoolExecutor

        live = self._remote.index.segments()
        builder = ThreadPoolExecutor(1, "dver-segments")
        self._foreseen = packs
        self._building = builder.submit(lambda: list(build_segments(packs, live)))
        builder.shutdown(wait=False)

    def _build(self) -> Iterable[bytes]:
        building, self._building = self._building, None
        if building is not None and self._pending == self._foreseen:
            return building.result()
        return build_segments(self._pending, self._remote.index.segments())

    def send(
        self, uploads: Iterable[Upload], listed: dict[bytes, int], total: int
    ) -> Iterator[tuple[Upload, bool]]:
        """Send packs that ``listed`` does not have yet; yield each, and whether it was sound.

        A pack whose bytes are not what its name says is not sent. ``total`` is the number of
        bytes to come, for the progress display.
        """
        self._listed = listed

        def one(upload: Upload) -> bool:
            if listed.get(upload.name) == upload.size:
                return True
            try:
                check_pack(upload.path, upload.name)
            except CorruptError:
                return False
            self._remote.storage.put_file(layout.pack_key(upload.name), Path(upload.path))
            return True

        label = f"Pushing to {self._remote.name}"
        with self._reporter.task(label, unit="bytes", total=total) as task:
            for upload, sound in each(self._jobs, uploads, one):
                if sound:
                    self._count(upload, fresh=listed.get(upload.name) != upload.size)
                task.advance(upload.size)
                yield upload, sound
                if self.pending_rows >= CHECKPOINT_ROWS:
                    self.publish_index()

    def _count(self, upload: Upload, *, fresh: bool) -> None:
        finished = FinishedPack("", upload.name, upload.size, upload.rows)
        self._pending.append(finished)
        if fresh:
            self._unverified.append(finished)
            self.sent_packs += 1
            self.sent_bytes += upload.size

    @property
    def pending_rows(self) -> int:
        """How many rows of sent packs are not in a segment yet."""
        return sum(len(one.rows) for one in self._pending) // pack.ROW.size

    # step 2: segments

    def publish_index(self) -> None:
        """Write the segments of the packs sent since the last time, once those are there."""
        self._verify_packs()
        if not self._pending:
            return
        # Two at most; none is of use without the other.
        for data, _ in each(min(self._jobs, 2), self._build(), self._put_segment):
            self._remote.index.put_aside(bytes(oid_of(data)), data)
        self._pending.clear()

    def _verify_packs(self) -> None:
        for one, size in self._sizes_there():
            if size != one.size:
                raise RemoteError(
                    f"{self._remote.description} said it stored pack {one.name.hex()} of"
                    f" {one.size} bytes, and has {'nothing' if size is None else size} there",
                    hint="check the endpoint with 'dver remote check', then push again",
                )
        self._unverified.clear()

    def _sizes_there(self) -> Iterator[tuple[FinishedPack, int | None]]:
        """Yield the packs just sent with their sizes in the remote, asked for in few requests."""
        pages = 1 + (len(self._listed) + len(self._unverified)) // 1000
        if len(self._unverified) > pages:
            listed = self._remote.list_packs()
            yield from ((one, listed.get(one.name)) for one in self._unverified)
            return

        def head(one: FinishedPack) -> int | None:
            entry = self._remote.storage.head(layout.pack_key(one.name))
            return None if entry is None else entry.size

        yield from each(self._jobs, self._unverified, head)

    def _put_segment(self, data: bytes) -> None:
        name = bytes(oid_of(data))
        key = layout.segment_key(name)
        storage = self._remote.storage
        storage.put(key, data)
        if len(data) <= _READ_BACK:
            same = self._read_back(key) == data
        else:
            entry = storage.head(key)
            same = (
                entry is not None
                and entry.size == len(data)
                and storage.get(key, 0, _ENDS) == data[:_ENDS]
                and storage.get(key, len(data) - _ENDS, _ENDS) == data[-_ENDS:]
            )
        if not same:
            raise self._lied(key)

    # step 3: the root

    def commit(self, repo: str, commits: Sequence[str], objects: Iterable[RootObject]) -> Root:
        """Write the root and read it back. The push has happened when this returns."""
        root = Root(
            self.id,
            clock.utc_text(),
            repo,
            tuple(sorted(set(commits))),
            tuple(sorted(set(objects))),
        )
        data = roots.encode(root)
        key = layout.root_key(self.id)
        storage = self._remote.storage
        try:
            storage.put(key, data, if_absent=storage.facts.conditional_create)
        except AlreadyExists:
            # Ours, if an earlier attempt arrived and only its answer was lost.
            if self._read_back(key) != data:
                raise RemoteError(
                    f"{self._remote.description} has ended this push: {key} is taken",
                    hint="run the same command again",
                ) from None
        if self._read_back(key) != data:
            raise self._lied(key)
        self._remote.remember_root(root)
        # 'status' asks this list first: it is shorter to read than all roots.
        self._remote.remember_seen(one.oid for one in root.objects)
        return root

    def _read_back(self, key: str) -> bytes | None:
        try:
            return self._remote.storage.get(key)
        except ObjectNotFound:
            return None

    def _lied(self, key: str) -> RemoteError:
        return RemoteError(
            f"{self._remote.description} said it stored {key}, and does not have it",
            hint="check its URL and endpoint with 'dver remote check'",
        )
