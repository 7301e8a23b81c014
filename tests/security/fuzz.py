"""Every parser of what others wrote, fed with damage: only documented errors, little memory, fast.

``python -m tests.security.fuzz --inputs 1000000 --seed 1`` is the long campaign; the ordinary test
run has a short one. Inputs begin as golden samples and as random values of each format, and are
damaged one to eight times: bits, lengths, numbers at their limits, pieces cut, doubled, moved and
spliced between samples, words of the format, and, where a format has checksums, half of them sealed
again so that only the parser can object. An input with an outcome that was not seen before is kept
and damaged further.

Each input must be taken or refused with the error that the parser documents, in a second of
processor time, within 256 MiB of memory beyond what the process had before, and what is taken must
be spelled back byte for byte where a format has one spelling only. Findings are printed with their
bytes, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
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

MEMORY = 256 << 20
SECONDS = 1.0
_KEPT = 400
_WORKERS = max(os.cpu_count() or 1, 1)


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


_scratch: list[tempfile.TemporaryDirectory[str]] = []


def _directory() -> str:
    if not _scratch:
        _scratch.append(tempfile.TemporaryDirectory(prefix="dver-fuzz-"))
    return _scratch[0].name


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


# -- damage ----------------------------------------------------------------------------------------

_NUMBERS = (0, 1, 2, 31, 32, 127, 128, 255, 256, 4096, 65535, 1 << 16, 1 << 20, (1 << 20) + 1)
_NUMBERS += ((1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


def damaged(rng: random.Random, data: bytes, target: Target, corpus: list[bytes]) -> bytes:
    """Return an input after one to eight accidents or attacks."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4, 8))):
        _damage(rng, out, target, corpus)
        del out[1 << 18 :]
    made = bytes(out)
    if target.seal is not None and rng.random() < 0.5:
        made = target.seal(made)
    return made


def _damage(rng: random.Random, out: bytearray, target: Target, corpus: list[bytes]) -> None:
    at = rng.randrange(len(out) + 1)
    end = min(at + rng.choice((1, 2, 4, 8, 16, 40, 56, 100)), len(out))
    how = rng.randrange(12)
    if how == 0 and at < len(out):
        out[at] ^= 1 << rng.randrange(8)
    elif how == 1 and at < len(out):
        out[at] = rng.randrange(256)
    elif how == 2:
        del out[at:]
    elif how == 3:
        del out[at:end]
    elif how == 4:
        out[at:at] = rng.randbytes(rng.choice((1, 2, 8, 32, 60)))
    elif how == 5:
        out[at:at] = out[at:end] * rng.choice((1, 2, 7, 100))
    elif how in (6, 7):
        width = rng.choice((1, 2, 4, 8))
        number = rng.choice(_NUMBERS) & ((1 << 8 * width) - 1)
        if rng.random() < 0.3 and at + width <= len(out):
            number = int.from_bytes(out[at : at + width], "little") + rng.choice((-1, 1, 8, -8))
        out[at : at + width] = (number % (1 << 8 * width)).to_bytes(width, "little")
    elif how == 8:
        other = rng.choice(corpus)
        start = rng.randrange(len(other) + 1)
        out[at:end] = other[start : start + rng.choice((4, 32, 100, 1000))]
    elif how == 9 and target.words:
        out[at:at] = rng.choice(target.words) * rng.choice((1, 1, 1, 3, 50, 3000))
    elif how == 10 and target.words:
        out[at:end] = rng.choice(target.words)
    else:
        there = rng.randrange(len(out) + 1)
        out[there:there] = out[at:end]


# -- running ---------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What came of one parser."""

    inputs: int = 0
    taken: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    findings: list[tuple[str, str]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count another worker's."""
        self.inputs += other.inputs
        self.taken += other.taken
        self.outcomes.update(other.outcomes)
        self.slowest = max(self.slowest, other.slowest)
        self.findings += other.findings


class TooSlowError(BaseException):
    """An input took longer than any may."""


def _alarm(_signal: int, _frame: FrameType | None) -> None:
    raise TooSlowError


def try_one(target: Target, data: bytes, tally: Tally) -> bool:
    """Run one input; say whether its outcome is a new one."""
    tally.inputs += 1
    started = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        target.run(data)
        outcome = "taken"
    except target.errors as error:
        message = getattr(error, "message", str(error))
        outcome = re.sub(r"['\"].*['\"]|[0-9a-f]{16,}|\d+", "#", message)[:120]
        if not message.isprintable() or len(message) > 1000:
            tally.findings.append((f"message {message[:200]!r}", data.hex()))
    except TooSlowError:
        outcome = "too slow"
        tally.findings.append((outcome, data.hex()))
    except MemoryError:
        outcome = "too much memory"
        tally.findings.append((outcome, data.hex()))
    except BaseException as error:
        outcome = f"{type(error).__name__}: {error}"[:200]
        tally.findings.append((outcome, data.hex()))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    tally.slowest = max(tally.slowest, time.process_time() - started)
    tally.taken += outcome == "taken"
    tally.outcomes[outcome] += 1
    return tally.outcomes[outcome] == 1


def campaign(target: Target, inputs: int, seed: int, more: list[bytes]) -> Tally:
    """Feed one parser that many inputs."""
    rng = random.Random(f"{target.name} {seed}")
    tally = Tally()
    corpus = [*target.seeds, *more]
    before = signal.signal(signal.SIGPROF, _alarm)
    try:
        for data in corpus[:inputs]:
            try_one(target, data, tally)
        while tally.inputs < inputs:
            data = damaged(rng, rng.choice(corpus), target, corpus)
            if try_one(target, data, tally) and len(corpus) < _KEPT and len(data) < 65536:
                corpus.append(data)
            if len(tally.findings) >= 20:
                break
    finally:
        signal.signal(signal.SIGPROF, before)
    return tally


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """Let the process have no more than 256 MiB beyond what it has mapped now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _work(job: tuple[str, int, int, list[bytes]]) -> tuple[str, Tally, int]:
    name, inputs, seed, more = job
    target = targets()[name]
    for data in target.seeds:  # what is imported at the first use is not the input's fault
        with contextlib.suppress(*target.errors):
            target.run(data)
    try:
        with bounded_memory():
            tally = campaign(target, inputs, seed, more)
    finally:
        while _scratch:
            _scratch.pop().cleanup()
    return name, tally, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def main() -> int:
    """Run the campaign and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000, help="over all parsers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="one parser")
    parser.add_argument("--workers", type=int, default=_WORKERS)
    options = parser.parse_args()
    chosen = [options.only] if options.only else list(targets())
    values = random_values(options.seed, 200)
    rounds = 8
    each = -(-options.inputs // (len(chosen) * rounds))
    jobs = [
        (name, each, options.seed * 1000 + turn, values.get(name, []))
        for turn in range(rounds)
        for name in chosen
    ]
    tallies: dict[str, Tally] = {name: Tally() for name in chosen}
    peak = 0
    started = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.workers, maxtasksperchild=4) as pool:
        for name, tally, rss in pool.imap_unordered(_work, jobs):
            tallies[name].add(tally)
            peak = max(peak, rss)
    for name, tally in tallies.items():
        print(
            f"{name:16} {tally.inputs:8,} inputs  {tally.taken:8,} taken  "
            f"{len(tally.outcomes):4} outcomes  slowest {tally.slowest * 1000:6.1f} ms  "
            f"{len(tally.findings)} findings"
        )
    total = sum(tally.inputs for tally in tallies.values())
    findings = [(name, *one) for name, tally in tallies.items() for one in tally.findings]
    print(
        f"{total:,} inputs, seed {options.seed}, {time.monotonic() - started:.0f} s, "
        f"peak memory of a process {peak} MiB, {len(findings)} findings"
    )
    for name, what, data in findings[:50]:
        print(f"{name}: {what}\n    {data[:4000]}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
