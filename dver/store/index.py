"""From an oid to its place: the segments of one store, memory-mapped."""

from __future__ import annotations

import itertools
import mmap
import operator
import os
import stat
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import compress

from dver.base.errors import CorruptError
from dver.base.oid import OID_SIZE, Oid, checksum, oid_of, split_oids
from dver.base.osat import NATIVE
from dver.base.quoting import show
from dver.base.regular import open_regular
from dver.formats import segment
from dver.formats.segment import Place
from dver.store import layout

_FANOUT = struct.Struct("<II")
_ROW_SIZE = segment.ROW.size

#: With more than one in so many rows wanted, all are looked at, so many at a time.
_SCAN_RATIO = 10
_BLOCK = 1 << 14

#: So many oids of what was found are kept, of 65 bytes each.
_MOST_FOUND = 1 << 17

#: Going over so many rows costs as much as looking one up.
_SWEEP = 12

_REPAIR = "run 'dver fsck --repair'"


class Segment:
    """One segment where it lies: looked up without a Python object per row.

    ``owner`` is the account that wrote a segment of this machine, None for any other.
    """

    owner: int | None = None

    def __init__(self, name: bytes, data: bytes | mmap.mmap) -> None:
        self.name = name
        self._data = data
        self.layout = segment.decode_header(data[: segment.HEADER.size], len(data))
        table = data[self.layout.packs_at : self.layout.superseded_at]
        self.packs = segment.decode_packs(table)
        names = data[self.layout.superseded_at : self.layout.fanout_at]
        self.superseded = list(split_oids(names))
        # A look-up needs these each time, and the layout computes them each time.
        self._shift = 32 - self.layout.fanout_bits
        self._fanout_at, self._rows_at = self.layout.fanout_at, self.layout.rows_at
        self._end = self.layout.trailer_at

    @classmethod
    def map(cls, path: str, name: bytes) -> Segment:
        """Map a segment file. Raises CorruptError, or OSError if it cannot be opened."""
        try:
            fd = open_regular(path)
        except CorruptError as error:
            raise CorruptError(error.message, hint=_REPAIR) from error
        try:
            found = os.fstat(fd)
            if found.st_size < segment.HEADER.size:
                raise CorruptError(f"{show(path)} is shorter than a segment", hint=_REPAIR)
            # Where a file that is mapped cannot be deleted, the next collection would fail.
            data = mmap.mmap(fd, 0, access=mmap.ACCESS_READ) if NATIVE else _whole(fd)
        finally:
            os.close(fd)
        try:
            mapped = cls(name, data)
        except CorruptError as error:
            raise type(error)(f"{show(path)}: {error.message}", hint=_REPAIR) from error
        mapped.owner = found.st_uid
        return mapped

    def __len__(self) -> int:
        return self.layout.rows

    @property
    def size(self) -> int:
        """The length of the segment file in bytes."""
        return len(self._data)

    def find(self, oid: Oid) -> Place | None:
        """Return where the segment says an object is, or None."""
        at = self._position(oid)
        if at < 0:
            return None
        ordinal, offset, stored, raw, kind, codec, _ = segment.PLACE.unpack_from(
            self._data, at + OID_SIZE
        )
        if ordinal >= len(self.packs):
            raise CorruptError(f"the index segment {self.name.hex()} names an unknown pack")
        return Place(self.packs[ordinal][0], offset, stored, raw, kind, codec)

    def __contains__(self, oid: Oid) -> bool:
        return self._position(oid) >= 0

    def _position(self, oid: Oid) -> int:
        bucket = int.from_bytes(oid[:4], "big") >> self._shift
        first, end = _FANOUT.unpack_from(self._data, self._fanout_at + 4 * bucket)
        base = self._rows_at
        low, high = base + first * _ROW_SIZE, min(base + end * _ROW_SIZE, self._end)
        found = self._data.find(oid, low, high)
        while found >= 0 and (found - base) % _ROW_SIZE:
            found = self._data.find(oid, found + 1, high)
        return found

    def ordinal(self, oid: Oid) -> int:
        """Return the number of an object's row, or -1."""
        at = self._position(oid)
        return (at - self.layout.rows_at) // _ROW_SIZE if at >= 0 else -1

    def rows(self) -> Iterator[bytes]:
        """Yield the 52-byte rows in ascending order of oid."""
        data, end = self._data, self.layout.trailer_at
        for at in range(self.layout.rows_at, end, _ROW_SIZE):
            yield data[at : at + _ROW_SIZE]

    def oids(self) -> Iterator[Oid]:
        """Yield the oids in ascending order."""
        return itertools.chain.from_iterable(segment.oids_of(rows) for _, rows in self.blocks())

    def among(self, oids: AbstractSet[bytes]) -> Iterator[bytes]:
        """Yield the rows of those objects that the segment has, joined, some thousands at a time.

        Few objects are looked up. Many are cheaper to find by going over all rows: that takes
        0.2 us per row, where a look-up takes 2 us.
        """
        if len(oids) * _SCAN_RATIO < len(self):
            found = [at for oid in oids if (at := self._position(Oid(oid))) >= 0]
            if found:
                yield b"".join([self._data[at : at + _ROW_SIZE] for at in found])
            return
        for _, hits, block in self._blocks(oids):
            if 0 not in hits:
                yield block
            else:
                places = range(0, len(block), _ROW_SIZE)
                yield b"".join([block[at : at + _ROW_SIZE] for at in compress(places, hits)])

    def hits(self, oids: AbstractSet[bytes]) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield blocks of rows of which some are of these objects.

        A block is (the number of its first row, 1 or 0 for each row, the rows, joined).
        """
        if len(oids) * _SCAN_RATIO >= len(self):
            yield from self._blocks(oids)
            return
        for oid in oids:
            at = self._position(Oid(oid))
            if at >= 0:
                number = (at - self._rows_at) // _ROW_SIZE
                yield number, b"\1", self._data[at : at + _ROW_SIZE]

    def _blocks(self, oids: AbstractSet[bytes]) -> Iterator[tuple[int, bytes, bytes]]:
        wanted = oids.__contains__
        for first, block in self.blocks():
            hits = bytes(map(wanted, segment.oids_of(block)))
            if 1 in hits:
                yield first, hits, block

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Yield all rows, as (the number of the first, some thousands of rows, joined)."""
        for start in range(self._rows_at, self._end, _BLOCK * _ROW_SIZE):
            end = min(start + _BLOCK * _ROW_SIZE, self._end)
            yield (start - self._rows_at) // _ROW_SIZE, self._data[start:end]
            self._let_go(start, end)

    def let_go(self) -> None:
        """Count what was looked at as memory of this process no longer.

        It stays in the system's cache, from where the next look-up has it back.
        """
        self._let_go(0, len(self._data))

    def _let_go(self, start: int, end: int) -> None:
        data = self._data
        if isinstance(data, bytes) or not hasattr(data, "madvise"):
            return
        if hasattr(mmap, "MADV_DONTNEED"):
            start -= start % mmap.PAGESIZE
            data.madvise(mmap.MADV_DONTNEED, start, end - start)

    def row(self, number: int) -> tuple[Oid, Place]:
        """Return the (oid, place) of the row of that number."""
        at = self.layout.rows_at + number * _ROW_SIZE
        oid, ordinal, *place, _ = segment.ROW.unpack_from(self._data, at)
        return Oid(oid), Place(self.packs[ordinal][0], *place)

    def places(self) -> Iterator[tuple[Oid, Place]]:
        """Yield every (oid, place) in ascending order of oid."""
        packs = [name for name, _ in self.packs]
        body = self._data[self.layout.rows_at : self.layout.trailer_at]
        for oid, ordinal, *place, _ in segment.ROW.iter_unpack(body):
            yield Oid(oid), Place(packs[ordinal], *place)

    def rows_by_pack(self) -> list[int]:
        """Return how many rows name each pack, in the order of ``packs``."""
        counts: Counter[int] = Counter()
        for _, block in self.blocks():
            counts.update(segment.ordinals_of(block))
        return [counts[ordinal] for ordinal in range(len(self.packs))]

    def check(self) -> None:
        """Check the whole segment. Raises CorruptError."""
        segment.check(self._data[:])

    def is_intact(self) -> bool:
        """Say whether the segment's bytes still hash to its name."""
        return oid_of(memoryview(self._data)) == self.name


class Index:
    """All segments of one store that no other segment supersedes, newest first.

    What lies in a pack of ``lost_packs``, which are named and not there, is not found: it counts
    as missing, and so can be fetched or added again. ``foreign_packs`` belong to other accounts.
    """

    def __init__(
        self,
        segments: Iterable[Segment] = (),
        lost_packs: frozenset[bytes] = frozenset(),
        foreign_packs: frozenset[bytes] = frozenset(),
    ) -> None:
        self.lost_packs = lost_packs
        self.foreign_packs = foreign_packs
        self.doubtful: frozenset[bytes] = frozenset()
        found = list(segments)
        present = {one.name for one in found}
        gone = {
            old for one in found for old in one.superseded if old != one.name and old in present
        }
        self.segments = [one for one in found if one.name not in gone]
        self.obsolete = sorted(gone)

    def find(self, oid: Oid) -> Place | None:
        """Return an object's place, or None if no segment has it."""
        for one in self.segments:
            place = one.find(oid)
            if place is not None and place.pack not in self.lost_packs:
                return place
        return None

    def copies(self, oid: Oid) -> Iterator[Place]:
        """Yield every place that a segment gives for an object, as :meth:`find` looks for one."""
        for one in self.segments:
            place = one.find(oid)
            if place is not None and place.pack not in self.lost_packs:
                yield place

    def places(self, oids: Iterable[Oid]) -> dict[Oid, Place]:
        """Return the places of those of some objects that are found, as :meth:`find` does each."""
        left = set(oids)
        found: dict[Oid, Place] = {}
        for one in self.segments if left else ():
            packs = [name for name, _ in one.packs]
            for block in one.among(left):
                for oid, ordinal, *place, _ in segment.ROW.iter_unpack(block):
                    if packs[ordinal] not in self.lost_packs:
                        found[oid] = Place(packs[ordinal], *place)
            left = left.difference(found)
        return found

    def __contains__(self, oid: Oid) -> bool:
        if self.lost_packs:
            return self.find(oid) is not None
        for one in self.segments:  # noqa: SIM110 - any() costs twice as much, once per file
            if oid in one:
                return True
        return False

    def absent(self, oids: Iterable[Oid]) -> set[Oid]:
        """Return those of some oids that are not found; the more they are, the less each costs."""
        left = set(oids)
        rows = len(self)
        if self.lost_packs or rows > _SWEEP * len(left):
            return {oid for oid in left if oid not in self}
        for one in self.segments:
            left.difference_update(one.oids())
        return left

    def __len__(self) -> int:
        """Return the number of rows, which counts an object twice if two segments have it."""
        return sum(len(one) for one in self.segments)

    def let_go(self) -> None:
        """Count what was looked at as memory of this process no longer; nothing is closed."""
        for one in self.segments:
            one.let_go()

    @property
    def state(self) -> int:
        """A number for what the index holds: while it is the same, so is what is found.

        It is the XXH3 of the ascending names of the segments, which are hashes of their content; 0
        if packs are lost, since whether they are is not told by any name.
        """
        if self.lost_packs:
            return 0
        return checksum(b"".join(sorted(one.name for one in self.segments)))

    def packs(self) -> dict[bytes, int]:
        """Return the packs that the segments name, with their sizes in bytes."""
        return {name: size for one in self.segments for name, size in one.packs}


class SoundFirst(Index):
    """An index as it is found, which gives places in ``doubtful`` packs only if there is no other.

    These are packs that are not there, or not in their full size; nothing is taken for missing.
    """

    def __init__(self, segments: Iterable[Segment], doubtful: frozenset[bytes]) -> None:
        super().__init__(segments)
        self.doubtful = doubtful
        self._rest = Index(self.segments, doubtful)

    def find(self, oid: Oid) -> Place | None:
        """Return an object's place, in a pack without doubt if there is one."""
        return self._rest.find(oid) or super().find(oid)

    def places(self, oids: Iterable[Oid]) -> dict[Oid, Place]:
        """Return the places of those of some objects that are found, as :meth:`find` does each."""
        wanted = set(oids)
        found = self._rest.places(wanted)
        return {**super().places(wanted.difference(found)), **found}


def odd_packs(
    directory: str, segments: Sequence[Segment]
) -> tuple[frozenset[bytes], frozenset[bytes]]:
    """Return the packs that segments name and a local store lacks, and those of other accounts.

    Packs that a segment of another account names count as its own: what it says may be wrong.
    """
    account = os.geteuid() if hasattr(os, "geteuid") else 0
    lost, foreign = set(), set()
    for name in {name for one in segments for name, _ in one.packs}:
        try:
            found = os.stat(os.path.join(directory, layout.pack_key(name)))
        except OSError:
            lost.add(name)
            continue
        if not stat.S_ISREG(found.st_mode):
            lost.add(name)
        elif found.st_uid != account:
            foreign.add(name)
    for one in segments:
        if one.owner not in (None, account):
            foreign.update(name for name, _ in one.packs)
    return frozenset(lost), frozenset(foreign)


def are_all(found: Sequence[bytes], oids: AbstractSet[bytes]) -> bool:
    """Say whether oids that were found among some are all of these, as far as that is quick to say.

    Rows of a segment are in order. That is looked at, since a broken one might have rows twice.
    """
    if len(found) != len(oids):
        return False
    return not any(map(operator.ge, found, itertools.islice(found, 1, None)))


class Striking:
    """Takes what one segment was found to have out of a set, at once where that is all of it.

    Looking each up once more would cost as much as finding it did. What waits for that is bounded.
    """

    def __init__(self, oids: set[bytes]) -> None:
        self._oids = oids
        self._found: list[bytes] = []

    def add(self, found: Iterable[bytes]) -> None:
        """Note some that were found, in the order of the segment."""
        self._found += found
        if len(self._found) > _MOST_FOUND:
            self._oids.difference_update(self._found)
            self._found.clear()

    def finish(self) -> None:
        """Take out all that was noted."""
        if are_all(self._found, self._oids):
            self._oids.clear()
        else:
            self._oids.difference_update(self._found)


def _whole(fd: int) -> bytes:
    with open(fd, "rb", closefd=False) as file:
        return file.read()
