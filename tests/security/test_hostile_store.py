"""Stores and remotes that lie: substituted objects, and chunk lists that do not add up."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from dver.base.errors import CorruptError, DverError, SystemFailure
from dver.base.oid import Oid, list_name_of, oid_of
from dver.formats import chunklist, pack
from dver.formats import pointer as pointers
from dver.formats.chunklist import ChunkList
from dver.formats.pointer import Pointer
from dver.storage.local import LocalStorage
from dver.store.store import Store
from tests.security.forging import forge
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo
from tests.support.workbench import Workbench, read_back


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


# -- substituted objects ---------------------------------------------------------------------------

GOOD = {"data/a": b"good a\n" * 300, "data/b": b"good b\n" * 300, "model.bin": b"good model"}


@pytest.fixture
def clone(git_repo: GitRepo, tmp_path: Path) -> Dver:
    """A clone that has nothing yet of what was pushed to the directory ``nas``."""
    dver = Dver(git_repo.path)
    dver("init", "-q")
    for name, content in GOOD.items():
        git_repo.write(name, content)
    dver("add", "-q", "data", "model.bin")
    dver("remote", "add", "-q", "nas", str(tmp_path / "nas"))
    git_repo.commit("one")
    dver("push", "-q")
    return Dver(GitRepo.clone(git_repo.path, tmp_path / "clone").path)


def rewrite(remote: Path, change: dict[Oid, bytes | None]) -> None:
    """Write a remote anew with other contents under some oids (None: without them)."""
    store = Store.open(LocalStorage(remote))
    kept = []
    for one in store.index.segments:
        for oid, place in one.places():
            data = change.get(oid, store.read(oid))
            if data is not None:
                kept.append((oid, place.kind, data))
    store.close()
    for part in ("packs", "index"):
        shutil.rmtree(remote / part)
    forge(Store.open(LocalStorage(remote)), kept)


A, B, MODEL = (oid_of(content) for content in GOOD.values())


@pytest.mark.parametrize(
    "change",
    [
        {MODEL: b"evil model"},
        {MODEL: b"another length"},
        {MODEL: b""},
        {A: GOOD["data/b"], B: GOOD["data/a"]},
        {A: b"evil" * 525},
    ],
)
def test_another_content_under_an_oid_never_arrives(
    clone: Dver, tmp_path: Path, change: dict[Oid, bytes | None]
) -> None:
    rewrite(tmp_path / "nas", change)
    before = read_back(os.fsencode(clone.cwd))
    done = clone("pull", code=7)
    assert any(oid.hex() in done.stderr for oid in change), done.stderr
    clone("fetch", code=7)
    assert clone.attempt("checkout").exit_code in (6, 7)
    name = "model.bin" if MODEL in change else "data/a"
    assert clone.attempt("cat", name).exit_code in (6, 7)
    assert clone.attempt("get", name, "-o", "out").exit_code in (6, 7)
    after = read_back(os.fsencode(clone.cwd))
    new = {name for name in after.keys() - before.keys() if not name.startswith(b".git/")}
    wanted = {name.encode() for name in GOOD} | {b"data"}
    assert new <= wanted, new
    for path in new - {b"data"}:
        assert after[path] == GOOD[path.decode()]
    assert clone.attempt("fsck", "--full", "-r", "nas").exit_code == 7


def test_a_tree_of_somebody_else_never_arrives(clone: Dver, tmp_path: Path) -> None:
    from dver.formats import tree
    from dver.formats.tree import FILE, Entry

    wanted = pointers.decode((clone.cwd / "data.dver").read_bytes()).oid
    evil = tree.encode(tree.build([Entry(FILE, b"a", 2100, B)], 0))
    rewrite(tmp_path / "nas", {wanted: evil})
    clone("pull", code=7)
    assert not (clone.cwd / "data").exists()


def test_the_right_object_is_taken_if_another_remote_has_it(
    clone: Dver, git_repo: GitRepo, tmp_path: Path
) -> None:
    here = Dver(git_repo.path)
    here("remote", "add", "-q", "--local", "good", str(tmp_path / "good"))
    here("push", "-q", "-r", "good")
    rewrite(tmp_path / "nas", {MODEL: b"evil model"})
    clone("pull", code=7)
    clone("remote", "add", "-q", "--local", "good", str(tmp_path / "good"))
    clone("pull", "-q", "-r", "good")
    assert (clone.cwd / "model.bin").read_bytes() == GOOD["model.bin"]


def test_a_segment_of_lies_in_the_local_store(clone: Dver) -> None:
    """Somebody who can write to the store claims content: it is found out when it is read."""
    clone("pull", "-q")
    (clone.cwd / "model.bin").unlink()
    store = Store.open(LocalStorage(clone.cwd / ".git/dver"))
    for part in ("packs", "index"):
        for path in sorted((clone.cwd / ".git/dver" / part).rglob("*")):
            if path.is_file():
                path.unlink()
    store.refresh()
    forge(store, [(MODEL, pack.BLOB, b"evil model")])
    store.close()
    clone("checkout", "model.bin", code=7)
    assert not (clone.cwd / "model.bin").exists()
    clone("fsck", "--full", code=7)


# -- chunk lists -----------------------------------------------------------------------------------


def listed(level: int, rows: list[tuple[bytes, int]]) -> bytes:
    return chunklist.encode(ChunkList(level, tuple((Oid(oid), size) for oid, size in rows)))


CHUNK = b"x" * 1000
WHOLE = oid_of(CHUNK * 2)


def read_all(bench: Workbench, oid: Oid) -> None:
    """Read an object in every way there is; each must end in CorruptError."""
    for read in (
        lambda: bench.store.read(oid),
        lambda: list(bench.store.stream(oid)),
        lambda: list(bench.store.chunks(oid)),
        lambda: list(bench.store.parts(oid)),
    ):
        with pytest.raises(CorruptError):
            read()


LOWER = listed(0, [(oid_of(CHUNK), 1000), (oid_of(CHUNK), 1000)])


@pytest.mark.parametrize(
    ("what", "rows"),
    [
        ("it names itself", listed(1, [(WHOLE, 2000)])),
        ("itself as a chunk", listed(0, [(WHOLE, 2000)])),
        ("a list as a chunk", listed(0, [(list_name_of(LOWER), 2000)])),
        ("a chunk as a list", listed(1, [(oid_of(CHUNK), 2000)])),
        ("two levels in one step", listed(2, [(list_name_of(LOWER), 2000)])),
        ("a list of another size", listed(1, [(list_name_of(LOWER), 1999)])),
        ("not a list at all", b"DVERLIST" + bytes(40)),
        ("no list", b"just bytes"),
    ],
)
def test_chunk_lists_that_do_not_fit(bench: Workbench, what: str, rows: bytes) -> None:
    forge(
        bench.store,
        [
            (oid_of(CHUNK), pack.CHUNK, CHUNK),
            (list_name_of(LOWER), pack.LIST, LOWER),
            (WHOLE, pack.BLOB_LIST, rows),
        ],
    )
    read_all(bench, WHOLE)
    with pytest.raises(DverError):
        result = bench.checkout(Pointer("file", WHOLE, 2000))
        raise CorruptError(result.failed[0].message)
    assert os.listdir(bench.root) == []


@pytest.mark.parametrize(
    "rows",
    [
        listed(0, [(oid_of(CHUNK), 1000)]),
        listed(0, [(oid_of(CHUNK), 1000)] * 3),
        listed(0, [(oid_of(CHUNK), 1000), (oid_of(b"y" * 1000), 1000)]),
        listed(0, [(oid_of(CHUNK), 999), (oid_of(CHUNK), 1001)]),
    ],
)
def test_chunk_lists_of_another_content(bench: Workbench, rows: bytes) -> None:
    """All in it is sound, and it is not the list of that object."""
    forge(
        bench.store,
        [
            (oid_of(CHUNK), pack.CHUNK, CHUNK),
            (oid_of(b"y" * 1000), pack.CHUNK, b"y" * 1000),
            (WHOLE, pack.BLOB_LIST, rows),
        ],
    )
    with pytest.raises(CorruptError):
        bench.store.read(WHOLE)
    with pytest.raises(CorruptError):
        list(bench.store.stream(WHOLE))
    result = bench.checkout(Pointer("file", WHOLE, 2000))
    assert [one.kind for one in result.failed] == ["CorruptError"]
    assert os.listdir(bench.root) == []


def test_a_list_under_another_name(bench: Workbench) -> None:
    """A lower list is named by its bytes, so that it cannot be swapped for another."""
    lower = listed(0, [(oid_of(CHUNK), 1000)] * 2)
    claimed = list_name_of(b"something else")
    forge(
        bench.store,
        [
            (oid_of(CHUNK), pack.CHUNK, CHUNK),
            (claimed, pack.LIST, lower),
            (WHOLE, pack.BLOB_LIST, listed(1, [(claimed, 2000)])),
        ],
    )
    read_all(bench, WHOLE)


def exploding(bench: Workbench, levels: int = 4) -> tuple[Oid, int]:
    """Store five frames of some 160 KiB that stand for 2^60 bytes; return their oid and size."""
    frames: list[tuple[bytes, int, bytes]] = [(oid_of(b"x"), pack.CHUNK, b"x")]
    name, size = oid_of(b"x"), 1
    for level in range(levels):
        data = listed(level, [(name, size)] * chunklist.MAX_ROWS)
        name, size = list_name_of(data), size * chunklist.MAX_ROWS
        frames.append((name, pack.LIST, data))
    whole = oid_of(b"whatever")
    data = listed(levels, [(name, size)] * chunklist.MAX_ROWS)
    frames.append((whole, pack.BLOB_LIST, data))
    forge(bench.store, frames)
    return whole, size * chunklist.MAX_ROWS


def test_a_few_lists_that_stand_for_more_than_any_disk(bench: Workbench) -> None:
    oid, size = exploding(bench)
    started = time.process_time()
    assert bench.store.size(oid) == size == 1 << 60
    with pytest.raises(CorruptError):
        bench.store.read(oid)
    with pytest.raises(SystemFailure, match="space"):
        bench.checkout(Pointer("file", oid, size))
    lists: set[bytes] = set()
    chunks: set[bytes] = set()
    bench.store.gather(oid, lists, chunks)
    assert (len(lists), len(chunks)) == (4, 1)
    assert bench.store.is_complete(oid)
    assert time.process_time() - started < 5
    assert os.listdir(bench.root) == []
