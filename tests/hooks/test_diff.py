"""``git diff``, ``git show`` and ``git log -p`` show files, not oids."""

from __future__ import annotations

import pytest

from dver.base.oid import oid_of
from dver.formats import pointer as pointers
from dver.ops.githooks import textconv
from tests.hooks.conftest import HookRepo


def lines(text: str) -> list[str]:
    """Return the lines that a diff adds and removes, spaces squeezed, without the fields."""
    found = [" ".join(line.split()) for line in text.splitlines() if line[:1] in "+-"]
    fields = ("+++", "---", "+oid", "-oid", "+size", "-size", "+files", "-files")
    return [line for line in found if not line.startswith(fields)]


@pytest.fixture
def history(repo: HookRepo) -> HookRepo:
    repo.version("one", d={"a": "1", "s/b": "22"}, f="1")
    repo.version("two", d={"a": "1", "s/b": "333", "s/c": "4"}, f="22")
    repo.install("diff")
    return repo


def test_git_shows_the_files(history: HookRepo) -> None:
    two, three, four = (oid_of(text).hex()[:10] for text in (b"22", b"333", b"4"))
    assert lines(history.git("diff", "HEAD~1", "--", "d.dver")) == [
        f"-{two} 2 s/b",
        f"+{three} 3 s/b",
        f"+{four} 1 s/c",
    ]
    assert lines(history.git("show", "--format=", "--", "d.dver")) == lines(
        history.git("diff", "HEAD~1", "--", "d.dver")
    )
    assert lines(history.git("log", "-p", "-1", "--format=", "--", "d.dver"))
    assert "s/c" not in history.git("diff", "--no-textconv", "HEAD~1")
    # Patches are made of the pointers themselves.
    assert "s/c" not in history.git("format-patch", "--stdout", "-1")


def test_it_is_asked_for_once(history: HookRepo) -> None:
    first = history.git("diff", "HEAD~1")
    cache = history.path / ".git/dver/textconv"
    assert len(list(cache.iterdir())) == 2
    history.write(".git/dver/config.yaml", "no: setting\n")
    history.lose_store()
    assert history.git("diff", "HEAD~1") == first
    history.write(".git/dver/config.yaml", "core: {}\n")
    history.uninstall()
    assert not cache.exists()


def test_what_is_not_here_is_shown_as_it_is(history: HookRepo) -> None:
    history.lose_store()
    said = history.git("diff", "HEAD~1")
    assert "-oid: blake3:" in said and "s/c" not in said
    assert not (history.path / ".git/dver/textconv").exists()


def text_of(repo: HookRepo, name: str) -> str:
    opened = repo.open()
    try:
        return textconv.as_text(opened, str(repo.path / name)).decode()
    finally:
        opened.close()


def test_tables_have_rows_and_columns(repo: HookRepo) -> None:
    repo.version("one", **{"t.csv": 'a,"b, c"\n1,2\n3,4\n', "t.bin": "a,b\n"})
    assert text_of(repo, "t.csv.dver").splitlines()[4:] == [
        "rows: 2",
        "column 1: a",
        "column 2: b, c",
    ]
    assert text_of(repo, "t.bin.dver") == (repo.path / "t.bin.dver").read_text()
    repo.install("diff")
    repo.write("t.csv", "a\n1\n2\n3\n")
    repo.add("t.csv")
    assert lines(repo.git("diff")) == ["-rows: 2", "+rows: 3", "-column 2: b, c"]


def test_broken_pointers_and_others_files(repo: HookRepo) -> None:
    for name, content in (
        ("a.dver", "<<<<<<< ours\n"),
        ("b.dver", b"\xff\x00"),
        ("c.dver", ""),
        ("d.dver", "oid: blake3:../../../config\nkind: tree\n"),
        ("e.dver", b"x" * 100_000),
    ):
        repo.write(name, content)
    repo.commit("odd")
    repo.install("diff")
    shown = repo.git_bytes("show", "--format=", "--text")
    assert b"+<<<<<<< ours" in shown and b"+oid: blake3:../../../config" in shown
    assert b"repositoryformatversion" not in shown


def test_large_directories_stay_short(repo: HookRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"{d}/{n}": "1" for d in "ab" for n in range(6)}
    repo.version("one", d={**files, "top": "1"})
    monkeypatch.setattr(textconv, "MAX_LINES", 10)
    body = text_of(repo, "d.dver").splitlines()[5:]
    assert [line.split()[-1] for line in body] == [f"a/{n}" for n in range(6)] + ["b/", "top"]
    monkeypatch.setattr(textconv, "MAX_LINES", 2)
    assert "more than 2 entries" in text_of(repo, "d.dver")


def test_the_cache_stays_small(repo: HookRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textconv, "_CACHE", 350)
    for number in range(4):
        repo.version(str(number), d={"a": str(number)})
        text_of(repo, "d.dver")
    assert len(list((repo.path / ".git/dver/textconv").iterdir())) == 2


def test_names_that_do_not_print(repo: HookRepo) -> None:
    repo.write(b"d/\xff\n", "1")
    repo.add("d")
    assert text_of(repo, "d.dver").splitlines()[-1].endswith('"\\377\\n"')
    assert pointers.decode((repo.path / "d.dver").read_bytes()).files == 1
