"""Which names are refused, and that the fast check of many agrees with the slow check of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dver.base.errors import FormatError
from dver.formats import names, tree
from dver.formats.names import check_name, check_names, check_path, problem, unfit_for_windows

ZERO_WIDTH = "\u200c".encode()
BYTE_ORDER_MARK = "\ufeff".encode()

HOSTILE = [
    # other directories
    b"",
    b".",
    b"..",
    b"a/b",
    b"/",
    b"/etc/passwd",
    b"../up",
    b"a/../b",
    b"nul\0byte",
    b"\0",
    b"..\\up",
    b"a\\..\\..\\b",
    b"\\..",
    b".\\x",
    # too long
    b"x" * 256,
    "é".encode() * 128,
    b"y" * 5000,
    # git's and dver's own directories, and what NTFS and HFS+ make of these
    b".git",
    b".GIT",
    b".gIt",
    b".git ",
    b".git.",
    b".git...",
    b".git . .",
    b".git:stream",
    b".git::$INDEX_ALLOCATION",
    b".git .:x",
    b"git~1",
    b"GIT~1",
    b"Git~1 ",
    b"git~1.",
    b"git~1:x",
    b".git\\hooks",
    b"x\\.git\\config",
    b".g" + ZERO_WIDTH + b"it",
    BYTE_ORDER_MARK + b".git",
    ".git\u200d".encode(),
    ".\u202egit".encode(),
    ".gi\u206at".encode(),
    b".dver",
    b".DVER",
    b".Dver.",
    b".dver:x",
    b"dver~1",
    b"DVER~1",
    ".d\u200fver".encode(),
    b".dver\\config.yaml",
    # devices of Windows
    b"con",
    b"CON",
    b"Con.txt",
    b"con .txt",
    b"con:",
    b"prn",
    b"aux.h",
    b"AUX.tar.gz",
    b"nul",
    b"NUL.",
    b"com1",
    b"COM9.log",
    "com¹".encode(),
    "LPT³.x".encode(),
    b"lpt0",
    b"conin$",
    b"CONOUT$",
    b"dir\\nul.txt",
]

HARMLESS = [
    b"a",
    b"a b",
    b" leading",
    b"trailing ",
    b"trailing.",
    b"...",
    b"....",
    b"-rf",
    b"--force",
    b"~",
    b"*",
    b"?",
    b"'",
    b'"',
    b"$(reboot)",
    b"`id`",
    b"a\nb",
    b"a\tb",
    b"\x1b[31mred",
    b"\x7f",
    b"\xff\xfe",
    b"\x80",
    b"a:b",
    b"a\\b",
    b"c:\\windows",
    "é".encode(),
    "e\u0301".encode(),
    "日本語".encode(),
    "“quoted”".encode(),
    "ﬁle".encode(),
    "\u202etxt.exe".encode(),
    b".gitignore",
    b".gitattributes",
    b".github",
    b".gitmodules",
    b"x.git",
    b"git",
    b"git~2",
    b".dverignore",
    b"train.dver",
    b"console",
    b"con_",
    b"content.txt",
    b"nullable",
    b"auxiliary",
    b"com10",
    b"com",
    b"lpt",
    b"comb1",
    b"prn2",
    b"x" * 255,
]


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_hostile_names_are_refused(name: bytes) -> None:
    assert problem(name)
    with pytest.raises(FormatError) as caught:
        check_name(name)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 1400


@pytest.mark.parametrize("name", HARMLESS, ids=repr)
def test_odd_names_are_fine(name: bytes) -> None:
    assert problem(name) is None
    check_name(name)


@pytest.mark.parametrize("name", [name for name in HOSTILE if b"\0" not in name], ids=repr)
def test_one_hostile_name_among_many_is_found(name: bytes) -> None:
    for position in (0, 3, 6):
        many = [b"config.yaml", b"null.csv", b"com", b".gitx", b"a\\b", "”".encode()]
        many.insert(position, name)
        with pytest.raises(FormatError):
            check_names(b"".join(one + b"\0" for one in many))


def test_all_harmless_names_together_are_fine() -> None:
    check_names(b"".join(name + b"\0" for name in HARMLESS))


FRAGMENTS = [*HOSTILE[17:], b"x", b" ", b".", b":", b"\\", b"\xe2", b"\x80", b"~1", b"1", b"$"]


@given(
    st.lists(st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=3).map(b"".join), min_size=1)
)
def test_the_fast_check_agrees_with_the_slow_one(many: list[bytes]) -> None:
    refused = any(problem(name) for name in many)
    try:
        check_names(b"".join(name + b"\0" for name in many))
    except FormatError:
        assert refused
    else:
        assert not refused


@given(st.binary(max_size=300))
def test_any_bytes_get_an_answer(name: bytes) -> None:
    reason = names.problem(name)
    assert reason is None or reason.isprintable()


@pytest.mark.parametrize(
    "path", [b"a/../b", b"a//b", b"/a", b"a/", b"a/.git/config", b"", b"x/CON/y"]
)
def test_hostile_paths_are_refused(path: bytes) -> None:
    with pytest.raises(FormatError):
        check_path(path)


def test_a_plain_path_is_fine() -> None:
    check_path(b"data/raw/2024 q1/-x.csv")


@pytest.mark.parametrize("name", [n for n in HOSTILE if b"\0" not in n and len(n) < 300], ids=repr)
def test_no_tree_with_a_hostile_name_is_read(name: bytes) -> None:
    entry = tree.Entry(tree.FILE, name, 0, tree.EMPTY_OID)
    with pytest.raises(FormatError):
        tree.decode(tree.encode(tree.build([entry], 0)))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (b"a.csv", None),
        ("\u00e9.csv".encode(), None),
        (b"10:30.csv", "holds"),
        (b"what?", "holds"),
        (b"a\\b", "holds"),
        (b"a\nb", "holds"),
        (b"end.", "ends"),
        (b"end ", "ends"),
        (b"\xff", "UTF-8"),
    ],
)
def test_names_that_windows_cannot_hold(name: bytes, reason: str | None) -> None:
    assert problem(name) is None
    told = unfit_for_windows(name)
    assert told == reason if reason is None else reason in (told or "")
