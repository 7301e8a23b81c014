"""``whereis`` without a remote, and what is remembered of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from dver.base.errors import NotFoundError
from dver.base.oid import EMPTY, format_oid, oid_of
from dver.base.reporter import SILENT
from dver.ops.looking.whereis import Whereabouts, WhereisOptions, WhereisResult, whereis
from dver.workspace.links import LinkCache
from tests.support.datarepo import DataRepo


@pytest.fixture
def data(tmp_path: Path) -> DataRepo:
    return DataRepo.create(tmp_path / "repo")


def run(data: DataRepo, what: str, **options: object) -> WhereisResult:
    return whereis(data.repo(), WhereisOptions(what, **options), SILENT)


def place(result: WhereisResult, role: str) -> Whereabouts:
    (found,) = [one for one in result.places if one.role == role]
    return found


def test_a_directory_is_here_with_all_its_objects(data: DataRepo) -> None:
    data.version("one", d={"a": "1", "b": "22", "same": "22", "sub": {"c": "333"}})
    result = run(data, "d")
    assert (result.path, result.kind, result.size, result.found) == ("d", "directory", 8, True)
    store = place(result, "store")
    # Two trees and three distinct contents.
    assert (store.state, store.present, store.objects) == ("complete", 5, 5)
    assert (store.present_bytes, store.bytes) == (6, 6)
    assert place(result, "links").state == "absent"


def test_parts_revisions_and_oids(data: DataRepo) -> None:
    data.version("one", d={"a": "old"})
    data.version("two", d={"a": "newer"})
    assert run(data, "d/a").size == 5
    assert run(data, "d/a", rev="HEAD~1").oid == format_oid(oid_of(b"old"))
    for text in (format_oid(oid_of(b"old")), oid_of(b"old").hex()):
        result = run(data, text)
        assert (result.path, result.kind, result.size, result.found) == (None, "file", 3, True)


def test_what_is_nowhere(data: DataRepo) -> None:
    data.track("d", {"a": "1"}, stored=False)
    result = run(data, "d")
    assert not result.found
    assert place(result, "store").state == "absent"
    unknown = run(data, format_oid(EMPTY))
    assert (unknown.kind, unknown.size, unknown.found) == (None, None, False)
    with pytest.raises(NotFoundError):
        run(data, "nope")


def test_what_is_only_partly_here(data: DataRepo) -> None:
    data.track("d", {"a": "1", "sub": {"b": "22"}}, stored=False)
    data.track("other", {"sub": {"b": "22"}})
    # Only the tree of the top and one file are missing.
    store = place(run(data, "d"), "store")
    assert (store.state, store.present) == ("absent", 0)
    data.track("d2", {"a": "1", "sub": {"b": "22"}})
    assert place(run(data, "d"), "store").state == "complete"


def test_the_link_cache_counts_files(data: DataRepo) -> None:
    data.version("one", d={"a": "1", "b": "22"})
    cache = LinkCache(data.repo().store.local_directory())
    assert cache.fill(oid_of(b"22"), 2, [b"22"], executable=False) is not None
    links = place(run(data, "d"), "links")
    assert (links.state, links.present, links.objects, links.present_bytes) == ("partial", 1, 2, 2)
    assert cache.fill(oid_of(b"1"), 1, [b"1"], executable=False) is not None
    assert place(run(data, "d"), "links").state == "complete"
