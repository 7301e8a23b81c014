"""How a frame's bytes are stored: raw, or compressed with zstd when that is worth it."""

from __future__ import annotations

import threading
from typing import Any

from dver.base.errors import CorruptError
from dver.formats.pack import RAW, ZSTD

Buffer = bytes | bytearray | memoryview

#: zstd's level. Levels 1 to 3 differ by a few percent in size and up to twice in time.
LEVEL = 2
#: Compression that saves less than one part in this many is not kept: reading raw is cheaper.
_WORTH = 32
#: Longer data is judged by a sample of this many bytes before all of it is compressed.
_SAMPLE = 4096
#: Shorter data is stored raw (bytes).
_MIN_LENGTH = 64

_local = threading.local()


def _tools() -> Any:
    """Return this thread's (compressor, decompressor); zstd's are not shared between threads."""
    try:
        return _local.tools
    except AttributeError:
        import zstandard

        _local.tools = (
            zstandard.ZstdCompressor(level=LEVEL, write_checksum=False).compress,
            zstandard.ZstdDecompressor().decompress,
            zstandard.frame_content_size,
            zstandard.ZstdError,
        )
        return _local.tools


def compress(data: Buffer) -> tuple[int, Buffer]:
    """Return (codec, stored bytes) for some content; the bytes are ``data`` itself when raw."""
    length = len(data)
    if length < _MIN_LENGTH:
        return RAW, data
    pack = _tools()[0]
    if length > 4 * _SAMPLE:
        middle = length // 2
        sample = pack(memoryview(data)[middle : middle + _SAMPLE])
        if len(sample) > _SAMPLE - _SAMPLE // _WORTH:
            return RAW, data
    stored = pack(data)
    if len(stored) > length - length // _WORTH:
        return RAW, data
    return ZSTD, stored


def decompress(codec: int, stored: Buffer, raw_length: int) -> Buffer:
    """Return the content of a stored frame, which must be exactly ``raw_length`` bytes.

    Raises CorruptError otherwise. Never allocates more than ``raw_length``, whatever the
    compressed bytes claim.
    """
    if codec == RAW:
        if len(stored) != raw_length:
            raise CorruptError("a raw frame has the wrong length")
        return stored
    _, unpack, declared, failed = _tools()
    try:
        if declared(stored) != raw_length:
            raise CorruptError("a compressed frame declares another length than its header")
        data: bytes = unpack(stored, max_output_size=raw_length, allow_extra_data=False)
    except failed as error:
        raise CorruptError(f"a compressed frame is damaged: {error}") from error
    if len(data) != raw_length:
        raise CorruptError("a compressed frame has the wrong length")
    return data
