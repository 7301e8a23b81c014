"""The fixed values whose exact bytes are shown in docs/format and kept in golden/.

``python -m tests.formats.samples --write`` makes the files and the pages' dumps anew. That is right
only when a format gets a new version: bytes that exist in somebody's store never change.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from dver.base.oid import checksum, list_name_of, oid_of
from dver.formats import (
    chunklist,
    notice,
    origin,
    pack,
    pointer,
    proofs,
    purged,
    record,
    root,
    segment,
    storeinfo,
    tree,
    verified,
)
from dver.formats.chunklist import ChunkList
from dver.formats.notice import Notice, Unused
from dver.formats.origin import UNSEEN, Origin
from dver.formats.pack import Frame
from dver.formats.pointer import Pointer
from dver.formats.purged import Purged, PurgedObject
from dver.formats.record import (
    Actor,
    Code,
    Command,
    Environment,
    Item,
    Keep,
    Metric,
    Record,
    RepoIdentity,
    Run,
    Value,
)
from dver.formats.root import Root, RootObject
from dver.formats.segment import Place
from dver.formats.storeinfo import StoreInfo
from dver.formats.tree import DIRECTORY, EXECUTABLE, FILE, SYMLINK, Entry, Tree

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
PAGES = HERE.parent.parent / "docs" / "format"
SALT = bytes(range(16))

HELLO = b"hello, dver\n"
LABELS = b"id,label\n" + b"1,cat\n2,dog\n" * 20
#: LABELS as zstd compressed it once; another zstd may choose other bytes for the same content.
LABELS_ZSTD = bytes.fromhex(
    "28b52ffd20f9dd0000a069642c6c6162656c0a312c6361740a322c646f670100c4a70a13"
)
SCRIPT = b"#!/bin/sh\n"


def sample_tree() -> Tree:
    """One entry of each kind; the directory in it is empty."""
    return tree.build(
        [
            Entry(FILE, b"hello.txt", len(HELLO), oid_of(HELLO)),
            Entry(EXECUTABLE, b"run.sh", len(SCRIPT), oid_of(SCRIPT)),
            Entry(SYMLINK, b"latest", 9, oid_of(b"hello.txt")),
            Entry(DIRECTORY, b"empty", 0, tree.EMPTY_OID),
        ],
        0,
    )


def odd_names_tree() -> Tree:
    """Names that are legal and odd, in byte order."""
    names = [b"-rf", b"a b", b"a\nb", b'"', b"\xff\xfe", "é".encode(), b"a:b", b"x" * 255]
    return tree.build([Entry(FILE, name, 0, oid_of(b"")) for name in names], 0)


def nested_tree() -> Tree:
    """A directory that holds the sample tree under a name."""
    inner = sample_tree()
    oid = oid_of(tree.encode(inner))
    return tree.build([Entry(DIRECTORY, b"v1", inner.size, oid)], inner.files)


def sample_list() -> ChunkList:
    """A list of three chunks."""
    return ChunkList(0, tuple((oid_of(bytes([i])), 65536 + i) for i in range(3)))


def upper_list() -> ChunkList:
    """A list of two lists."""
    lower = sample_list()
    return ChunkList(
        1, ((oid_of(chunklist.encode(lower)), lower.size), (oid_of(b"other"), 1 << 40))
    )


def seal_pack(front: bytes, rows: bytes) -> bytes:
    """Return a pack of a header with frames, and footer rows; its checksums fit."""
    header = front[: pack.HEADER.size]
    return front + rows + pack.encode_trailer(header, checksum(front[len(header) :]), rows)


def pack_name(data: bytes) -> bytes:
    """Return the name of a whole pack: the hash of all but its frames."""
    trailer = data[-pack.TRAILER.size :]
    rows_at = len(data) - len(trailer) - pack.footer_length(trailer, len(data))
    rows = data[rows_at : -len(trailer)]
    return oid_of(data[: pack.HEADER.size] + rows + trailer)


def sample_pack() -> tuple[bytes, list[Frame]]:
    """A pack of a raw frame and a compressed one."""
    header = pack.encode_header(SALT)
    data, frames = header, []
    for content, codec, stored in (
        (HELLO, pack.RAW, HELLO),
        (LABELS, pack.ZSTD, LABELS_ZSTD),
    ):
        frame = Frame(
            oid_of(content),
            len(data),
            len(stored),
            len(content),
            pack.BLOB,
            codec,
            checksum(stored),
        )
        frames.append(frame)
        data += pack.encode_frame(frame) + stored
    rows = b"".join(map(pack.encode_row, frames))
    return seal_pack(data, rows), frames


def sample_segment() -> bytes:
    """The segment of the sample pack, which supersedes one other."""
    data, frames = sample_pack()
    name = pack_name(data)
    rows = sorted(
        segment.encode_place(f.oid, 0, Place(name, f.offset, f.stored, f.raw, f.kind, f.codec))
        for f in frames
    )
    return segment.encode(rows, [(name, len(data))], SALT, [bytes(range(32))])


def sample_root() -> Root:
    """What a push of one file and one directory leaves."""
    inner = sample_tree()
    return Root(
        session="00112233445566778899aabbccddeeff",
        created="2026-01-31T12:00:00Z",
        repo="6f1d0c3a9be0f7c8b5a4e2d19c8f7e6d5c4b3a29",
        commits=("0f9e8d7c6b5a49382716f5e4d3c2b1a09f8e7d6c",),
        objects=(
            RootObject("data/train", "tree", oid_of(tree.encode(inner)), inner.size),
            RootObject("hello.txt", "file", oid_of(HELLO), len(HELLO)),
        ),
    )


def sample_doomed() -> Notice:
    """What a collection is about to delete: the sample pack, unused for fifteen days."""
    data, _ = sample_pack()
    packs = (Unused(pack_name(data), len(data), 1_768_564_800),)
    return Notice("doomed", "ffeeddccbbaa99887766554433221100", 1_769_860_800, packs)


def sample_trash() -> Notice:
    """The sample root, dropped."""
    old = root.encode(sample_root())
    return Notice("trash", "ffeeddccbbaa99887766554433221100", 1_769_860_800, root=old)


def sample_tree_pointer() -> Pointer:
    """The pointer of the sample tree."""
    inner = sample_tree()
    return Pointer("tree", oid_of(tree.encode(inner)), inner.size, inner.files)


def sample_origin() -> Origin:
    """Where the sample tree was imported from."""
    return Origin(
        repository="https://example.com/team/registry.git",
        path=b"data/train set",
        rev="v1.0",
        commit="8ad52cf8a9e0d6f2f5b1b8d2c8ba0b5d3f2f1a77",
        oid=sample_tree_pointer().oid,
    )


def sample_url_origin() -> Origin:
    """A place of plain data that nobody has downloaded yet."""
    return Origin(
        url="s3://open-data/iris.csv",
        endpoint="https://s3.example.com",
        etag="5d41402abc4b2a76b9719d911017c592",
        modified="2026-01-31T12:00:00Z",
        version="3sL4kqtJlcpXroDTDmJ",
        size=4551,
    )


def sample_file_pointer() -> Pointer:
    """The pointer of an executable file."""
    return Pointer("file", oid_of(SCRIPT), len(SCRIPT), 1, True)


#: File in golden/ -> the bytes that belong there.
def sample_proofs() -> bytes:
    """That the sample list makes up some object, and the list above it another."""
    lists = (chunklist.encode(sample_list()), chunklist.encode(upper_list()))
    named = zip((oid_of(HELLO), oid_of(LABELS)), map(list_name_of, lists), strict=True)
    return proofs.encode(proofs.encode_entry(oid, name) for oid, name in named)


def sample_record() -> Record:
    """A run that made a model out of a directory."""
    top = sample_tree()
    data = Item(
        "data/train",
        oid_of(tree.encode(top)),
        "tree",
        top.size,
        top.files,
        role="train",
        source="dver",
    )
    model = Item("model.bin", oid_of(HELLO), "file", len(HELLO), 1, role="model", source="dver")
    return Record(
        1,
        "run",
        "2026-01-31T12:00:03.500Z",
        Keep(oid_of(LABELS), 286, 7),
        reason="more labels",
        step="train",
        actor=Actor("Ada", "ada@example.org", host="lab-3"),
        repo=RepoIdentity("6f1d0c3a9be0f7c8b5a4e2d19c8f7e6d5c4b3a29", "https://example.org/m.git"),
        code=Code("0f9e8d7c6b5a49382716f5e4d3c2b1a09f8e7d6c", "9" * 40, "main"),
        command=Command(("python", "train.py", "--lr", "0.1")),
        inputs=(data,),
        outputs=(model,),
        params=(Value("lr", "0.1", "float", "file:params.yaml"),),
        metrics=(Metric("auc", "0.91", "float", "metrics.json"),),
        env=Environment(python={"version": "3.12.4"}, packages=oid_of(SCRIPT)),
        seeds={"PYTHONHASHSEED": "0"},
        run=Run("2026-01-31T12:00:00.000Z", "2026-01-31T12:00:03.000Z", 3000, 0),
    )


def sample_purged() -> Purged:
    """Return the word of a purge of one file and one directory."""
    objects = (PurgedObject(oid_of(HELLO), "file"), PurgedObject(oid_of(LABELS), "tree"))
    return Purged(
        "00112233445566778899aabbccddeeff",
        1769860800,
        "Ada",
        "request 4711",
        tuple(sorted(objects)),
    )


def sample_verified() -> dict[bytes, int]:
    """Return when two packs were verified."""
    return {bytes(oid_of(HELLO)): 1769860800, bytes(oid_of(SCRIPT)): 1769774400}


FILES: dict[str, Callable[[], bytes]] = {
    "pack.hex": lambda: sample_pack()[0],
    "pack-empty.hex": lambda: seal_pack(pack.encode_header(SALT), b""),
    "segment.hex": sample_segment,
    "segment-empty.hex": lambda: segment.encode([], [], SALT),
    "tree.hex": lambda: tree.encode(sample_tree()),
    "tree-empty.hex": lambda: tree.EMPTY_BYTES,
    "tree-nested.hex": lambda: tree.encode(nested_tree()),
    "tree-odd-names.hex": lambda: tree.encode(odd_names_tree()),
    "chunklist.hex": lambda: chunklist.encode(sample_list()),
    "chunklist-level1.hex": lambda: chunklist.encode(upper_list()),
    "proofs.hex": sample_proofs,
    "pointer-file.dver": lambda: pointer.encode(sample_file_pointer()),
    "pointer-import.dver": lambda: origin.attach(
        pointer.encode(sample_tree_pointer()), origin.encode(sample_origin())
    ),
    "pointer-unseen.dver": lambda: origin.attach(
        pointer.encode(Pointer("file", UNSEEN, 4551)), origin.encode(sample_url_origin())
    ),
    "pointer-tree.dver": lambda: pointer.encode(sample_tree_pointer()),
    "root.json": lambda: root.encode(sample_root()),
    "record.json": lambda: record.encode(sample_record()),
    "notice-doomed.json": lambda: notice.encode(sample_doomed()),
    "notice-trash.json": lambda: notice.encode(sample_trash()),
    "purged.json": lambda: purged.encode(sample_purged()),
    "verified.txt": lambda: verified.encode(sample_verified()),
    "format.json": lambda: storeinfo.encode(StoreInfo("00112233445566778899aabbccddeeff")),
}

#: Page in docs/format -> the golden files it shows, in the order of its ``example`` blocks.
SHOWN = {
    "pack.md": ["pack.hex"],
    "segment.md": ["segment.hex"],
    "tree.md": ["tree.hex"],
    "chunklist.md": ["chunklist.hex"],
    "proofs.md": ["proofs.hex"],
    "pointer.md": [
        "pointer-tree.dver",
        "pointer-file.dver",
        "pointer-import.dver",
        "pointer-unseen.dver",
    ],
    "root.md": ["root.json"],
    "record.md": ["record.json"],
    "remote.md": ["notice-doomed.json", "notice-trash.json"],
    "purged.md": ["purged.json"],
    "store.md": ["format.json"],
    "verified.md": ["verified.txt"],
}
_BLOCK = re.compile(r"(<!-- example: (\S+) -->\n```\w*\n)(.*?)(```\n)", re.DOTALL)


def hexdump(data: bytes) -> str:
    """Return the dump that ``hexdump -C`` would print, repeated lines included."""
    lines = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        cells = [f"{byte:02x}" for byte in row] + ["  "] * (16 - len(row))
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{at:08x}  {' '.join(cells[:8])}  {' '.join(cells[8:])}  |{text}|")
    return "\n".join([*lines, f"{len(data):08x}"]) + "\n"


def undump(text: str) -> bytes:
    """Return the bytes of a dump."""
    out = bytearray()
    for line in text.splitlines():
        out += bytes.fromhex(line[10:58])
    return bytes(out)


def rendered(name: str) -> str:
    """Return a golden file's text for the bytes as the code makes them now."""
    data = FILES[name]()
    return hexdump(data) if name.endswith(".hex") else data.decode("ascii")


def examples(page: str) -> list[tuple[str, str]]:
    """Return (golden file, text) of each example block of a page."""
    text = (PAGES / page).read_text(encoding="utf-8")
    return [(match[2], match[3]) for match in _BLOCK.finditer(text)]


def main() -> None:
    """Write all golden files and the example blocks of all pages."""
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    for name in FILES:
        (GOLDEN / name).write_bytes(rendered(name).encode("ascii"))
    for page in SHOWN:
        path = PAGES / page
        text = path.read_text(encoding="utf-8")
        path.write_text(
            _BLOCK.sub(lambda match: match[1] + rendered(match[2]) + match[4], text),
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
