"""Notices come back as they were, and nothing that differs by a byte is taken for one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dver.base.errors import FormatError
from dver.base.oid import format_oid, oid_of
from dver.formats import notice
from dver.formats.notice import Notice, Unused
from tests.formats import samples

DOOMED = notice.encode(samples.sample_doomed())
TRASH = notice.encode(samples.sample_trash())
SESSIONS = st.text("0123456789abcdef", min_size=32, max_size=32)
NUMBERS = st.integers(0, (1 << 63) - 1)
PACKS = st.lists(
    st.builds(Unused, st.binary(min_size=32, max_size=32), NUMBERS, NUMBERS),
    max_size=5,
    unique=True,
)
NOTICES = st.one_of(
    st.builds(
        lambda kind, session, moment, packs: Notice(kind, session, moment, tuple(sorted(packs))),
        st.sampled_from(["condemned", "doomed", "swept"]),
        SESSIONS,
        NUMBERS,
        PACKS,
    ),
    st.builds(Notice, st.sampled_from(["intent", "void"]), SESSIONS, NUMBERS),
    st.builds(
        lambda kind, session, root: Notice(kind, session, root=root.encode()),
        st.sampled_from(["trash", "retired"]),
        SESSIONS,
        st.text(st.characters(max_codepoint=127), min_size=1),
    ),
)


def redone(data: bytes = DOOMED, **changes: object) -> bytes:
    """Return a notice with fields changed and its own hash made to fit again."""
    fields = {**json.loads(data), **changes}
    del fields["check"]
    plain = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    fields["check"] = format_oid(oid_of(plain))
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"


@given(NOTICES)
def test_notices_come_back(value: Notice) -> None:
    assert notice.decode(notice.encode(value)) == value


@given(NOTICES, st.data())
def test_damaged_notices_are_refused(value: Notice, data: st.DataObject) -> None:
    whole = bytearray(notice.encode(value))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FormatError):
        notice.decode(bytes(whole))


ROW = json.loads(DOOMED)["packs"][0]
LIES = {
    "empty": (b"", "not JSON"),
    "not ASCII": (DOOMED.replace(b"doomed", "dömed".encode()), "not JSON"),
    "another file": (b"[]", "not dver's"),
    "deep": (b"[" * 100_000, "not JSON"),
    "newer": (redone(dver_notice=2), "version 2"),
    "version is true": (redone(dver_notice=True), "not dver's"),
    "extra field": (redone(extra=1), "unknown one"),
    "hash": (DOOMED.replace(b"doomed", b"doumed"), "own hash"),
    "moment": (DOOMED.replace(b"1769860800", b"1769860801"), "own hash"),
    "no line feed": (DOOMED[:-1], "own hash"),
    "kind": (redone(kind="pin"), "malformed"),
    "kind is a list": (redone(kind=[]), "malformed"),
    "session climbs": (redone(session="../../../x"), "malformed"),
    "moment is negative": (redone(moment=-1), "malformed"),
    "moment is a float": (redone(moment=1.5), "malformed"),
    "packs of no list": (redone(packs=7), "malformed"),
    "short row": (redone(packs=[ROW[:2]]), "malformed"),
    "twice": (redone(packs=[ROW, ROW]), "not sorted"),
    "too many": (redone(packs=[ROW] * 200_001), "more packs"),
    "name": (redone(packs=[["x" * 64, 1, 1]]), "malformed"),
    "upper case": (redone(packs=[[ROW[0].upper(), 1, 1]]), "malformed"),
    "size is true": (redone(packs=[[ROW[0], True, 1]]), "malformed"),
    "packs of an intent": (redone(kind="intent"), "malformed"),
    "a root that is none": (redone(kind="trash", packs=[]), "malformed"),
    "a root in the wrong kind": (redone(TRASH, kind="void"), "malformed"),
    "a root beyond ASCII": (redone(TRASH, root="\u00e9"), "malformed"),
}


@pytest.mark.parametrize("name", LIES)
def test_lies_are_refused(name: str) -> None:
    data, message = LIES[name]
    with pytest.raises(FormatError, match=message):
        notice.decode(data)


def test_the_samples_are_records() -> None:
    assert notice.decode(redone()) == samples.sample_doomed()
    assert notice.decode(redone(TRASH)) == samples.sample_trash()
