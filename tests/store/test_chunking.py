from __future__ import annotations

import random

import pytest

from dver.formats.storeinfo import Chunker
from dver.store.chunking import cut

CHUNKER = Chunker()
DATA = random.Random(7).randbytes(3 << 20)


def windowed(data: bytes, step: int) -> list[int]:
    """Cut by windows of ``step`` bytes, as a reader does, and return the chunks' lengths."""
    lengths: list[int] = []
    carry = b""
    for at in range(0, len(data), step):
        window = carry + data[at : at + step]
        pieces = list(cut(window, CHUNKER, last=at + step >= len(data)))
        lengths += [length for _, length in pieces]
        done = sum(pieces[-1]) if pieces else 0
        carry = window[done:]
    assert not carry
    return lengths


@pytest.mark.parametrize("step", [1 << 19, 1 << 20, (1 << 20) + 1, 777_777])
def test_borders_do_not_depend_on_how_the_data_is_read(step: int) -> None:
    whole = [length for _, length in cut(DATA, CHUNKER, last=True)]
    assert sum(whole) == len(DATA)
    assert windowed(DATA, step) == whole


def test_chunks_keep_their_bounds() -> None:
    lengths = [length for _, length in cut(DATA, CHUNKER, last=True)]
    assert all(CHUNKER.min_size <= length <= CHUNKER.max_size for length in lengths[:-1])


def test_no_data_no_chunks() -> None:
    assert list(cut(b"", CHUNKER, last=True)) == []
