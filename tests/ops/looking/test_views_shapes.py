"""Looking at versions: odd names, and repositories of other shapes."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from dver.base.errors import FormatError
from dver.base.oid import Oid, oid_of
from dver.base.reporter import SILENT
from dver.formats import pack
from dver.formats import pointer as pointers
from dver.formats import tree as trees
from dver.formats.pointer import Pointer
from dver.formats.tree import FILE, Entry
from dver.ops.data.diff import DiffOptions, diff
from dver.ops.looking.cat import CatOptions, cat
from dver.ops.looking.get import GetOptions, get
from dver.ops.looking.log import LogOptions, log
from dver.ops.looking.ls import LsOptions, ls
from dver.repo import Repo
from tests.support.datarepo import DataRepo
from tests.support.gitrepo import GitRepo

NAMES = [
    b"a space",
    b"-dash",
    b"new\nline",
    b'quo"te',
    b"star*[x]?",
    b"not-utf-8-\xff\xfe",
    "nfc-\u00e9".encode(),
    "nfd-e\u0301".encode(),
    b"Case",
    b"case",
    b"x" * 255,
    b" trailing ",
]


@pytest.fixture
def data(tmp_path: Path) -> DataRepo:
    return DataRepo.create(tmp_path / "repo")


def track_names(data: DataRepo, names: list[bytes]) -> None:
    """Track a directory ``d`` with one file per name, that name its content, as written bytes."""
    tree = trees.build([Entry(FILE, name, len(name), oid_of(name)) for name in names], 0)
    repo = data.repo()
    with repo.store.writer() as writer:
        for name in names:
            writer.add(name)
        top: Oid = writer.add(trees.encode(tree), pack.TREE)
        writer.commit()
    repo.close()
    data.write("d.dver", pointers.encode(Pointer("tree", top, tree.size, tree.files)))


def test_odd_names_inside_a_directory(data: DataRepo, tmp_path: Path) -> None:
    track_names(data, NAMES)
    data.commit("odd")
    repo = data.repo()
    listed = ls(repo, LsOptions(("d",)), SILENT).entries
    assert sorted(os.fsencode(e.path) for e in listed) == sorted(b"d/" + n for n in NAMES)
    for name in NAMES:
        out = io.BytesIO()
        cat(repo, CatOptions("d/" + os.fsdecode(name)), out, SILENT)
        assert out.getvalue() == name
        assert len(log(repo, LogOptions("d/" + os.fsdecode(name)), SILENT).entries) == 1
    get(repo, GetOptions("d", str(tmp_path / "out")), SILENT)
    assert sorted(os.listdir(os.fsencode(tmp_path / "out"))) == sorted(NAMES)
    (tmp_path / "out").rename(data.path / "d")
    assert not diff(repo, DiffOptions(), SILENT).changed
    path = os.path.join(os.fsencode(data.path), b"d", NAMES[5])
    with open(path, "ab") as file:
        file.write(b"more")
    (changed,) = diff(repo, DiffOptions(), SILENT).files
    assert os.fsencode(changed.path) == b"d/" + NAMES[5]


def test_a_bare_repository(data: DataRepo, tmp_path: Path) -> None:
    data.version("one", d={"a": "1"})
    data.version("two", d={"a": "22"})
    GitRepo.clone(data.path, tmp_path / "bare.git", "--bare")
    (tmp_path / "bare.git/dver").mkdir()
    for part in ("packs", "index", "format.json"):
        (data.path / ".git/dver" / part).rename(tmp_path / "bare.git/dver" / part)
    repo = Repo.open(tmp_path / "bare.git")
    assert [e.path for e in ls(repo, LsOptions(("d",), rev="HEAD~1"), SILENT).entries] == ["d/a"]
    assert [f.path for f in diff(repo, DiffOptions(("HEAD~1", "HEAD")), SILENT).files] == ["d/a"]
    assert len(log(repo, LogOptions("d"), SILENT).entries) == 2
    get(repo, GetOptions("d/a", str(tmp_path / "out"), "HEAD"), SILENT)
    assert (tmp_path / "out").read_text() == "22"
    # Without a work tree, HEAD is what one means.
    assert [e.path for e in ls(repo, LsOptions(("d",)), SILENT).entries] == ["d/a"]
    get(repo, GetOptions("d/a", str(tmp_path / "again")), SILENT)
    assert (tmp_path / "again").read_text() == "22"


def test_a_second_worktree_shares_the_store(data: DataRepo, tmp_path: Path) -> None:
    data.version("one", d={"a": "1"})
    data.git("worktree", "add", "-q", str(tmp_path / "second"), "-b", "side")
    second = DataRepo(tmp_path / "second")
    repo = second.repo()
    assert [e.local for e in ls(repo, LsOptions(("d",)), SILENT).entries] == [True]
    second.lay_out("d", {"a": "changed"})
    assert [f.path for f in diff(repo, DiffOptions(), SILENT).files] == ["d/a"]
    assert diff(data.repo(), DiffOptions(), SILENT).files == ()


def test_from_a_subdirectory_and_through_a_symlink(data: DataRepo, tmp_path: Path) -> None:
    data.track("x/d", {"a": "1"})
    data.version("one", top="2")
    (tmp_path / "link").symlink_to(data.path)
    repo = Repo.open(tmp_path / "link" / "x")
    assert [e.path for e in ls(repo, LsOptions(), SILENT).entries] == ["d"]
    assert [e.path for e in ls(repo, LsOptions(("..",)), SILENT).entries] == ["../top", "d"]
    data.lay_out("x/d", {"a": "11"})
    data.lay_out("top", "22")
    assert [f.path for f in diff(repo, DiffOptions(), SILENT).files] == ["../top", "d/a"]


def test_a_sparse_checkout_lists_what_is_in_it(data: DataRepo) -> None:
    data.track("x/d", {"a": "1"})
    data.track("y/d", {"a": "1"})
    data.commit("one")
    data.git("sparse-checkout", "set", "x")
    assert [e.path for e in ls(data.repo(), LsOptions(), SILENT).entries] == ["x/d"]
    assert [e.path for e in ls(data.repo(), LsOptions(rev="HEAD"), SILENT).entries] == [
        "x/d",
        "y/d",
    ]


def test_a_merge_in_progress(data: DataRepo) -> None:
    data.version("base", d={"a": "1"}, other="x")
    data.git("switch", "-q", "-c", "side")
    data.version("side", d={"a": "22"})
    data.git("switch", "-q", "main")
    data.version("main", d={"a": "333"})
    data.git("merge", "side", check=False)
    repo = data.repo()
    with pytest.raises(FormatError, match="conflict markers") as caught:
        diff(repo, DiffOptions(), SILENT)
    assert "dver resolve" in (caught.value.hint or "")
    assert [e.path for e in ls(repo, LsOptions(("other",)), SILENT).entries] == ["other"]
    assert [f.new_size for f in diff(repo, DiffOptions(("HEAD", "side")), SILENT).files] == [2]
