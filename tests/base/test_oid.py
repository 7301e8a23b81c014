"""Object ids: one spelling, the same as b3sum prints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dver.base import oid
from dver.base.oid import (
    Hasher,
    Oid,
    finish,
    format_oid,
    oid_of,
    parse_oid,
    short_oid,
    split_oids,
)

HELLO = "d74981efa70a0c880b8d8c1985d075dbcbf679b99a5f9914e5aaf96b831a9e24"


def test_it_is_what_b3sum_prints() -> None:
    assert oid_of(b"hello world").hex() == HELLO
    assert format_oid(oid_of(b"hello world")) == f"blake3:{HELLO}"
    assert short_oid(oid_of(b"hello world")) == HELLO[:10]


@given(st.binary(max_size=3000), st.integers(1, 1000))
def test_pieces_hash_like_the_whole(data: bytes, step: int) -> None:
    hasher = Hasher()
    for at in range(0, len(data), step):
        hasher.update(memoryview(data)[at : at + step])
    assert finish(hasher) == oid_of(data) == oid_of(memoryview(bytearray(data)))


@given(st.binary(min_size=32, max_size=32).map(Oid))
def test_text_and_back(value: Oid) -> None:
    assert parse_oid(format_oid(value)) == value
    assert parse_oid(value.hex()) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "blake3:",
        HELLO[:-1],
        HELLO + "0",
        HELLO.upper(),
        f"blake3:{HELLO.upper()}",
        f"BLAKE3:{HELLO}",
        f"sha256:{HELLO}",
        f"blake3:blake3:{HELLO}",
        f"blake3: {HELLO}",
        f"blake3:{HELLO}\n",
        f" {HELLO}",
        "g" * 64,
        "\u0966" * 64,
        "x" * 100_000,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an oid") as caught:
        parse_oid(text)
    assert len(str(caught.value)) < 300


def test_the_empty_object() -> None:
    assert oid_of(b"") == oid.EMPTY
    assert len(oid.EMPTY) == oid.OID_SIZE


@given(st.lists(st.binary(min_size=32, max_size=32)), st.binary(max_size=31))
def test_joined_oids_are_taken_apart(oids: list[bytes], torn: bytes) -> None:
    for joined in (b"".join(oids), b"".join(oids) + torn):
        assert list(split_oids(joined)) == list(split_oids(bytearray(joined))) == oids
