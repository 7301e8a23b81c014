"""Bytes that exist in somebody's store never change: fixed inputs against fixed bytes."""

from __future__ import annotations

import pytest

from dver.base.oid import checksum, list_name_of, oid_of
from dver.formats import (
    chunklist,
    notice,
    pack,
    pointer,
    proofs,
    purged,
    record,
    root,
    segment,
    storeinfo,
    tree,
)
from dver.formats.storeinfo import StoreInfo
from tests.formats import samples
from tests.formats.samples import GOLDEN, PAGES, SHOWN, undump


def golden(name: str) -> bytes:
    data = (GOLDEN / name).read_bytes()
    return undump(data.decode("ascii")) if name.endswith(".hex") else data


@pytest.mark.parametrize("name", sorted(samples.FILES))
def test_the_code_makes_the_golden_bytes(name: str) -> None:
    assert samples.FILES[name]() == golden(name)


def test_no_golden_file_is_forgotten() -> None:
    made_elsewhere = {"fastcdc.json"}
    assert {path.name for path in GOLDEN.iterdir()} == set(samples.FILES) | made_elsewhere


@pytest.mark.parametrize("page", sorted(SHOWN))
def test_the_page_shows_the_golden_bytes(page: str) -> None:
    shown = samples.examples(page)
    assert [name for name, _ in shown] == SHOWN[page]
    for name, text in shown:
        assert text == (GOLDEN / name).read_text(encoding="ascii")


@pytest.mark.parametrize("page", sorted([*SHOWN, "README.md"]))
def test_the_page_ends_with_its_changes(page: str) -> None:
    text = (PAGES / page).read_text(encoding="utf-8")
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[-1] == "## Changes"
    assert "Version 1" in text.partition("## Changes")[2]


def test_golden_trees_are_read() -> None:
    assert tree.decode(golden("tree.hex")) == samples.sample_tree()
    assert tree.decode(golden("tree-empty.hex")) == tree.EMPTY
    assert tree.decode(golden("tree-nested.hex")) == samples.nested_tree()
    assert tree.decode(golden("tree-odd-names.hex")) == samples.odd_names_tree()


def test_golden_lists_are_read() -> None:
    assert chunklist.decode(golden("chunklist.hex")) == samples.sample_list()
    assert chunklist.decode(golden("chunklist-level1.hex")) == samples.upper_list()


def test_golden_proofs_are_read() -> None:
    found = proofs.Proofs(proofs.entries(golden("proofs.hex")))
    name = list_name_of(golden("chunklist.hex"))
    assert found.hold(oid_of(samples.HELLO), name)
    assert not found.hold(oid_of(samples.LABELS), name)
    assert found.hold(oid_of(samples.LABELS), list_name_of(golden("chunklist-level1.hex")))


def test_golden_pointers_are_read() -> None:
    assert pointer.decode(golden("pointer-tree.dver")) == samples.sample_tree_pointer()
    assert pointer.decode(golden("pointer-file.dver")) == samples.sample_file_pointer()


def test_golden_root_is_read() -> None:
    assert root.decode(golden("root.json")) == samples.sample_root()


def test_golden_notices_are_read() -> None:
    assert notice.decode(golden("notice-doomed.json")) == samples.sample_doomed()
    assert notice.decode(golden("notice-trash.json")) == samples.sample_trash()


def test_golden_word_of_a_purge_is_read() -> None:
    assert purged.decode(golden("purged.json")) == samples.sample_purged()


def test_golden_record_is_read() -> None:
    data = golden("record.json")
    assert record.decode(data, oid_of(data)) == samples.sample_record()


def test_golden_store_record_is_read() -> None:
    expected = StoreInfo("00112233445566778899aabbccddeeff")
    assert storeinfo.decode(golden("format.json")) == expected


def test_golden_pack_is_read() -> None:
    data = golden("pack.hex")
    frames = pack.check(data)
    assert frames == samples.sample_pack()[1]
    assert data[frames[0].offset + 56 : frames[0].end] == samples.HELLO
    assert pack.check(golden("pack-empty.hex")) == []


def test_the_compressed_frame_of_the_golden_pack_is_zstd() -> None:
    import zstandard

    frame = samples.sample_pack()[1][1]
    stored = golden("pack.hex")[frame.offset + 56 : frame.end]
    assert zstandard.ZstdDecompressor().decompress(stored) == samples.LABELS
    assert frame.stored < frame.raw - frame.raw // 32


def test_golden_segment_is_read() -> None:
    data = golden("segment.hex")
    layout = segment.check(data)
    assert (layout.packs, layout.rows, layout.superseded, layout.size) == (1, 2, 1, len(data))
    packed = golden("pack.hex")
    table = segment.decode_packs(data[layout.packs_at : layout.superseded_at])
    assert table == [(samples.pack_name(packed), len(packed))]
    assert segment.check(golden("segment-empty.hex")).rows == 0


def test_struct_sizes_are_those_of_the_pages() -> None:
    assert (pack.HEADER.size, pack.FRAME.size, pack.ROW.size, pack.TRAILER.size) == (32, 56, 56, 40)
    assert (segment.HEADER.size, segment.PACK.size, segment.ROW.size) == (64, 40, 52)
    assert (segment.PLACE.size, segment.TRAILER.size) == (20, 16)


def test_hashes_are_the_published_ones() -> None:
    """Vectors of the BLAKE3 and xxHash projects."""
    empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert oid_of(b"").hex() == empty
    counted = bytes(i % 251 for i in range(1025))
    assert oid_of(counted).hex().startswith("d00278ae47eb27b34faecf67b4fe263f")
    assert checksum(b"") == 0x2D06800538D394C2
