"""Odd names on one line, quoted as git quotes them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dver.base.quoting import show

EMPTY_BLOB = b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quoting")
    subprocess.run(["git", "init", "-q", "--bare", path], check=True)
    return path


def as_git_shows(bare: Path, names: list[bytes], quote: str) -> list[str]:
    """Return how ``git ls-files`` shows names that exist nowhere but in an index."""
    lines = b"".join(b"100644 %s\t%s\0" % (EMPTY_BLOB, name) for name in names)
    git = ["git", "-C", str(bare)]
    subprocess.run([*git, "read-tree", "--empty"], check=True)
    subprocess.run([*git, "update-index", "-z", "--index-info"], input=lines, check=True)
    run = [*git, "-c", f"core.quotePath={quote}", "ls-files"]
    output = subprocess.run(run, check=True, capture_output=True).stdout
    return output.decode("utf-8").splitlines()


ASCII = sorted(
    [b"a" + bytes([byte]) + b"z" for byte in range(1, 128) if byte not in b"/`$;&|<>"]
    + [b"plain.txt", b" lead", b"trail ", b"-rf", b'"', b'say "hi"', b"back\\slash", b"a\\nb"]
)
LETTERS = sorted(name.encode() for name in ["é", "日本語", "naïve “quotes”", 'é"', "é\n日"])
RAW = sorted([b"\xff", b"\x80\xfe", b"a\xc3", b"\xed\xb2\x80", b"x\xffy\nz"])


@pytest.mark.parametrize("quote", ["true", "false"])
def test_ascii_as_git(bare: Path, quote: str) -> None:
    assert [show(name) for name in ASCII] == as_git_shows(bare, ASCII, quote)


def test_letters_of_any_script_stay_readable(bare: Path) -> None:
    assert [show(name) for name in LETTERS] == as_git_shows(bare, LETTERS, "false")


def test_bytes_that_are_no_text_are_escaped_as_git_does(bare: Path) -> None:
    assert [show(name) for name in RAW] == as_git_shows(bare, RAW, "true")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\u202etxt.exe", '"\\342\\200\\256txt.exe"'),
        ("zero\u200bwidth", '"zero\\342\\200\\213width"'),
        ("no\u00a0break", '"no\\302\\240break"'),
        ("\ud800", '"\\355\\240\\200"'),
    ],
)
def test_what_could_fool_a_terminal_is_escaped(name: str, shown: str) -> None:
    assert show(name) == shown


@pytest.mark.parametrize(
    "name",
    [
        "$(touch pwned)",
        "a`touch pwned`",
        "x; touch pwned",
        "x && touch pwned",
        "x | touch pwned",
        "x & touch pwned",
        "${IFS}$(touch pwned)",
        ">pwned",
        "<(touch pwned)",
        '"; touch pwned; "',
        "'; touch pwned; '",
        "\\$(touch pwned)",
        "\n touch pwned\n",
    ],
)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_hint_with_a_name_in_it_can_be_pasted(name: str, shell: str, tmp_path: Path) -> None:
    subprocess.run([shell, "-c", f"echo {show(name)}"], cwd=tmp_path, check=False)
    assert list(tmp_path.iterdir()) == []


@given(st.binary(max_size=40).filter(lambda name: b"\0" not in name))
def test_it_is_one_printable_line_and_says_which_name_it_was(name: bytes) -> None:
    shown = show(name)
    assert shown.isprintable()
    if not shown.startswith('"'):
        assert shown.encode() == name
        return
    letters = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}
    out, rest = bytearray(), shown[1:-1]
    while rest:
        if rest[0] != "\\":
            out += rest[0].encode()
            rest = rest[1:]
        elif rest[1] in letters:
            out.append(letters[rest[1]])
            rest = rest[2:]
        else:
            out.append(int(rest[1:4], 8))
            rest = rest[4:]
    assert bytes(out) == name
