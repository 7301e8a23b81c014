"""The writes of one push, each its own step, in the only order that is safe.

Docs: ``docs/format/remote.md``, section "Order of writes". Packs come first, then the segments that
say what is in them, then the root that says what is to be kept: whoever reads goes the other
way, so a push that stops anywhere leaves nothing that refers to something that is not there.
What was written is looked for, in a listing or by reading it back, before the root is, so that an
endpoint that answers "stored" to everything is found out. Segments carry the session as salt: by
them collections of garbage know that a push is under way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base import clock
from dver.base.dataclass import dataclass
from dver.base.errors import (
    AlreadyExists,
    CorruptError,
    ObjectNotFound,
    RefusedError,
    RemoteError,
)
from dver.base.oid import oid_of
from dver.base.reporter import Reporter
from dver.formats import notice, pack
from dver.formats import root as roots
from dver.formats.notice import Notice
from dver.formats.root import Root, RootObject
from dver.storage.base import Entry
from dver.store import layout
from dver.store.index import Segment
from dver.store.packfile import FinishedPack, check_pack
from dver.transfer.remote import Remote
from dver.transfer.segments import build_segments
from dver.transfer.uploads import Upload
from dver.transfer.watch import Overtaken, Watch
from dver.transfer.workers import each

if TYPE_CHECKING:
    from concurrent.futures import Future

#: After this many rows a segment is written, so that a very long push keeps what it did.
CHECKPOINT_ROWS = 1_000_000
#: Longer segments are read back by their ends only, so much of each (bytes); their upload carried
#: a checksum.
_READ_BACK = 4 << 20
_ENDS = 64 << 10
#: From so many rows on, building segments is worth a thread; beyond the second, its memory is not.
_WORTH_ROWS, _TOO_MANY_ROWS = 3_000, 300_000


@dataclass(frozen=True, slots=True)
class _Sent:
    """What is remembered of a segment until it was found in the remote."""

    key: str
    size: int
    name: bytes
    md5: str
    head: bytes
    tail: bytes


class Session:
    """One push under its own random ``id``, which becomes the name of its root.

    ``sent_packs`` and ``sent_bytes`` count what went out so far. ``watch`` notices collections of
    garbage. ``merges`` says whether older segments that are short go into new ones.
    """

    def __init__(self, remote: Remote, reporter: Reporter, jobs: int) -> None:
        self.id = layout.new_session()
        self.watch = Watch(remote)
        self.sent_packs = 0
        self.sent_bytes = 0
        self.merges = True
        self._remote = remote
        self._reporter = reporter
        self._jobs = jobs
        self._pending: list[FinishedPack] = []
        self._pending_rows = 0
        self._unverified: list[FinishedPack] = []
        self._segments: list[_Sent] = []
        self._is_announced = False
        self._worse: tuple[frozenset[bytes], ...] = ()
        self._listed: Sized = ()
        self._foreseen: list[FinishedPack] = []
        self._building: Future[list[bytes]] | None = None

    # step 1: packs

    def foresee(self, uploads: Iterable[Upload]) -> None:
        """Begin to build the segments of packs that are sent next, beside the sending.

        What was built is used only if just these are sent, and all are sound.
        """
        packs = [one.finished for one in uploads]
        rows = sum(len(one.held or b"") for one in packs) // pack.ROW.size
        if self._jobs < 2 or self._pending or rows < _WORTH_ROWS:
            return
        if rows > _TOO_MANY_ROWS or any(one.held is None for one in packs):
            return
        from concurrent.futures import ThreadPoolExecutor

        live = self._remote.index.segments()
        builder = ThreadPoolExecutor(1, "dver-segments")
        self._foreseen = packs
        self._building = builder.submit(lambda: list(self._make_segments(packs, live)))
        builder.shutdown(wait=False)

    def _build(self) -> Iterable[bytes]:
        building, self._building = self._building, None
        if building is not None and self._pending == self._foreseen:
            return building.result()
        return self._make_segments(self._pending, self._remote.index.segments())

    def _make_segments(
        self, packs: Sequence[FinishedPack], live: Sequence[Segment]
    ) -> Iterator[bytes]:
        older = live if self.merges else ()
        return build_segments(packs, older, bytes.fromhex(self.id), self._worse)

    def avoid(self, doomed: frozenset[bytes], lost: frozenset[bytes]) -> None:
        """Take note of packs that may go at any moment, and of those that are gone."""
        self._worse = doomed, lost

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
                if self._pending_rows >= CHECKPOINT_ROWS:
                    self.publish_index()

    def _count(self, upload: Upload, *, fresh: bool) -> None:
        finished = upload.finished
        self._pending.append(finished)
        self._pending_rows += len(finished.rows) // pack.ROW.size
        self.watch.rely((upload.name,))
        if fresh:
            self._unverified.append(finished)
            self.sent_packs += 1
            self.sent_bytes += upload.size

    # step 2: segments

    def publish_index(self) -> None:
        """Write the segments of the packs sent since the last time, and look for all of these."""
        if not self._pending and not self._unverified:
            return
        # Two at most; none is of use without the other.
        for data, _ in each(min(self._jobs, 2), self._build(), self._put_segment):
            self._remote.index.put_aside(bytes(oid_of(data)), data)
        self._pending.clear()
        self._pending_rows = 0
        told = self._remote.look_around(anew=True)
        self._verify_packs(listed=told)
        self._verify_segments(self._remote.list_segments() if told else {})

    def _verify_packs(self, *, listed: bool) -> None:
        for one, size in self._sizes_there(listed=listed):
            if size != one.size:
                # A collection that came between may have deleted what nothing named yet.
                self.watch.check()
                raise RemoteError(
                    f"{self._remote.description} said it stored pack {one.name.hex()} of"
                    f" {one.size} bytes, and has {'nothing' if size is None else size} there",
                    hint="check the endpoint with 'dver remote check', then push again",
                )
        self._unverified.clear()

    def _sizes_there(self, *, listed: bool) -> Iterator[tuple[FinishedPack, int | None]]:
        """Yield the packs just sent with their sizes in the remote, asked for in few requests."""
        pages = 1 + (len(self._listed) + len(self._unverified)) // 1000
        if listed or len(self._unverified) > pages:
            there = self._remote.list_packs()
            yield from ((one, there.get(one.name)) for one in self._unverified)
            return

        def head(one: FinishedPack) -> int | None:
            entry = self._remote.storage.head(layout.pack_key(one.name))
            return None if entry is None else entry.size

        yield from each(self._jobs, self._unverified, head)

    def _put_segment(self, data: bytes) -> None:
        name = bytes(oid_of(data))
        key = layout.segment_key(name)
        self._remote.storage.put(key, data)
        long = len(data) > _READ_BACK
        ends = (data[:_ENDS], data[-_ENDS:]) if long else (b"", b"")
        self._segments.append(_Sent(key, len(data), name, _md5(data), *ends))
        self._is_announced = True

    def _verify_segments(self, listed: Mapping[str, Entry]) -> None:
        for one in self._segments:
            entry = listed.get(one.key)
            if not _is_proven(entry, one.size, one.md5) and not self._is_there(one):
                self.watch.check()
                raise self._lied(one.key)
        self._segments.clear()

    def _is_there(self, one: _Sent) -> bool:
        """Read a segment back: whole if it is short, else its length and both ends."""
        storage = self._remote.storage
        if not one.head:
            data = self._read_back(one.key)
            return data is not None and oid_of(data) == one.name
        entry = storage.head(one.key)
        return (
            entry is not None
            and entry.size == one.size
            and storage.get(one.key, 0, _ENDS) == one.head
            and storage.get(one.key, one.size - _ENDS, _ENDS) == one.tail
        )

    # step 3: the second look

    def look_again(self) -> None:
        """Make sure that collections see this push, then look for them. Raises Overtaken."""
        if not self._is_announced:
            intent = notice.encode(Notice("intent", self.id))
            self._remote.storage.put(layout.intent_key(self.id), intent)
            self._is_announced = True
        self.watch.check()

    # step 4: the root

    def commit(
        self,
        repo: str,
        commits: Sequence[str],
        objects: Iterable[RootObject],
        created: str | None = None,
    ) -> Root:
        """Write the root and look for it. The push has happened when this returns.

        Raises Overtaken if a collection has declared this session void; ``look_again`` must have
        been called before. Raises RefusedError for more objects than a root can hold.
        """
        root = Root(
            self.id,
            created or clock.utc_text(),
            repo,
            tuple(sorted(set(commits))),
            tuple(sorted(set(objects))),
        )
        data = roots.encode(root)
        if len(data) > roots.MAX_SIZE:
            raise RefusedError(
                f"this push names more versions than one root can hold ({len(root.objects):,})",
                hint="push the older revisions first, some at a time: dver push --rev REV..REV",
            )
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
        # This listing must be made after the root was written: a void may come until then.
        there = {entry.key: entry for entry in storage.list(key)}
        if there.keys() - {key}:
            raise Overtaken
        if not _is_proven(there.get(key), len(data), _md5(data)) and self._read_back(key) != data:
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


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _is_proven(entry: Entry | None, size: int, md5: str) -> bool:
    """Say whether a listing proves that something arrived: servers hash what they stored."""
    return entry is not None and entry.size == size and entry.etag == md5
