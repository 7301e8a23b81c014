"""``dver.open``, ``dver.read`` and ``dver.path``."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

import dver
from dver.base.errors import MissingContentError, NotFoundError, RepositoryError, UsageError
from dver.python import sessions
from tests.python.conftest import BIG, Project


def test_any_version_without_a_checkout(project: Project) -> None:
    assert dver.read("data/a.csv") == b"x,y\n2,two\n"
    assert dver.read("data/a.csv", rev="v1", encoding="utf-8") == "x,y\n1,one\n"
    assert dver.read("data/train/deep/1.csv", rev="HEAD~1") == b"1\n"
    assert dver.read("data/big.bin", rev="v1") == BIG
    assert (project.path / "data/a.csv").read_text() == "x,y\n2,two\n"


def test_text_is_utf8_and_bytes_are_asked_for(project: Project) -> None:
    with dver.open("data/a.csv", rev="v1") as text:
        assert text.readlines() == ["x,y\n", "1,one\n"]
        assert text.encoding == "utf-8"
    with dver.open("data/a.csv", "rb", rev="v1") as file:
        assert isinstance(file, io.BufferedReader)
        assert (file.size, file.name, file.mode) == (10, "data/a.csv", "rb")
        assert file.oid is not None and file.oid.startswith("blake3:")
        assert file.read(3) == b"x,y"
    with pytest.raises(ValueError, match="closed"):
        file.read()


def test_what_git_has_itself(project: Project) -> None:
    assert dver.read("notes.txt", rev="v1") == b"first\n"
    project.write("notes.txt", "not committed\n")
    project.write("new.txt", "not even added\n")
    assert dver.read("notes.txt") == b"not committed\n"
    assert dver.read("new.txt") == b"not even added\n"
    assert dver.read("notes.txt", rev="HEAD") == b"second\n"


def test_without_a_revision_the_pointer_decides(project: Project) -> None:
    project.write("data/a.csv", "not added\n")
    assert dver.read("data/a.csv") == b"x,y\n2,two\n"
    project.add("data/a.csv")
    assert dver.read("data/a.csv") == b"not added\n"


def test_paths_are_relative_to_where_we_stand(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(project.path / "data")
    assert dver.read("a.csv", rev="v1") == b"x,y\n1,one\n"
    assert dver.read("../notes.txt", rev="v1") == b"first\n"
    assert dver.read(project.path / "data/a.csv", rev="v1") == b"x,y\n1,one\n"
    monkeypatch.chdir(tmp_path)
    assert dver.read("data/a.csv", repo=project.path) == b"x,y\n2,two\n"
    assert dver.read("a.csv", repo=project.path / "data", rev="v1") == b"x,y\n1,one\n"
    with pytest.raises(RepositoryError):
        dver.read("data/a.csv")


def test_a_repository_by_its_url(project: Project, tmp_path: Path) -> None:
    project.push_to(str(tmp_path / "remote"))
    url = f"file://{project.path}"
    clone = tmp_path / "elsewhere.git"
    project.git("clone", "-q", "--bare", url, str(clone))
    assert dver.read("data/a.csv", repo=url, rev="v1") == b"x,y\n1,one\n"
    assert dver.read("notes.txt", repo=str(clone), rev="v1") == b"first\n"
    assert dver.read("data/a.csv", repo=clone) == b"x,y\n2,two\n"


def test_what_is_not_there_says_so(project: Project) -> None:
    with pytest.raises(FileNotFoundError, match="does not have") as caught:
        dver.open("data/nope.csv")
    assert isinstance(caught.value, NotFoundError)
    assert any("hint: " in note for note in caught.value.__notes__)
    with pytest.raises(NotFoundError, match="no such revision") as unknown:
        dver.open("data/a.csv", rev="v9")
    assert not isinstance(unknown.value, OSError)
    with pytest.raises(IsADirectoryError):
        dver.open("data/train", rev="v1")
    with pytest.raises(PermissionError, match="cannot be changed"):
        dver.open("data/a.csv", "w")
    with pytest.raises(ValueError, match="invalid mode"):
        dver.open("data/a.csv", "q")
    with pytest.raises(UsageError, match="takes a path"):
        dver.open("dver://data/a.csv")


def test_missing_content_is_an_error_without_a_remote(project: Project) -> None:
    project.lose_store()
    sessions.forget()
    with pytest.raises(MissingContentError, match="no default one"):
        dver.read("data/a.csv", rev="v1")
    with pytest.raises(MissingContentError):
        dver.path("data/a.csv", rev="v1")


def test_content_comes_from_the_remote_and_is_kept_if_asked(
    project: Project, tmp_path: Path
) -> None:
    project.push_to(str(tmp_path / "remote"))
    project.lose_store()
    assert dver.read("data/big.bin", rev="v1") == BIG
    assert not list((project.path / ".git/dver/packs").glob("*/*"))
    assert dver.read("data/big.bin", rev="v1", cache=True) == BIG
    assert list((project.path / ".git/dver/packs").glob("*/*"))
    (tmp_path / "remote").rename(tmp_path / "unplugged")
    sessions.forget()
    assert dver.read("data/big.bin", rev="v1") == BIG


def test_what_another_process_adds_is_seen(project: Project) -> None:
    dver.read("data/a.csv")
    project.write("late.csv", "late\n" * 100)
    project.add("late.csv")
    assert dver.read("late.csv") == b"late\n" * 100


def test_reading_writes_nothing(project: Project, tmp_path: Path) -> None:
    project.push_to(str(tmp_path / "remote"))
    clone = Project.clone(project.path, tmp_path / "clone")
    (clone.path / ".git/dver").mkdir(exist_ok=True)
    dver.read("notes.txt", repo=clone.path)
    assert os.listdir(clone.path / ".git/dver") == []


def test_a_path_is_the_work_tree_where_that_is_the_version(project: Project) -> None:
    os.utime(project.path / "data/a.csv", (1, 1))
    project.add("data/a.csv", "data/train")
    here = project.path / "data"
    assert dver.path("data/train") == str(here / "train")
    first = dver.path("data/a.csv", rev="v1")
    assert first != str(here / "a.csv")
    assert os.path.basename(first) == "a.csv"
    assert Path(first).read_text() == "x,y\n1,one\n"
    assert dver.path("data/a.csv", rev="v1") == first
    assert dver.path("notes.txt") == str(project.path / "notes.txt")
    assert Path(dver.path("notes.txt", rev="v1")).read_text() == "first\n"


def test_a_path_of_a_changed_file_is_not_the_work_tree(project: Project) -> None:
    project.write("data/a.csv", "x,y\n9,bad\n")
    assert Path(dver.path("data/a.csv")).read_text() == "x,y\n2,two\n"


def test_a_path_of_a_directory(project: Project) -> None:
    found = Path(dver.path("data/train", rev="v1"))
    assert found.name == "train"
    assert (found / "deep/1.csv").read_text() == "1\n"
    assert not (found / "2.csv").exists()
    inner = Path(dver.path("data/train/deep", rev="v1"))
    assert [one.name for one in inner.iterdir()] == ["1.csv"]
    with pytest.raises(UsageError, match="git"):
        dver.path("data", rev="v1")


def test_a_path_whose_copy_was_deleted_or_spoilt_is_made_again(project: Project) -> None:
    found = Path(dver.path("data/a.csv", rev="v1"))
    copy = found.resolve()
    copy.chmod(0o644)
    copy.write_text("spoilt")
    again = Path(dver.path("data/a.csv", rev="v1"))
    assert again.read_text() == "x,y\n1,one\n"
    again.resolve().unlink()
    assert Path(dver.path("data/a.csv", rev="v1")).read_text() == "x,y\n1,one\n"


def test_a_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for ask in (lambda: dver.read("x"), dver.Repo):
        with pytest.raises(RepositoryError, match="does not exist any more"):
            ask()


def test_odd_names(project: Project) -> None:
    for name in ("-rf", "a b\n.csv", "x@y.csv", os.fsdecode(b"caf\xe9.csv")):
        project.write(name, os.fsencode(name))
        project.add("./" + name)
    project.commit("odd")
    for name in ("-rf", "a b\n.csv", "x@y.csv", os.fsdecode(b"caf\xe9.csv")):
        assert dver.read(name, rev="HEAD") == (project.path / name).read_bytes()


def test_a_closed_file_and_the_top_directory(project: Project) -> None:
    file = dver.open("data/a.csv", "rb")
    file.close()
    for ask in (file.read, file.tell, lambda: file.seek(0)):
        with pytest.raises(ValueError, match="closed"):
            ask()
    with pytest.raises(IsADirectoryError, match=r"\] \. is a directory"):
        dver.read(".")
