from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dver.base.oid import Oid, oid_of
from dver.formats import pack, segment
from dver.formats.segment import Place
from dver.store import index
from dver.store.index import Index, Segment, Striking
from dver.store.store import Store

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


@given(st.sets(st.binary(min_size=32, max_size=32)), st.sets(st.binary(min_size=32, max_size=32)))
def test_many_are_found_as_each_is(present: set[bytes], others: set[bytes]) -> None:
    """Whether the rows are gone over or each oid is looked up, the same rows come."""
    oids = [oid_of(str(number).encode()) for number in range(300)]
    one = make([*map(Oid, present), *oids])
    rows = {row[:32]: row for row in one.rows()}
    for asked in (others | set(oids[:3]), others | set(oids) | present, present):
        found = b"".join(one.among(asked))
        split = [found[at : at + 52] for at in range(0, len(found), 52)]
        assert sorted(split) == sorted(row for oid, row in rows.items() if oid in asked)


def test_columns_of_rows() -> None:
    oids = [oid_of(str(number).encode()) for number in range(40)]
    one = make(oids)
    columns = segment.columns(b"".join(one.rows()))
    found = [
        (oid, PACK, offset, stored, kind)
        for oid, offset, stored, kind in zip(
            columns.oids, columns.offsets, columns.stored, columns.kinds, strict=True
        )
    ]
    assert found == [(o, p.pack, p.offset, p.stored, p.kind) for o, p in one.places()]
    assert set(columns.ordinals) == {0}


@given(st.integers(0, 2**32 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=50))
def test_rows_of_a_footer(ordinal: int, oids: list[bytes]) -> None:
    frames = [
        pack.Frame(Oid(oid), 32 + 100 * i, i, 2 * i + 1, 1 + i % 6, i % 2, 2**64 - 1 - i)
        for i, oid in enumerate(oids)
    ]
    expected = b"".join(segment.encode_place(f.oid, ordinal, Place(PACK, *f[1:6])) for f in frames)
    footer = b"".join(map(pack.encode_row, frames))
    assert segment.rows_of_footer(footer, ordinal) == expected
    assert list(segment.oids_of(expected)) == list(pack.oids_of(footer + b"torn")) == oids
    assert pack.offsets_of(footer + b"torn").tolist() == [f.offset for f in frames]
    taken = pack.columns(footer)
    assert taken.oids == b"".join(oids)
    assert taken.offsets == pack.offsets_of(footer)
    assert taken.stored.tolist() == [f.stored for f in frames]
    assert list(taken.kinds) == [f.kind for f in frames]
    assert list(segment.ordinals_of(expected)) == [ordinal] * len(frames)


@given(
    st.lists(st.binary(min_size=32, max_size=32), max_size=40),
    st.lists(st.binary(min_size=32, max_size=32), max_size=4),
    st.booleans(),
    st.booleans(),
)
def test_many_are_looked_up_as_each_alone(
    present: list[bytes], strangers: list[bytes], few: bool, lost: bool
) -> None:
    """Whether the rows are gone over or each oid is looked up, the same ones are absent."""
    oids = [Oid(oid) for oid in present]
    half = len(oids) // 2
    segments = [make(oids[:half], name=b"a" * 32), make(oids[half:], name=b"b" * 32)]
    index = Index(segments, frozenset([PACK]) if lost else frozenset())
    asked = [*(oids[:1] if few else oids), *map(Oid, strangers)]
    assert index.absent(asked) == {oid for oid in asked if index.find(oid) is None}


def test_places_of_many_are_those_of_each(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in range(3):
        with store.writer() as writer:
            for i in range(40):
                writer.add(b"%d" % (part * 30 + i))
            writer.commit()
    oids = [oid_of(b"%d" % i) for i in range(150)]
    expected = {oid: place for oid in oids if (place := store.index.find(oid)) is not None}
    assert len(expected) == 100
    for ratio in (0, 1 << 20):
        monkeypatch.setattr(index, "_SCAN_RATIO", ratio)
        assert store.index.places(oids) == expected
    lost = Index(store.index.segments, frozenset({store.index.segments[0].packs[0][0]}))
    left = {oid: place for oid in oids if (place := lost.find(oid)) is not None}
    assert lost.places(oids) == left
    assert 0 < len(left) < 100


@given(st.lists(st.integers(0, 9), max_size=12), st.sets(st.integers(0, 9), min_size=1))
def test_striking_out(found: list[int], oids: set[int]) -> None:
    """Whatever a segment says, twice or out of order, what it did not say stays."""
    left = {bytes([one]) * 32 for one in oids}
    rows = [bytes([one]) * 32 for one in found if one in oids]
    striking = Striking(left)
    striking.add(rows[:5])
    striking.add(rows[5:])
    striking.finish()
    assert left == {bytes([one]) * 32 for one in oids.difference(found)}


def test_what_was_let_go_of_is_found_again(tmp_path: Path) -> None:
    oids = sorted(oid_of(b"%d" % n) for n in range(40_000))
    rows = [segment.encode_place(oid, 0, Place(PACK, 32, n, n, 1, 0)) for n, oid in enumerate(oids)]
    path = tmp_path / "segment"
    data = segment.encode(rows, [(PACK, 1 << 30)], bytes(16))
    path.write_bytes(data)
    one = Segment.map(str(path), oid_of(data))
    for _ in range(2):
        assert list(one.oids()) == oids
        assert b"".join(block for _, block in one.blocks()) == b"".join(rows)
        one.let_go()
        found = one.find(oids[20_000])
        assert found is not None
        assert found.stored == 20_000
