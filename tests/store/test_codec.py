from __future__ import annotations

import random

import pytest
import zstandard

from dver.base.errors import CorruptError
from dver.formats.pack import RAW, ZSTD
from dver.store.codec import compress, decompress


@pytest.mark.parametrize("length", [0, 1, 63, 64, 5000, 16384, 16385, 200_000])
@pytest.mark.parametrize("kind", ["text", "noise"])
def test_what_went_in_comes_out(length: int, kind: str) -> None:
    data = (b"one,two,3\n" * 20_001)[:length] if kind == "text" else random.randbytes(length)
    codec, stored = compress(data)
    assert bytes(decompress(codec, stored, length)) == data
    if kind == "noise":
        assert codec == RAW
    elif length >= 64:
        assert codec == ZSTD and len(stored) < length


def test_little_gain_is_not_worth_it() -> None:
    data = random.Random(1).randbytes(8000) + bytes(200)
    assert compress(data)[0] == RAW


@pytest.mark.parametrize("claimed", [0, 99, 101, 1 << 40])
def test_a_frame_must_be_as_long_as_its_header_says(claimed: int) -> None:
    stored = zstandard.ZstdCompressor().compress(b"x" * 100)
    with pytest.raises(CorruptError):
        decompress(ZSTD, stored, claimed)
    with pytest.raises(CorruptError):
        decompress(RAW, b"x" * 100, claimed)


def test_a_bomb_is_refused_before_it_expands() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 28))
    with pytest.raises(CorruptError, match="declares another length"):
        decompress(ZSTD, bomb, 1000)
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1 << 24))
    with pytest.raises(CorruptError, match="declares another length"):
        decompress(ZSTD, unsized, 1000)


@pytest.mark.parametrize("garbage", [b"", b"\0" * 30, b"\x28\xb5\x2f\xfd", b"text"])
def test_garbage_is_corrupt_and_nothing_else(garbage: bytes) -> None:
    with pytest.raises(CorruptError):
        decompress(ZSTD, garbage, 10)


def test_trailing_bytes_are_refused() -> None:
    stored = zstandard.ZstdCompressor().compress(b"x" * 100)
    with pytest.raises(CorruptError):
        decompress(ZSTD, stored + b"more", 100)
