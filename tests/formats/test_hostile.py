"""Input made to hurt: lying counts, reserved bytes, newer versions, deep nesting, long names.

Every case must be refused with FormatError, quickly, and without memory beyond the input's own.
"""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
from collections.abc import Callable

import pytest

from dver.base.errors import FormatError
from dver.base.oid import checksum, format_oid, oid_of
from dver.formats import chunklist, pack, root, segment, storeinfo, tree
from dver.formats.tree import FILE, Entry
from tests.formats import samples
from tests.formats.strategies import seal_segment

TREE = tree.encode(samples.sample_tree())
LIST = chunklist.encode(samples.sample_list())
PACK, FRAMES = samples.sample_pack()
SEGMENT = samples.sample_segment()
ROOT = root.encode(samples.sample_root())
STORE = storeinfo.encode(storeinfo.StoreInfo("00" * 16))


def put(data: bytes, at: int, form: str, *values: object) -> bytes:
    """Return the bytes with a packed field at an offset (from the end if negative)."""
    field = struct.pack("<" + form, *values)
    at %= len(data)
    return data[:at] + field + data[at + len(field) :]


def sealed(at: int, form: str, *values: object) -> bytes:
    """Return the sample segment with a field changed and a checksum that fits again."""
    return seal_segment(put(SEGMENT, at, form, *values))


def repack(at: int, form: str, *values: object) -> bytes:
    """Return the sample pack with a footer field changed and checksums that fit again."""
    rows_at = FRAMES[-1].end
    rows = put(PACK[rows_at : -pack.TRAILER.size], at, form, *values)
    return samples.seal_pack(PACK[:rows_at], rows)


def reroot(**changes: object) -> bytes:
    """Return the sample root with fields changed and its own hash made to fit again."""
    fields = {**json.loads(ROOT), **changes}
    del fields["check"]
    plain = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    fields["check"] = format_oid(oid_of(plain))
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def restore(**changes: object) -> bytes:
    """Return a store record with fields changed; None removes one."""
    fields = {**json.loads(STORE), **changes}
    return json.dumps({key: value for key, value in fields.items() if value is not None}).encode()


def chunker(**changes: object) -> bytes:
    """Return a store record with chunker parameters changed."""
    return restore(chunker={**json.loads(STORE)["chunker"], **changes})


OBJECT = json.loads(ROOT)["objects"][0]
MANY = (1 << 32) - 1
HUGE = (1 << 64) - 1

LIES: dict[str, tuple[Callable[[bytes], object], bytes, str]] = {
    "tree: empty": (tree.decode, b"", "shorter than its header"),
    "tree: magic": (tree.decode, b"X" + TREE[1:], "magic"),
    "tree: newer": (tree.decode, put(TREE, 8, "I", 2), "version 2"),
    "tree: four billion entries": (tree.decode, put(TREE, 12, "I", MANY), "length"),
    "tree: endless names": (tree.decode, put(TREE, 32, "Q", HUGE), "length"),
    "tree: size": (tree.decode, put(TREE, 16, "Q", 32), "sum"),
    "tree: size overflows": (tree.decode, put(put(TREE, 44, "Q", HUGE), 16, "Q", 30), "sum"),
    "tree: too few files": (tree.decode, put(TREE, 24, "Q", 2), "number of files"),
    "tree: too many files": (
        tree.decode,
        put(tree.encode(tree.build([Entry(FILE, b"a", 0, oid_of(b""))], 0)), 24, "Q", 2),
        "number of files",
    ),
    "tree: unknown kind": (tree.decode, put(TREE, 40, "c", b"b"), "unknown kind"),
    "tree: order": (tree.decode, put(TREE, -30, "c", b"z"), "ascending"),
    "tree: same name twice": (
        tree.decode,
        tree.encode(tree.build([Entry(FILE, b"a", 0, oid_of(b""))] * 2, 0)),
        "ascending",
    ),
    "tree: unended name": (tree.decode, put(TREE, -1, "c", b"x"), "not ended"),
    "tree: fewer names": (tree.decode, put(TREE, -8, "c", b"x").replace(b"y\0h", b"yxh"), "names"),
    "tree: names without entries": (
        tree.decode,
        put(tree.EMPTY_BYTES + b"a\0", 32, "Q", 2),
        "names without entries",
    ),
    "list: empty": (chunklist.decode, b"", "shorter"),
    "list: magic": (chunklist.decode, b"X" + LIST[1:], "magic"),
    "list: newer": (chunklist.decode, put(LIST, 8, "B", 2), "version 2"),
    "list: level": (chunklist.decode, put(LIST, 9, "B", 5), "level"),
    "list: reserved": (chunklist.decode, put(LIST, 10, "H", 1), "reserved"),
    "list: no rows": (chunklist.decode, put(LIST[:24], 12, "IQ", 0, 0), "out of bounds"),
    "list: four billion rows": (chunklist.decode, put(LIST, 12, "I", MANY), "out of bounds"),
    "list: one row more": (chunklist.decode, put(LIST, 12, "I", 4), "length"),
    "list: sum": (chunklist.decode, put(LIST, 16, "Q", 1), "add up"),
    "list: empty part": (
        chunklist.decode,
        put(put(LIST, 56, "Q", 0), 16, "Q", 65537 + 65538),
        "impossible size",
    ),
    "list: endless chunk": (
        chunklist.decode,
        put(put(LIST, 56, "Q", 1 << 40), 16, "Q", (1 << 40) + 65537 + 65538),
        "impossible size",
    ),
    "list: endless object": (
        chunklist.decode,
        put(put(put(LIST, 9, "B", 1), 56, "Q", 1 << 63), 16, "Q", (1 << 63) + 65537 + 65538),
        "add up",
    ),
    "pack: empty": (pack.check, b"", "shorter"),
    "pack: magic": (pack.check, b"X" + PACK[1:], "magic"),
    "pack: newer": (pack.check, put(PACK, 8, "H", 2), "version 2"),
    "pack: reserved": (pack.check, put(PACK, 12, "B", 1), "reserved"),
    "pack: salt": (pack.check, put(PACK, 16, "B", 99), "header does not match"),
    "pack: four billion frames": (pack.check, put(PACK, -40, "I", MANY), "longer than any pack"),
    "pack: a million frames": (pack.check, put(PACK, -40, "I", 1 << 20), "longer than the pack"),
    "pack: trailer reserved": (pack.check, put(PACK, -36, "I", 1), "trailer"),
    "pack: header checksum": (pack.check, put(PACK, -32, "Q", 0), "header does not match"),
    "pack: frames checksum": (pack.check, put(PACK, -24, "Q", 0), "frames do not match"),
    "pack: footer checksum": (pack.check, put(PACK, -16, "Q", 0), "footer does not match"),
    "pack: gap": (pack.check, repack(32, "I", 33), "follow each other"),
    "pack: overlap": (pack.check, repack(88, "I", 32), "follow each other"),
    "pack: stored too long": (pack.check, repack(36, "II", 1 << 21, 1 << 21), "out of bounds"),
    "pack: bomb": (pack.check, repack(56 + 40, "I", MANY), "out of bounds"),
    "pack: raw length differs": (pack.check, repack(40, "I", 13), "out of bounds"),
    "pack: unknown kind": (pack.check, repack(44, "B", 7), "unknown kind 7"),
    "pack: no kind": (pack.check, repack(44, "B", 0), "unknown kind 0"),
    "pack: unknown codec": (pack.check, repack(45, "B", 2), "unknown codec 2"),
    "pack: row reserved": (pack.check, repack(46, "H", 1), "follow each other"),
    "pack: other oid": (pack.check, repack(0, "B", 0), "differs from its row"),
    "pack: frame damaged": (pack.check, PACK.replace(b"hello", b"jello"), "match its checksum"),
    "pack: frame magic": (pack.check, PACK.replace(b"DVFR", b"DVFX", 1), "magic"),
    "segment: empty": (segment.check, b"", "shorter"),
    "segment: magic": (segment.check, b"X" + SEGMENT[1:], "magic"),
    "segment: newer": (segment.check, put(SEGMENT, 8, "H", 2), "version 2"),
    "segment: fanout bits": (segment.check, put(SEGMENT, 10, "B", 5), "length"),
    "segment: fanout of 2^255": (segment.check, put(SEGMENT, 10, "B", 255), "length"),
    "segment: row size": (segment.check, put(SEGMENT, 11, "B", 53), "reserved"),
    "segment: packs": (segment.check, put(SEGMENT, 12, "I", MANY), "length"),
    "segment: rows": (segment.check, put(SEGMENT, 16, "Q", HUGE), "length"),
    "segment: superseded": (segment.check, put(SEGMENT, 24, "I", MANY), "length"),
    "segment: reserved": (segment.check, sealed(28, "I", 1), "reserved"),
    "segment: more reserved": (segment.check, sealed(63, "B", 1), "reserved"),
    "segment: checksum": (segment.check, put(SEGMENT, 40, "B", 99), "checksum"),
    "segment: end magic": (segment.check, SEGMENT[:-1] + b"X", "checksum"),
    "segment: pack too long": (segment.check, sealed(96, "Q", 1 << 40), "impossible size"),
    "segment: fanout falls": (segment.check, sealed(140, "I", 2), "fanout"),
    "segment: fanout moved": (segment.check, sealed(152, "I", 1), "does not fit its rows"),
    "segment: fanout beyond": (segment.check, sealed(200, "I", 3), "fanout"),
    "segment: order": (segment.check, sealed(204, "B", 255), "ascending"),
    "segment: twice": (
        segment.check,
        seal_segment(SEGMENT[:256] + SEGMENT[204:236] + SEGMENT[288:]),
        "ascending",
    ),
    "segment: pack ordinal": (segment.check, sealed(236, "I", 1), "does not list"),
    "segment: offset in header": (segment.check, sealed(240, "I", 31), "outside its pack"),
    "segment: offset behind": (segment.check, sealed(240, "I", 300), "outside its pack"),
    "segment: endless frame": (segment.check, sealed(244, "I", MANY), "outside its pack"),
    "segment: bomb": (segment.check, sealed(248, "I", MANY), "outside its pack"),
    "segment: kind": (segment.check, sealed(252, "B", 9), "unknown kind"),
    "segment: codec": (segment.check, sealed(253, "B", 9), "unknown kind"),
    "segment: row reserved": (segment.check, sealed(254, "H", 1), "unknown kind"),
    "root: empty": (root.decode, b"", "not JSON"),
    "root: not JSON": (root.decode, b"{", "not JSON"),
    "root: not ASCII": (root.decode, ROOT.replace(b"train", b"tr\xc3\xa4n"), "not JSON"),
    "root: another file": (root.decode, b"[]", "not dver's"),
    "root: deep": (root.decode, b"[" * 100_000, "not JSON"),
    "root: endless number": (root.decode, b'{"dver_root":' + b"9" * 100_000 + b"}", "not JSON"),
    "root: newer": (root.decode, reroot(dver_root=2), "version 2"),
    "root: extra field": (root.decode, reroot(extra=1), "unknown one"),
    "root: hash": (root.decode, ROOT.replace(b"train", b"tests"), "own hash"),
    "root: spelling": (root.decode, ROOT.replace(b",31]", b", 31]"), "own hash"),
    "root: no line feed": (root.decode, ROOT[:-1], "own hash"),
    "root: session climbs": (root.decode, reroot(session="../../../x"), "malformed"),
    "root: created": (root.decode, reroot(created="yesterday"), "malformed"),
    "root: commit": (root.decode, reroot(commits=["HEAD"]), "malformed"),
    "root: commits of no list": (root.decode, reroot(commits=7), "malformed"),
    "root: unsorted": (root.decode, reroot(objects=[OBJECT, ["a", *OBJECT[1:]]]), "not sorted"),
    "root: twice": (root.decode, reroot(objects=[OBJECT, OBJECT]), "not sorted"),
    "root: short row": (root.decode, reroot(objects=[["a"]]), "malformed"),
    "root: kind": (root.decode, reroot(objects=[["a", "link", *OBJECT[2:]]]), "malformed"),
    "root: oid": (root.decode, reroot(objects=[["a", "file", "x", 1]]), "malformed"),
    "root: size": (root.decode, reroot(objects=[[*OBJECT[:3], -1]]), "malformed"),
    "root: size is true": (root.decode, reroot(objects=[[*OBJECT[:3], True]]), "malformed"),
    "root: size is a float": (root.decode, reroot(objects=[[*OBJECT[:3], 1.0]]), "malformed"),
    "store: empty": (storeinfo.decode, b"", "not JSON"),
    "store: web page": (storeinfo.decode, b"<html>200 OK</html>", "not JSON"),
    "store: too long": (storeinfo.decode, b" " * 70_000, "too long"),
    "store: deep": (storeinfo.decode, b"[" * 60_000, "not JSON"),
    "store: another JSON": (storeinfo.decode, b'{"a": 1}', "not dver's"),
    "store: newer": (storeinfo.decode, restore(dver_store=2), "version 2"),
    "store: version is true": (storeinfo.decode, restore(dver_store=True), "not dver's"),
    "store: hash": (storeinfo.decode, restore(hash="md5"), "does not know"),
    "store: extra field": (storeinfo.decode, restore(encryption="x"), "does not know"),
    "store: id climbs": (storeinfo.decode, restore(store_id="../x"), "store_id"),
    "store: no id": (storeinfo.decode, restore(store_id=None), "lacks one"),
    "store: no chunker": (storeinfo.decode, restore(chunker=[]), "chunker"),
    "store: chunker's name": (storeinfo.decode, chunker(name="rabin"), "chunker parameters"),
    "store: chunker's field": (storeinfo.decode, chunker(colour=1), "unknown field"),
    "store: chunks of a byte": (storeinfo.decode, chunker(min_size=1), "chunker parameters"),
    "store: chunks of a GiB": (storeinfo.decode, chunker(max_size=1 << 30), "chunker parameters"),
    "store: sizes out of order": (storeinfo.decode, chunker(avg_size=2048), "chunker parameters"),
    "store: size is text": (storeinfo.decode, chunker(min_size="16384"), "chunker parameters"),
    "store: normalization": (storeinfo.decode, chunker(normalization=9), "chunker parameters"),
    "store: seed": (storeinfo.decode, chunker(seed=-1), "chunker parameters"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_refused(lie: str) -> None:
    decode, data, part = LIES[lie]
    tracemalloc.start()
    started = time.perf_counter()
    try:
        with pytest.raises(FormatError) as caught:
            decode(data)
        seconds = time.perf_counter() - started
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert part in caught.value.message
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 200
    assert peak < 1_000_000 + 20 * len(data)
    assert seconds < 2


def test_a_newer_version_asks_for_an_upgrade() -> None:
    for lie, (decode, data, _) in LIES.items():
        if lie.endswith(": newer"):
            with pytest.raises(FormatError) as caught:
                decode(data)
            assert caught.value.hint == "upgrade dver", lie


def test_parts_of_a_pack_of_the_wrong_length_are_refused() -> None:
    trailer = PACK[-pack.TRAILER.size :]
    rows = PACK[FRAMES[-1].end : -pack.TRAILER.size]
    for call in (
        lambda: pack.check_header(PACK[:31]),
        lambda: pack.decode_frame(PACK[32:80], 32),
        lambda: pack.footer_length(trailer[1:], len(PACK)),
        lambda: pack.footer_length(trailer, (1 << 30) + 1),
        lambda: pack.decode_footer(rows[:-1], trailer, len(PACK)),
        lambda: pack.decode_footer(rows, trailer, len(PACK) + 1),
        lambda: pack.check_header(PACK, trailer[:8] + bytes(8) + trailer[16:]),
    ):
        with pytest.raises(FormatError):
            call()
    pack.check_header(PACK, trailer)


def test_parts_of_a_segment_of_the_wrong_length_are_refused() -> None:
    with pytest.raises(FormatError):
        segment.decode_header(SEGMENT[:63], len(SEGMENT))
    with pytest.raises(FormatError):
        segment.decode_header(SEGMENT[:64], len(SEGMENT) + 1)
    with pytest.raises(FormatError):
        segment.decode_packs(SEGMENT[64:103])


def test_tables_of_a_segment_out_of_order_are_refused() -> None:
    names = [bytes([1]) * 32, bytes([2]) * 32]
    swapped = segment.encode([], [(name, 1000) for name in reversed(names)], samples.SALT)
    with pytest.raises(FormatError, match="ascending"):
        segment.check(swapped)
    both = segment.encode([], [], samples.SALT, names)
    with pytest.raises(FormatError, match="ascending"):
        segment.check(seal_segment(put(both, 64, "32s", names[1])))


def test_frames_are_found_by_a_forward_scan() -> None:
    """Salvage needs no footer: each frame says itself what it is."""
    at, found = pack.HEADER.size, []
    while PACK[at : at + 4] == pack.FRAME_MAGIC:
        found.append(pack.decode_frame(PACK[at : at + pack.FRAME.size], at))
        at = found[-1].end
    assert found == FRAMES
    trailer = PACK[-pack.TRAILER.size :]
    assert checksum(PACK[at : -len(trailer)]) == pack.TRAILER.unpack(trailer)[4]
    assert checksum(PACK[pack.HEADER.size : at]) == pack.frames_checksum(trailer)
