"""``ls``, ``cat``, ``whereis`` and ``log`` when the content is only in a remote."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from dver.base.errors import MissingContentError
from dver.base.oid import oid_of
from dver.base.reporter import SILENT
from dver.ops.looking.cat import CatOptions, cat
from dver.ops.looking.ls import LsOptions, ls
from dver.ops.looking.whereis import Whereabouts, WhereisOptions, WhereisResult, whereis
from dver.ops.targets.remembered import locate_missing, missing_error
from dver.repo import Repo
from dver.storage.base import Storage
from dver.transfer.reader import ReadAhead, reader
from dver.transfer.remote import Remote
from tests.support.datarepo import DataRepo

BIG = os.urandom(1_500_000).hex()


@pytest.fixture
def data(tmp_path: Path) -> DataRepo:
    """Pushed to a directory, and gone from the local store."""
    made = DataRepo.create(tmp_path / "repo")
    made.add_remote(tmp_path / "remote")
    made.version("one", d={"a": "1", "big": BIG, "sub": {"c": "333"}})
    made.push()
    made.forget_store()
    return made


def read(data: DataRepo, path: str) -> bytes:
    out = io.BytesIO()
    repo = data.repo()
    cat(repo, CatOptions(path), out, SILENT)
    repo.close()
    return out.getvalue()


def place(data: DataRepo, what: str, **options: object) -> Whereabouts:
    result = where(data, what, **options)
    (found,) = [one for one in result.places if one.role == "remote"]
    return found


def where(data: DataRepo, what: str, **options: object) -> WhereisResult:
    repo = data.repo()
    result = whereis(repo, WhereisOptions(what, **options), SILENT)
    repo.close()
    return result


def test_ls_reads_listings_from_the_remote_and_keeps_nothing(data: DataRepo) -> None:
    result = ls(data.repo(), LsOptions(("d",), recursive=True), SILENT)
    assert [(e.path, e.local) for e in result.entries] == [
        ("d/a", False),
        ("d/big", False),
        ("d/sub/c", False),
    ]
    assert not list((data.path / ".git/dver").glob("packs/*/*"))


def test_cat_reads_from_the_remote(data: DataRepo) -> None:
    assert read(data, "d/sub/c") == b"333"
    assert read(data, "d/big") == BIG.encode()
    assert not list((data.path / ".git/dver").glob("packs/*/*"))


def test_cat_of_one_small_file_reads_little_of_the_remote(data: DataRepo) -> None:
    repo = data.repo()
    cat(repo, CatOptions("d/a"), io.BytesIO(), SILENT)
    opened: list[Remote] = []
    keep = Repo.open_remote

    def note(self: Repo, name: str | None = None, *, write: bool) -> Remote:
        opened.append(keep(self, name, write=write))
        return opened[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Repo, "open_remote", note)
        cat(data.repo(), CatOptions("d/a"), io.BytesIO(), SILENT)
        small = opened[0].storage.received
        cat(data.repo(), CatOptions("d/big"), io.BytesIO(), SILENT)
    assert small < 300_000
    # Windows double, so that a megabyte and a half of half-size frames is a few requests.
    assert opened[1].storage.received > 1_400_000
    assert opened[1].storage.requests < 20


def test_a_remote_that_has_lost_it_says_so(data: DataRepo, tmp_path: Path) -> None:
    data.track("lost", "nowhere", stored=False)
    with pytest.raises(MissingContentError, match=r"neither in .* nor in the remote 'origin'"):
        read(data, "lost")
    for pack in (tmp_path / "remote/packs").rglob("*"):
        if pack.is_file():
            pack.unlink()
    with pytest.raises(MissingContentError, match="gone"):
        read(data, "d/a")


def test_a_remote_that_nobody_pushed_to(tmp_path: Path) -> None:
    data = DataRepo.create(tmp_path / "repo")
    data.add_remote(tmp_path / "remote")
    data.track("lost", "nowhere", stored=False)
    with pytest.raises(MissingContentError, match="origin"):
        read(data, "lost")


def test_whereis_remembers_and_asks(data: DataRepo, tmp_path: Path) -> None:
    never = place(data, "d")
    assert (never.state, never.checked) == ("unknown", False)
    assert "never asked" in (never.problem or "")
    asked = place(data, "d", check=True)
    assert (asked.state, asked.present, asked.objects, asked.checked) == ("complete", 5, 5, True)
    assert asked.present_bytes == asked.bytes == 4 + len(BIG)
    assert where(data, "d", check=True).found
    remembered = place(data, "d")
    assert (remembered.state, remembered.checked) == ("complete", False)
    assert place(data, oid_of(b"333").hex(), check=True).present == 1
    (tmp_path / "remote").rename(tmp_path / "gone")
    assert place(data, "d").state == "complete"
    assert place(data, "d", check=True).state != "complete"


def test_whereis_counts_only_packs_that_are_there(data: DataRepo, tmp_path: Path) -> None:
    place(data, "d", check=True)
    packs = [p for p in (tmp_path / "remote/packs").rglob("*") if p.is_file()]
    largest = max(packs, key=lambda p: p.stat().st_size)
    largest.unlink()
    found = place(data, "d", check=True)
    assert found.state == "partial"
    assert found.present < found.objects


def test_whereis_tells_a_remote_that_fails_from_one_that_lacks(
    data: DataRepo, tmp_path: Path
) -> None:
    (tmp_path / "dead").mkdir()
    (tmp_path / "dead/format.json").write_text("<html>502</html>")
    data.add_remote(tmp_path / "dead", "dead")
    by_name = {p.name: p for p in where(data, "d", check=True, remotes=("dead",)).places}
    assert by_name["dead"].state == "unknown"
    assert "not a dver store" in (by_name["dead"].problem or "")


def test_missing_content_is_looked_for_in_what_is_remembered(data: DataRepo) -> None:
    place(data, "d", check=True)
    repo = data.repo()
    here, nowhere = oid_of(b"333"), oid_of(b"nowhere")
    assert locate_missing(repo, [here, nowhere]) == {here: ("origin",), nowhere: ()}
    error = missing_error(repo, [(b"d/sub/c", here)], "the local store")
    assert "dver fetch -r origin" in (error.hint or "")
    assert error.paths == (f"d/sub/c (blake3:{here.hex()})",)
    assert "whereis" in (missing_error(repo, [(b"x", nowhere)], "the local store").hint or "")


class Counting(Storage):
    """A pack of a known pattern, in memory, that counts what is asked of it."""

    def __init__(self, data: bytes) -> None:
        from dver.storage.base import Facts

        self.data = data
        self.asked: list[tuple[int, int]] = []
        self.description = "memory"
        self.facts = Facts(conditional_create=True, connections=1)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        assert length is not None
        assert start + length <= len(self.data), "a range that is not there in full"
        self.asked.append((start, length))
        return self.data[start : start + length]

    def put(self, key: str, data: bytes | memoryview, *, if_absent: bool = False) -> None: ...
    def head(self, key: str) -> None: ...
    def list(self, prefix: str):
        return iter(())

    def delete(self, key: str) -> None: ...


def test_reading_ahead_gives_the_right_bytes_in_few_requests() -> None:
    from dver.store import layout

    name = bytes(range(32))
    key = layout.pack_key(name)
    whole = os.urandom(3_000_000)
    inner = Counting(whole)
    view = ReadAhead(inner, {name: len(whole)})
    for start in range(0, len(whole), 50_000):
        assert view.get(key, start, 50_000) == whole[start : start + 50_000]
    assert len(inner.asked) < 10
    assert sum(length for _, length in inner.asked) <= len(whole)
    inner.asked.clear()
    for start in (2_900_000, 10, 1_500_000, 2_999_990):
        assert view.get(key, start, 10) == whole[start : start + 10]
    assert sum(length for _, length in inner.asked) < 300_000


def test_a_reader_of_an_empty_remote_is_none(tmp_path: Path) -> None:
    data = DataRepo.create(tmp_path / "repo")
    data.add_remote(tmp_path / "remote")
    assert reader(data.repo().open_remote(None, write=False)) is None
