"""Which bytes of which packs to read, so that few requests bring what is wanted and little else.

Frames lie in packs in path order, so what belongs together mostly lies together. Frames with a
small gap between them are read in one request, since a request costs more than the gap. A pack of
which more than half is wanted is taken whole, and then kept as it is.
"""

from __future__ import annotations

import itertools
import operator
from array import array
from collections.abc import Iterable, Iterator, Sequence

from dver.base.dataclass import dataclass
from dver.base.oid import OID_SIZE, Oid, split_oids
from dver.formats import pack
from dver.formats.segment import Columns, Place

#: Frames less than this apart are read together (bytes).
GAP = 1 << 20
#: No single range is longer than this, unless one frame is (bytes).
MAX_RANGE = 8 << 20
#: A smaller pack is never kept whole, so that small packs are merged on their way (bytes).
MIN_WHOLE = 8 << 20


class Frames:
    """Frames wanted from one pack, by columns: 40 bytes each, whatever their number.

    ``to_come`` is how many bytes the chunk lists among them stand for: what will be wanted next
    lies mostly in the same pack.
    """

    __slots__ = ("lengths", "offsets", "oids", "to_come")

    def __init__(self) -> None:
        self.to_come = 0
        self.oids = bytearray()
        self.offsets = array("I")
        self.lengths = array("I")

    def __len__(self) -> int:
        return len(self.offsets)

    def add(self, oid: Oid, place: Place) -> None:
        """Want one more frame."""
        self.oids += oid
        self.offsets.append(place.offset)
        self.lengths.append(pack.FRAME.size + place.stored)

    def oid(self, i: int) -> Oid:
        """Return the oid of the i-th frame."""
        return Oid(bytes(self.oids[i * OID_SIZE : (i + 1) * OID_SIZE]))

    def all_oids(self) -> list[Oid]:
        """Return the oids of all frames, in their order."""
        return list(split_oids(self.oids))

    @property
    def size(self) -> int:
        """The bytes of all frames, their headers included."""
        return sum(self.lengths)

    def extend(self, oids: Iterable[bytes], offsets: array[int], stored: Iterable[int]) -> None:
        """Want many more frames; ``stored`` are their lengths without the frame headers."""
        self.oids += b"".join(oids)
        self.offsets += offsets
        self.lengths.extend(map(pack.FRAME.size.__add__, stored))

    def is_distinct(self) -> bool:
        """Say whether no frame is there twice."""
        return len(set(self.offsets)) == len(self)

    def ordered(self) -> Frames:
        """Return the frames in the order of their offsets, each once."""
        offsets = self.offsets
        if all(map(operator.lt, offsets, itertools.islice(offsets, 1, None))):
            return self
        order = sorted(range(len(self)), key=offsets.__getitem__)
        if not self.is_distinct():
            order = [
                i for j, i in enumerate(order) if j == 0 or offsets[i] != offsets[order[j - 1]]
            ]
        result = Frames()
        result.to_come = self.to_come
        result.oids += b"".join(map(self.all_oids().__getitem__, order))
        result.offsets.extend(map(offsets.__getitem__, order))
        result.lengths.extend(map(self.lengths.__getitem__, order))
        return result


class Wanted:
    """Frames wanted from many packs, in the order in which the packs were first named."""

    def __init__(self) -> None:
        self.packs: dict[bytes, Frames] = {}

    def add(self, oid: Oid, place: Place, to_come: int = 0) -> None:
        """Want one more frame; wanting it twice is fine. ``to_come``: see :class:`Frames`."""
        frames = self.packs.get(place.pack)
        if frames is None:
            frames = self.packs[place.pack] = Frames()
        frames.add(oid, place)
        frames.to_come += to_come

    def extend(self, packs: Sequence[bytes], rows: Columns, numbers: Sequence[int]) -> None:
        """Want the frames of those rows of a segment; ``packs`` are the packs that it names."""
        order = sorted(numbers, key=rows.ordinals.__getitem__)
        for ordinal, group in itertools.groupby(order, key=rows.ordinals.__getitem__):
            mine = list(group)
            frames = self.packs.setdefault(packs[ordinal], Frames())
            frames.extend(
                map(rows.oids.__getitem__, mine),
                array("I", map(rows.offsets.__getitem__, mine)),
                map(rows.stored.__getitem__, mine),
            )

    def add_whole(self, name: bytes, footer: pack.Columns) -> None:
        """Want all frames of a pack, by what its footer says."""
        frames = self.packs.setdefault(name, Frames())
        frames.extend((footer.oids,), footer.offsets, footer.stored)

    def in_order_of(self, oids: Iterable[bytes]) -> None:
        """Put the packs in the order in which their first frames are named among ``oids``."""
        firsts = {
            frames.oid(frames.offsets.index(min(frames.offsets))): name
            for name, frames in self.packs.items()
        }
        if len(firsts) > 1:
            found = [firsts[Oid(oid)] for oid in filter(firsts.__contains__, oids)]
            self.packs = {name: self.packs[name] for name in (*dict.fromkeys(found), *self.packs)}

    def update(self, other: Wanted) -> None:
        """Want all that another wants too, which is not to be used any more: it is not copied."""
        for name, frames in other.packs.items():
            mine = self.packs.setdefault(name, frames)
            if mine is frames:
                continue
            mine.oids += frames.oids
            mine.offsets.extend(frames.offsets)
            mine.lengths.extend(frames.lengths)

    @property
    def has_lists(self) -> bool:
        """Whether there are chunk lists of known size among the frames."""
        return any(frames.to_come for frames in self.packs.values())

    def __len__(self) -> int:
        return sum(map(len, self.packs.values()))

    @property
    def size(self) -> int:
        """The bytes of all frames, their headers included."""
        return sum(frames.size for frames in self.packs.values())

    def ordered(self) -> Wanted:
        """Return the same with every pack's frames by offset, each once."""
        result = Wanted()
        result.packs = {name: frames.ordered() for name, frames in self.packs.items()}
        return result


@dataclass(frozen=True, slots=True)
class Read:
    """One request: bytes ``start`` to ``end`` of a pack, holding frames ``first`` to ``last``.

    ``whole`` says that the range is the whole pack, which is kept as it is.
    """

    pack: bytes
    start: int
    end: int
    first: int
    last: int
    whole: bool = False


def is_taken_whole(frames: Frames, pack_size: int) -> bool:
    """Say whether so much of a pack is wanted that all of it should come, and be kept."""
    mostly = 2 * frames.size > pack_size or 4 * frames.to_come > 3 * pack_size
    return pack_size >= MIN_WHOLE and mostly


def plan_reads(name: bytes, frames: Frames, pack_size: int) -> Iterator[Read]:
    """Yield the requests that bring ordered frames of a pack of that size."""
    if is_taken_whole(frames, pack_size):
        yield Read(name, 0, pack_size, 0, len(frames), whole=True)
        return
    extents = (
        (offset, offset + length)
        for offset, length in zip(frames.offsets, frames.lengths, strict=True)
    )
    first = 0
    for start, end, count in coalesce(extents, GAP, MAX_RANGE):
        yield Read(name, start, end, first, first + count)
        first += count


def coalesce(
    extents: Iterable[tuple[int, int]], gap: int, limit: int
) -> Iterator[tuple[int, int, int]]:
    """Merge ascending (start, end) pairs whose gap is small; yield (start, end, how many).

    Nothing is merged beyond ``limit`` bytes.
    """
    start = end = count = 0
    for low, high in extents:
        if count and low - end <= gap and high - start <= limit:
            end = max(end, high)
            count += 1
            continue
        if count:
            yield start, end, count
        start, end, count = low, high, 1
    if count:
        yield start, end, count
