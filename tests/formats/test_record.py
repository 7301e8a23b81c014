"""Lineage records: one spelling, named by their hash, hard to deceive."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dver.base.errors import FormatError
from dver.base.oid import EMPTY, oid_of
from dver.formats import record, recordpath
from dver.formats.canonical import MAX_DEPTH, dump
from dver.formats.record import Environment, Graded, Item, Keep, Record, Value, Verdict
from tests.formats.samples import sample_record
from tests.formats.strategies import oids

DATA = record.encode(sample_record())
texts = st.text(max_size=12)
items = st.builds(
    Item,
    texts,
    oids,
    st.sampled_from(("file", "tree")),
    size=st.integers(0, (1 << 63) - 1),
    executable=st.booleans(),
    role=texts,
)
records = st.builds(
    Record,
    st.just(1),
    st.sampled_from(("run", "reproduce", "import")),
    texts,
    st.builds(Keep, oids, st.integers(0, 1 << 60), st.integers(0, 9)),
    reason=texts,
    inputs=st.lists(items, max_size=4).map(lambda one: tuple(sorted(one, key=lambda i: i.path))),
    params=st.lists(
        st.builds(Value, texts, texts, st.sampled_from(("int", "float", "json"))), max_size=3
    ).map(tuple),
    env=st.builds(
        Environment,
        python=st.dictionaries(texts, texts, max_size=3),
        gpus=st.lists(st.dictionaries(texts, texts, max_size=2), max_size=2).map(tuple),
        fingerprint=st.none() | oids,
    ),
    verdict=st.none()
    | st.builds(
        Verdict,
        st.sampled_from(("exact", "diverged")),
        st.lists(st.builds(Graded, texts, st.just("metric"), texts), max_size=2).map(tuple),
    ),
)


def changed(**fields: object) -> bytes:
    """Return the sample with fields replaced, spelled canonically; None removes one."""
    plain = json.loads(DATA) | fields
    return dump({name: value for name, value in plain.items() if value is not None})


@given(records)
def test_records_come_back(value: Record) -> None:
    data = record.encode(value)
    assert record.decode(data, oid_of(data)) == value
    assert json.dumps(json.loads(data), sort_keys=True, indent=1).encode() + b"\n" == data


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        record.decode(data)


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed(at: int, flip: int) -> None:
    damaged = DATA[:at] + bytes([DATA[at] ^ flip]) + DATA[at + 1 :]
    with pytest.raises(FormatError):
        record.decode(damaged, oid_of(DATA))


def test_lists_of_items_are_put_in_order() -> None:
    one, two = Item("b", EMPTY, "file"), Item("a", EMPTY, "file")
    value = replace(sample_record(), inputs=(one, two))
    assert record.decode(record.encode(value)).inputs == (two, one)


def test_what_is_not_known_yet_is_ignored() -> None:
    assert record.decode(changed(weather="fine")) == sample_record()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[]\n", "no JSON object"),
        (json.dumps(json.loads(DATA)).encode() + b"\n", "not spelled canonically"),
        (DATA + b"\n", "not spelled canonically"),
        (DATA.replace(b' "created"', b' "actor": {},\n "created"', 1), "not spelled canonically"),
        (DATA.replace(b'"milliseconds": 3000', b'"milliseconds": 3000.0'), "not JSON"),
        (DATA.replace(b'"milliseconds": 3000', b'"milliseconds": NaN'), "not JSON"),
        (DATA.replace(b'"milliseconds": 3000', b'"milliseconds": %d' % (1 << 63)), "not JSON"),
        (b'{"a": ' * 40 + b"1" + b"}" * 40 + b"\n", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (changed(dver_record=2), "upgrade|version 2"),
        (changed(dver_record=True), "not dver's"),
        (changed(dver_record=None), "not dver's"),
        (changed(kind="walk"), "kind is none of"),
        (changed(kind=None), "lacks the field kind"),
        (changed(keep=None), "lacks the field keep"),
        (changed(keep={"oid": "blake3:12"}), "keep: oid is no oid"),
        (changed(keep={"oid": "00" * 32}), "keep: oid is no oid"),
        (changed(reason=3), "reason is not str"),
        (changed(inputs={}), "inputs is no list"),
        (changed(inputs=[3]), "no object"),
        (changed(seeds={"a": 1}), "seeds is no object of texts"),
        (changed(env={"gpus": ["x"]}), "gpus is no object of texts"),
        (changed(run={"exit": True}), "run"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        record.decode(data)


def test_a_record_has_a_longest_length() -> None:
    with pytest.raises(FormatError, match="longer"):
        record.decode(b" " * (record.MAX_SIZE + 1))
    with pytest.raises(FormatError, match="longer"):
        record.encode(replace(sample_record(), reason="x" * record.MAX_SIZE))


def test_what_cannot_be_spelled_is_not_written() -> None:
    for value in (1.5, {1: 2}, 1 << 63, [1 << 70]):
        with pytest.raises((ValueError, TypeError)):
            dump({"a": value})
    deep: object = 1
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]
    with pytest.raises(ValueError, match="deep"):
        dump({"a": deep})


def test_names_of_files() -> None:
    one = oid_of(DATA)
    path = recordpath.path_of(one)
    assert path == b".dver/records/%s/%s.json" % (one.hex()[:2].encode(), one.hex().encode())
    assert recordpath.id_of(path) == one
    wrong = path.replace(b"/" + path[14:16] + b"/", b"/zz/", 1)
    assert recordpath.id_of(wrong) is None
    assert recordpath.id_of(path + b".dver") is None
    assert recordpath.id_of(b"sub/" + path) is None
