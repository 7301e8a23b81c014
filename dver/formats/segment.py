"""The index segment: sorted oids and the places where they are stored.

Page: ``docs/format/segment.md``. A segment's name is the BLAKE3 of its bytes. It is made to be used
where it lies, memory-mapped or by ranged reads::

    header     64 bytes  magic "DVERSEGM", version 1 (2), fanout bits b (1), row size 52 (1),
                         packs p (4), rows n (8), superseded segments s (4), reserved 0 (4),
                         salt (16), reserved 0 (16)
    packs      40 p      pack name (32), pack size in bytes (8), in ascending order of name
    superseded 32 s      names of segments that this one replaces, ascending
    fanout     4 (2^b+1) entry i: how many rows have an oid whose first b bits are below i
    rows       52 n      in ascending order of oid, each oid once: oid (32), pack ordinal (4),
                         frame offset (4), stored length (4), raw length (4), kind (1), codec (1),
                         reserved 0 (2)
    trailer    16 bytes  XXH3 of everything before (8), magic "DVERSEND"

All integers are unsigned and little-endian.
"""

from __future__ import annotations

import itertools
import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from operator import add, eq, gt, not_
from typing import NamedTuple

from dver.base.errors import FormatError
from dver.base.oid import OID_SIZE, Checksummer, Oid, checksum, split_oids
from dver.formats import pack

MAGIC = b"DVERSEGM"
END_MAGIC = b"DVERSEND"
HEADER = struct.Struct("<8sHBBIQII16s16s")
PACK = struct.Struct("<32sQ")
ROW = struct.Struct("<32sIIIIBBH")
#: The part of a row behind the oid.
PLACE = struct.Struct("<IIIIBBH")
TRAILER = struct.Struct("<Q8s")
_OID_OF_ROW = struct.Struct(f"{OID_SIZE}s{PLACE.size}x")
MIN_FANOUT_BITS, MAX_FANOUT_BITS = 4, 20
_RESERVED = bytes(16)
_BLOCK = 4096
#: A pack of small files has some ten thousand rows; its part of a group is as long as a block.
_GROUPS = 64
_BLOCK_ROWS = 1024
_KINDS = frozenset(pack.KINDS)
_CODECS = frozenset((pack.RAW, pack.ZSTD))
_ROW_WORDS, _FOOTER_WORDS = ROW.size // 4, pack.ROW.size // 4


class Place(NamedTuple):
    """Where an object is stored: in which pack, at which frame offset, how long, of which kind."""

    pack: bytes
    offset: int
    stored: int
    raw: int
    kind: int
    codec: int


class Layout(NamedTuple):
    """A segment's header, and the offsets in bytes of the parts it announces."""

    fanout_bits: int
    packs: int
    rows: int
    superseded: int
    salt: bytes

    @property
    def packs_at(self) -> int:
        """Where the pack table begins."""
        return HEADER.size

    @property
    def superseded_at(self) -> int:
        """Where the names of superseded segments begin."""
        return self.packs_at + self.packs * PACK.size

    @property
    def fanout_at(self) -> int:
        """Where the fanout table begins."""
        return self.superseded_at + self.superseded * OID_SIZE

    @property
    def rows_at(self) -> int:
        """Where the rows begin."""
        return self.fanout_at + 4 * ((1 << self.fanout_bits) + 1)

    @property
    def trailer_at(self) -> int:
        """Where the trailer begins."""
        return self.rows_at + self.rows * ROW.size

    @property
    def size(self) -> int:
        """The length of the whole segment."""
        return self.trailer_at + TRAILER.size


def fanout_bits(rows: int) -> int:
    """Return how many bits to fan out by, so that a bucket holds about 32 rows."""
    return min(max((rows // 32).bit_length(), MIN_FANOUT_BITS), MAX_FANOUT_BITS)


def bucket(oid: bytes | memoryview, bits: int) -> int:
    """Return the number that the first ``bits`` bits of an oid spell."""
    return int.from_bytes(oid[:4], "big") >> (32 - bits)


def encode(
    rows: Sequence[bytes],
    packs: Sequence[tuple[bytes, int]],
    salt: bytes,
    superseded: Iterable[bytes] = (),
) -> bytes:
    """Return a segment's bytes.

    ``rows`` are 52-byte rows in ascending order, one per oid, whose pack ordinals index ``packs``,
    which holds (name, size) in ascending order of name.
    """
    return b"".join(pieces([b"".join(rows)], packs, salt, superseded))


def pieces(
    blocks: Sequence[bytes],
    packs: Sequence[tuple[bytes, int]],
    salt: bytes,
    superseded: Iterable[bytes] = (),
) -> list[bytes]:
    """Return a segment's bytes in pieces; ``blocks`` are joined rows, all together in order."""
    count = sum(map(len, blocks)) // ROW.size
    bits = fanout_bits(count)
    old = sorted(set(superseded))
    header = HEADER.pack(MAGIC, 1, bits, ROW.size, len(packs), count, len(old), 0, salt, _RESERVED)
    head = b"".join(
        (header, *(PACK.pack(name, size) for name, size in packs), *old, _fanout(blocks, bits))
    )
    check = Checksummer(head)
    for block in blocks:
        check.update(block)
    return [head, *blocks, TRAILER.pack(check.intdigest(), END_MAGIC)]


def _fanout(blocks: Sequence[bytes], bits: int) -> bytes:
    """Return the fanout table of rows in order: one search per bucket, not a step per row."""
    firsts = array("I")
    for block in blocks:
        firsts.frombytes(memoryview(block).cast("I")[::_ROW_WORDS].tobytes())
    if sys.byteorder == "little":
        firsts.byteswap()  # oids are in the order of their bytes
    shift = 32 - bits
    table = [0]
    for number in range(1, 1 << bits):
        table.append(bisect_left(firsts, number << shift, table[-1]))
    return struct.pack(f"<{len(table) + 1}I", *table, len(firsts))


def rows_of_footer(footer: bytes | memoryview, ordinal: int) -> bytes:
    """Return the rows of a pack, from its footer and its ordinal, in the order of the footer.

    Column by column: whatever the number of rows, a dozen steps.
    """
    source = array("I")
    source.frombytes(footer)
    rows = array("I", bytes(len(source) // _FOOTER_WORDS * ROW.size))
    for column in range(12):
        rows[column + (column >= 8) :: _ROW_WORDS] = source[column::_FOOTER_WORDS]
    number = array("I", ordinal.to_bytes(4, "little"))
    rows[8::_ROW_WORDS] = number * (len(rows) // _ROW_WORDS)
    return rows.tobytes()


def in_order(joined: Iterable[bytes]) -> Iterator[bytes]:
    """Yield blocks of rows, ascending and each oid once, of rows that were joined in any order.

    Rows are put in groups by the first byte of their oids, which are spread evenly. So there are
    never many as objects of Python, which take twice as much again as the rows, and what was
    given is let go of group by group, in pieces like those that come out, while the others are
    still waited for: a million rows take their 50 MB once.
    """
    groups: list[list[bytes]] = [[] for _ in range(_GROUPS)]
    for rows in joined:
        ordered = b"".join(sorted(split(rows)))
        firsts = ordered[:: ROW.size]
        start = 0
        for number, group in enumerate(groups, 1):
            end = bisect_left(firsts, 256 * number // _GROUPS, start)
            if start < end:
                group.append(ordered[start * ROW.size : end * ROW.size])
            start = end
    for group in groups:
        some = [row for piece in group for row in split(piece)]
        group.clear()
        some.sort()
        some = distinct(some)
        for at in range(0, len(some), _BLOCK_ROWS):
            yield b"".join(some[at : at + _BLOCK_ROWS])


def split(rows: bytes) -> list[bytes]:
    """Return joined rows one by one."""
    return [rows[at : at + ROW.size] for at in range(0, len(rows), ROW.size)]


def distinct(rows: list[bytes]) -> list[bytes]:
    """Return rows in order of oid without those whose oid the row before them has."""
    same = bytearray()
    for at in range(0, len(rows), _BLOCK):
        block = rows[at : at + _BLOCK + 1]
        words = array("I", b"".join(block))
        # Comparing numbers is cheap, and few oids of different objects begin alike.
        firsts = words[::_ROW_WORDS]
        alike = bytearray(map(eq, firsts, itertools.islice(firsts, 1, None)))
        for i in itertools.compress(range(len(alike)), alike):
            alike[i] = block[i][:OID_SIZE] == block[i + 1][:OID_SIZE]
        same += alike
    if 1 not in same:
        return rows
    return rows[:1] + list(itertools.compress(rows[1:], map(not_, same)))


class Columns(NamedTuple):
    """Rows taken apart: entry i of each column belongs to row i."""

    oids: list[bytes]
    ordinals: array[int]
    offsets: array[int]
    stored: array[int]
    kinds: bytes


def oids_of(rows: bytes | memoryview) -> Iterator[Oid]:
    """Yield the oids of joined rows."""
    return itertools.chain.from_iterable(_OID_OF_ROW.iter_unpack(rows))


def ordinals_of(rows: bytes) -> array[int]:
    """Return the ordinals of the packs that joined rows name."""
    return _numbers(rows)[8::_ROW_WORDS]


def _numbers(rows: bytes) -> array[int]:
    words = array("I")
    words.frombytes(rows)
    if sys.byteorder == "big":
        words.byteswap()
    return words


def columns(rows: bytes) -> Columns:
    """Take joined rows apart."""
    words = _numbers(rows)
    return Columns(
        list(oids_of(rows)),
        words[8::_ROW_WORDS],
        words[9::_ROW_WORDS],
        words[10::_ROW_WORDS],
        rows[48 :: ROW.size],
    )


def decode_header(data: bytes | memoryview, size: int) -> Layout:
    """Parse the first 64 bytes of a segment that is ``size`` bytes long."""
    if len(data) < HEADER.size:
        raise FormatError("a segment is shorter than its header")
    magic, version, bits, row, packs, rows, superseded, zero, salt, reserved = HEADER.unpack_from(
        data
    )
    if magic != MAGIC:
        raise FormatError("a segment does not begin with its magic")
    if version != 1:
        raise FormatError(
            f"a segment has format version {version} and this dver reads version 1",
            hint="upgrade dver",
        )
    if row != ROW.size or zero != 0 or reserved != _RESERVED:
        raise FormatError("a segment's header has reserved bytes that are not zero")
    layout = Layout(bits, packs, rows, superseded, salt)
    if not MIN_FANOUT_BITS <= bits <= MAX_FANOUT_BITS or layout.size != size:
        raise FormatError("a segment's length does not agree with its header")
    return layout


def decode_packs(data: bytes | memoryview) -> list[tuple[bytes, int]]:
    """Parse a pack table into (name, size in bytes)."""
    if len(data) % PACK.size:
        raise FormatError("a segment's pack table has the wrong length")
    return list(PACK.iter_unpack(data))


def check(data: bytes | memoryview) -> Layout:
    """Check a whole segment: checksum, order, fanout, and that every row can be true.

    Raises FormatError. Costs about a second for a million rows, and little memory.
    """
    view = memoryview(data)
    layout = decode_header(view, len(view))
    check_sum, end = TRAILER.unpack_from(view, layout.trailer_at)
    if end != END_MAGIC or checksum(view[: layout.trailer_at]) != check_sum:
        raise FormatError("a segment does not match its checksum")
    packs = decode_packs(view[layout.packs_at : layout.superseded_at])
    names = [name for name, _ in packs]
    old = bytes(view[layout.superseded_at : layout.fanout_at])
    olds = list(split_oids(old))
    if not (_ascending(names) and _ascending(olds)):
        raise FormatError("a segment's packs or superseded names are not in ascending order")
    if any(not pack.HEADER.size <= size <= pack.MAX_PACK for _, size in packs):
        raise FormatError("a segment lists a pack of impossible size")
    _check_rows(view, layout, [size for _, size in packs])
    _check_fanout(view, layout)
    return layout


def _ascending(names: Sequence[bytes]) -> bool:
    return not any(map(bytes.__ge__, names, names[1:]))


def _check_rows(view: memoryview, layout: Layout, sizes: Sequence[int]) -> None:
    """Check blocks of rows by column, which keeps nearly all of the work in C."""
    # A frame lies between its pack's header and the row and trailer that any pack with it has.
    ends = [size - pack.FRAME.size - pack.ROW.size - pack.TRAILER.size for size in sizes]
    previous = b""
    for at in range(layout.rows_at, layout.trailer_at, _BLOCK * ROW.size):
        block = view[at : min(at + _BLOCK * ROW.size, layout.trailer_at)]
        oids, ordinals, offsets, stored, raw, kinds, codecs, zeros = zip(
            *ROW.iter_unpack(block), strict=True
        )
        if not _ascending((previous, *oids)):
            raise FormatError("a segment's rows are not in ascending order")
        previous = oids[-1]
        if max(ordinals) >= layout.packs:
            raise FormatError("a segment names a pack that it does not list")
        if any(zeros) or not (set(kinds) <= _KINDS and set(codecs) <= _CODECS):
            raise FormatError("a segment has a row of unknown kind")
        frame_ends = map(add, offsets, stored)
        if (
            max(*stored, *raw) > pack.MAX_FRAME
            or min(offsets) < pack.HEADER.size
            or any(map(gt, frame_ends, map(ends.__getitem__, ordinals)))
        ):
            raise FormatError("a segment has a row that lies outside its pack")


def _check_fanout(view: memoryview, layout: Layout) -> None:
    bits = layout.fanout_bits
    fanout = struct.unpack_from(f"<{(1 << bits) + 1}I", view, layout.fanout_at)
    if fanout[0] != 0 or fanout[-1] != layout.rows or any(map(gt, fanout, fanout[1:])):
        raise FormatError("a segment's fanout table is not ascending")
    # The rows are in order, so a bucket holds what it should if its first and last row do.
    for number, (first, end) in enumerate(itertools.pairwise(fanout)):
        for row in (first, end - 1) if end > first else ():
            at = layout.rows_at + row * ROW.size
            if bucket(view[at : at + 4], bits) != number:
                raise FormatError("a segment's fanout table does not fit its rows")


def encode_place(oid: Oid, ordinal: int, place: Place) -> bytes:
    """Return the row of an object in a pack of that ordinal."""
    return ROW.pack(oid, ordinal, place.offset, place.stored, place.raw, place.kind, place.codec, 0)
