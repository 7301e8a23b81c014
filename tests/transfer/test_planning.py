from __future__ import annotations

import secrets
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dver.base.errors import CorruptError
from dver.base.oid import Oid, oid_of
from dver.formats import pack, segment
from dver.formats.segment import Place
from dver.storage.memory import MemoryStorage
from dver.store import layout
from dver.store.index import Segment
from dver.transfer.distant import DistantSegment
from dver.transfer.ranges import Frames, Wanted, coalesce, plan_reads
from dver.transfer.spool import Spool
from dver.transfer.trace import heads
from dver.transfer.workers import each

extents = st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 400)), min_size=1).map(
    lambda pairs: sorted((start, start + length) for start, length in pairs)
)


@given(extents, st.integers(0, 300), st.integers(1, 2000))
def test_merged_ranges_cover_everything_in_order(
    parts: list[tuple[int, int]], gap: int, limit: int
) -> None:
    merged = list(coalesce(parts, gap, limit))
    assert sum(count for _, _, count in merged) == len(parts)
    at = 0
    for start, end, count in merged:
        for low, high in parts[at : at + count]:
            assert start <= low
            assert high <= end
        assert count == 1 or end - start <= max(limit, 400)
        at += count


def frames_at(*offsets: int, stored: int = 100) -> Frames:
    frames = Frames()
    for offset in offsets:
        frames.add(oid_of(b"%d" % offset), Place(b"p" * 32, offset, stored, stored, 1, 0))
    return frames


def test_frames_are_ordered_and_each_is_kept_once() -> None:
    frames = frames_at(500, 32, 500, 900).ordered()
    assert list(frames.offsets) == [32, 500, 900]
    assert [frames.oid(i) for i in range(3)] == [oid_of(b"%d" % n) for n in (32, 500, 900)]
    assert frames.size == 3 * 156


def test_neighbours_are_read_together_and_the_far_apart_are_not() -> None:
    reads = list(plan_reads(b"p" * 32, frames_at(32, 500, 5 << 20, 60 << 20), 64 << 20))
    assert [(r.start, r.end, r.first, r.last) for r in reads] == [
        (32, 656, 0, 2),
        (5 << 20, (5 << 20) + 156, 2, 3),
        (60 << 20, (60 << 20) + 156, 3, 4),
    ]


@pytest.mark.parametrize(("part", "whole"), [(0.4, False), (0.6, True)])
def test_a_pack_is_taken_whole_when_more_than_half_of_it_is_wanted(
    part: float, whole: bool
) -> None:
    size = 10 << 20
    frames = frames_at(*range(32, int(size * part), 100_000), stored=100_000 - 56)
    reads = list(plan_reads(b"p" * 32, frames, size))
    assert [read.whole for read in reads] == [whole]


def test_heads_of_paths() -> None:
    assert heads((b"a/b", b"a/c/d", b"e")) == {b"a": (b"b", b"c/d"), b"e": ()}
    assert heads((b"a/b", b"a")) == {b"a": ()}
    assert heads(()) == {}


def segment_of(count: int) -> tuple[bytes, list[Oid]]:
    oids = sorted(oid_of(b"%d" % i) for i in range(count))
    rows = [
        segment.encode_place(oid, i % 3, Place(b"", 32 + i, i, i, pack.BLOB, 0))
        for i, oid in enumerate(oids)
    ]
    packs = [(bytes([n]) * 32, 1000 + n) for n in range(3)]
    return segment.encode(rows, packs, secrets.token_bytes(16)), oids


def stored_segment(data: bytes) -> tuple[MemoryStorage, bytes]:
    storage = MemoryStorage()
    name = bytes(oid_of(data))
    storage.put(layout.segment_key(name), data)
    return storage, name


def test_a_distant_segment_answers_as_a_near_one_does() -> None:
    data, oids = segment_of(3000)
    storage, name = stored_segment(data)
    near = Segment(name, data)
    distant = DistantSegment.open(storage, name, len(data))
    asked = [*oids[::7], *(oid_of(b"absent %d" % i) for i in range(200))]
    found = dict(distant.find(asked))
    assert found == {oid: near.find(oid) for oid in asked if near.find(oid) is not None}
    assert len(found) == len(oids[::7])


def test_a_distant_segment_is_worth_it_for_few_objects_only() -> None:
    data, oids = segment_of(30_000)
    distant = DistantSegment.open(*stored_segment(data), len(data))
    assert distant.is_worth(oids[:1])
    assert not distant.is_worth(oids)


def test_a_head_that_is_longer_than_one_read_is_read_in_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dver.transfer.distant.HEAD", 100)
    data, oids = segment_of(500)
    storage, name = stored_segment(data)
    assert len(dict(DistantSegment.open(storage, name, len(data)).find(oids))) == 500


def test_a_damaged_fanout_is_refused() -> None:
    data, _ = segment_of(1000)
    at = segment.decode_header(data[:64], len(data)).fanout_at
    storage, name = stored_segment(data[: at + 8] + b"\xff\xff\xff\xff" + data[at + 12 :])
    with pytest.raises(CorruptError):
        DistantSegment.open(storage, name, len(data))


@pytest.mark.parametrize("jobs", [1, 4])
def test_results_come_in_order_and_little_is_taken_ahead(jobs: int) -> None:
    taken = []

    def source():
        for i in range(50):
            taken.append(i)
            yield i

    for done, (item, result) in enumerate(each(jobs, source(), lambda i: i * i)):
        assert (item, result) == (done, done * done)
        assert len(taken) <= done + 1 + jobs + 1


def test_the_first_error_ends_it_and_what_has_not_begun_is_dropped() -> None:
    begun = []
    lock = threading.Lock()

    def work(i: int) -> int:
        with lock:
            begun.append(i)
        if i == 3:
            raise ValueError("three")
        return i

    seen = []
    with pytest.raises(ValueError, match="three"):
        seen.extend(item for item, _ in each(2, range(1000), work))
    assert seen == [0, 1, 2]
    assert len(begun) < 10


def test_a_spool_takes_over_from_the_dead_and_leaves_the_living_alone(tmp_path: Path) -> None:
    name = bytes(32)
    with pytest.raises(KeyError), Spool(str(tmp_path), "origin/push", "dead") as dead:
        dead.pack_path(name).write_bytes(b"pack")
        dead.keep_rows(bytes(31) + b"1", 70, b"rows")
        raise KeyError
    with Spool(str(tmp_path), "origin/push", "living") as living:
        assert [(one.name, one.size, one.path is None) for one in living.packs()] == [
            (name, 4, False),
            (bytes(31) + b"1", 70, True),
        ]
        with Spool(str(tmp_path), "origin/push", "other") as other:
            assert list(other.packs()) == []
        assert len(list(living.packs())) == 2
        assert not dead.directory.exists()
    assert not living.directory.exists()


def test_packs_go_in_the_order_in_which_their_contents_are_named() -> None:
    oids = [oid_of(b"%d" % number) for number in range(6)]
    wanted = Wanted()
    for pack_number, offsets in ((0, (500, 300)), (1, (32, 900)), (2, (40, 50))):
        for offset in offsets:
            oid = oids[len(wanted)]
            wanted.add(oid, Place(bytes([pack_number]) * 32, offset, 1, 1, 1, 0))
    # The first frames are those of oids 1, 2 and 4.
    wanted.in_order_of([oids[0], oids[4], oids[2], oids[3], oids[1]])
    assert [name[0] for name in wanted.packs] == [2, 1, 0]
    assert len(wanted) == 6
