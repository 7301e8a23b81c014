"""Renaming tracked data."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dver.base import fsio
from dver.base.errors import (
    DverError,
    NotFoundError,
    RefusedError,
    SystemFailure,
    UsageError,
)
from dver.workspace.statindex import StatIndex
from tests.support.workrepo import WorkRepo


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repo = WorkRepo.create(tmp_path_factory.mktemp("template") / "repo")
    for name in ("d/a", "d/s/b", "f", "code/x.py"):
        repo.write(name, name.encode())
    repo.add("d", "f")
    repo.commit("data")
    return repo.path


def test_a_file_gets_another_name(repo: WorkRepo) -> None:
    pointer = repo.pointer("f")
    result = repo.mv("f", "g")
    (target,) = result.targets
    assert (target.old_path, target.path, target.pointer, target.kind) == (
        "f",
        "g",
        "g.dver",
        "file",
    )
    assert repo.pointer("g") == pointer
    assert (repo.path / "g").read_bytes() == b"f"
    assert not (repo.path / "f").exists() and not (repo.path / "f.dver").exists()
    assert repo.ignored() == ["/d", "/g"]
    assert set(result.to_stage) == {"f.dver", "g.dver", ".gitignore"}
    assert not result.staged
    assert {t.path: t.data_state for t in repo.status().targets} == {
        "d": "unchanged",
        "g": "unchanged",
    }


def test_what_is_remembered_moves_along(repo: WorkRepo) -> None:
    before = StatIndex(repo.open().state_dir)
    bases = before.base(b"d"), before.base(b"f")
    assert None not in bases
    repo.mv("d", "f", "code")
    after = StatIndex(repo.open().state_dir)
    assert (after.base(b"d"), after.base(b"f")) == (None, None)
    assert (after.base(b"code/d"), after.base(b"code/f")) == bases


def test_git_sees_a_rename_when_staged(repo: WorkRepo) -> None:
    result = repo.mv("d", "e", stage=True)
    assert result.staged and result.to_stage == ()
    assert repo.git("diff", "--cached", "--name-status", "-M").splitlines() == [
        "M\t.gitignore",
        "R100\td.dver\te.dver",
    ]
    repo.commit_staged()
    assert repo.status().is_clean


def test_into_a_directory_from_a_sub_directory(repo: WorkRepo) -> None:
    result = repo.mv("../d", "../f", ".", below="code")
    assert [t.path for t in result.targets] == ["d", "f"]
    assert repo.tree("code/d") == {"a": b"d/a", "s/b": b"d/s/b"}
    assert repo.ignored("code") == ["/d", "/f"]
    assert repo.ignored() == []
    assert repo.untracked() == ["code/.gitignore", "code/d.dver", "code/f.dver"]


def test_the_pointer_file_names_its_data_and_absent_data_is_no_obstacle(repo: WorkRepo) -> None:
    repo.unlink("f")
    repo.mv("f.dver", "g")
    assert repo.pointer("g").size == 1
    repo.checkout("g")
    assert (repo.path / "g").read_bytes() == b"f"


def test_changed_data_moves_as_it_is(repo: WorkRepo) -> None:
    repo.write("d/a", b"changed")
    repo.mv("d", "e")
    assert repo.status_of("e").data_state == "modified"
    assert repo.tree("e")["a"] == b"changed"


def test_inside_a_tracked_directory_files_are_only_renamed(repo: WorkRepo) -> None:
    pointer = repo.pointer("d")
    result = repo.mv("d/a", "d/s/c")
    assert (result.targets[0].kind, result.targets[0].pointer) == ("inside", None)
    assert result.to_stage == ()
    assert repo.heard.notes == ["to record the change inside, run: dver add d"]
    assert repo.pointer("d") == pointer
    assert repo.status_of("d").counts.renamed == 1
    repo.mv("d/s", "d/t")
    assert repo.tree("d") == {"t/b": b"d/s/b", "t/c": b"d/a"}


def test_between_two_tracked_directories(repo: WorkRepo) -> None:
    repo.write("e/x", b"1")
    repo.add("e")
    repo.mv("d/a", "e")
    assert repo.heard.notes == ["to record the change inside, run: dver add d e"]
    assert repo.tree("e") == {"x": b"1", "a": b"d/a"}


@pytest.mark.parametrize(
    ("args", "error", "match"),
    [
        (("nope", "g"), NotFoundError, "nothing is tracked at nope"),
        (("code/x.py", "g"), RefusedError, "tracked by git"),
        (("f", "code/x.py"), RefusedError, "exists already"),
        (("f", "d/f"), RefusedError, "lies in the tracked directory d"),
        (("d/a", "a"), RefusedError, "would be tracked no more"),
        (("f", "no/where"), NotFoundError, "no directory no"),
        (("f", "g/"), NotFoundError, "no directory g"),
        (("d", "f", "both"), NotFoundError, "no directory both"),
        (("d", "d/inner"), UsageError, "cannot be moved to"),
        (("d", "d"), UsageError, "cannot be moved to"),
        (("f", "../out"), UsageError, "outside the repository"),
        (("f", "g.dver"), UsageError, "pointer file"),
        (("f", ".dver/f"), UsageError, "own files"),
        (("g",), UsageError, "nothing to move"),
        (("d/nope", "d/x"), NotFoundError, "not in the workspace"),
    ],
)
def test_what_is_refused_changes_nothing(
    repo: WorkRepo, args: tuple[str, ...], error: type[DverError], match: str
) -> None:
    before = repo.snapshot()
    with pytest.raises(error, match=match):
        repo.mv(*args)
    assert repo.snapshot() == before


def test_a_name_that_another_pointer_has(repo: WorkRepo) -> None:
    repo.unlink("f")
    with pytest.raises(RefusedError, match="f exists already"):
        repo.mv("d", "f")


def test_one_of_several_that_cannot_be_moved_stops_all(repo: WorkRepo) -> None:
    repo.write("code/f", b"in the way")
    before = repo.snapshot()
    with pytest.raises(RefusedError, match="code/f exists already"):
        repo.mv("d", "f", "code")
    assert repo.snapshot() == before


def test_a_directory_that_holds_targets(repo: WorkRepo) -> None:
    repo.mv("f", "code")
    with pytest.raises(RefusedError, match="holds data that is") as caught:
        repo.mv("code", "src")
    assert "git mv" in (caught.value.hint or "")
    # The advice works: the data, ignored by git, moves along with its directory.
    repo.git("add", "-A")
    repo.git("mv", "code", "src")
    assert (repo.path / "src/f").read_bytes() == b"f"
    assert repo.status_of("src/f").data_state == "unchanged"


def test_a_move_that_fails_is_undone(repo: WorkRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    before = repo.snapshot()
    for broken in ("rename", "write_atomic", "remove"):
        with monkeypatch.context() as patch:
            if broken == "rename":
                patch.setattr(os, "rename", full_disk)
            else:
                real = getattr(fsio, broken)
                ending = "g.dver" if broken == "write_atomic" else "f.dver"
                patch.setattr(fsio, broken, failing_on(real, ending))
            with pytest.raises(SystemFailure, match="no space left"):
                repo.mv("f", "g")
        assert repo.snapshot() == before
        assert repo.status_of("f").is_clean
    repo.mv("f", "g")


def full_disk(*_args: object, **_options: object) -> None:
    raise OSError(errno.ENOSPC, "made to fail")


def failing_on(real: Callable[..., object], ending: str) -> Callable[..., object]:
    def call(path: object, *args: object, **options: object) -> object:
        if os.fsdecode(path).endswith(ending):
            with fsio.explained("write", path):
                full_disk()
        return real(path, *args, **options)

    return call


@pytest.mark.parametrize("moved", [True, False])
def test_a_move_that_was_killed_can_be_finished(repo: WorkRepo, moved: bool) -> None:
    shutil.copy(repo.path / "f.dver", repo.path / "g.dver")
    if moved:
        os.rename(repo.path / "f", repo.path / "g")
    repo.mv("f", "g")
    assert (repo.path / "g").read_bytes() == b"f"
    assert not (repo.path / "f").exists() and not (repo.path / "f.dver").exists()
    assert repo.ignored() == ["/d", "/g"]
    assert repo.status_of("g").data_state == "unchanged"


def test_a_directory_whose_move_was_killed_is_not_moved_into_itself(repo: WorkRepo) -> None:
    shutil.copy(repo.path / "d.dver", repo.path / "e.dver")
    os.rename(repo.path / "d", repo.path / "e")
    repo.mv("d", "e")
    assert repo.tree("e") == {"a": b"d/a", "s/b": b"d/s/b"}
    assert not (repo.path / "d.dver").exists()
    assert repo.status_of("e").data_state == "unchanged"


def test_two_equal_targets_are_no_move_that_was_killed(repo: WorkRepo) -> None:
    repo.write("g", b"f")
    repo.add("g")
    before = repo.snapshot()
    with pytest.raises(RefusedError, match="g exists already"):
        repo.mv("f", "g")
    assert repo.snapshot() == before


class CrashError(Exception):
    pass


def test_a_crash_at_any_step_loses_neither_pointer_nor_data(template: Path, tmp_path: Path) -> None:
    steps = 0
    done = False
    while not done:
        shutil.copytree(template, tmp_path / str(steps))
        repo = WorkRepo(tmp_path / str(steps))
        pointer = repo.pointer("f")
        left = steps

        def crash(name: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise CrashError

        fsio.install_hook(crash)
        try:
            repo.mv("f", "g")
            done = True
        except CrashError:
            pass
        finally:
            fsio.install_hook(None)
        names = [name for name in ("f", "g") if (repo.path / f"{name}.dver").exists()]
        assert names and all(repo.pointer(name) == pointer for name in names)
        assert any(os.path.exists(repo.path / name) for name in ("f", "g"))
        assert all(name.endswith(".dver") or name == ".gitignore" for name in repo.untracked())
        steps += 4
    assert steps > 10
