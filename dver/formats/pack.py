"""The pack: an immutable container of stored objects and chunks.

Page: ``docs/format/pack.md``. A pack's name is the BLAKE3 of header, footer and trailer::

    header   32 bytes   magic "DVERPACK", version 1 (2), reserved 0 (6), salt (16)
    frames              each a 56-byte frame header and the stored bytes
    footer   56 n bytes one row per frame, in frame order
    trailer  40 bytes   n (4), reserved 0 (4), XXH3 of the header (8), of the frames (8) and of the
                        footer (8), magic "DVERPEND"

    frame header        magic "DVFR", kind (1), codec (1), reserved 0 (2), stored length (4), raw
                        length (4), XXH3 of the stored bytes (8), oid (32)
    footer row          oid (32), frame offset (4), stored length (4), raw length (4), kind (1),
                        codec (1), reserved 0 (2), XXH3 of the stored bytes (8)

The salt is random, so the name of a deleted pack can never come back. The frame headers repeat
the footer, so that a pack without one can be salvaged by a forward scan. The name stands for the
contents through the oids in the footer, so nothing has to be hashed twice. All integers are
unsigned and little-endian; offsets count from the start of the pack.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from dver.base.errors import FormatError
from dver.base.oid import OID_SIZE, Hasher, Oid, checksum, finish

MAGIC = b"DVERPACK"
END_MAGIC = b"DVERPEND"
FRAME_MAGIC = b"DVFR"
HEADER = struct.Struct("<8sH6s16s")
FRAME = struct.Struct("<4sBBHIIQ32s")
ROW = struct.Struct("<32sIIIBBHQ")
_ROW_WORDS, _OID_WORDS = ROW.size // 4, OID_SIZE // 4
_OID_OF_ROW = struct.Struct(f"{OID_SIZE}s{ROW.size - OID_SIZE}x")
TRAILER = struct.Struct("<IIQQQ8s")

#: A whole file's content, a whole tree, one chunk of a larger object, a list below the top, and
#: the top list of a large file's content or of a large tree.
BLOB, TREE, CHUNK, LIST, BLOB_LIST, TREE_LIST = range(1, 7)
KINDS = range(1, 7)
#: The kinds of frames that hold a chunk list, and those of them that hold an object's top one.
LIST_KINDS = (LIST, BLOB_LIST, TREE_LIST)
TOP_KINDS = (BLOB_LIST, TREE_LIST)
RAW, ZSTD = 0, 1

#: No frame's content is longer than this, stored or raw (bytes): a maximal chunk or list, rounded.
MAX_FRAME = 1 << 20
#: No pack is longer than this (bytes).
MAX_PACK = 1 << 30
#: No pack has more frames than this, which bounds the memory that its footer takes to parse.
MAX_FRAMES = 1 << 21
_RESERVED = bytes(6)


class Frame(NamedTuple):
    """Where one stored object lies in a pack, and how it is stored. Lengths are in bytes."""

    oid: Oid
    offset: int
    stored: int
    raw: int
    kind: int
    codec: int
    checksum: int

    @property
    def end(self) -> int:
        """The offset of the first byte after the frame."""
        return self.offset + FRAME.size + self.stored


def encode_header(salt: bytes) -> bytes:
    """Return the pack header for a random 16-byte salt."""
    return HEADER.pack(MAGIC, 1, _RESERVED, salt)


def encode_frame(frame: Frame) -> bytes:
    """Return a frame header; the stored bytes follow it in the pack."""
    return FRAME.pack(
        FRAME_MAGIC, frame.kind, frame.codec, 0, frame.stored, frame.raw, frame.checksum, frame.oid
    )


def encode_row(frame: Frame) -> bytes:
    """Return a frame's footer row."""
    return ROW.pack(
        frame.oid, frame.offset, frame.stored, frame.raw, frame.kind, frame.codec, 0, frame.checksum
    )


def encode_trailer(header: bytes, frames: int, rows: bytes) -> bytes:
    """Return the trailer for a pack's header, the checksum of all its frames, and its footer."""
    count = len(rows) // ROW.size
    return TRAILER.pack(count, 0, checksum(header), frames, checksum(rows), END_MAGIC)


def name_of(header: bytes, rows: bytes, trailer: bytes) -> bytes:
    """Return the 32-byte name of a pack, which is all of it but the frames, hashed."""
    hasher = Hasher()
    for part in (header, rows, trailer):
        hasher.update(part)
    return finish(hasher)


def frames_checksum(trailer: bytes) -> int:
    """Return the XXH3 of all bytes between header and footer, as the trailer has it."""
    check: int = TRAILER.unpack(trailer)[3]
    return check


def footer_checksum(trailer: bytes) -> int:
    """Return the XXH3 of the footer's rows, as the trailer has it."""
    check: int = TRAILER.unpack(trailer)[4]
    return check


def check_header(data: bytes | memoryview, trailer: bytes | None = None) -> None:
    """Raise FormatError unless ``data`` begins with a pack header that this dver reads.

    With the pack's ``trailer`` the header must also match the checksum that stands there.
    """
    if len(data) < HEADER.size:
        raise FormatError("a pack is shorter than its header")
    magic, version, reserved, _salt = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise FormatError("a pack does not begin with its magic")
    if version != 1:
        raise FormatError(
            f"a pack has format version {version} and this dver reads version 1",
            hint="upgrade dver",
        )
    if reserved != _RESERVED:
        raise FormatError("a pack's header has reserved bytes that are not zero")
    if trailer is not None and checksum(data[: HEADER.size]) != TRAILER.unpack(trailer)[2]:
        raise FormatError("a pack's header does not match its checksum")


def decode_frame(data: bytes | memoryview, offset: int) -> Frame:
    """Parse the frame header in the first 56 bytes of ``data``, found at ``offset`` in its pack."""
    if len(data) < FRAME.size:
        raise FormatError("a frame is shorter than its header")
    magic, kind, codec, reserved, stored, raw, check, oid = FRAME.unpack_from(data)
    if magic != FRAME_MAGIC or reserved != 0:
        raise FormatError("a frame does not begin with its magic")
    _check_fields(kind, codec, stored, raw)
    return Frame(Oid(oid), offset, stored, raw, kind, codec, check)


def footer_length(trailer: bytes, pack_size: int) -> int:
    """Return how many bytes before the trailer are footer rows."""
    if len(trailer) != TRAILER.size:
        raise FormatError("a pack is shorter than its trailer")
    count, reserved, _header, _frames, _rows, magic = TRAILER.unpack(trailer)
    length: int = count * ROW.size
    if magic != END_MAGIC or reserved != 0:
        raise FormatError("a pack does not end with its trailer")
    if pack_size > MAX_PACK or count > MAX_FRAMES:
        raise FormatError("a pack is longer than any pack")
    if length + HEADER.size + TRAILER.size > pack_size:
        raise FormatError("a pack's footer is longer than the pack")
    return length


def decode_footer(rows: bytes, trailer: bytes, pack_size: int) -> list[Frame]:
    """Parse and check the footer of a pack of that size; frames must tile the pack exactly."""
    return list(walk_footer(rows, trailer, pack_size))


def oids_of(rows: bytes | memoryview) -> Iterator[Oid]:
    """Yield the oids of joined rows of a footer, in their order; a torn last one is left out."""
    whole = len(rows) - len(rows) % ROW.size
    return chain.from_iterable(_OID_OF_ROW.iter_unpack(memoryview(rows)[:whole]))


class Columns(NamedTuple):
    """Rows of a footer taken apart: entry i of each column belongs to row i, ``oids`` are joined.

    ``stored`` are lengths without the frame headers.
    """

    oids: bytes
    offsets: array[int]
    stored: array[int]
    kinds: bytes


def columns(rows: bytes) -> Columns:
    """Take joined rows of a footer apart, in a dozen steps whatever their number."""
    words = _words(rows)
    oids = array("I", bytes(len(words) // _ROW_WORDS * OID_SIZE))
    for column in range(_OID_WORDS):
        oids[column::_OID_WORDS] = words[column::_ROW_WORDS]
    kinds = rows[OID_SIZE + 12 :: ROW.size]
    if sys.byteorder == "big":
        words.byteswap()
    offsets, stored = words[_OID_WORDS::_ROW_WORDS], words[_OID_WORDS + 1 :: _ROW_WORDS]
    return Columns(oids.tobytes(), offsets, stored, kinds)


def offsets_of(rows: bytes) -> array[int]:
    """Return the offsets of the frames that joined rows of a footer list, in their order."""
    words = _words(rows)
    if sys.byteorder == "big":
        words.byteswap()
    return words[_OID_WORDS::_ROW_WORDS]


def _words(rows: bytes) -> array[int]:
    words = array("I")
    words.frombytes(rows[: len(rows) - len(rows) % ROW.size])
    return words


def walk_footer(rows: bytes, trailer: bytes, pack_size: int) -> Iterator[Frame]:
    """Like :func:`decode_footer`, one frame after the other; what is wrong may come out last."""
    if len(rows) != footer_length(trailer, pack_size):
        raise FormatError("a pack's footer has the wrong length")
    if checksum(rows) != TRAILER.unpack(trailer)[4]:
        raise FormatError("a pack's footer does not match its checksum")
    at, head = HEADER.size, FRAME.size
    for oid, offset, stored, raw, kind, codec, reserved, check in ROW.iter_unpack(rows):
        # What is not compressed, mostly, is judged without a call, which costs more than this.
        if codec != RAW or stored != raw or stored > MAX_FRAME or kind not in KINDS:
            _check_fields(kind, codec, stored, raw)
        if offset != at or reserved != 0:
            raise FormatError("a pack's frames do not follow each other")
        at += head + stored
        yield Frame(Oid(oid), offset, stored, raw, kind, codec, check)
    if at != pack_size - len(rows) - TRAILER.size:
        raise FormatError("a pack's frames do not fill it")


def check(data: bytes | memoryview) -> list[Frame]:
    """Check a whole pack but for its name and the hashes of its contents; return its frames.

    Header, footer and trailer must be sound, every frame header must repeat its footer row, and
    every frame's stored bytes must match their checksum. Raises FormatError.
    """
    view = memoryview(data)
    end = len(view) - TRAILER.size
    trailer = bytes(view[max(end, 0) :])
    rows_at = end - footer_length(trailer, len(view))
    check_header(view, trailer)
    frames = decode_footer(bytes(view[rows_at:end]), trailer, len(view))
    for frame in frames:
        if decode_frame(view[frame.offset :], frame.offset) != frame:
            raise FormatError("a frame's header differs from its row in the footer")
        if checksum(view[frame.offset + FRAME.size : frame.end]) != frame.checksum:
            raise FormatError("a frame does not match its checksum")
    if checksum(view[HEADER.size : rows_at]) != frames_checksum(trailer):
        raise FormatError("a pack's frames do not match their checksum")
    return frames


def _check_fields(kind: int, codec: int, stored: int, raw: int) -> None:
    if kind not in KINDS:
        raise FormatError(f"a frame has the unknown kind {kind}")
    if codec not in (RAW, ZSTD):
        raise FormatError(f"a frame has the unknown codec {codec}")
    if stored > MAX_FRAME or raw > MAX_FRAME or (codec == RAW and stored != raw):
        raise FormatError("a frame's lengths are out of bounds")
