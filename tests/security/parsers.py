"""Every parser of what others wrote, with the samples and words that a campaign begins from."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dver.base.errors import ConfigError, CorruptError, FormatError
from dver.base.oid import Oid, checksum, oid_of
from dver.config import document
from dver.config.load import Config, ConfigPaths
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
    statindex,
    storeinfo,
    tree,
    verified,
)
from dver.formats.pointer import Pointer
from dver.formats.statindex import KnownDir, KnownFile, KnownTree
from dver.ops.targets.placed import load_placed
from dver.storage.memory import MemoryStorage
from dver.storage.s3.answers import NotS3Error, parse_error, parse_page
from dver.store import layout
from dver.store.codec import compress
from dver.store.index import Segment
from dver.store.packfile import open_frame
from dver.transfer.distant import DistantSegment
from tests.formats import samples
from tests.formats.strategies import seal_segment


@dataclass
class Target:
    """One parser: ``run`` gets the input; ``errors`` are those that it documents.

    ``seal`` gives an input checksums that fit, ``words`` are texts that mean something to it.
    """

    name: str
    run: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    seeds: list[bytes]
    seal: Callable[[bytes], bytes] | None = None
    words: tuple[bytes, ...] = ()


# -- what is run -----------------------------------------------------------------------------------


def same(decode: Callable[[bytes], Any], encode: Callable[[Any], bytes]) -> Callable[[bytes], None]:
    """Return a run that asks for the one spelling of whatever is taken."""

    def run(data: bytes) -> None:
        if encode(decode(data)) != data:
            raise AssertionError("what was taken is spelled in another way")

    return run


def read_pointer(data: bytes) -> None:
    """A pointer, but for comments and line ends."""
    found = pointer.decode(data)
    lines = data.replace(b"\r\n", b"\n").split(b"\n")
    plain = b"\n".join(line for line in lines if not line.startswith(b"#"))
    if pointer.encode(found) != plain:
        raise AssertionError("what was taken is spelled in another way")


def read_footer(data: bytes) -> None:
    """Rows of a footer, whose trailer fits them, and is followed by the pack's size."""
    rows, size = data[:-4], int.from_bytes(data[-4:], "little")
    trailer = pack.encode_trailer(pack.encode_header(bytes(16)), 0, rows)
    pack.decode_footer(rows, trailer, size)


def read_frame(data: bytes) -> None:
    """A frame: its content is never longer than any may be."""
    frame, content = open_frame(data)
    if len(content) != frame.raw or len(content) > pack.MAX_FRAME:
        raise AssertionError("a frame of another length")


def seal_frame(data: bytes) -> bytes:
    """Return a frame with a checksum and a stored length that fit."""
    head, stored = data[: pack.FRAME.size], data[pack.FRAME.size :]
    if len(head) < pack.FRAME.size:
        return data
    magic, kind, codec, zero, _, raw, _, oid = pack.FRAME.unpack(head)
    return pack.FRAME.pack(magic, kind, codec, zero, len(stored), raw, checksum(stored), oid) + (
        stored
    )


def seal_whole_pack(data: bytes) -> bytes:
    """Return a pack with checksums of header, frames and footer that fit."""
    if len(data) < pack.HEADER.size + pack.TRAILER.size:
        return data
    count = pack.TRAILER.unpack(data[-pack.TRAILER.size :])[0]
    rows_at = len(data) - pack.TRAILER.size - count * pack.ROW.size
    if rows_at < pack.HEADER.size:
        return data
    return samples.seal_pack(data[:rows_at], data[rows_at : -pack.TRAILER.size])


def look_up(data: bytes) -> None:
    """A segment as a local store has it: mapped, its head checked, and asked for objects."""
    one = Segment(bytes(32), data)
    oids = [oid_of(samples.HELLO), oid_of(samples.LABELS), Oid(bytes(32)), Oid(b"\xff" * 32)]
    for oid in oids:
        one.find(oid)
    list(one.among(set(oids)))
    segment.check(data)


def look_up_from_afar(data: bytes) -> None:
    """A long segment of a remote: its head is read, and then the rows that are asked for."""
    storage = MemoryStorage()
    storage.put(layout.segment_key(bytes(32)), data)
    distant = DistantSegment.open(storage, bytes(32), len(data))
    oids = [oid_of(samples.HELLO), oid_of(samples.LABELS), Oid(bytes(32)), Oid(b"\xff" * 32)]
    distant.is_worth(oids)
    list(distant.find(oids))


def seal_verified(data: bytes) -> bytes:
    """Return a list of verified packs with a checksum that fits."""
    text, found, _ = data.rpartition(b"check ")
    return text + found + f"{checksum(text):016x}\n".encode() if found else data


def use_proofs(data: bytes) -> None:
    """Proofs are never an error: what is not sound is none."""
    joined = proofs.entries(data)
    whole = proofs.Proofs(joined)
    for entry in proofs.sound(joined):
        if not whole.hold(entry[:32], entry[32:64]):
            raise AssertionError("a sound entry is not found")
    whole.hold(bytes(32), bytes(32))


def read_settings(data: bytes) -> None:
    """The committed configuration, all the way to the values in force."""
    paths = ConfigPaths(Path("/nonexistent/config.yaml"))
    config = Config(paths, environ={}, committed=lambda: (data, "config.yaml"))
    for value in config.values():
        str(value)


def read_trusted(data: bytes) -> None:
    """A configuration file's structure alone, which other files are read by as well."""
    document.flatten(document.parse(data, "config.yaml"), "config.yaml")


def read_answers(data: bytes) -> None:
    """What S3 answers: a page of a listing, or an error."""
    code, message, region = parse_error(data)
    str((code, message, region))
    parse_page(data, "p/")


def read_placed(data: bytes) -> None:
    """The list of placed targets, which is in a file of its own."""
    directory = Path(_directory())
    (directory / "placed").write_bytes(data)
    for path in load_placed(directory):
        if not path or b"\0" in path:
            raise AssertionError("a path that is none")


scratch: list[tempfile.TemporaryDirectory[str]] = []


def _directory() -> str:
    if not scratch:
        scratch.append(tempfile.TemporaryDirectory(prefix="dver-fuzz-"))
    return scratch[0].name


def seal_index(data: bytes) -> bytes:
    """Return a stat index with checksums that fit."""
    if len(data) < statindex.HEADER_SIZE:
        return data
    head = data[: statindex.HEADER.size - 8]
    body = data[statindex.HEADER_SIZE :]
    head += checksum(body).to_bytes(8, "little")
    return head + checksum(head).to_bytes(8, "little") + body


def seal_record(data: bytes) -> bytes:
    """Return JSON with its own hash under ``check``, as roots and notices have it."""
    import json

    from dver.base.oid import format_oid

    try:
        fields = json.loads(data)
        fields.pop("check", None)
        plain = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
        fields["check"] = format_oid(oid_of(plain))
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    except (ValueError, AttributeError, RecursionError, TypeError):
        return data


# -- what it begins with ---------------------------------------------------------------------------


_PAGE = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>p/</Prefix>
<KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType>
<IsTruncated>true</IsTruncated><NextContinuationToken>t0k/en==</NextContinuationToken>
<Contents><Key>p/packs/ab</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>
<ETag>"0123"</ETag><Size>123</Size><StorageClass>STANDARD</StorageClass></Contents>
<Contents><Key>p/index/c%20d</Key><LastModified>2026-01-01T00:00:00Z</LastModified>
<ETag>"45"</ETag><Size>0</Size></Contents></ListBucketResult>"""


_ERROR = b"""<?xml version="1.0"?><Error><Code>AuthorizationHeaderMalformed</Code>
<Message>The region is wrong; expecting 'eu-west-1'</Message><Region>eu-west-1</Region>
<RequestId>x</RequestId></Error>"""


_CONFIG = b"""# settings
core:
  remote: origin
remote:
  origin:
    url: s3://acme-data/fraud
    endpoint_url: https://minio.example.com:9000
    region: eu-west-3
    path_style: true
    sse: aws:kms
    sse_kms_key_id: "arn:aws:kms:eu-west-3:1:key/2"
"""


_FLOW = b'{core: {remote: "origin"}, remote: {origin: {url: ../nas}}}\n'


_XML_WORDS = (
    b"<!DOCTYPE a [<!ENTITY b 'cc'>]>",
    b"&amp;",
    b"&b;",
    b"<Contents>",
    b"</Contents>",
    b"<Size>",
    b"<![CDATA[",
    b"]]>",
    b"<!--",
    b"?>",
    b"encoding='utf-16'",
    b"encoding='utf-7'",
    b"encoding='idna'",
    b"<Key>p/../../x</Key>",
    b"99999999999999999999",
    b"0001-01-01T00:00:00",
    b"9999-12-31T23:59:59+00:00",
    b"true",
    b"false",
)


_YAML_WORDS = (
    b"&a ",
    b"*a",
    b"!!python/object/apply:os.system ",
    b"!!str ",
    b"---\n",
    b"...\n",
    b"? ",
    b": ",
    b"- ",
    b"<<: ",
    b"|\n",
    b">-\n",
    b"%YAML 1.1\n",
    b"{",
    b"}",
    b"[",
    b"\t",
    b"\xef\xbb\xbf",
    b"store:\n  path: /tmp\n",
    b"'",
    b'"',
    b"\\x00",
    b"\\U00110000",
)


_JSON_WORDS = (
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b'"check":',
    b"null",
    b"true",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"9" * 5000,
    b"\\ud800",
    b"-1",
    b"1.0",
)


_POINTER_WORDS = (
    b"dver: 2\n",
    b"kind: tree\n",
    b"oid: blake3:",
    b"size: 9223372036854775808\n",
    b"size: 00\n",
    b"<<<<<<< HEAD\n",
    b"=======\n",
    b">>>>>>> x\n",
    b"executable: true\n",
    b"# x\n",
    b"\r\n",
    "\u0661".encode(),
)


_TREE_WORDS = (b"..\0", b".git\0", b"a/b\0", b"\0\0", b"CON\0", b"\xe2\x80\x8c", b"fxld")


def _frames() -> list[bytes]:
    found = []
    data, frames = samples.sample_pack()
    found += [data[one.offset : one.end] for one in frames]
    for content in (b"a" * (1 << 20), bytes(range(256)) * 64, b"", b"{}"):
        codec, stored = compress(content)
        head = pack.FRAME.pack(
            pack.FRAME_MAGIC,
            pack.BLOB,
            codec,
            0,
            len(stored),
            len(content),
            checksum(stored),
            oid_of(content),
        )
        found.append(head + bytes(stored))
    return found


def _footers() -> list[bytes]:
    data, frames = samples.sample_pack()
    rows = data[frames[-1].end : -pack.TRAILER.size]
    empty = pack.HEADER.size + pack.TRAILER.size
    return [rows + len(data).to_bytes(4, "little"), empty.to_bytes(4, "little")]


def _indexes() -> list[bytes]:
    row, base = bytes(range(40)), Pointer("tree", oid_of(b"x"), 5, 2)
    names = b"a\0b\0"
    one = KnownDir(b"", names, b"ff", bytes(16), row * 2, bytes(64), oid_of(b"t"), 5, 2, 7)
    two = KnownDir(b"sub", b"c\0", b"l", bytes(8), row, bytes(32))
    return [
        statindex.encode_tree(KnownTree({b"": one, b"sub": two}, base, 9)),
        statindex.encode_tree(KnownTree()),
    ]


def _tables() -> list[bytes]:
    base = Pointer("file", oid_of(b"x"), 5, 1, True)
    rows = [
        (b"data/a", KnownFile(ord("f"), 5, bytes(40), oid_of(b"x"), base)),
        (b"model.bin", KnownFile(ord("x"), 7, bytes(range(40)), oid_of(b"y"), None)),
    ]
    return [statindex.encode_table(rows), statindex.encode_table([])]


def targets() -> dict[str, Target]:
    """Return all parsers by name."""
    gold = {name: make() for name, make in samples.FILES.items()}
    forms = (FormatError,)
    listed = [
        Target(
            "pointer",
            read_pointer,
            forms,
            [gold["pointer-file.dver"], gold["pointer-tree.dver"]],
            None,
            _POINTER_WORDS,
        ),
        Target(
            "tree",
            same(tree.decode, tree.encode),
            forms,
            [data for name, data in gold.items() if name.startswith("tree")],
            None,
            _TREE_WORDS,
        ),
        Target(
            "pack", pack.check, forms, [gold["pack.hex"], gold["pack-empty.hex"]], seal_whole_pack
        ),
        Target("pack footer", read_footer, forms, _footers()),
        Target("frame", read_frame, (CorruptError,), _frames(), seal_frame),
        Target(
            "segment",
            segment.check,
            forms,
            [gold["segment.hex"], gold["segment-empty.hex"]],
            seal_segment,
        ),
        Target(
            "segment look-up",
            look_up,
            (CorruptError,),
            [gold["segment.hex"], gold["segment-empty.hex"]],
            seal_segment,
        ),
        Target(
            "chunk list",
            same(chunklist.decode, chunklist.encode),
            forms,
            [gold["chunklist.hex"], gold["chunklist-level1.hex"]],
        ),
        Target(
            "root",
            same(root.decode, root.encode),
            forms,
            [gold["root.json"]],
            seal_record,
            _JSON_WORDS,
        ),
        Target(
            "notice",
            same(notice.decode, notice.encode),
            forms,
            [data for name, data in gold.items() if name.startswith("notice")],
            seal_record,
            _JSON_WORDS,
        ),
        Target(
            "word of a purge",
            same(purged.decode, purged.encode),
            forms,
            [gold["purged.json"]],
            seal_record,
            _JSON_WORDS,
        ),
        Target(
            "record",
            record.decode,  # fields that a newer version adds are let pass
            forms,
            [gold["record.json"]],
            None,
            _JSON_WORDS,
        ),
        Target(
            "distant segment",
            look_up_from_afar,
            (CorruptError,),
            [gold["segment.hex"], gold["segment-empty.hex"]],
        ),
        Target(
            "verified packs",
            same(verified.decode, verified.encode),
            forms,
            [gold["verified.txt"]],
            seal_verified,
        ),
        Target("proofs", use_proofs, (), [gold["proofs.hex"]]),
        Target("stat index", statindex.decode_tree, forms, _indexes(), seal_index),
        Target(
            "stat table",
            lambda data: list(statindex.decode_table(data).values()),
            forms,
            _tables(),
            seal_index,
        ),
        Target("placed list", read_placed, (), [b"data/a\0model.bin\0", b""]),
        Target("format.json", storeinfo.decode, forms, [gold["format.json"]], None, _JSON_WORDS),
        Target("configuration", read_settings, (ConfigError,), [_CONFIG, _FLOW], None, _YAML_WORDS),
        Target("YAML", read_trusted, (ConfigError,), [_CONFIG, _FLOW], None, _YAML_WORDS),
        Target("S3 answer", read_answers, (NotS3Error,), [_PAGE, _ERROR], None, _XML_WORDS),
    ]
    return {one.name: one for one in listed}


def random_values(seed: int, count: int) -> dict[str, list[bytes]]:
    """Return random values of the formats that have strategies, in bytes."""
    import hypothesis
    from hypothesis import HealthCheck, settings

    from tests.formats import strategies

    made: dict[str, tuple[Any, Callable[[Any], bytes]]] = {
        "tree": (strategies.trees(), tree.encode),
        "chunk list": (strategies.lists(), chunklist.encode),
        "pack": (strategies.packs(), lambda found: found[0]),
        "segment": (strategies.segments(), bytes),
        "root": (strategies.roots(), root.encode),
        "format.json": (strategies.store_infos, storeinfo.encode),
    }
    found: dict[str, list[bytes]] = {}
    for name, (strategy, encode) in made.items():
        values = found[name] = []

        def collect(value: Any, values: list[bytes] = values, encode: Any = encode) -> None:
            values.append(encode(value))

        chosen = settings(
            max_examples=count,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        hypothesis.seed(seed)(chosen(hypothesis.given(strategy)(_only(collect))))()
    found["segment look-up"] = found["distant segment"] = found["segment"]
    return found


def _only(collect: Callable[[Any], None]) -> Callable[[Any], None]:
    def value(value: Any) -> None:
        collect(value)

    return value
