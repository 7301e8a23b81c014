"""What status tells, and that it reads no more than it must."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from subprocess import run

import pytest

from dver.base.errors import NotFoundError, RepositoryError
from dver.base.oid import oid_of
from dver.base.reporter import Reporter
from dver.formats import root as roots
from dver.formats.root import Root, RootObject
from dver.ops.data.status import ChangeCounts, FileChange, StatusOptions, status
from dver.repo import Repo
from dver.workspace import hashing
from tests.support.gitrepo import GitRepo
from tests.support.workrepo import WorkRepo

FILES = {"d/a": b"aa", "d/s/b": b"bbb", "d/s/c": b"cccc", "f": b"file"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repo = WorkRepo.create(tmp_path_factory.mktemp("template") / "repo")
    for name, content in FILES.items():
        repo.write(name, content)
    repo.add("d", "f")
    repo.commit("data")
    return repo.path


def states(repo: WorkRepo) -> dict[str, tuple[str, bool, str]]:
    return {t.path: (t.pointer_state, t.staged, t.data_state) for t in repo.status().targets}


CLEAN = ("unchanged", True, "unchanged")


# -- pointers ------------------------------------------------------------------------------------


def test_nothing_to_say(repo: WorkRepo) -> None:
    result = repo.status()
    assert result.is_clean
    assert states(repo) == {"d": CLEAN, "f": CLEAN}
    assert (result.branch, result.head, result.remote) == ("main", repo.head(), None)
    target = result.targets[0]
    assert (target.kind, target.size, target.files) == ("tree", 9, 3)
    assert target.oid == "blake3:" + repo.pointer("d").oid.hex()
    assert target.unpushed is None


def test_a_new_pointer_before_and_after_git_add(repo: WorkRepo) -> None:
    repo.write("g", b"1")
    repo.add("g")
    assert states(repo)["g"] == ("new", False, "unchanged")
    repo.git("add", "g.dver")
    assert states(repo)["g"] == ("new", True, "unchanged")
    assert not repo.status().is_clean


def test_a_changed_pointer_before_and_after_git_add(repo: WorkRepo) -> None:
    repo.write("f", b"2")
    repo.add("f")
    assert states(repo)["f"] == ("modified", False, "unchanged")
    repo.git("add", "f.dver")
    assert states(repo)["f"] == ("modified", True, "unchanged")
    repo.write("f", b"3")
    repo.add("f")
    assert states(repo)["f"] == ("modified", False, "unchanged")
    repo.write("f", FILES["f"])
    repo.add("f")
    assert states(repo)["f"] == ("unchanged", False, "unchanged")


def test_a_deleted_pointer(repo: WorkRepo) -> None:
    repo.unlink("f.dver")
    assert states(repo)["f"] == ("deleted", False, "leftover")
    repo.git("rm", "-q", "--cached", "f.dver")
    assert states(repo)["f"] == ("deleted", True, "leftover")
    repo.unlink("f")
    assert states(repo)["f"] == ("deleted", True, "deleted")


def test_a_broken_pointer(repo: WorkRepo) -> None:
    repo.write("f.dver", "dver: 1\nkind: file\n")
    target = repo.status_of("f")
    assert (target.pointer_state, target.data_state, target.kind) == ("broken", "unknown", None)
    assert target.problem == "it has no field 'oid'"
    assert states(repo)["d"] == CLEAN


def test_a_pointer_in_conflict(repo: WorkRepo) -> None:
    repo.git("checkout", "-q", "-b", "side")
    repo.write("f", b"theirs")
    repo.add("f")
    repo.commit("theirs")
    repo.git("checkout", "-q", "main")
    repo.write("f", b"ours")
    repo.add("f")
    repo.commit("ours")
    repo.git("merge", "-q", "side", check=False)
    target = repo.status_of("f")
    assert target.pointer_state == "conflict"
    assert "conflict markers" in (target.problem or "")
    assert target.hint


def test_before_the_first_commit_and_detached(tmp_path: Path, repo: WorkRepo) -> None:
    repo.git("checkout", "-q", "--detach")
    assert repo.status().branch is None
    repo.git("checkout", "-q", "--orphan", "fresh")
    result = repo.status()
    assert (result.branch, result.head) == ("fresh", None)
    assert [t.pointer_state for t in result.targets] == ["new", "new"]


def test_line_ends_that_git_converted_are_no_change(repo: WorkRepo) -> None:
    repo.git("config", "core.autocrlf", "true")
    repo.unlink("f.dver")
    repo.git("checkout", "--", "f.dver")
    assert b"\r\n" in (repo.path / "f.dver").read_bytes()
    assert states(repo)["f"] == CLEAN


# -- data ----------------------------------------------------------------------------------------


def test_a_changed_file(repo: WorkRepo) -> None:
    repo.write("f", b"FILE")
    assert states(repo)["f"] == ("unchanged", True, "modified")
    repo.write("f", b"longer than before")
    assert states(repo)["f"] == ("unchanged", True, "modified")
    (repo.path / "f").write_bytes(FILES["f"])
    assert states(repo)["f"] == CLEAN
    (repo.path / "f").chmod(0o755)
    assert states(repo)["f"] == ("unchanged", True, "modified")


def test_changes_in_a_directory(repo: WorkRepo) -> None:
    repo.write("d/a", b"AA")
    repo.write("d/new", b"n")
    repo.unlink("d/s/b")
    os.rename(repo.path / "d/s/c", repo.path / "d/moved")
    target = repo.status_of("d")
    assert target.data_state == "modified"
    assert target.counts == ChangeCounts(new=1, modified=1, deleted=1, renamed=1)
    assert target.counts.total == 4
    assert set(target.changes) == {
        FileChange("modified", "d/a", None, 2, 2),
        FileChange("new", "d/new", None, 1, None),
        FileChange("deleted", "d/s/b", None, None, 3),
        FileChange("renamed", "d/moved", "d/s/c", 4, 4),
    }
    assert len(repo.status_of("d", details=2).changes) == 2
    assert repo.status_of("d", details=2).counts.total == 4


def test_a_mode_alone_is_a_change(repo: WorkRepo) -> None:
    (repo.path / "d/a").chmod(0o755)
    assert repo.status_of("d").counts == ChangeCounts(modified=1)


def test_empty_directories_count(repo: WorkRepo) -> None:
    (repo.path / "d/none").mkdir()
    assert [(c.change, c.path) for c in repo.status_of("d").changes] == [("new", "d/none")]


def test_data_that_is_not_there(repo: WorkRepo) -> None:
    repo.unlink("f")
    shutil.rmtree(repo.path / "d")
    assert {t.data_state for t in repo.status().targets} == {"deleted"}
    assert {t.missing for t in repo.status().targets} == {0}


def test_data_of_another_type(repo: WorkRepo) -> None:
    repo.unlink("f")
    repo.write("f/in", b"1")
    shutil.rmtree(repo.path / "d")
    (repo.path / "d").symlink_to("f")
    assert {t.data_state for t in repo.status().targets} == {"retyped"}


def test_a_pointer_that_moved_leaves_data_stale(repo: WorkRepo) -> None:
    repo.git("checkout", "-q", "-b", "next")
    for name in ("f", "d/a", "d/n"):
        repo.write(name, b"next")
    repo.add("f", "d")
    repo.commit("next")
    repo.git("checkout", "-q", "main")
    assert states(repo) == {
        "d": ("unchanged", True, "stale"),
        "f": ("unchanged", True, "stale"),
    }
    repo.write("d/a", b"mine")
    assert states(repo)["d"] == ("unchanged", True, "modified")


def test_paths_restrict(repo: WorkRepo) -> None:
    repo.write("d/a", b"AA")
    repo.write("d/s/b", b"BBB")
    assert [t.path for t in repo.status("f").targets] == ["f"]
    (target,) = repo.status("a", below="d").targets
    assert (target.path, [c.path for c in target.changes]) == (".", ["a"])
    assert repo.status("d/s/c").is_clean
    assert [t.path for t in repo.status("../d.dver", below="d").targets] == ["."]
    assert repo.status(".", below="d/s").targets[0].counts.total == 1


def test_an_unknown_path(repo: WorkRepo) -> None:
    with pytest.raises(NotFoundError) as caught:
        repo.status("ff")
    assert caught.value.hint == "did you mean f?"


# -- content and remotes -------------------------------------------------------------------------


def test_missing_content(repo: WorkRepo) -> None:
    repo.lose_store()
    assert {t.path: t.missing for t in repo.status().targets} == {"d": 1, "f": 1}
    assert not repo.status().is_clean
    shutil.rmtree(repo.path / "d")
    target = repo.status_of("d")
    assert (target.data_state, target.missing) == ("deleted", 1)
    assert target.missing_oids == (target.oid,)


def test_what_never_came_here_is_for_somebody_else_to_push(repo: WorkRepo) -> None:
    repo.write(".git/dver/config.yaml", "core:\n  remote: origin\n")
    repo.write(".dver/config.yaml", "remote:\n  origin:\n    url: /nowhere\n")
    repo.lose_store()
    assert {t.unpushed for t in repo.status().targets} == {False}


def test_what_a_remote_is_known_to_have(repo: WorkRepo) -> None:
    repo.write(".git/dver/config.yaml", "core:\n  remote: origin\n")
    repo.write(".dver/config.yaml", "remote:\n  origin:\n    url: /nowhere\n")
    assert {t.unpushed for t in repo.status().targets} == {True}
    cache = repo.path / ".git/dver/remotes/origin"
    (cache / "roots").mkdir(parents=True)
    pointer = repo.pointer("d")
    pushed = RootObject("d", "tree", pointer.oid, pointer.size)
    root = Root("0" * 32, "2026-01-01T00:00:00Z", "", (), (pushed,))
    (cache / "roots" / root.session).write_bytes(roots.encode(root))
    (cache / "seen").write_bytes(oid_of(FILES["f"]))
    assert repo.status().remote == "origin"
    assert {t.path: t.unpushed for t in repo.status().targets} == {"d": False, "f": False}
    assert {t.unpushed for t in repo.status(no_remote=True).targets} == {None}
    with pytest.raises(NotFoundError):
        repo.status(remote="other")
    # Being unpushed is no dirt.
    shutil.rmtree(cache)
    repo.git("add", "-A")
    assert repo.status().is_clean


# -- how little is read --------------------------------------------------------------------------


class Read:
    """Counts the files whose content is read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        real = hashing.ingest_files

        def counting(writer: object, paths: list[bytes], *args: object, **kwargs: object) -> object:
            self.names += sorted(os.path.basename(os.fsdecode(path)) for path in paths)
            return real(writer, paths, *args, **kwargs)

        monkeypatch.setattr(hashing, "ingest_files", counting)

    def taken(self) -> list[str]:
        names, self.names = self.names, []
        return names


def age(repo: WorkRepo) -> None:
    """Make all data look as if it was written long ago, and remember it so."""
    for name in FILES:
        os.utime(repo.path / name, ns=(10**18, 10**18))


def test_only_files_that_may_be_as_recorded_are_read(
    repo: WorkRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Read(monkeypatch)
    repo.write("f", b"of another length")
    repo.write("d/a", b"of another length")
    repo.write("d/new", b"a new file")
    repo.write("d/s/b", b"BBB")
    repo.status()
    assert "b" in read.taken()
    repo.status()
    assert not {"f", "a", "new"} & set(read.taken())
    repo.unlink("d/s/c")
    repo.write("d/maybe", b"CCCC")
    repo.status()
    assert "maybe" in read.taken()


def test_what_was_read_once_is_remembered(repo: WorkRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    # Long enough ago for the clock of the file system to tell a later change.
    monkeypatch.setattr("dver.workspace.fsclock.MARGIN_NS", -(10**12))
    read = Read(monkeypatch)
    age(repo)
    assert repo.status().is_clean
    assert sorted(read.taken()) == ["a", "b", "c", "f"]
    assert repo.status().is_clean
    assert read.taken() == []


def test_status_writes_nothing_that_matters(repo: WorkRepo) -> None:
    repo.write("d/a", b"AA")
    before = repo.snapshot()
    store = sorted(str(p) for p in (repo.path / ".git/dver/packs").rglob("*"))
    repo.status()
    assert repo.snapshot() == before
    assert sorted(str(p) for p in (repo.path / ".git/dver/packs").rglob("*")) == store


def test_status_works_while_another_command_holds_the_work_tree(repo: WorkRepo) -> None:
    from dver.ops.targets.worktree import hold_worktree

    age(repo)
    with hold_worktree(repo.open()):
        assert repo.status().is_clean


def test_no_heavy_module_is_loaded(repo: WorkRepo) -> None:
    code = (
        "import sys; from dver.cli.main import main; main(['status', '--porcelain'])\n"
        "heavy = ['rich', 'yaml', 'fsspec', 's3fs', 'obstore', 'zstandard', 'pyfastcdc',"
        " 'pathspec', 'multiprocessing', 'concurrent.futures', 'difflib']\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    # The first run remembers what was written too short a while ago for those before it.
    for _ in range(2):
        done = run(
            [sys.executable, "-c", code], cwd=repo.path, capture_output=True, text=True, check=True
        )
    assert done.stdout == "[]\n"


def test_not_set_up_and_bare(tmp_path: Path, repo: WorkRepo) -> None:
    with pytest.raises(RepositoryError):
        status(Repo.open(GitRepo.init(tmp_path / "x").path), StatusOptions(), Reporter())
    bare = GitRepo.clone(repo.path, tmp_path / "bare.git", "--bare")
    with pytest.raises(RepositoryError, match="bare"):
        status(Repo.open(bare.path), StatusOptions(), Reporter())


# -- renamed targets ------------------------------------------------------------------------------


def renames(repo: WorkRepo) -> list[tuple[str | None, str, str, bool, str]]:
    return [
        (t.old_path, t.path, t.pointer_state, t.staged, t.data_state)
        for t in repo.status().targets
        if not t.is_clean
    ]


def test_a_renamed_target(repo: WorkRepo) -> None:
    (repo.path / "sub").mkdir()
    repo.mv("d", "e")
    repo.mv("f", "sub")
    assert renames(repo) == [
        ("d", "e", "renamed", False, "unchanged"),
        ("f", "sub/f", "renamed", False, "unchanged"),
    ]
    repo.git("add", "e.dver")
    assert renames(repo)[0] == ("d", "e", "renamed", False, "unchanged")
    repo.git("add", "-A")
    assert renames(repo) == [
        ("d", "e", "renamed", True, "unchanged"),
        ("f", "sub/f", "renamed", True, "unchanged"),
    ]
    repo.write("e/a", b"AA")
    repo.add("e")
    assert [t.pointer_state for t in repo.status().targets] == ["deleted", "new", "renamed"]


def test_a_pointer_that_only_git_renamed(repo: WorkRepo) -> None:
    repo.git("mv", "d.dver", "e.dver")
    assert renames(repo) == [
        (None, "d", "unchanged", True, "leftover"),
        ("d", "e", "renamed", True, "absent"),
    ]


def test_each_old_path_is_taken_once_and_by_name_first(repo: WorkRepo) -> None:
    for name in ("x/one", "x/two"):
        repo.write(name, b"equal")
    repo.add("x/one", "x/two")
    repo.commit("twins")
    for name in ("y", "z"):
        (repo.path / name).mkdir()
    repo.mv("x/two", "y")
    repo.mv("x/one", "z")
    assert [(old, new) for old, new, *_ in renames(repo)] == [
        ("x/two", "y/two"),
        ("x/one", "z/one"),
    ]
