"""Imports of plain data: the web, and what fsspec opens."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dver.base.errors import (
    DverError,
    MissingContentError,
    ObjectNotFound,
    RefusedError,
    RemoteError,
    UsageError,
)
from dver.base.oid import oid_of
from dver.base.reporter import SILENT
from dver.formats import pointer as pointers
from dver.formats.origin import UNSEEN
from dver.ops.data.status import StatusOptions, status
from dver.ops.sharing.push import PushOptions, push
from dver.storage.plain.base import Facts
from dver.storage.plain.failing import ChangedError
from dver.storage.plain.http import HttpPlain
from tests.imports.conftest import CONTENT, Web
from tests.imports.steps import bring, move, origin, pointer_text, pulled, state
from tests.support.cli import Dver
from tests.support.datarepo import DataRepo

pytestmark = pytest.mark.usefixtures("no_pauses")


def test_a_file_from_the_web(here: DataRepo, web: Web) -> None:
    url = web.put("/d/iris.csv", CONTENT, "v1")
    result = bring(here, url)
    assert (result.path, result.size) == ("iris.csv", len(CONTENT))
    assert (here.path / "iris.csv").read_bytes() == CONTENT
    found = origin(here, "iris.csv")
    assert (found.url, found.etag, found.size) == (url, "v1", len(CONTENT))
    assert found.modified == "2026-01-01T00:00:00Z"
    assert found.oid == oid_of(CONTENT)
    left = (here.path / ".git/dver/imports").iterdir()
    assert [one.name for one in left if one.suffix != ".lock"] == []


def test_update_asks_with_the_etag_and_downloads_only_what_changed(
    here: DataRepo, web: Web
) -> None:
    url = web.put("/iris.csv", CONTENT, "v1")
    bring(here, url)
    here.commit("import")
    web.asked.clear()
    assert move(here, all=True).targets[0].state == "current"
    assert [(method, headers["if-none-match"]) for method, _, headers in web.asked] == [
        ("HEAD", '"v1"')
    ]
    web.put("/iris.csv", b"h1,h3\n5,6\n", "v2")
    looked = move(here, "iris.csv", check=True)
    assert looked.has_moved
    shape = looked.targets[0].shape
    assert shape is not None
    assert (shape.columns_added, shape.columns_removed, shape.size) == (("h3",), ("h2",), 10)
    assert (here.path / "iris.csv").read_bytes() == CONTENT
    assert move(here, "iris.csv").targets[0].updated
    assert (here.path / "iris.csv").read_bytes() == b"h1,h3\n5,6\n"
    assert origin(here, "iris.csv").etag == "v2"
    web.put("/iris.csv", b"h1,h3\n5,6\n", "v3")
    assert move(here, "iris.csv").targets[0].state == "current"
    del web.files["/iris.csv"]
    with pytest.raises(ObjectNotFound):
        move(here, "iris.csv")


def parquet(**columns: list[object]) -> bytes:
    table = pa.table(columns)
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def record(repo: DataRepo, data: bytes) -> None:
    (repo.path / "t.parquet").write_bytes(data)
    Dver(repo.path)("add", "t.parquet")
    repo.commit("a table")


def test_columns_of_parquet_files_are_compared(
    here: DataRepo, upstream: DataRepo, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the end of the new file is read for it, and its types count as well."""
    many = list(range(200_000))
    old = parquet(id=many, price=many, gone=["x"] * len(many))
    new = parquet(id=many, price=[float(one) for one in many], new=many)
    url = web.put("/t.parquet", old, "v1")
    bring(here, url)
    record(upstream, old)
    bring(here, upstream.path, "t.parquet", output="there.parquet")
    here.commit("imports")
    web.put("/t.parquet", new, "v2")
    record(upstream, new)
    web.asked.clear()
    for name in ("t.parquet", "there.parquet"):
        shape = move(here, name, check=True).targets[0].shape
        assert shape is not None
        assert (shape.columns_added, shape.columns_removed) == (("new",), ("gone",))
        assert shape.columns_changed == ("price (int64 -> double)",)
    (first,) = (headers for method, _, headers in web.asked if method == "GET")
    assert first["range"] == f"bytes={len(new) - (64 << 10)}-"
    told = Dver(here.path)("update", "--check", "t.parquet", code=1).stdout
    assert "; new columns: new; lost columns: gone; retyped columns: price (int64" in told
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    shape = move(here, "t.parquet", check=True).targets[0].shape
    assert shape is not None and not shape.columns_added
    assert shape.note == "columns not compared, since pyarrow is not installed"
    monkeypatch.undo()
    web.put("/t.parquet", b"PAR1" + b"\xff" * 50_000 + b"\x10\0\0\0PAR1", "v3")
    shape = move(here, "t.parquet", check=True).targets[0].shape
    assert shape is not None and not shape.columns_added


def test_a_download_that_breaks_goes_on(here: DataRepo, web: Web) -> None:
    url = web.put("/f", CONTENT, "v1")
    web.breaks = 3
    bring(here, url)
    assert (here.path / "f").read_bytes() == CONTENT
    ranges = [headers["range"] for _, _, headers in web.asked if "range" in headers]
    assert len(ranges) == 3
    assert sorted(ranges, key=lambda one: int(one[6:-1])) == ranges
    assert all(
        headers.get("if-range") == '"v1"' for _, _, headers in web.asked if "range" in headers
    )


def test_what_came_is_kept_for_the_next_attempt(
    here: DataRepo, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = web.put("/f", CONTENT, "v1")
    real = HttpPlain.read

    def interrupted(self: HttpPlain, facts: Facts, start: int = 0) -> Iterator[bytes]:
        yield bytes(next(iter(real(self, facts, start))))[:1000]
        raise KeyboardInterrupt

    monkeypatch.setattr(HttpPlain, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bring(here, url)
    assert not (here.path / "f.dver").exists()
    monkeypatch.setattr(HttpPlain, "read", real)
    bring(here, url)
    assert (here.path / "f").read_bytes() == CONTENT
    assert web.asked[-1][2]["range"] == "bytes=1000-"


@pytest.mark.parametrize("how", ["no etag", "no ranges", "no head"])
def test_servers_that_know_less(here: DataRepo, web: Web, how: str) -> None:
    url = web.put("/f", CONTENT, "" if how == "no etag" else "v1")
    web.breaks = 1
    web.ignores_ranges = how == "no ranges"
    web.refuses_head = how == "no head"
    bring(here, url)
    assert (here.path / "f").read_bytes() == CONTENT


def test_what_changes_meanwhile_is_refused(web: Web) -> None:
    plain = HttpPlain(web.put("/f", CONTENT, "v1"), {})
    facts = plain.look()
    web.put("/f", b"other", "v2")
    with pytest.raises(ChangedError):
        b"".join(bytes(piece) for piece in plain.read(facts))
    assert plain.look(Facts(etag="v2")).etag == "v2"


def test_redirects(here: DataRepo, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download may lead elsewhere: not for ever, not to files, not into a private network."""
    real = web.put("/real", b"content", "v1")
    web.redirects["/moved"] = real
    start = real.replace("/real", "")
    bring(here, f"{start}/moved")
    assert (here.path / "moved").read_bytes() == b"content"
    web.redirects["/loop"] = "/loop"
    web.redirects["/file"] = "file:///etc/passwd"
    web.redirects["/login"] = f"http://me:secret@127.0.0.1:{web.port}/real"
    for path in ("loop", "file", "login"):
        with pytest.raises(RemoteError) as caught:
            bring(here, f"{start}/{path}")
        assert "secret" not in str(caught.value)
    from dver.storage.plain import http

    seen: list[str] = []

    def public_at_first(address: str) -> bool:
        seen.append(address)
        return len(seen) == 1

    monkeypatch.setattr(http, "_is_public", public_at_first)
    before = len(web.asked)
    with pytest.raises(RemoteError, match="private network"):
        bring(here, f"{start}/moved", output="other")
    assert [path for _, path, _ in web.asked[before:]] == ["/moved"]


@pytest.mark.parametrize(("status", "said"), [(401, "refuses"), (404, "not there"), (418, "418")])
def test_servers_that_refuse(here: DataRepo, web: Web, status: int, said: str) -> None:
    url = web.put("/f", b"1")
    web.status = status
    with pytest.raises(RemoteError, match=said):
        bring(here, url)
    assert here.git("status", "--porcelain") == ""


def test_urls_that_are_refused(here: DataRepo) -> None:
    for url in (
        "https://me:secret@example.com/x",
        "https://secret@example.com/x",
        "https://bucket.s3.amazonaws.com/x?X-Amz-Signature=secret",
        "https://example.com/x?token=secret",
        "https://d111.cloudfront.net/x?Signature=secret&Key-Pair-Id=K1",
        "https://bucket.s3.amazonaws.com/x?a=1&X-Amz-Credential=secret",
        "https://gitlab.example.com/x?private_token=secret",
        "https://example.com/x?%74oken=secret",
        "https://example.com/x?a=1;api_key=secret",
        "simplecache::https://example.com/secret",
        "zip://secret.zip",
        "data://secret",
        "s3://key:secret@bucket/x",
        "nonsense",
        "https://",
    ):
        with pytest.raises(DverError) as caught:
            bring(here, url, output="out")
        assert "secret" not in str(caught.value) or "zip" in url or "data:" in url
    with pytest.raises(UsageError, match="no name"):
        bring(here, "https://example.com/")
    with pytest.raises(UsageError, match="--rev"):
        bring(here, "https://example.com/x", rev="main")


def test_a_repository_is_not_noted_with_a_token_either(here: DataRepo) -> None:
    with pytest.raises(UsageError, match="signature or token") as caught:
        bring(here, "https://example.com/r.git?private_token=hidden", "data")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("location", ["http://[", "http://h:99999/", "/\xe9 x", "http://\xe9/"])
def test_redirects_to_nowhere(here: DataRepo, web: Web, location: str) -> None:
    url = web.put("/f", b"1")
    web.redirects["/f"] = location
    with pytest.raises(DverError):
        bring(here, url)
    assert here.git("status", "--porcelain") == ""


def test_without_a_download_the_pointer_says_so(here: DataRepo, web: Web, tmp_path: Path) -> None:
    """Nobody has seen the content: it is absent, not pushed, and pull fetches and notes it."""
    url = web.put("/big.bin", CONTENT, "v1")
    result = bring(here, url, download=False)
    assert (result.oid, result.size) == (None, len(CONTENT))
    assert pointers.decode(pointer_text(here, "big.bin")).oid == UNSEEN
    assert {method for method, _, _ in web.asked} == {"HEAD"}
    here.commit("import")
    web.asked.clear()
    assert state(here, "big.bin") == "unchanged absent missing"
    repo = here.repo()
    assert push(repo, PushOptions(), SILENT).objects == 0
    repo.close()
    assert web.asked == []
    done = pulled(here)
    assert done.imported == ("big.bin",)
    assert done.to_stage == ("big.bin.dver",)
    assert (here.path / "big.bin").read_bytes() == CONTENT
    assert origin(here, "big.bin").oid == oid_of(CONTENT)
    assert state(here, "big.bin") == "modified unchanged here"


def test_what_was_imported_and_is_lost_comes_from_the_source_if_that_still_has_it(
    here: DataRepo, web: Web
) -> None:
    url = web.put("/f", CONTENT, "v1")
    bring(here, url)
    here.commit("import")
    here.forget_store()
    (here.path / "f").unlink()
    with pytest.raises(MissingContentError):
        pulled(here)
    pulled(here, trust=True)
    assert (here.path / "f").read_bytes() == CONTENT
    here.forget_store()
    (here.path / "f").unlink()
    web.put("/f", b"other", "v2")
    with pytest.raises(MissingContentError):
        pulled(here, trust=True)
    assert not (here.path / "f").exists()


def test_a_directory_of_fsspec(here: DataRepo, tmp_path: Path) -> None:
    there = tmp_path / "pub lic"
    (there / "in").mkdir(parents=True)
    (there / "a b.csv").write_text("1")
    (there / "in/é").write_text("22")
    result = bring(here, f"file://{there}/", output="pub")
    assert (result.kind, result.files, result.size) == ("tree", 2, 3)
    assert (here.path / "pub/in/é").read_text() == "22"
    assert urlsplit(origin(here, "pub").url).path == f"{tmp_path}/pub%20lic/"
    assert move(here, "pub").targets[0].state == "current"
    (there / "new").write_text("3")
    shape = move(here, "pub", check=True).targets[0].shape
    assert shape is not None
    assert (shape.added, shape.removed) == (1, 0)
    move(here, "pub")
    assert (here.path / "pub/new").read_text() == "3"
    (there / "link").symlink_to("/etc/passwd")
    with pytest.raises(RemoteError, match="symlink"):
        move(here, "pub")
    with pytest.raises(DverError):
        bring(here, f"file://{there}", output="other")


def test_status_and_the_like_ask_nobody(
    here: DataRepo, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(here, web.put("/f", b"1", "v1"))
    web.asked.clear()
    repo = here.repo()
    status(repo, StatusOptions(), SILENT)
    repo.close()
    with pytest.raises(RefusedError):
        bring(here, web.put("/f", b"1", "v1"))
    assert web.asked == []
