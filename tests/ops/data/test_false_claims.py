"""A pointer's size and number of files are claims: nothing is written that does not fit them."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dver.base.errors import CorruptError
from dver.base.reporter import Reporter
from dver.formats import pack
from dver.formats import pointer as pointers
from dver.formats import tree as trees
from dver.formats.pointer import Pointer
from dver.ops.looking.get import GetOptions, get
from dver.ops.upkeep.fsck import FsckOptions, fsck
from tests.support.workrepo import WorkRepo


@pytest.fixture
def repo(tmp_path: Path) -> WorkRepo:
    """Hold a directory of two files and 11 bytes, and one file of 4."""
    repo = WorkRepo.create(tmp_path / "repo")
    repo.write("d/a", b"first")
    repo.write("d/s/b", b"second")
    repo.write("one", b"1234")
    repo.add("d", "one")
    repo.commit("data")
    return repo


def claim(repo: WorkRepo, name: str, field: str, value: int) -> None:
    path = repo.path / name
    path.write_text(re.sub(rf"(?m)^{field}: .*$", f"{field}: {value}", path.read_text()))


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("field", ["size", "files"])
def test_a_directory_that_is_not_as_claimed(repo: WorkRepo, field: str, there: bool) -> None:
    if not there:
        shutil.rmtree(repo.path / "d")
    claim(repo, "d.dver", field, 3)
    with pytest.raises(CorruptError, match=r"and 3 are claimed") as caught:
        repo.checkout("d")
    assert "take the pointer back" in (caught.value.hint or "")
    assert (repo.path / "d").exists() == there


def test_one_that_differs_from_what_is_there(repo: WorkRepo) -> None:
    claim(repo, "d.dver", "size", 12)
    repo.write("d/a", b"other")
    with pytest.raises(CorruptError, match="12 are claimed"):
        repo.checkout("d", force=True)
    assert (repo.path / "d/a").read_bytes() == b"other"


def test_a_file_that_is_not_as_long_as_claimed(repo: WorkRepo) -> None:
    claim(repo, "one.dver", "size", 5)
    (repo.path / "one").unlink()
    with pytest.raises(CorruptError, match="is not 5 bytes long"):
        repo.checkout("one")
    assert not (repo.path / "one").exists()


@pytest.mark.parametrize("name", ["d", "one"])
def test_get_does_not_believe_it_either(repo: WorkRepo, name: str) -> None:
    claim(repo, f"{name}.dver", "size", 5)
    opened = repo.open()
    with pytest.raises(CorruptError):
        get(opened, GetOptions(name, output="out"), Reporter())
    opened.close()
    assert not (repo.path / "out").exists()


def test_true_claims_are_believed(repo: WorkRepo) -> None:
    claim(repo, "d.dver", "files", 2)
    claim(repo, "d.dver", "size", 11)
    shutil.rmtree(repo.path / "d")
    assert repo.checkout().targets[0].written == 2


def test_fsck_finds_listings_that_tell_wrong_sizes(repo: WorkRepo) -> None:
    opened = repo.open()
    store = opened.store
    top = store.read_tree(repo.pointer("d").oid)
    # The directory in it is said to be longer than it is, and the file shorter.
    wrong = [
        replace(entry, size=entry.size + (7 if entry.kind == trees.DIRECTORY else -1))
        for entry in top
    ]
    with store.writer() as writer:
        oid = writer.add(trees.encode(trees.build(wrong, 1)), pack.TREE)
        writer.commit()
    size = sum(entry.size for entry in wrong)
    (repo.path / "d.dver").write_bytes(pointers.encode(Pointer("tree", oid, size, 2)))
    opened.close()
    found = repo._run(fsck, FsckOptions(full=True), "").findings
    told = {(one.what, one.where, one.detail) for one in found if one.what == "tree-false"}
    assert told == {
        ("tree-false", "d", "of a in it, it says 4 bytes, and its content has 5"),
        ("tree-false", "d", "of s in it, it says 13 bytes, and its content has 6"),
    }
    assert not [one for one in found if one.what != "tree-false"]
