"""What is written is read; what is damaged is refused, or reads as exactly what its bytes spell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dver.base.errors import FormatError
from dver.base.oid import oid_of
from dver.formats import chunklist, pack, root, segment, storeinfo, tree
from dver.formats.chunklist import ChunkList
from dver.formats.pack import Frame
from dver.formats.root import Root
from dver.formats.storeinfo import StoreInfo
from dver.formats.tree import Tree
from tests.formats import samples
from tests.formats import strategies as own


def refused_or_same(
    data: bytes, decode: Callable[[bytes], Any], encode: Callable[[Any], bytes]
) -> None:
    """Canonical formats have one spelling: whatever is accepted is spelled the same again."""
    try:
        value = decode(data)
    except FormatError as error:
        assert error.message.isprintable()
    else:
        assert encode(value) == data


@given(own.trees())
def test_trees_come_back(value: Tree) -> None:
    data = tree.encode(value)
    assert tree.decode(data) == value
    for entry in value:
        assert value.find(entry.name) == entry
    assert value.find(b"\xffmissing") is None


@given(own.trees())
def test_a_tree_does_not_depend_on_the_order_it_was_built_in(value: Tree) -> None:
    below = value.files - sum(1 for kind in value.kinds if kind != tree.DIRECTORY)
    assert tree.build(list(value)[::-1], below) == value


@given(own.trees(), st.data())
def test_damaged_trees(value: Tree, data: st.DataObject) -> None:
    refused_or_same(data.draw(own.damaged(tree.encode(value))), tree.decode, tree.encode)


@given(own.lists())
def test_lists_come_back(value: ChunkList) -> None:
    assert chunklist.decode(chunklist.encode(value)) == value


@given(own.lists(), st.data())
def test_damaged_lists(value: ChunkList, data: st.DataObject) -> None:
    mutated = data.draw(own.damaged(chunklist.encode(value)))
    refused_or_same(mutated, chunklist.decode, chunklist.encode)


@given(own.roots())
def test_roots_come_back(value: Root) -> None:
    assert root.decode(root.encode(value)) == value


@given(own.roots(), st.data())
def test_damaged_roots_are_refused(value: Root, data: st.DataObject) -> None:
    with pytest.raises(FormatError) as caught:
        root.decode(data.draw(own.damaged(root.encode(value))))
    assert caught.value.message.isprintable()


@given(own.store_infos)
def test_store_records_come_back(value: StoreInfo) -> None:
    assert storeinfo.decode(storeinfo.encode(value)) == value


@given(own.store_infos, st.data())
def test_damaged_store_records(value: StoreInfo, data: st.DataObject) -> None:
    try:
        found = storeinfo.decode(data.draw(own.damaged(storeinfo.encode(value))))
    except FormatError as error:
        assert error.message.isprintable()
    else:
        assert storeinfo.decode(storeinfo.encode(found)) == found


@given(own.packs())
def test_packs_come_back(value: tuple[bytes, list[Frame]]) -> None:
    data, frames = value
    assert pack.check(data) == frames
    trailer = data[-pack.TRAILER.size :]
    length = pack.footer_length(trailer, len(data))
    rows = data[len(data) - pack.TRAILER.size - length : -pack.TRAILER.size]
    assert pack.decode_footer(rows, trailer, len(data)) == frames


@given(own.packs(), st.data())
def test_damaged_packs_are_refused(value: tuple[bytes, list[Frame]], data: st.DataObject) -> None:
    with pytest.raises(FormatError):
        pack.check(data.draw(own.damaged(value[0])))


@given(own.packs(), st.data())
def test_footers_that_lie_are_refused(
    value: tuple[bytes, list[Frame]], data: st.DataObject
) -> None:
    """The checksum fits, since whoever can write to a bucket can compute it."""
    whole, frames = value
    front = whole[: frames[-1].end if frames else pack.HEADER.size]
    rows = data.draw(own.damaged(b"".join(map(pack.encode_row, frames))))
    trailer = samples.seal_pack(front, rows)[len(front) + len(rows) :]
    size = len(front) + len(rows) + len(trailer)
    try:
        found = pack.decode_footer(rows, trailer, size)
    except FormatError:
        return
    assert b"".join(map(pack.encode_row, found)) == rows
    assert sum(pack.FRAME.size + frame.stored for frame in found) == len(front) - pack.HEADER.size


@given(st.binary(max_size=80), st.integers(0, 1 << 30))
def test_any_bytes_as_a_frame_header(data: bytes, offset: int) -> None:
    try:
        frame = pack.decode_frame(data, offset)
    except FormatError:
        return
    assert pack.encode_frame(frame) == data[: pack.FRAME.size]


def respell(data: bytes) -> bytes:
    """Check a segment, and return what the encoder makes of its parts."""
    layout = segment.check(data)
    table = segment.decode_packs(data[layout.packs_at : layout.superseded_at])
    row, end = segment.ROW.size, layout.trailer_at
    rows = [data[at : at + row] for at in range(layout.rows_at, end, row)]
    names = data[layout.superseded_at : layout.fanout_at]
    old = [names[i : i + 32] for i in range(0, len(names), 32)]
    return segment.encode(rows, table, layout.salt, old)


@given(own.segments())
def test_segments_come_back(data: bytes) -> None:
    assert respell(data) == data


@given(own.segments(), st.data())
def test_damaged_segments_are_refused(value: bytes, data: st.DataObject) -> None:
    with pytest.raises(FormatError):
        segment.check(data.draw(own.damaged(value)))


@given(own.segments(), st.data())
def test_segments_that_lie(value: bytes, data: st.DataObject) -> None:
    """The checksum fits, since whoever can write to a bucket can compute it."""
    body = data.draw(own.damaged(value[: -segment.TRAILER.size]))
    lying = own.seal_segment(body + bytes(segment.TRAILER.size))
    try:
        again = respell(lying)
    except FormatError:
        return
    assert again == lying


@pytest.mark.parametrize(
    "decode",
    [tree.decode, chunklist.decode, root.decode, storeinfo.decode, pack.check, segment.check],
)
@given(data=st.binary(max_size=200))
def test_any_bytes_at_all(decode: Callable[[bytes], object], data: bytes) -> None:
    try:
        decode(data)
    except FormatError as error:
        assert error.message.isprintable()
    else:
        raise AssertionError("random bytes were accepted")


@given(st.lists(st.integers(0, 1 << 16), max_size=3000))
def test_lists_are_split_by_their_rows_alone(numbers: list[int]) -> None:
    rows = [(oid_of(number.to_bytes(4, "big")), 1 + number) for number in numbers]
    groups = list(chunklist.split(rows))
    assert [row for group in groups for row in group] == rows
    assert all(group for group in groups)
    assert all(len(group) <= chunklist.MAX_ROWS for group in groups)
    assert all(len(group) >= chunklist.MIN_ROWS for group in groups[:-1])


@given(st.lists(st.tuples(st.sampled_from(range(40)), st.sampled_from(range(3)))))
def test_distinct_rows_keep_the_first_of_each_oid(numbers: list[tuple[int, int]]) -> None:
    # Several oids begin with the same bytes.
    rows = sorted(
        bytes([oid // 8]) * 8 + bytes([oid]) * 24 + bytes([where]) * 20 for oid, where in numbers
    )
    kept: dict[bytes, bytes] = {}
    for row in rows:
        kept.setdefault(row[:32], row)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "_BLOCK", 4)
        assert segment.distinct(rows) == list(kept.values())


@given(
    st.lists(st.lists(st.tuples(st.binary(min_size=1, max_size=1), st.sampled_from(range(3))))),
    st.sampled_from([1, 3, 100]),
)
def test_rows_of_several_packs_are_put_in_order_group_by_group(
    packs: list[list[tuple[bytes, int]]], block: int
) -> None:
    rows = [[oid * 32 + bytes([where]) * 20 for oid, where in one] for one in packs]
    kept = {row[:32]: row for row in sorted((row for one in rows for row in one), reverse=True)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "_BLOCK_ROWS", block)
        blocks = list(segment.in_order(b"".join(one) for one in rows))
    assert all(0 < len(one) <= block * 52 for one in blocks)
    assert b"".join(blocks) == b"".join(sorted(kept.values()))
