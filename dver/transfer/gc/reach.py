"""What the roots of a remote reach: a bit per index row, with few and short requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, MissingContentError, ObjectNotFound
from dver.base.oid import Oid
from dver.formats import pack
from dver.formats.root import Root, RootObject
from dver.formats.segment import Place
from dver.formats.tree import Tree
from dver.store import layout
from dver.store.codec import Buffer
from dver.store.gc import uses_of
from dver.store.index import Index, Segment
from dver.store.mark import Marks
from dver.store.store import Store
from dver.transfer.ranges import Wanted
from dver.transfer.reader import ReadAhead
from dver.transfer.remote import Remote, RemoteStore, lost_packs
from dver.transfer.workers import each

_TREES = (pack.TREE, pack.TREE_LIST)
#: So many chunk lists are asked for at once.
_AHEAD = 256


@dataclass(frozen=True, slots=True)
class Hole:
    """Something that a root needs and that is not to be had: which root, of what, and why."""

    session: str
    object: RootObject
    path: bytes
    oid: Oid
    error: CorruptError | MissingContentError


class _Choosy(Index):
    """An index that prefers places outside of packs that may go at any moment."""

    def __init__(
        self, segments: Sequence[Segment], lost: frozenset[bytes], avoid: frozenset[bytes]
    ) -> None:
        super().__init__(segments, lost)
        self._better = Index(segments, lost | avoid)

    def find(self, oid: Oid) -> Place | None:
        """Return an object's place, or None if no segment has it."""
        return self._better.find(oid) or super().find(oid)

    def __contains__(self, oid: object) -> bool:
        return isinstance(oid, bytes) and self.find(Oid(oid)) is not None


class FarStore(RemoteStore):
    """A remote, read for its directories and chunk lists only.

    A directory that is here as well is read here: its name is its hash. Chunk lists are always
    the remote's own, since another cutting would name other chunks.
    """

    def __init__(self, remote: Remote, local: Store, index: Index) -> None:
        super().__init__(remote.storage, remote.require_format(), index)
        self._local = local
        self._jobs = remote.jobs
        self._windows = ReadAhead(remote.storage, index.packs())
        self._expected: deque[Oid] = deque()
        self._frames: dict[tuple[bytes, int], Buffer] = {}

    def read_tree(self, oid: Oid) -> Tree:
        """Return a decoded tree. Raises MissingContentError or CorruptError."""
        if self._local.has(oid) and oid in self.index:
            try:
                return self._local.read_tree(oid)
            except (CorruptError, MissingContentError):
                pass
        return super().read_tree(oid)

    def expect(self, lists: Sequence[Oid]) -> None:
        """Read these chunk lists ahead once the first of them is asked for."""
        self._expected = deque(lists)
        self._frames.clear()

    def read_frame(self, place: Place) -> Buffer:
        """Return a frame as it lies in its pack."""
        if self.storage.facts.local:
            return super().read_frame(place)
        if place.kind in _TREES:
            try:
                length = pack.FRAME.size + place.stored
                return self._windows.get(layout.pack_key(place.pack), place.offset, length)
            except ObjectNotFound as error:
                raise MissingContentError(f"the pack {place.pack.hex()} is gone") from error
        key = place.pack, place.offset
        if key not in self._frames and self._expected:
            self._read_ahead()
        return self._frames.pop(key, None) or super().read_frame(place)

    def _read_ahead(self) -> None:
        count = min(_AHEAD, len(self._expected))
        places = [self.index.find(self._expected.popleft()) for _ in range(count)]
        wanted = [place for place in places if place is not None]

        def read(place: Place) -> Buffer | None:
            try:
                return RemoteStore.read_frame(self, place)
            except MissingContentError:
                return None

        for place, frame in each(self._jobs, wanted, read):
            if frame is not None:
                self._frames[place.pack, place.offset] = frame


class Reach:
    """Marks what roots reach in a remote.

    An object that lies in several packs is marked in one of them: rather not in a pack of
    ``unused``, which are about to go, and of all others rather not in one of ``others``, which
    somebody else may be deleting. Objects of ``without``, by default what was purged there, are
    needed by nobody.
    """

    def __init__(
        self,
        remote: Remote,
        local: Store,
        segments: Sequence[Segment],
        packs: dict[bytes, int],
        *,
        others: frozenset[bytes] = frozenset(),
        unused: frozenset[bytes] = frozenset(),
        without: AbstractSet[Oid] | None = None,
    ) -> None:
        index = Index(segments)
        lost = lost_packs(index.packs(), packs)
        store = FarStore(remote, local, _Choosy(segments, lost, others))
        self.marks = Marks(
            store,
            (lost | others | unused, lost | others, lost),
            without=remote.purged().keys() if without is None else without,
        )

    def add(self, roots: Iterable[Root]) -> list[Hole]:
        """Mark all that these roots name; return what of it is not to be had."""
        return [
            Hole(root.session, one, gone.path, gone.oid, gone.error)
            for root in roots
            for one in root.objects
            for gone in self.marks.mark(one.oid, one.kind)
        ]

    def used_packs(self) -> frozenset[bytes]:
        """Return the packs of which anything is marked."""
        return frozenset(name for name, use in uses_of(self.marks).items() if use.live_count)

    def wasteful_packs(self) -> frozenset[bytes]:
        """Return the packs of which something is marked, and less than half."""
        return frozenset(
            name
            for name, use in uses_of(self.marks).items()
            if 0 < use.live_count < use.rows and 2 * use.live < use.size
        )

    def wanted(self, packs: frozenset[bytes]) -> Wanted:
        """Return the frames of these packs that are marked."""
        wanted = Wanted()
        for one in self.marks.segments if packs else ():
            bits = self.marks.bits(one)
            for number, (oid, place) in enumerate(one.places()):
                if bits[number] and place.pack in packs:
                    wanted.add(oid, place)
        return wanted

    def waste(self) -> int:
        """Return how many bytes of the packs that are used nothing needs, about."""
        return sum(
            use.size - use.live
            for use in uses_of(self.marks).values()
            if 0 < use.live_count < use.rows and use.live < use.size
        )
