"""Reading configuration files, hostile ones included."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dver.base.errors import ConfigError
from dver.config import document


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", {}),
        ("# nothing but a comment\n", {}),
        ("core:\n  remote: origin\n", {"core": {"remote": "origin"}}),
        ("core:\r\n  remote: origin\r\n", {"core": {"remote": "origin"}}),
        ("\ufeffcore:\n  jobs: 4", {"core": {"jobs": "4"}}),
        ("core: {jobs: 4, remote: 'a b'}\n", {"core": {"jobs": "4", "remote": "a b"}}),
        ("core:\n    jobs: 0777 # four blanks\n", {"core": {"jobs": "0777"}}),
        ("remote:\n  a:\n    region: no\n", {"remote": {"a": {"region": "no"}}}),
        ("remote:\n  a:\n    url: s3://b/p:q\n", {"remote": {"a": {"url": "s3://b/p:q"}}}),
        ('remote:\n  a:\n    url: "x\\u00e9\\n"\n', {"remote": {"a": {"url": "xé\n"}}}),
        (
            "remote:\n  a:\n    url: >-\n      two\n      words\n",
            {"remote": {"a": {"url": "two words"}}},
        ),
        ("---\ncore:\n  jobs: ~\n...\n", {"core": {"jobs": "~"}}),
    ],
)
def test_accepted(text: str, tree: document.Tree) -> None:
    assert document.parse(text.encode(), "f") == tree


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("core:\n  jobs: 1\n  jobs: 2\n", "line 3: the key 'jobs' stands there twice"),
        ("core:\n  jobs: 1\ncore:\n  link: copy\n", "line 3: the key 'core' stands there twice"),
        ("a: &x 1\nb: *x\n", "line 1: anchors and aliases are not accepted"),
        ("a: &x [*x]\n", "line 1: anchors and aliases"),
        ("a: 1\nb: !!python/object/apply:os.system ['id']\n", "line 2: tags are not accepted"),
        ("a: !x 1\n", "line 1: tags"),
        ("!!map\na: 1\n", "line 1: tags"),
        ("core:\n  jobs: [1, 2]\n", "line 2: the value of 'jobs' is a list"),
        ("- a\n- b\n", "line 1: it does not hold 'key: value' lines"),
        ("just words\n", "line 1: it does not hold 'key: value' lines"),
        ("? [a, b]\n: 1\n", "line 1: a key is not plain text"),
        ("? {a: b}\n: 1\n", "line 1: a key is not plain text"),
        ("'': 1\n", "line 1: a key is not plain text"),
        ("a: 1\n---\nb: 2\n", "line 2: it holds a second document"),
        ("a: 1\n b: 2\n", "line 2: it is not YAML"),
        ("a: 'open\n", "it is not YAML"),
        ("\tcore: 1\n", "line 1: it is not YAML"),
        ("a: \x01\n", "f is not YAML"),
        ("a: 1\nb: 2\n<<<<<<< HEAD\n", "line 4: it is not YAML"),
        ("a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}", "nested too deep"),
    ],
)
def test_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        document.parse(text.encode(), "f")
    assert problem in caught.value.message
    assert caught.value.message.startswith("f")


def test_not_utf8_names_the_line() -> None:
    with pytest.raises(ConfigError, match="f, line 2: it is not UTF-8"):
        document.parse(b"a: 1\nb: \xff\n", "f")


def test_too_large() -> None:
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        document.parse(b"#" * (document.MAX_SIZE + 1), "f")


def test_deep_nesting_is_no_crash() -> None:
    with pytest.raises(ConfigError):
        document.parse(b"{a: " * 100_000, "f")


KEYS = ["a", "b", "core", "true", "1", "x-y", "_", "a.b", "# c", "-", "- a", ""]
VALUES = ["", ":", ": v", ": s3://b/p", ": a:b", ": a:", ": true", ": ~", ": 0x1f", ": -", ": a#b"]
VALUES += [
    ": a #b",
    ": 'q'",
    ": [",
    ": a,b",
    ": %x",
    ": @x",
    ": =",
    ": <<",
    "\r",
    ": x\t",
    ": .",
    ": ?",
]
VALUES += [
    ": ...",
    ": ---",
    ": *x",
    ": &x",
    ": !x",
    ": |",
    ": a: b",
    " : v",
    ": 1:2",
    ":v",
    ": a\r",
]
LINES = st.lists(
    st.builds(
        lambda depth, key, value: "  " * depth + key + value,
        st.integers(0, 3),
        st.sampled_from(KEYS),
        st.sampled_from(VALUES),
    ),
    max_size=6,
)


@settings(max_examples=600, deadline=None)
@given(LINES)
def test_the_fast_reader_agrees_with_yaml(lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    plain = document.parse_plain(text)
    if plain is not None:
        assert document.parse_yaml(text, "f") == plain


def test_what_dver_writes_needs_no_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    text = b"# why\nremote:\n  origin:\n    url: s3://bucket/pre-fix_1\n\ncore:\n  remote: origin\n"
    assert document.parse(text, "f") == {
        "remote": {"origin": {"url": "s3://bucket/pre-fix_1"}},
        "core": {"remote": "origin"},
    }
