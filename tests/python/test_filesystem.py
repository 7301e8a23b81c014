"""``dver://`` as fsspec and its users see it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import fsspec
import pytest

from dver.base.errors import NotFoundError, RemoteError
from dver.python import sessions
from dver.python.filesystem import DverFileSystem
from tests.python.conftest import BIG, Project


@pytest.fixture
def v1(project: Project) -> DverFileSystem:
    return fsspec.filesystem("dver", rev="v1")


def test_the_entry_point_is_declared() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    (where,) = project["project"]["entry-points"]["fsspec.specs"].values()
    assert where == f"{DverFileSystem.__module__}:{DverFileSystem.__name__}"
    assert fsspec.get_filesystem_class("dver") is DverFileSystem


def test_listing(v1: DverFileSystem) -> None:
    assert v1.ls("", detail=False) == [".dver", "data", "notes.txt"]
    names = ["data/.gitignore", "data/a.csv", "data/big.bin", "data/train"]
    assert v1.ls("dver://data", detail=False) == names
    assert v1.ls("data/train", detail=False) == ["data/train/0.csv", "data/train/deep"]
    assert v1.ls("data/a.csv", detail=False) == ["data/a.csv"]
    assert v1.find("data/train") == ["data/train/0.csv", "data/train/deep/1.csv"]
    assert v1.find("data/a.csv") == ["data/a.csv"]
    assert v1.find("nope") == []
    assert v1.glob("data/**/*.csv") == [
        "data/a.csv",
        "data/train/0.csv",
        "data/train/deep/1.csv",
    ]
    walked = {where: (sorted(dirs), sorted(files)) for where, dirs, files in v1.walk("data")}
    assert walked["data/train"] == (["deep"], ["0.csv"])
    assert v1.du("data/train") == 4


def test_the_work_tree_is_listed_as_git_sees_it(project: Project) -> None:
    project.write("data/loose.txt", "")
    project.write("ignored.txt", "")
    project.write(".gitignore", "ignored.txt\n")
    fs = fsspec.filesystem("dver")
    assert fs.ls("", detail=False) == [".dver", ".gitignore", "data", "notes.txt"]
    assert "data/loose.txt" in fs.find("data")
    assert "data/train/2.csv" in fs.find("data")
    os.unlink(project.path / "notes.txt")
    assert not fs.exists("notes.txt")


def test_info(v1: DverFileSystem, project: Project) -> None:
    info = v1.info("data/a.csv")
    assert {key: info[key] for key in ("name", "size", "type")} == {
        "name": "data/a.csv",
        "size": 10,
        "type": "file",
    }
    assert info["oid"] == info["etag"] == v1.ukey("data/a.csv")
    assert v1.info("notes.txt")["size"] == 6
    assert v1.info("data/train")["type"] == "directory"
    assert v1.isdir("data") and v1.isdir("") and not v1.isdir("data/a.csv")
    assert v1.isfile("data/a.csv") and not v1.isfile("nope")
    assert v1.exists("data/train/deep") and not v1.exists("data/a.csv/below")
    now = fsspec.filesystem("dver")
    assert now.checksum("data/a.csv") != v1.checksum("data/a.csv")
    assert now.checksum("data/big.bin") == v1.checksum("data/big.bin")
    assert v1.modified("data/a.csv") == v1.modified("notes.txt")
    assert now.modified("data/a.csv").timestamp() == pytest.approx(
        (project.path / "data/a.csv.dver").stat().st_mtime
    )


def test_pointer_files_are_not_seen(v1: DverFileSystem) -> None:
    assert v1.info("data/a.csv.dver")["name"] == "data/a.csv"
    assert not [name for name in v1.find("") if name.endswith(".dver")]


def test_symlinks_lead_on_inside_the_version(project: Project) -> None:
    os.symlink("0.csv", project.path / "data/train/link.csv")
    os.symlink("data/train", project.path / "short")
    os.symlink("../../../outside", project.path / "data/train/out")
    os.symlink("circle", project.path / "circle")
    project.add("data/train")
    project.commit("links")
    for rev in (None, "HEAD"):
        fs = fsspec.filesystem("dver", rev=rev)
        assert fs.cat_file("data/train/link.csv") == b"0\n"
        assert fs.info("data/train/link.csv")["type"] == "file"
        assert fs.info("short")["type"] == "directory"
        assert "data/train/0.csv" in fs.ls("short", detail=False)
        assert fs.info("data/train/out")["type"] == "other"
        with pytest.raises(FileNotFoundError, match="leads out"):
            fs.cat_file("data/train/out")
        with pytest.raises(FileNotFoundError, match="circles"):
            fs.open("circle")


def test_a_revision_before_the_path(project: Project) -> None:
    fs = fsspec.filesystem("dver")
    assert fs.cat_file("dver://v1@data/a.csv") == b"x,y\n1,one\n"
    assert fs.ls("v1@data/train", detail=False) == ["v1@data/train/0.csv", "v1@data/train/deep"]
    assert fs.glob("v1@data/train/*.csv") == ["v1@data/train/0.csv"]
    assert fs.cat_file("HEAD@{0}@notes.txt") == b"second\n"
    with fsspec.open("dver://v1@notes.txt", "r") as file:
        assert file.read() == "first\n"
    project.write("logo@2x.png", "two")
    assert fs.cat_file("logo@2x.png") == b"two"
    project.write("v1@notes.txt", "a file of that very name")
    assert fs.cat_file("v1@notes.txt") == b"first\n"
    assert project.commit("at")
    literal = fsspec.filesystem("dver", rev="HEAD")
    assert literal.cat_file("v1@notes.txt") == b"a file of that very name"


def test_an_instance_is_one_commit_and_a_new_one_looks_again(project: Project) -> None:
    old = fsspec.filesystem("dver", rev="main")
    project.write("notes.txt", "third\n")
    project.commit("three")
    assert old.cat_file("notes.txt") == b"second\n"
    assert fsspec.filesystem("dver", rev="main").cat_file("notes.txt") == b"third\n"
    sent = pickle.loads(pickle.dumps(old))
    assert sent.cat_file("notes.txt") == b"second\n"
    assert old == sent != fsspec.filesystem("dver", rev="main")
    old.invalidate_cache()
    assert old.cat_file("notes.txt") == b"third\n"
    assert DverFileSystem.from_json(sent.to_json()).cat_file("notes.txt") == b"second\n"


def test_ranges(v1: DverFileSystem) -> None:
    assert v1.cat_file("data/big.bin", 1000, 2000) == BIG[1000:2000]
    assert v1.cat_file("data/big.bin", -100) == BIG[-100:]
    assert v1.cat_file("data/big.bin", 10, -10) == BIG[10:-10]
    starts = [0, 5_000_000, 100, len(BIG) - 5]
    ends = [10, 5_100_000, 100, len(BIG) + 100]
    got = v1.cat_ranges(["data/big.bin"] * 4, starts, ends)
    assert got == [BIG[a:b] for a, b in zip(starts, ends, strict=True)]
    mixed = v1.cat_ranges(["notes.txt", "nope", "data/a.csv"], 0, 3)
    assert (mixed[0], mixed[2]) == (b"fir", b"x,y")
    assert isinstance(mixed[1], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        v1.cat_ranges(["nope"], 0, 1, on_error="raise")
    assert v1.cat(["notes.txt", "data/a.csv"])["notes.txt"] == b"first\n"
    assert v1.head("data/big.bin", 7) == BIG[:7]
    assert v1.tail("data/big.bin", 7) == BIG[-7:]


def test_nothing_can_be_written(v1: DverFileSystem, tmp_path: Path) -> None:
    tries: list[Any] = [
        lambda: v1.open("x", "wb"),
        lambda: v1.open("data/a.csv", "ab"),
        lambda: v1.open("data/a.csv", "r+b"),
        lambda: v1.rm("data/a.csv"),
        lambda: v1.mkdir("d"),
        lambda: v1.pipe_file("x", b""),
        lambda: v1.touch("x"),
        lambda: v1.mv("data/a.csv", "b"),
        lambda: v1.put_file(__file__, "x"),
    ]
    for one in tries:
        with pytest.raises(PermissionError, match="cannot be changed") as caught:
            one()
        assert any("dver add" in note for note in caught.value.__notes__)
    v1.get("data/train", str(tmp_path / "got"), recursive=True)
    assert (tmp_path / "got/deep/1.csv").read_text() == "1\n"


def test_bad_options(project: Project, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="no option 'revision'"):
        fsspec.filesystem("dver", revision="v1")
    with pytest.raises(FileNotFoundError) as caught:
        fsspec.filesystem("dver").cat_file("v9@data/a.csv")
    assert "nor is 'v9' a revision" in caught.value.__notes__[0]
    with pytest.raises(NotFoundError, match="no such revision"):
        fsspec.filesystem("dver", rev="v9")
    for outside in ("../outside", ".git/config"):
        with pytest.raises(FileNotFoundError):
            fsspec.filesystem("dver").cat_file(outside)
    with pytest.raises(RemoteError, match="cannot clone"):
        fsspec.filesystem("dver", rev="v1", repo=f"file://{tmp_path}/no.git")
    project.lose_store()
    sessions.forget()
    with pytest.raises(RemoteError, match="no remote 'nope'"):
        fsspec.filesystem("dver", rev="v1", remote="nope").exists("data/train/0.csv")


def test_a_bare_repository_is_read_at_its_head(project: Project, tmp_path: Path) -> None:
    project.push_to(str(tmp_path / "remote"))
    project.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    fs = fsspec.filesystem("dver", repo=tmp_path / "bare.git")
    assert fs.cat_file("notes.txt") == b"second\n"
    assert fs.info("notes.txt")["size"] == 7
    assert {one["name"]: one["size"] for one in fs.ls("data")}["data/.gitignore"] > 0
    assert "data/train/2.csv" in fs.find("data")


def test_a_failing_remote_is_not_an_absent_file(project: Project, tmp_path: Path) -> None:
    project.push_to(str(tmp_path / "remote"))
    project.lose_store()
    sessions.forget()
    (tmp_path / "remote").rename(tmp_path / "unplugged")
    fs = fsspec.filesystem("dver", rev="v1")
    with pytest.raises(Exception, match="remote") as caught:
        fs.exists("data/train/0.csv")
    assert not isinstance(caught.value, FileNotFoundError)


def read_one(fs: DverFileSystem, out: Any) -> None:
    """Run in another process: read, and send what came."""
    out.send_bytes(fs.cat_file("data/big.bin", 4_000_000, 4_000_500))
    out.close()


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_other_processes_read_the_same(project: Project, tmp_path: Path, method: str) -> None:
    project.push_to(str(tmp_path / "remote"))
    project.lose_store()
    sessions.forget()
    fs = fsspec.filesystem("dver", rev="v1")
    opened = fs.open("data/big.bin")
    assert opened.read(10) == BIG[:10]
    context = multiprocessing.get_context(method)
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=read_one, args=(fs, theirs))
    process.start()
    theirs.close()
    assert mine.recv_bytes() == BIG[4_000_000:4_000_500]
    process.join()
    assert process.exitcode == 0
    assert opened.read(10) == BIG[10:20]


def test_threads_share_an_instance(v1: DverFileSystem) -> None:
    wrong: list[object] = []

    def read(seed: int) -> None:
        with v1.open("data/big.bin") as file:
            for step in range(15):
                at = (seed * 7919 + step * 1_047_293) % len(BIG)
                file.seek(at)
                if file.read(50_000) != BIG[at : at + 50_000]:
                    wrong.append(at)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_password_in_the_url_of_a_repository_can_be_left_out() -> None:
    files = DverFileSystem(repo="https://user:secret@example.org/x.git")
    assert files.to_dict()["repo"] == "https://user:secret@example.org/x.git"
    assert files.to_dict(include_password=False)["repo"] == "https://example.org/x.git"
    assert "secret" not in files.to_json(include_password=False) + repr(files)
