"""Where the store cuts: golden borders, and a second implementation written from the page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import blake3
import pytest

from dver.formats.storeinfo import Chunker
from dver.store.chunking import cut
from tests.formats.samples import GOLDEN

SIZE = 4 << 20
RANDOM = blake3.blake3(b"dver fastcdc golden vector").digest(length=SIZE)
FOX = b"the quick brown fox jumps over the lazy dog\n"
INPUTS = {
    "random": RANDOM,
    "zeros": bytes(SIZE),
    "text": (FOX * (SIZE // len(FOX) + 1))[:SIZE],
    "mixed": RANDOM[: 1 << 20] + bytes(1 << 20) + RANDOM[: 1 << 20] + b"abc" * 1000,
}


def lengths(data: bytes) -> list[int]:
    return [length for _, length in cut(data, Chunker(), last=True)]


@pytest.mark.parametrize("name", INPUTS)
def test_golden_borders(name: str) -> None:
    assert lengths(INPUTS[name]) == json.loads((GOLDEN / "fastcdc.json").read_text())[name]


GEAR = [int.from_bytes(hashlib.md5(bytes([i]) * 64).digest()[:8], "big") for i in range(256)]
STRICT, LAX = 0x0000D90707537000, 0x0000D90313530000


def by_the_page(data: bytes) -> Iterator[int]:
    """Yield chunk lengths as docs/format/store.md defines them."""
    at = 0
    while at < len(data):
        left = min(len(data) - at, 262144)
        length, hashed = left, 0
        for i in range(32768, left - left % 2):
            hashed = ((hashed << 1) + GEAR[data[at + i]]) & 0xFFFFFFFFFFFFFFFF
            if not hashed & (STRICT if i < 65536 else LAX):
                length = i
                break
        yield length
        at += length


@pytest.mark.parametrize("name", ["random", "zeros", "text"])
def test_the_page_describes_these_borders(name: str) -> None:
    data = INPUTS[name][: (1 << 20) + 12345]
    assert list(by_the_page(data)) == lengths(data)


@pytest.mark.parametrize("size", [0, 1, 32767, 32768, 32769, 65535, 65537, 262143, 262144, 262145])
def test_the_page_describes_short_and_odd_lengths(size: int) -> None:
    data = RANDOM[:size]
    assert list(by_the_page(data)) == lengths(data)


@pytest.mark.parametrize("window", [262145, 300000, 1 << 20])
def test_borders_do_not_depend_on_the_windows(window: int) -> None:
    found, at = [], 0
    data = INPUTS["mixed"]
    while at < len(data):
        last = at + window >= len(data)
        pieces = [length for _, length in cut(data[at : at + window], Chunker(), last=last)]
        found += pieces
        at += sum(pieces)
    assert found == lengths(data)


def test_an_insertion_moves_only_the_borders_next_to_it() -> None:
    data = RANDOM[: 2 << 20]
    edited = data[:700000] + b"ten new rows" + data[700000:]
    before, after = pieces(data), pieces(edited)
    assert len(before - after) <= 3
    assert len(after - before) <= 3


def pieces(data: bytes) -> set[bytes]:
    return {data[at : at + length] for at, length in cut(data, Chunker(), last=True)}
