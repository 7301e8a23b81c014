"""The index segments that a push writes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dver.base.oid import Oid, oid_of
from dver.formats import pack, segment
from dver.store.index import Segment
from dver.store.packfile import FinishedPack
from dver.transfer import segments

SALT = bytes(16)
OIDS = st.integers(0, 40).map(lambda n: Oid(n.to_bytes(2, "big") * 16))


def finished(name: bytes, oids: list[Oid], kind: int = pack.BLOB) -> FinishedPack:
    frames = [pack.Frame(oid, 32 + 200 * i, 100, 100, kind, 0, i) for i, oid in enumerate(oids)]
    return FinishedPack("", name, 1 << 20, b"".join(map(pack.encode_row, frames)))


@given(st.lists(st.lists(OIDS, unique=True), max_size=4))
def test_packs_make_a_segment_with_each_object_once(contents: list[list[Oid]]) -> None:
    packs = [finished(bytes([9 - i]) * 32, oids) for i, oids in enumerate(contents)]
    for data in segments.build_segments(packs, [], bytes(16)):
        assert segment.check(data).rows == len({oid for oids in contents for oid in oids})


def distinct(first: int, count: int) -> list[Oid]:
    return [oid_of(number.to_bytes(8, "big")) for number in range(first, first + count)]


def pushed(live: list[Segment], *packs: FinishedPack) -> list[Segment]:
    """Return the segments that count after a push of some packs."""
    built = segments.build_segments(packs, live, SALT)
    made = [Segment(bytes(oid_of(data)), data) for data in built]
    gone = {name for one in made for name in one.superseded}
    return [one for one in live if one.name not in gone] + made


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_few_segments_are_left_after_any_pushes(
    monkeypatch: pytest.MonkeyPatch, counts: list[int]
) -> None:
    monkeypatch.setattr(segments, "SHORT", 2000)
    live: list[Segment] = []
    total = 0
    for number, count in enumerate(counts):
        live = pushed(live, finished(bytes([number]) * 32, distinct(total, count)))
        total += count
        lengths = sorted(one.size for one in live)
        # Each is more than twice as long as all that are shorter, but for the newest.
        assert len(lengths) <= 5
        assert sum(one <= 2000 for one in lengths) <= 1
    found = {oid for one in live for oid, _ in one.places()}
    assert found == set(distinct(0, total))


def test_old_segments_that_are_short_join_the_directories(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new clone takes short segments whole, so that the way down costs no more requests."""
    monkeypatch.setattr(segments, "SPLIT_ROWS", 100)
    monkeypatch.setattr(segments, "SHORT", 2000)
    old = pushed([], finished(b"a" * 32, distinct(0, 20), pack.TREE))
    files = finished(b"b" * 32, distinct(100, 200))
    trees, others = pushed(old, files, finished(b"c" * 32, distinct(50, 5), pack.TREE))
    assert {oid for oid, _ in trees.places()} == {*distinct(0, 20), *distinct(50, 5)}
    assert {oid for oid, _ in others.places()} == set(distinct(100, 200))
    # Neither needs the other, whichever is written first.
    assert trees.superseded == [old[0].name]
    assert others.superseded == []


def test_long_segments_are_merged_in_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SPLIT_ROWS", 100)
    monkeypatch.setattr(segments, "SHORT", 0)
    live: list[Segment] = []
    for number in range(10):
        files = finished(bytes([2 * number]) * 32, distinct(1000 * number, 200))
        trees = finished(bytes([2 * number + 1]) * 32, distinct(1000 * number + 500, 5), pack.TREE)
        live = pushed(live, files, trees)
    assert len(live) <= 6


def test_nothing_is_merged_with_very_many_rows_nor_what_is_very_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = pushed([], finished(b"a" * 32, distinct(0, 50)))
    monkeypatch.setattr(segments, "_LONGEST", 1000)
    monkeypatch.setattr(segments, "SHORT", 0)
    assert len(pushed(first, finished(b"b" * 32, distinct(50, 50)))) == 2
    monkeypatch.setattr(segments, "SHORT", 1 << 20)
    assert len(pushed(first, finished(b"b" * 32, distinct(50, 50)))) == 1
    monkeypatch.setattr(segments, "_MANY_ROWS", 40)
    assert len(pushed(first, finished(b"b" * 32, distinct(50, 50)))) == 2
