"""The chunk list: how an object larger than one chunk names its pieces.

Page: ``docs/format/chunklist.md``. A list is a short header and 40-byte rows: the oid of a part and
the number of content bytes it stands for. At level 0 the parts are chunks. A long list is cut into
lists again, which makes a level 1 list of lists, and so on: no frame ever grows with its object.
The top list is stored under the oid of the object's whole content; the lists below it under the
hash of their own bytes, see :func:`dver.base.oid.list_name_of`. Reading an object must hash what
it assembled, and compare::

    0   8   magic "DVERLIST"
    8   1   version, 1
    9   1   level, 0 to 4
    10  2   reserved, 0
    12  4   n, the number of rows, 1 to 4096
    16  8   content bytes that all rows stand for
    24  40n rows: the oid of the part (32), the content bytes it stands for (8)

All integers are unsigned and little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.base.oid import Oid
from dver.formats.pack import MAX_FRAME

MAGIC = b"DVERLIST"
MAX_LEVEL = 4
MAX_ROWS = 4096
MIN_ROWS = 256
#: No object is longer than this (bytes); pointers and trees count in the same range.
MAX_OBJECT = (1 << 63) - 1
_MASK = 0x3FF
_HEADER = struct.Struct("<8sBBHIQ")
_ROW = struct.Struct("<32sQ")

Row = tuple[Oid, int]


@dataclass(frozen=True, slots=True)
class ChunkList:
    """One list: ``rows`` of (oid, content bytes), at a ``level`` where 0 names chunks."""

    level: int
    rows: tuple[Row, ...]

    @property
    def size(self) -> int:
        """The content bytes that the list stands for."""
        return sum(size for _, size in self.rows)


def encode(chunks: ChunkList) -> bytes:
    """Return the bytes of one list."""
    header = _HEADER.pack(MAGIC, 1, chunks.level, 0, len(chunks.rows), chunks.size)
    return header + b"".join([_ROW.pack(oid, size) for oid, size in chunks.rows])


def decode(data: bytes) -> ChunkList:
    """Parse one list. Raises FormatError unless it is exactly what its header says."""
    if len(data) < _HEADER.size:
        raise FormatError("a chunk list is shorter than its header")
    magic, version, level, reserved, count, size = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise FormatError("a chunk list does not begin with its magic")
    if version != 1:
        raise FormatError(
            f"a chunk list has format version {version} and this dver reads version 1",
            hint="upgrade dver",
        )
    if reserved != 0:
        raise FormatError("a chunk list's header has reserved bytes that are not zero")
    if level > MAX_LEVEL or not 1 <= count <= MAX_ROWS:
        raise FormatError("a chunk list's level or number of rows is out of bounds")
    if len(data) != _HEADER.size + count * _ROW.size:
        raise FormatError("a chunk list's length does not agree with its header")
    rows = tuple(_ROW.iter_unpack(data[_HEADER.size :]))
    lengths = [length for _, length in rows]
    if sum(lengths) != size or size > MAX_OBJECT:
        raise FormatError("a chunk list's sizes do not add up")
    if min(lengths) == 0 or (level == 0 and max(lengths) > MAX_FRAME):
        raise FormatError("a chunk list has a part of impossible size")
    return ChunkList(level, rows)


def split(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Cut a long sequence of rows into groups whose borders depend on the rows alone.

    A group ends after a row whose oid begins with ten zero bits once it has MIN_ROWS rows, and in
    any case at MAX_ROWS, so that one inserted chunk changes one group and not all that follow.
    """
    start = 0
    for i, (oid, _) in enumerate(rows, 1):
        length = i - start
        ends = length >= MIN_ROWS and not (oid[0] << 2 | oid[1] >> 6) & _MASK
        if ends or length == MAX_ROWS:
            yield rows[start:i]
            start = i
    if start < len(rows):
        yield rows[start:]
