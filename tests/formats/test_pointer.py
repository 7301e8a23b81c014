"""Pointers: one spelling, and a message that helps for each way to break it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dver.base.errors import FormatError
from dver.base.oid import Oid
from dver.formats.pointer import MAX_SIZE, Pointer, decode, encode

HEX = "0123456789abcdef" * 4
FILE = f"dver: 1\nkind: file\noid: blake3:{HEX}\nsize: 12\n"
TREE = f"dver: 1\nkind: tree\noid: blake3:{HEX}\nsize: 12\nfiles: 3\n"
RUN = FILE + "executable: true\n"
OID = Oid(bytes.fromhex(HEX))

counts = st.integers(0, (1 << 63) - 1)
oids = st.binary(min_size=32, max_size=32).map(Oid)
pointers = st.one_of(
    st.builds(Pointer, st.just("file"), oids, counts, st.just(1), st.booleans()),
    st.builds(Pointer, st.just("tree"), oids, counts, counts, st.just(False)),
)


@given(pointers)
def test_what_is_written_is_read(pointer: Pointer) -> None:
    data = encode(pointer)
    assert decode(data) == pointer
    assert len(data) < 200


def test_the_three_shapes() -> None:
    assert decode(FILE.encode()) == Pointer("file", OID, 12)
    assert decode(RUN.encode()) == Pointer("file", OID, 12, 1, executable=True)
    assert decode(TREE.encode()) == Pointer("tree", OID, 12, 3)


@pytest.mark.parametrize("text", [FILE, RUN, TREE])
def test_it_is_yaml_that_anyone_can_read(text: str) -> None:
    import yaml

    fields = yaml.safe_load(text)
    assert fields["dver"] == 1
    assert fields["oid"] == f"blake3:{HEX}"
    assert fields["size"] == 12


@pytest.mark.parametrize("text", [FILE, RUN, TREE])
def test_what_git_and_people_add_is_let_pass(text: str) -> None:
    plain = decode(text.encode())
    assert decode(text.replace("\n", "\r\n").encode()) == plain
    assert decode(b"# the training set\n" + text.encode()) == plain
    assert decode(text.replace("size", "# a note: with a colon\nsize").encode()) == plain


BROKEN = {
    "empty": (b"", "it is empty"),
    "no text": (b"\x80\x81\n", "not UTF-8"),
    "UTF-16": (FILE.encode("utf-16"), "not UTF-8"),
    "byte order mark": (b"\xef\xbb\xbf" + FILE.encode(), "byte order mark"),
    "too long": (FILE.encode() + b"#" * MAX_SIZE, "bytes long"),
    "cut off": (FILE[:-1].encode(), "cut off"),
    "another file": (b"hello\n", "not a pointer"),
    "only comments": (b"# nothing\n", "not a pointer"),
    "first line missing": (FILE[8:].encode(), "does not begin with 'dver: 1'"),
    "first line late": (b"kind: file\ndver: 1\n", "does not begin with 'dver: 1'"),
    "newer version": (FILE.replace("dver: 1", "dver: 2").encode(), "version '2'"),
    "other syntax of a newer version": (b"dver: 3\n[whatever]\n", "version '3'"),
    "no kind": (FILE.replace("kind: file\n", "").encode(), "no field 'kind'"),
    "unknown kind": (FILE.replace("file", "link").encode(), "neither 'file' nor 'tree': 'link'"),
    "no oid": (FILE.replace(f"oid: blake3:{HEX}\n", "").encode(), "no field 'oid'"),
    "short oid": (FILE.replace("0123", "123", 1).encode(), "64 hex digits"),
    "upper-case oid": (FILE.replace("abcdef", "ABCDEF").encode(), "64 hex digits"),
    "other hash": (FILE.replace("blake3:", "sha256:").encode(), "not 'blake3:'"),
    "bare oid": (FILE.replace("blake3:", "").encode(), "not 'blake3:'"),
    "no size": (FILE.replace("size: 12\n", "").encode(), "no field 'size'"),
    "negative size": (FILE.replace("12\n", "-12\n").encode(), "'size' is not a number of bytes"),
    "size in words": (FILE.replace("12\n", "twelve\n").encode(), "not a number of bytes: 'twelve'"),
    "size in other digits": (FILE.replace("12\n", "१२\n").encode(), "not a number of bytes"),
    "size beyond bounds": (FILE.replace("12\n", f"{1 << 63}\n").encode(), "not a number of bytes"),
    "endless size": (FILE.replace("12\n", "9" * 3000 + "\n").encode(), "not a number of bytes"),
    "leading zero": (FILE.replace("12\n", "012\n").encode(), "line 4 is 'size: 012'"),
    "no files": (TREE.replace("files: 3\n", "").encode(), "no field 'files'"),
    "files of no number": (TREE.replace("3\n", "few\n").encode(), "not a number of files"),
    "files of a file": (FILE.encode() + b"files: 1\n", "field 'files', which no file has"),
    "executable tree": (TREE.encode() + b"executable: true\n", "which no tree has"),
    "executable maybe": (FILE.encode() + b"executable: yes\n", "'executable' is 'yes'"),
    "executable false": (FILE.encode() + b"executable: false\n", "'executable' is 'false'"),
    "unknown field": (FILE.encode() + b"colour: red\n", "'colour'"),
    "repeated field": (FILE.encode() + b"size: 12\n", "line 5 repeats the field 'size'"),
    "order": (
        f"dver: 1\noid: blake3:{HEX}\nkind: file\nsize: 12\n".encode(),
        "line 2 is 'oid: blake3",
    ),
    "no colon": (FILE.replace("size: ", "size ").encode(), "line 4 is not 'key: value'"),
    "blank line": (FILE.replace("size", "\nsize").encode(), "line 4 is not 'key: value'"),
    "trailing space": (FILE.replace("12\n", "12 \n").encode(), "line 4 is not 'key: value'"),
    "indented": (FILE.replace("size", "  size").encode(), "line 4 is not 'key: value'"),
    "YAML alias": (FILE.replace("12\n", "*a\n").encode(), "not a number of bytes: '*a'"),
    "quoted": (FILE.replace("12\n", '"12"\n').encode(), "not a number of bytes"),
    "control characters": (FILE.encode() + b"\x1b[2J\n", "line 5 is not 'key: value'"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_each_break_has_its_message(how: str) -> None:
    data, part = BROKEN[how]
    with pytest.raises(FormatError) as caught:
        decode(data)
    message = caught.value.message
    assert part in message
    assert message.isprintable(), "a hostile pointer must not drive the terminal"
    assert len(message) < 200
    assert not message.endswith(".")


def test_the_messages_tell_the_breaks_apart() -> None:
    fields = [how for how in BROKEN if how.startswith(("no ", "unknown", "repeated", "order"))]
    messages = set()
    for how in fields:
        with pytest.raises(FormatError) as caught:
            decode(BROKEN[how][0])
        messages.add(caught.value.message)
    assert len(messages) == len(fields)


CONFLICT = f"""dver: 1
kind: file
<<<<<<< HEAD
oid: blake3:{HEX}
=======
oid: blake3:{HEX[::-1]}
>>>>>>> feature
size: 12
"""


@pytest.mark.parametrize(
    "text",
    [
        CONFLICT,
        CONFLICT.replace("\n", "\r\n"),
        CONFLICT.replace("=======", "||||||| base\noid: x\n======="),
        "<<<<<<< HEAD\n" + FILE,
    ],
)
def test_conflict_markers_are_named_with_the_way_out(text: str) -> None:
    with pytest.raises(FormatError) as caught:
        decode(text.encode())
    assert "conflict markers" in caught.value.message
    assert caught.value.hint is not None
    assert "dver resolve" in caught.value.hint


def test_a_newer_version_asks_for_an_upgrade() -> None:
    with pytest.raises(FormatError) as caught:
        decode(FILE.replace("dver: 1", "dver: 2").encode())
    assert caught.value.hint == "upgrade dver"


@given(pointers, st.data())
def test_no_mutation_is_read_as_something_else(pointer: Pointer, data: st.DataObject) -> None:
    """A changed pointer is refused, or it is exactly the pointer that its bytes spell."""
    mutated = bytearray(encode(pointer))
    at = data.draw(st.integers(0, len(mutated) - 1))
    mutated[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        found = decode(bytes(mutated))
    except FormatError:
        return
    lines = [line for line in mutated.replace(b"\r\n", b"\n").splitlines(True) if line[:1] != b"#"]
    assert encode(found) == b"".join(lines)


@given(pointers)
def test_no_truncation_is_read(pointer: Pointer) -> None:
    data = encode(pointer)
    for end in range(len(data)):
        try:
            found = decode(data[:end])
        except FormatError:
            continue
        assert (pointer.executable, data[end:]) == (True, b"executable: true\n")
        assert found.oid == pointer.oid
