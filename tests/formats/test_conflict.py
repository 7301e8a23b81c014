"""Texts with conflict markers, taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dver.formats.conflict import Sides, has_markers, put_together, take_apart
from dver.formats.pointer import Pointer, encode

_POINTERS = st.builds(
    Pointer,
    st.just("file"),
    st.binary(min_size=32, max_size=32),
    st.integers(0, 1 << 60),
    st.just(1),
    st.booleans(),
).map(encode)


@given(_POINTERS, _POINTERS | st.just(b""), _POINTERS)
def test_what_the_driver_writes_is_read_again(ours: bytes, base: bytes, theirs: bytes) -> None:
    text = put_together(ours, base, theirs)
    assert has_markers(text)
    assert take_apart(text) == Sides(ours, base, theirs)
    assert take_apart(text.replace(b"\n", b"\r\n")) == Sides(
        *(one.replace(b"\n", b"\r\n") for one in (ours, base, theirs))
    )


def test_as_git_writes_them() -> None:
    text = b"a\n<<<<<<< HEAD\nb\nc\n=======\nd\n>>>>>>> side\ne\n"
    text += b"<<<<<<< HEAD\n=======\nf\n>>>>>>> side\n"
    assert take_apart(text) == Sides(b"a\nb\nc\ne\n", None, b"a\nd\ne\nf\n")
    diff3 = b"a\n<<<<<<< HEAD\nb\n||||||| 1234567\nc\n=======\nd\n>>>>>>> side\ne\n"
    assert take_apart(diff3) == Sides(b"a\nb\ne\n", b"a\nc\ne\n", b"a\nd\ne\n")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no markers\n",
        b"=======\n",
        b"<<<<<<< a\n",
        b"<<<<<<< a\n=======\n",
        b"<<<<<<< a\n>>>>>>> b\n",
        b"<<<<<<< a\n<<<<<<< a\n=======\n>>>>>>> b\n",
        b"||||||| a\n",
        b">>>>>>> b\n",
    ],
)
def test_what_makes_no_sense_has_no_sides(text: bytes) -> None:
    assert take_apart(text) is None
    assert has_markers(text) == (text not in (b"", b"no markers\n"))
