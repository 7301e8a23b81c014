"""Random values of every format, and random damage."""

from __future__ import annotations

from array import array

from hypothesis import strategies as st

from dver.base.oid import Oid, checksum
from dver.formats import pack, segment
from dver.formats.chunklist import ChunkList
from dver.formats.names import problem
from dver.formats.pack import Frame
from dver.formats.root import Root, RootObject
from dver.formats.storeinfo import Chunker, StoreInfo
from dver.formats.tree import Tree
from tests.formats import samples

oids = st.binary(min_size=32, max_size=32).map(Oid)
salts = st.binary(min_size=16, max_size=16)
hex32 = st.binary(min_size=16, max_size=16).map(bytes.hex)
names = st.binary(min_size=1, max_size=12).filter(lambda name: problem(name) is None)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """A tree of up to eight entries."""
    found = sorted(draw(st.sets(names, max_size=8)))
    count = len(found)
    kinds = bytes(draw(st.lists(st.sampled_from(b"fxld"), min_size=count, max_size=count)))
    sizes = array("Q", draw(st.lists(st.integers(0, 1 << 59), min_size=count, max_size=count)))
    below = draw(st.integers(0, 1 << 40)) if b"d" in kinds else 0
    hashes = draw(st.binary(min_size=32 * count, max_size=32 * count))
    files = count - kinds.count(b"d") + below
    return Tree(kinds, sizes, hashes, found, sum(sizes), files)


@st.composite
def lists(draw: st.DrawFn) -> ChunkList:
    """A chunk list of up to six rows at any level."""
    level = draw(st.integers(0, 4))
    sizes = st.integers(1, 1 << 20) if level == 0 else st.integers(1, 1 << 60)
    rows = draw(st.lists(st.tuples(oids, sizes), min_size=1, max_size=6))
    return ChunkList(level, tuple(rows))


@st.composite
def packs(draw: st.DrawFn) -> tuple[bytes, list[Frame]]:
    """A whole pack of up to five frames, and its frames."""
    header = pack.encode_header(draw(salts))
    data, frames = header, []
    for _ in range(draw(st.integers(0, 5))):
        stored = draw(st.binary(max_size=40))
        codec = draw(st.sampled_from((pack.RAW, pack.ZSTD)))
        raw = len(stored) if codec == pack.RAW else draw(st.integers(0, pack.MAX_FRAME))
        kind = draw(st.sampled_from(pack.KINDS))
        frame = Frame(draw(oids), len(data), len(stored), raw, kind, codec, checksum(stored))
        frames.append(frame)
        data += pack.encode_frame(frame) + stored
    return seal_pack(data, frames), frames


def seal_pack(front: bytes, frames: list[Frame]) -> bytes:
    """Return a pack with a footer for these frames."""
    return samples.seal_pack(front, b"".join(map(pack.encode_row, frames)))


@st.composite
def segments(draw: st.DrawFn) -> bytes:
    """A segment of up to forty rows over up to three packs."""
    table = sorted(draw(st.dictionaries(oids, st.integers(1 << 21, 1 << 30), max_size=3)).items())
    rows = []
    for oid in sorted(draw(st.sets(oids, max_size=40))) if table else []:
        place = segment.Place(
            table[0][0],
            draw(st.integers(32, 1 << 19)),
            draw(st.integers(0, 1 << 20)),
            draw(st.integers(0, 1 << 20)),
            draw(st.sampled_from(pack.KINDS)),
            draw(st.sampled_from((pack.RAW, pack.ZSTD))),
        )
        rows.append(segment.encode_place(oid, draw(st.integers(0, len(table) - 1)), place))
    return segment.encode(rows, table, draw(salts), draw(st.sets(oids, max_size=2)))


def seal_segment(data: bytes) -> bytes:
    """Return a segment's bytes with a checksum that fits, so that only the parser can object."""
    body = data[: -segment.TRAILER.size]
    return body + segment.TRAILER.pack(checksum(body), segment.END_MAGIC)


@st.composite
def roots(draw: st.DrawFn) -> Root:
    """A root in the order that decoding returns."""
    commits = draw(st.sets(st.binary(min_size=20, max_size=20).map(bytes.hex), max_size=3))
    texts = st.text('abé日/"\\\n\x00\udcff', max_size=20)
    objects = draw(
        st.sets(
            st.builds(
                RootObject, texts, st.sampled_from(("file", "tree")), oids, st.integers(0, 1 << 62)
            ),
            max_size=4,
        )
    )
    created = draw(st.datetimes()).strftime("%m-%dT%H:%M:%SZ")
    return Root(
        draw(hex32), f"2026-{created}", draw(texts), tuple(sorted(commits)), tuple(sorted(objects))
    )


store_infos = st.builds(
    StoreInfo,
    hex32,
    st.builds(
        Chunker,
        st.just("fastcdc-2020"),
        st.integers(1024, 16384),
        st.integers(16385, 65536),
        st.integers(65537, 1 << 20),
        st.integers(0, 3),
        st.integers(0, (1 << 64) - 1),
    ),
)


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """The same bytes after one accident or attack; never equal to ``data``."""
    at = draw(st.integers(0, max(len(data) - 1, 0)))
    how = draw(st.sampled_from(("flip", "cut", "number", "remove", "insert", "append")))
    if how == "flip" and data:
        out = data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]
    elif how == "cut" and data:
        out = data[:at]
    elif how == "number" and len(data) >= at + 4:
        number = draw(st.sampled_from((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 20)))
        out = data[:at] + number.to_bytes(4, "little") + data[at + 4 :]
    elif how == "remove" and data:
        out = data[:at] + data[at + draw(st.integers(1, 60)) :]
    elif how == "insert":
        out = data[:at] + draw(st.binary(min_size=1, max_size=60)) + data[at:]
    else:
        out = data + draw(st.binary(min_size=1, max_size=8))
    return out if out != data else data + b"\0"
