"""The short form of the campaign against parsers; see :mod:`tests.security.fuzz` for the long one.

Also the inputs that are too special for chance: each was made to exhaust memory or time.
"""

from __future__ import annotations

import json
import resource
import time
import tracemalloc
from collections.abc import Callable

import pytest

from dver.base.errors import ConfigError, CorruptError, FormatError
from dver.base.oid import checksum
from dver.config import document
from dver.formats import notice, pack, pointer, root, storeinfo, tree
from dver.storage.s3.answers import NotS3Error, parse_error, parse_page
from dver.store.packfile import open_frame
from tests.formats import samples
from tests.security import fuzz, parsers
from tests.security.fuzz import Tally, campaign
from tests.security.parsers import Target, targets

TARGETS = targets()
SHORT = 800


@pytest.mark.parametrize("name", TARGETS)
def test_damage_is_refused_as_documented(name: str) -> None:
    for data in TARGETS[name].seeds:
        try:
            TARGETS[name].run(data)
        except TARGETS[name].errors:
            assert name in ("S3 answer", "configuration", "YAML"), "a sample is refused"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tally = campaign(TARGETS[name], SHORT, 1, [])
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    assert tally.findings == []
    assert tally.inputs == SHORT
    assert tally.slowest < fuzz.SECONDS
    assert grown < fuzz.MEMORY
    assert len(tally.outcomes) > (1 if TARGETS[name].errors else 0), "nothing was refused"


@pytest.mark.parametrize(
    ("run", "what"),
    [
        (lambda _: 1 // 0, "ZeroDivisionError"),
        (lambda _: time.sleep(0) or _burn(), "too slow"),
        (lambda _: [bytes(1 << 30) for _ in range(1 << 12)], "memory"),
    ],
)
def test_the_campaign_finds_what_it_looks_for(
    run: Callable[[bytes], object], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz, "SECONDS", 0.05)
    target = Target("bad", run, (FormatError,), [b"x"])
    with fuzz.bounded_memory():
        tally = campaign(target, 1, 1, [])
    assert [found for found, _ in tally.findings if what in found]


def test_another_spelling_is_a_finding() -> None:
    target = Target("bad", parsers.same(bytes.strip, bytes), (FormatError,), [b" x"])
    assert campaign(target, 1, 1, []).findings


def _burn() -> None:
    while True:
        pass


# -- bombs -----------------------------------------------------------------------------------------


def refused(call: Callable[[], object], error: type[Exception], *, memory: int) -> None:
    """Ask that a call ends in an error, within a second and some memory (bytes)."""
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(error):
            call()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 1
    assert peak < memory


def frame(stored: bytes, raw: int, codec: int = pack.ZSTD) -> bytes:
    head = (pack.FRAME_MAGIC, pack.BLOB, codec, 0, len(stored), raw, checksum(stored), bytes(32))
    return pack.FRAME.pack(*head) + stored


def zstd_header(declared: int) -> bytes:
    """Return a zstd frame that says how much it holds, and holds nothing."""
    return b"\x28\xb5\x2f\xfd\xe0" + declared.to_bytes(8, "little") + b"\x01\x00\x00"


@pytest.mark.parametrize("declared", [1 << 20, 1 << 30, 1 << 40, (1 << 64) - 1])
def test_frames_that_claim_to_be_huge(declared: int) -> None:
    raw = min(declared, pack.MAX_FRAME)
    refused(lambda: open_frame(frame(zstd_header(declared), raw)), CorruptError, memory=3 << 20)


def test_a_frame_that_really_expands() -> None:
    """A gigabyte of zeros in a few bytes: it is stopped at what its header declares."""
    import zstandard

    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(64 << 20))
    assert len(bomb) < 8192
    for raw in (0, 1, pack.MAX_FRAME):
        refused(lambda raw=raw: open_frame(frame(bomb, raw)), CorruptError, memory=3 << 20)
    lying = bytearray(zstandard.ZstdCompressor(write_content_size=False).compress(bytes(64 << 20)))
    refused(lambda: open_frame(frame(bytes(lying), pack.MAX_FRAME)), CorruptError, memory=3 << 20)


def test_a_window_larger_than_memory() -> None:
    head = b"\x28\xb5\x2f\xfd\x00" + bytes([0xFF]) + b"\x01\x00\x00"
    refused(lambda: open_frame(frame(head, 100)), CorruptError, memory=1 << 20)


ALIASES = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (ALIASES, "anchors and aliases"),
        ("core: &a\n  remote: x\nremote: *a\n", "anchors and aliases"),
        ("core:\n  remote: x\n  remote: y\n", "twice"),
        ("core: {remote: x, remote: y}\n", "twice"),
        ("core: {remote: x}\ncore: {jobs: 1}\n", "twice"),
        ("core: {<<: {remote: x}}\n", ""),
        ("core: !!python/object/apply:os.system [id]\n", "tags"),
        ("!!python/name:os.system core: x\n", "tags"),
        ("core: {remote: !!binary aGk=}\n", "tags"),
        ("a: x\n---\nb: y\n", "second document"),
        ("- a\n- b\n", "key: value"),
        ("core: [1, 2]\n", "list"),
        ("{" * 5000, ""),
        ("[" * 100_000, ""),
        ("{a: " * 2000 + "1" + "}" * 2000, "nested too deep"),
        ("core:\n  remote: " + "x" * (2 << 20), "larger than"),
        ("? {a: b}\n: c\n", "key"),
        ("core.remote: x\n", "dot"),
        ("%YAML 9.9\n---\na: b\n", ""),
        ('core:\n  remote: "\\0"\n', ""),
        ("a: b\x00c\n", ""),
    ],
)
def test_yaml_that_means_harm(text: str, part: str) -> None:
    def read() -> None:
        parsers.read_settings(text.encode())

    with pytest.raises(ConfigError) as caught:
        read()
    assert part in caught.value.message
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400
    refused(read, ConfigError, memory=40 << 20)


def test_a_broken_configuration_is_not_quoted_in_a_traceback() -> None:
    import traceback

    for text in (
        'remote: "hunter2\n',
        "remote: hunter2: hunter2: x\n",
        "a: @hunter2\n",
        "\t: hunter2",
    ):
        with pytest.raises(ConfigError) as caught:
            document.parse(text.encode(), "config.yaml")
        shown = "".join(traceback.format_exception(caught.value))
        assert "hunter2" not in shown, shown


def listing(inside: bytes) -> bytes:
    return b"<ListBucketResult><IsTruncated>false</IsTruncated>" + inside + b"</ListBucketResult>"


ENTITIES = b"<!DOCTYPE l [<!ENTITY a 'aaaaaaaaaa'>" + b"".join(
    b"<!ENTITY %c '%s'>" % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9)
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        ENTITIES + b"]><ListBucketResult>&j;</ListBucketResult>",
        b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'><ListBucketResult/>",
        listing(b"<a>" * 1000 + b"</a>" * 1000),
        listing(b"<a/>" * 110_000),
        listing(b"<Contents><Key>p/a</Key><Size>" + b"9" * 5000 + b"</Size></Contents>"),
        listing("<Contents><Key>p/a</Key><Size>\u0663</Size></Contents>".encode()),
        listing(b"<Contents><Key>q/a</Key><Size>1</Size></Contents>"),
        listing(b"<Contents><Key>p/a</Key><Size>-1</Size></Contents>"),
        listing(b"<!--" + b"x" * (9 << 20) + b"-->"),
        b"<?xml version='1.0' encoding='utf-7'?><ListBucketResult/>",
        b"<?xml version='1.0' encoding='nonsense'?><ListBucketResult/>",
        b"<?xml version='1.0' encoding='idna'?><ListBucketResult/>",
        b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        b"<ListBucketResult/>",
    ],
)
def test_answers_of_servers_that_mean_harm(body: bytes) -> None:
    refused(lambda: parse_page(body, "p/"), NotS3Error, memory=64 << 20)
    parse_error(body)


@pytest.mark.parametrize("when", ["0001-01-01", "9999-12-31T23:59:59", "x" * 1000, "2026-02-30"])
def test_times_that_no_clock_shows(when: str) -> None:
    inside = f"<Contents><Key>p/a</Key><Size>1</Size><LastModified>{when}</LastModified></Contents>"
    page = parse_page(listing(inside.encode()), "p/")
    assert [entry.key for entry in page.entries] == ["a"]


def test_what_a_server_says_of_regions_is_only_taken_as_a_name() -> None:
    for region in ("eu-west-1/@evil.com", "x y", "a'; rm -rf ~; '", "e\nf", "", "-x", "a" * 65):
        body = f"<Error><Code>X</Code><Region>{region}</Region></Error>".encode()
        assert parse_error(body)[2] is None, region
    assert parse_error(b"<Error><Code>X</Code><Region>eu-west-1</Region></Error>")[2] == "eu-west-1"


@pytest.mark.parametrize(
    "data",
    [
        b'{"chunker":{},"chunker":{}}',
        samples.FILES["format.json"]().replace(b'"hash"', b'"hash": "md5", "hash"', 1),
        b"\xff\xfe{\x00}\x00",
        b"[" * 60_000,
    ],
)
def test_store_records_that_say_things_twice(data: bytes) -> None:
    refused(lambda: storeinfo.decode(data), FormatError, memory=10 << 20)


@pytest.mark.parametrize("decode", [root.decode, notice.decode])
def test_json_of_nothing_but_brackets(decode: Callable[[bytes], object]) -> None:
    for data in (b"[" * 200_000, b"{" * 200_000, b'{"a":' * 100_000, b"[" + b"[]," * 100_000):
        refused(lambda data=data: decode(data), FormatError, memory=64 << 20)


@pytest.mark.parametrize("data", [b"[[],[]]", b"{}", b"null", b"1", b'"x"', b"[]"])
def test_json_of_another_shape(data: bytes) -> None:
    for decode in (root.decode, notice.decode, storeinfo.decode):
        with pytest.raises(FormatError):
            decode(data)


def test_lengths_are_compared_before_anything_is_allocated() -> None:
    huge = (1 << 64) - 1
    lie = tree.EMPTY_BYTES[:12] + (50_000_000).to_bytes(4, "little") + tree.EMPTY_BYTES[16:]
    refused(lambda: tree.decode(lie), FormatError, memory=1 << 20)
    lie = tree.EMPTY_BYTES[:32] + huge.to_bytes(8, "little")
    refused(lambda: tree.decode(lie), FormatError, memory=1 << 20)
    comments = b"#" * (1 << 22)
    refused(lambda: pointer.decode(comments), FormatError, memory=1 << 20)
    fields = json.loads(samples.FILES["root.json"]())
    fields["objects"] = [["x" * (1 << 15), "file", "blake3:" + "0" * 64, 1]]
    long = json.dumps(fields).encode()
    refused(lambda: root.decode(long), FormatError, memory=4 << 20)


def test_tallies_add_up() -> None:
    one, other = Tally(), Tally(3, 2, slowest=0.5)
    one.add(other)
    assert (one.inputs, one.taken, one.slowest) == (3, 2, 0.5)


@pytest.mark.parametrize(
    "pattern",
    ["*a" * 30 + "*b", "/".join(["**"] * 30) + "/b", "*" * 50 + "a*a*a*a*b", "!" + "*a" * 9],
)
def test_patterns_that_would_take_for_ever(pattern: str) -> None:
    from dver.workspace.ignore import NO_RULES

    refused(lambda: NO_RULES.extended(b"", pattern.encode()), ConfigError, memory=1 << 20)


@pytest.mark.parametrize("pattern", ["*_*_*.csv", "**/a/**/*.tmp", "# " + "*a" * 30, r"\*" * 30])
def test_patterns_that_people_write(pattern: str) -> None:
    from dver.workspace.ignore import NO_RULES

    started = time.process_time()
    rules = NO_RULES.extended(b"", pattern.encode())
    for path in (b"a" * 250, b"_" * 250, b"a/" * 100 + b"b"):
        assert not rules.ignored(path, is_dir=False)
    assert time.process_time() - started < 2


def test_a_key_as_long_as_the_file_is_not_repeated_whole() -> None:
    text = "remote:\n  origin:\n    " + "x" * 900_000 + ": y\n"
    with pytest.raises(ConfigError) as caught:
        parsers.read_settings(text.encode())
    assert len(caught.value.message + (caught.value.hint or "")) < 300
