"""``ls``, ``cat`` and ``du`` over the local store, with real repositories."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from dver.base.errors import CorruptError, MissingContentError, NotFoundError, UsageError
from dver.base.oid import format_oid, oid_of
from dver.base.reporter import SILENT, Reporter
from dver.formats import pointer as pointers
from dver.formats.pointer import Pointer
from dver.ops.looking import cat as cat_module
from dver.ops.looking.cat import CatOptions, cat
from dver.ops.looking.du import DuOptions, DuResult, du
from dver.ops.looking.ls import LsOptions, LsResult, ls
from tests.support.datarepo import DataRepo
from tests.support.trees import Nested

TREE: Nested = {
    "a": "1",
    "run": "#!/bin/sh",
    "sub": {"c": "333", "deep": {"d": "4444"}},
    "void": {},
}


@pytest.fixture
def data(tmp_path: Path) -> DataRepo:
    return DataRepo.create(tmp_path / "repo")


def listed(data: DataRepo, *paths: str, below: str = "", **options: object) -> LsResult:
    return ls(data.repo(below), LsOptions(paths, **options), SILENT)


def names(result: LsResult) -> list[str]:
    return [entry.path for entry in result.entries]


def read(data: DataRepo, path: str, rev: str | None = None) -> bytes:
    out = io.BytesIO()
    cat(data.repo(), CatOptions(path, rev), out, SILENT)
    return out.getvalue()


def test_ls_of_a_directory_lists_the_targets_below(data: DataRepo) -> None:
    data.track("x/d", TREE)
    data.track("x/y/f", "22")
    data.version("one", top="1")
    result = listed(data)
    assert names(result) == ["top", "x/d", "x/y/f"]
    assert [(e.kind, e.files, e.target) for e in result.entries] == [
        ("file", 1, True),
        ("directory", 4, True),
        ("file", 1, True),
    ]
    assert (result.files, result.size) == (6, 1 + 17 + 2)
    assert names(listed(data, below="x")) == ["d", "y/f"]
    assert names(listed(data, "x/y", "top")) == ["top", "x/y/f"]


def test_ls_opens_a_tracked_directory(data: DataRepo) -> None:
    data.version("one", d=TREE)
    result = listed(data, "d")
    assert [(e.path, e.kind, e.size, e.files, e.target) for e in result.entries] == [
        ("d/a", "file", 1, 1, False),
        ("d/run", "executable", 9, 1, False),
        ("d/sub", "directory", 7, 2, False),
        ("d/void", "directory", 0, 0, False),
    ]
    assert result.entries[0].oid == format_oid(oid_of(b"1"))
    assert (result.size, result.files) == (17, 4)
    assert names(listed(data, "d/sub/deep")) == ["d/sub/deep/d"]
    assert names(listed(data, "d/a")) == ["d/a"]


def test_ls_recursively_lists_files_and_empty_directories(data: DataRepo) -> None:
    data.version("one", d=TREE, f="1")
    everything = ["d/a", "d/run", "d/sub/c", "d/sub/deep/d", "d/void"]
    assert names(listed(data, "d", recursive=True)) == everything
    assert names(listed(data, recursive=True)) == [*everything, "f"]
    data.version("two", e={})
    assert names(listed(data, "e", recursive=True)) == ["e"]


def test_ls_of_a_revision_needs_no_workspace(data: DataRepo) -> None:
    data.version("one", d={"old": "1"})
    data.version("two", d={"new": "22"})
    data.untrack("d")
    assert names(listed(data, "d", rev="HEAD~1")) == ["d/old"]
    assert names(listed(data, rev="HEAD")) == ["d"]
    assert names(listed(data)) == []


def test_ls_in_an_empty_directory_lists_nothing(data: DataRepo) -> None:
    (data.path / "empty").mkdir()
    assert names(listed(data, below="empty")) == []


def test_ls_tells_what_is_here(data: DataRepo) -> None:
    data.version("one", d={"a": "1"})
    data.track("lost", "elsewhere", stored=False)
    result = listed(data)
    assert [(e.path, e.local) for e in result.entries] == [("d", True), ("lost", False)]
    assert [e.local for e in listed(data, local=False).entries] == [None, None]


def test_ls_of_what_is_not_there(data: DataRepo) -> None:
    data.version("one", d={"a": "1"})
    for path in ("nope", "d/nope", "d/a/nope"):
        with pytest.raises(NotFoundError, match="nope"):
            listed(data, path)
    with pytest.raises(NotFoundError, match="no such revision"):
        listed(data, rev="nope")
    data.track("lost", {"x": "1"}, stored=False)
    with pytest.raises(MissingContentError, match="no default one") as caught:
        listed(data, "lost")
    assert "whereis" in (caught.value.hint or "")


def test_cat_of_files_at_any_revision(data: DataRepo) -> None:
    data.version("one", d={"s": {"a": "old"}}, f="one")
    data.version("two", d={"s": {"a": "new"}}, f="")
    assert read(data, "d/s/a") == b"new"
    assert read(data, "d/s/a", "HEAD~1") == b"old"
    assert read(data, "f", "HEAD~1") == b"one"
    assert read(data, "f") == b""


def test_cat_of_a_large_file_streams_its_chunks(
    data: DataRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(f"row {i}\n" for i in range(200_000))
    data.version("one", f=text)
    assert read(data, "f") == text.encode()
    monkeypatch.setattr(cat_module, "VERIFY_FIRST", 1000)
    assert read(data, "f") == text.encode()


def test_cat_refuses_what_is_no_file(data: DataRepo) -> None:
    data.version("one", d={"a": "1"})
    with pytest.raises(UsageError, match="d is a directory"):
        read(data, "d")
    with pytest.raises(NotFoundError):
        read(data, "d/nope")
    data.track("lost", "elsewhere", stored=False)
    with pytest.raises(MissingContentError, match="neither"):
        read(data, "lost")


def test_cat_notices_a_pointer_of_another_size(data: DataRepo) -> None:
    one = data.track("f", "content")
    data.write("f.dver", pointers.encode(Pointer("file", one.oid, one.size + 1)))
    with pytest.raises(CorruptError, match="8 bytes by its pointer and 7"):
        read(data, "f")


def test_cat_writes_nothing_of_a_small_damaged_file(data: DataRepo) -> None:
    data.track("f", "some content that is damaged")
    for pack in (data.path / ".git/dver/packs").rglob("*"):
        if pack.is_file():
            raw = bytearray(pack.read_bytes())
            at = raw.index(b"content")
            raw[at] ^= 1
            pack.chmod(0o644)
            pack.write_bytes(raw)
    out = io.BytesIO()
    with pytest.raises(CorruptError):
        cat(data.repo(), CatOptions("f"), out, SILENT)
    assert out.getvalue() == b""


def measured(data: DataRepo, *paths: str, **options: object) -> DuResult:
    return du(data.repo(), DuOptions(paths, **options), SILENT)


def test_du_counts_files_contents_and_stored_bytes(data: DataRepo) -> None:
    content = os.urandom(3000).hex()
    data.track("d", {"a": content, "b": content, "c": "x"})
    data.track("f", content)
    result = measured(data)
    assert [(e.path, e.kind, e.size, e.files, e.unique) for e in result.entries] == [
        ("d", "directory", 12001, 3, 6001),
        ("f", "file", 6000, 1, 6000),
    ]
    assert (result.total.size, result.total.unique, result.total.files) == (18001, 6001, 4)
    # Hex digits compress to about a half.
    assert 2900 < result.entries[1].stored < 4000
    assert result.total.stored < sum(entry.stored for entry in result.entries)
    assert all(entry.missing == 0 for entry in result.entries)


def test_du_of_parts_and_levels(data: DataRepo) -> None:
    data.version("one", d=TREE)
    assert [(e.path, e.size) for e in measured(data, "d/sub").entries] == [("d/sub", 7)]
    assert [(e.path, e.size) for e in measured(data, "d/sub/c").entries] == [("d/sub/c", 3)]
    assert [e.path for e in measured(data, depth=1).entries] == ["d", "d/sub", "d/void"]
    assert [e.path for e in measured(data, "d", depth=2).entries] == [
        "d",
        "d/sub",
        "d/sub/deep",
        "d/void",
    ]
    with pytest.raises(NotFoundError, match="d/nope"):
        measured(data, "d/nope")
    with pytest.raises(NotFoundError, match="nope"):
        measured(data, "nope")


def test_du_over_all_versions(data: DataRepo) -> None:
    data.version("one", d={"same": "12345", "a": "1"})
    data.version("two", d={"same": "12345", "a": "22"}, gone="x" * 50)
    data.untrack("gone")
    data.commit("three")
    (row,) = measured(data).entries
    assert (row.size, row.unique, row.versions) == (7, 7, 1)
    every = {entry.path: entry for entry in measured(data, all=True).entries}
    assert (every["d"].size, every["d"].unique, every["d"].versions) == (13, 8, 2)
    assert (every["d"].files, every["gone"].size) == (4, 50)
    (inner,) = measured(data, "d/a", all=True).entries
    assert (inner.size, inner.versions) == (3, 2)
    (old,) = measured(data, rev="HEAD~2").entries
    assert old.size == 6
    with pytest.raises(UsageError):
        measured(data, all=True, rev="HEAD")


def test_du_over_all_versions_leaves_out_a_broken_pointer_and_says_so(data: DataRepo) -> None:
    data.version("one", d="12345")
    data.write("d.dver", "<<<<<<< ours\n")
    data.commit("broken")
    data.version("fixed", d="22")
    warnings: list[str] = []

    class Listening(Reporter):
        def warn(self, message: str, *, hint: str | None = None) -> None:
            warnings.append(message)

    (row,) = du(data.repo(), DuOptions(all=True), Listening()).entries
    assert (row.size, row.versions) == (7, 2)
    assert len(warnings) == 1
    assert "d.dver in history is broken" in warnings[0]


def test_du_counts_a_shared_chunk_once(data: DataRepo) -> None:
    block = os.urandom(600_000).hex()
    data.track("one", block)
    data.track("two", block + "tail")
    result = measured(data)
    assert result.total.size == 2 * len(block) + 4
    # All but the last chunk, of at most 256 KiB, is shared.
    largest = max(entry.stored for entry in result.entries)
    assert result.total.stored < largest + 300_000
    assert result.total.stored > 500_000


def test_du_tells_what_is_missing(data: DataRepo) -> None:
    data.track("d", {"a": "1", "b": "2"}, stored=False)
    (row,) = measured(data).entries
    assert (row.size, row.files, row.missing, row.stored) == (2, 2, 1, 0)


def test_du_adds_up_the_store(data: DataRepo) -> None:
    data.track("d", TREE)
    store = measured(data).store
    packs = [p for p in (data.path / ".git/dver/packs").rglob("*") if p.is_file()]
    assert store.packs == len(packs) > 0
    assert store.pack_bytes == sum(p.stat().st_size for p in packs)
    assert store.index_bytes > 0
    assert store.total >= store.pack_bytes + store.index_bytes


def test_du_without_any_target(data: DataRepo) -> None:
    result = measured(data)
    assert result.entries == ()
    assert (result.total.size, result.total.files) == (0, 0)
