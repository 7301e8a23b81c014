from __future__ import annotations

import secrets

from hypothesis import given
from hypothesis import strategies as st

from dver.base.oid import Oid, oid_of
from dver.formats import segment
from dver.formats.segment import Place
from dver.store.index import Index, Segment

PACK = b"p" * 32


def make(oids: list[Oid], superseded: tuple[bytes, ...] = (), name: bytes = b"n" * 32) -> Segment:
    rows = [
        segment.encode_place(oid, 0, Place(PACK, 32 + number, 1, 1, 1, 0))
        for number, oid in enumerate(sorted(set(oids)))
    ]
    data = segment.encode(rows, [(PACK, 1 << 30)], secrets.token_bytes(16), superseded)
    return Segment(name, data)


@given(st.lists(st.binary(min_size=32, max_size=32)), st.lists(st.binary(min_size=32, max_size=32)))
def test_a_segment_is_a_dict(present: list[bytes], asked: list[bytes]) -> None:
    one = make([Oid(oid) for oid in present])
    one.check()
    order = sorted(set(present))
    for oid in [*present, *asked]:
        place = one.find(Oid(oid))
        assert (place is not None) == (oid in order) == (Oid(oid) in one)
        if place is not None:
            assert place.offset - 32 == order.index(oid) == one.ordinal(Oid(oid))
    assert list(one.oids()) == order
    assert [oid for oid, _ in one.places()] == order


def test_oids_that_share_their_beginning() -> None:
    oids = [Oid(b"\0" * 28 + number.to_bytes(4, "big")) for number in range(3000)]
    one = make(oids)
    one.check()
    assert all(oid in one for oid in oids)
    assert Oid(b"\0" * 28 + (3000).to_bytes(4, "big")) not in one


def test_an_oid_that_lies_across_two_rows_is_not_found() -> None:
    """The search looks for 32 bytes anywhere; only those at a row's beginning count."""
    first = Oid(b"\0" * 4 + bytes(range(28)))
    one = make([first])
    row = next(one.rows())
    straddling = Oid(row[1:33])
    assert straddling not in one


def test_many_rows_many_buckets() -> None:
    oids = [oid_of(str(number).encode()) for number in range(20_000)]
    one = make(oids)
    one.check()
    assert one.layout.fanout_bits > 8
    assert all(oid in one for oid in oids[::37])


def test_superseded_segments_count_only_while_their_successor_is_there() -> None:
    old = make([oid_of(b"1")], name=b"o" * 32)
    new = make([oid_of(b"2")], superseded=(b"o" * 32,), name=b"w" * 32)
    assert oid_of(b"1") in Index([old])
    assert oid_of(b"1") not in Index([old, new])
    assert Index([old, new]).obsolete == [b"o" * 32]
