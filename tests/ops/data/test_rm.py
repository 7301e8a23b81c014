"""Stopping to track data."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dver.base.errors import DverError, MissingContentError, NotFoundError, RefusedError, UsageError
from tests.support.workrepo import WorkRepo


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repo = WorkRepo.create(tmp_path_factory.mktemp("template") / "repo")
    for name in ("d/a", "d/s/b", "d/s/c", "f", "code/x.py"):
        repo.write(name, name.encode())
    repo.add("d", "f")
    repo.commit("data")
    return repo.path


def test_pointer_line_and_data_go(repo: WorkRepo) -> None:
    result = repo.rm("f", "d")
    assert [(t.path, t.pointer, t.kind, t.data, t.size, t.files) for t in result.targets] == [
        ("d", "d.dver", "tree", "removed", 13, 3),
        ("f", "f.dver", "file", "removed", 1, 1),
    ]
    assert repo.tree() == {"code/x.py": b"code/x.py"}
    assert set(result.to_stage) == {"d.dver", "f.dver", ".gitignore"}
    assert not result.staged
    repo.git("commit", "-qam", "gone")
    assert repo.status().is_clean
    repo.checkout("d", "f", rev="HEAD~1")
    assert repo.tree("d") == {"a": b"d/a", "s/b": b"d/s/b", "s/c": b"d/s/c"}


def test_data_may_be_kept(repo: WorkRepo) -> None:
    result = repo.rm("d", keep_data=True)
    assert result.targets[0].data == "kept"
    assert repo.tree("d") == {"a": b"d/a", "s/b": b"d/s/b", "s/c": b"d/s/c"}
    assert "d/a" in repo.untracked()
    assert repo.ignored() == ["/f"]
    repo.git("commit", "-qam", "gone")
    # Kept on purpose, so no later checkout removes it.
    repo.checkout()
    assert (repo.path / "d/a").exists()
    assert repo.status().is_clean


def test_staged(repo: WorkRepo) -> None:
    assert repo.rm("f", stage=True).staged
    assert repo.git("diff", "--cached", "--name-status").splitlines() == [
        "M\t.gitignore",
        "D\tf.dver",
    ]


def test_changed_data_is_not_lost(repo: WorkRepo) -> None:
    repo.write("f", b"my work")
    repo.write("d/a", b"too")
    before = repo.snapshot()
    with pytest.raises(RefusedError) as caught:
        repo.rm("f", "d")
    assert caught.value.paths == ("d/a", "f")
    assert caught.value.hint == "'--keep-data' keeps the data, '--force' gives it up"
    assert repo.snapshot() == before
    repo.rm("f", "d", force=True)
    assert repo.tree() == {"code/x.py": b"code/x.py"}


def test_files_that_were_never_tracked_stay(repo: WorkRepo) -> None:
    repo.write("d/mine", b"1")
    repo.rm("d")
    assert repo.tree("d") == {"mine": b"1"}
    assert repo.untracked() == ["d/mine"]


def test_a_pointer_that_was_never_committed(repo: WorkRepo) -> None:
    repo.write("g", b"1")
    repo.add("g")
    repo.write("f", b"2")
    repo.add("f")
    for path in ("g", "f"):
        with pytest.raises(RefusedError, match="never committed"):
            repo.rm(path)
    repo.rm("g", keep_data=True)
    assert (repo.path / "g").exists()
    repo.rm("f", force=True)
    assert not (repo.path / "f").exists()


def test_data_that_is_not_there(repo: WorkRepo) -> None:
    repo.unlink("f")
    shutil.rmtree(repo.path / "d")
    assert [t.data for t in repo.rm("f", "d").targets] == ["absent", "absent"]


def test_a_broken_pointer_can_be_removed(repo: WorkRepo) -> None:
    repo.write("f.dver", "<<<<<<<\n")
    with pytest.raises(RefusedError):
        repo.rm("f")
    assert repo.rm("f", keep_data=True).targets[0].kind is None
    assert (repo.path / "f").exists()


def test_a_path_inside_a_tracked_directory(repo: WorkRepo) -> None:
    result = repo.rm("d/s/b", "d/a")
    assert result.targets == ()
    assert (result.updated[0].path, result.updated[0].parts) == ("d", ("d/a", "d/s/b"))
    assert result.to_stage == ("d.dver",)
    assert repo.tree("d") == {"s/c": b"d/s/c"}
    assert repo.pointer("d").files == 1
    target = repo.status_of("d")
    assert (target.data_state, target.pointer_state) == ("unchanged", "modified")


def test_a_directory_inside_a_tracked_directory(repo: WorkRepo) -> None:
    repo.rm("d/s/b", "d/s", stage=True)
    assert repo.tree("d") == {"a": b"d/a"}
    assert repo.pointer("d").files == 1
    assert repo.git("diff", "--cached", "--name-only") == "d.dver"
    assert repo.status_of("d").data_state == "unchanged"


def test_a_path_inside_may_be_kept(repo: WorkRepo) -> None:
    repo.rm("d/a", keep_data=True)
    assert (repo.path / "d/a").exists()
    assert repo.pointer("d").files == 2
    assert repo.status_of("d").counts.new == 1


def test_a_changed_path_inside_is_not_lost(repo: WorkRepo) -> None:
    repo.write("d/a", b"my work")
    before = repo.snapshot()
    with pytest.raises(RefusedError):
        repo.rm("d/a")
    assert repo.snapshot() == before


def test_a_path_inside_with_the_whole_is_the_whole(repo: WorkRepo) -> None:
    assert [t.path for t in repo.rm("d/a", "d").targets] == ["d"]
    assert not (repo.path / "d").exists()


@pytest.mark.parametrize(
    ("path", "error", "match"),
    [
        ("nope", NotFoundError, "nothing is tracked at nope"),
        ("d/nope", NotFoundError, "d/nope is not recorded"),
        ("f/in", NotFoundError, "f/in is not recorded"),
        ("code", RefusedError, "tracked by git"),
        ("code/x.py", RefusedError, "tracked by git"),
        (".", RefusedError, "holds data that is"),
        ("../out", UsageError, "outside"),
    ],
)
def test_what_cannot_be_removed(
    repo: WorkRepo, path: str, error: type[DverError], match: str
) -> None:
    before = repo.snapshot()
    with pytest.raises(error, match=match):
        repo.rm("d/a", path)
    assert repo.snapshot() == before


def test_nothing_named(repo: WorkRepo) -> None:
    with pytest.raises(UsageError):
        repo.rm()


def test_without_the_listing_no_part_can_go(repo: WorkRepo) -> None:
    repo.lose_store()
    with pytest.raises(MissingContentError) as caught:
        repo.rm("d/a")
    assert caught.value.hint == "dver fetch d"
