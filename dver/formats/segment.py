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

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dver.base.errors import FormatError
from dver.base.oid import OID_SIZE, Oid, checksum

MAGIC = b"DVERSEGM"
END_MAGIC = b"DVERSEND"
HEADER = struct.Struct("<8sHBBIQII16s16x")
PACK = struct.Struct("<32sQ")
ROW = struct.Struct("<32sIIIIBBH")
#: The part of a row behind the oid.
PLACE = struct.Struct("<IIIIBBH")
TRAILER = struct.Struct("<Q8s")
MIN_FANOUT_BITS, MAX_FANOUT_BITS = 4, 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object is stored: in which pack, at which frame offset, how long, of which kind."""

    pack: bytes
    offset: int
    stored: int
    raw: int
    kind: int
    codec: int


@dataclass(frozen=True, slots=True)
class Layout:
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


def bucket(oid: bytes, bits: int) -> int:
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
    which holds (name, size) in ascending order.
    """
    bits = fanout_bits(len(rows))
    old = sorted(superseded)
    header = HEADER.pack(MAGIC, 1, bits, ROW.size, len(packs), len(rows), len(old), 0, salt)
    counts = [0] * ((1 << bits) + 1)
    shift = 32 - bits
    for row in rows:
        counts[(int.from_bytes(row[:4], "big") >> shift) + 1] += 1
    total = 0
    for i, count in enumerate(counts):
        total += count
        counts[i] = total
    body = b"".join(
        (
            header,
            b"".join([PACK.pack(*pack) for pack in packs]),
            b"".join(old),
            struct.pack(f"<{len(counts)}I", *counts),
            b"".join(rows),
        )
    )
    return body + TRAILER.pack(checksum(body), END_MAGIC)


def decode_header(data: bytes | memoryview, size: int) -> Layout:
    """Parse the first 64 bytes of a segment that is ``size`` bytes long."""
    if len(data) < HEADER.size:
        raise FormatError("a segment is shorter than its header")
    magic, version, bits, row, packs, rows, superseded, reserved, salt = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise FormatError("a segment does not begin with its magic")
    if version != 1 or row != ROW.size or reserved != 0:
        raise FormatError(f"a segment has format version {version}; upgrade dver")
    layout = Layout(bits, packs, rows, superseded, salt)
    if not MIN_FANOUT_BITS <= bits <= MAX_FANOUT_BITS or layout.size != size:
        raise FormatError("a segment's length does not agree with its header")
    return layout


def decode_packs(data: bytes | memoryview) -> list[tuple[bytes, int]]:
    """Parse a pack table into (name, size in bytes)."""
    return list(PACK.iter_unpack(data))


def check(data: bytes | memoryview) -> Layout:
    """Check a whole segment: checksum, order, fanout and ordinals. Raises FormatError."""
    layout = decode_header(data, len(data))
    check_sum, end = TRAILER.unpack_from(data, layout.trailer_at)
    if end != END_MAGIC or checksum(data[: layout.trailer_at]) != check_sum:
        raise FormatError("a segment does not match its checksum")
    fanout = struct.unpack_from(f"<{(1 << layout.fanout_bits) + 1}I", data, layout.fanout_at)
    if fanout[0] != 0 or fanout[-1] != layout.rows or any(map(int.__gt__, fanout, fanout[1:])):
        raise FormatError("a segment's fanout table is not ascending")
    previous = b""
    bits = layout.fanout_bits
    for number, (oid, pack, *_rest) in enumerate(
        ROW.iter_unpack(data[layout.rows_at : layout.trailer_at])
    ):
        here = bucket(oid, bits)
        if oid <= previous or not fanout[here] <= number < fanout[here + 1]:
            raise FormatError("a segment's rows are not in ascending order")
        if pack >= layout.packs:
            raise FormatError("a segment names a pack that it does not list")
        previous = oid
    return layout


def encode_place(oid: Oid, ordinal: int, place: Place) -> bytes:
    """Return the row of an object in a pack of that ordinal."""
    return ROW.pack(oid, ordinal, place.offset, place.stored, place.raw, place.kind, place.codec, 0)


assert HEADER.size == 64 and ROW.size == OID_SIZE + PLACE.size == 52
