"""Putting data under dver, and recording its state again."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from dver.base import fsio
from dver.base.errors import NotFoundError, RefusedError, UsageError
from dver.base.oid import oid_of
from dver.formats.pointer import Pointer
from dver.formats.tree import EMPTY_OID
from dver.ops.data import recording
from dver.ops.data.add import AddOptions, add
from dver.repo import Repo
from dver.store.store import Store
from dver.workspace.state import Scan
from tests.ops.data.listings import listing
from tests.support.workrepo import WorkRepo

# -- what is recorded --------------------------------------------------------------------------


def test_a_file(repo: WorkRepo) -> None:
    repo.write("model.bin", b"weights")
    result = repo.add("model.bin")
    assert repo.pointer("model.bin") == Pointer("file", oid_of(b"weights"), 7)
    assert repo.open().store.read(oid_of(b"weights")) == b"weights"
    assert repo.untracked() == [".gitignore", "model.bin.dver"]
    assert repo.ignored() == ["/model.bin"]
    (target,) = result.targets
    assert (target.path, target.pointer, target.kind) == ("model.bin", "model.bin.dver", "file")
    assert target.oid == "blake3:" + oid_of(b"weights").hex()
    assert (target.size, target.files, target.change) == (7, 1, "new")
    assert result.new_objects == 1
    assert result.stored_bytes > 0
    assert result.ignores == (".gitignore",)
    assert result.to_stage == ("model.bin.dver", ".gitignore")


def test_a_directory_with_all_that_it_may_hold(repo: WorkRepo) -> None:
    repo.write("d/a", b"1")
    repo.write("d/sub/b", b"22")
    repo.write("d/zero", b"")
    (repo.path / "d/run.sh").write_bytes(b"#!/bin/sh")
    (repo.path / "d/run.sh").chmod(0o755)
    (repo.path / "d/link").symlink_to("../outside")
    (repo.path / "d/nothing/here").mkdir(parents=True)
    result = repo.add("d")
    assert listing(repo, "d") == {
        "a": b"1",
        "sub/b": b"22",
        "zero": b"",
        "run.sh": b"#!/bin/sh",
        "run.sh (x)": b"",
        "link": b"../outside",
        "nothing/here": None,
    }
    pointer = repo.pointer("d")
    assert (pointer.kind, pointer.size, pointer.files) == ("tree", 1 + 2 + 0 + 9 + 10, 5)
    assert (result.targets[0].size, result.targets[0].files) == (22, 5)
    assert repo.untracked() == [".gitignore", "d.dver"]


def test_an_executable_file_keeps_its_bit(repo: WorkRepo) -> None:
    repo.write("tool", b"x").chmod(0o755)
    repo.add("tool")
    assert repo.pointer("tool").executable


@pytest.mark.parametrize(
    "name",
    [
        b"with space",
        b"-dash",
        b"tail ",
        b"quote\"'",
        b"new\nline",
        b"\xff\xfe",
        "müße".encode(),
        b"glob[*]?",
        b"#hash",
        b"!bang",
        b"back\\slash",
        b"x" * 250,
    ],
)
def test_odd_names(repo: WorkRepo, name: bytes) -> None:
    repo.write(name, b"file")
    repo.write(b"d " + name[:200] + b"/" + name, b"inside")
    repo.add(os.fsdecode(name), os.fsdecode(b"d " + name[:200]))
    assert repo.pointer(os.fsdecode(name)).oid == oid_of(b"file")
    assert listing(repo, os.fsdecode(b"d " + name[:200])) == {os.fsdecode(name): b"inside"}
    assert all(path.endswith(".dver") or path == ".gitignore" for path in repo.untracked())
    assert len(repo.untracked()) == 3


def test_an_empty_file_and_an_empty_directory(repo: WorkRepo) -> None:
    repo.write("empty", b"")
    (repo.path / "none").mkdir()
    repo.add("empty", "none")
    assert repo.pointer("empty") == Pointer("file", oid_of(b""), 0)
    assert repo.pointer("none") == Pointer("tree", EMPTY_OID, 0, 0)


def test_equal_content_is_stored_once(repo: WorkRepo) -> None:
    for name in ("a", "b", "d/c", "d/e"):
        repo.write(name, b"same" * 100)
    result = repo.add("a", "b", "d")
    assert result.new_objects == 2  # the content, and the tree
    assert repo.pointer("a") == repo.pointer("b")


def test_from_a_sub_directory_paths_are_relative_to_it(repo: WorkRepo) -> None:
    repo.write("x/y/data", b"1")
    repo.write("other/data", b"2")
    result = repo.add("data", "../../other/data", below="x/y")
    assert [t.path for t in result.targets] == ["../../other/data", "data"]
    assert result.to_stage == (
        "../../other/data.dver",
        "data.dver",
        "../../other/.gitignore",
        ".gitignore",
    )
    assert repo.ignored("x/y") == ["/data"]
    assert repo.ignored() == []


def test_through_a_symlinked_directory_above_the_repository(repo: WorkRepo, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(repo.path)
    repo.write("data", b"1")
    add(Repo.open(tmp_path / "alias"), AddOptions((str(tmp_path / "alias/data"),)), repo.heard)
    assert repo.pointer("data").oid == oid_of(b"1")


# -- again -------------------------------------------------------------------------------------


def test_again_without_a_change(repo: WorkRepo) -> None:
    repo.write("f", b"1")
    repo.write("d/a", b"1")
    repo.add("f", "d")
    before = repo.snapshot()
    result = repo.add("d", "f")
    assert [t.change for t in result.targets] == ["unchanged", "unchanged"]
    assert (result.new_objects, result.to_stage, result.ignores) == (0, (), ())
    assert repo.snapshot() == before


def test_again_after_changes(repo: WorkRepo) -> None:
    repo.write("f", b"1")
    repo.write("d/a", b"1")
    repo.write("d/b", b"2")
    repo.add("f", "d")
    repo.write("f", b"11")
    (repo.path / "d/a").unlink()
    repo.write("d/c/e", b"3")
    result = repo.add("d", "f")
    assert [t.change for t in result.targets] == ["updated", "updated"]
    assert repo.pointer("f").oid == oid_of(b"11")
    assert listing(repo, "d") == {"b": b"2", "c/e": b"3"}


def test_a_file_of_the_same_size_and_mtime_is_seen_to_have_changed(repo: WorkRepo) -> None:
    path = repo.write("d/a", b"one")
    old = path.stat()
    repo.add("d")
    path.write_bytes(b"two")
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    repo.add("d")
    assert listing(repo, "d") == {"a": b"two"}


def test_a_file_becomes_a_directory_and_back(repo: WorkRepo) -> None:
    repo.write("x", b"file")
    repo.add("x")
    (repo.path / "x").unlink()
    repo.write("x/in", b"dir")
    assert repo.add("x").targets[0].change == "updated"
    assert listing(repo, "x") == {"in": b"dir"}
    (repo.path / "x/in").unlink()
    (repo.path / "x").rmdir()
    repo.write("x", b"file")
    repo.add("x")
    assert repo.pointer("x") == Pointer("file", oid_of(b"file"), 4)
    assert repo.add("x").targets[0].change == "unchanged"


def test_content_that_the_store_lost_is_stored_again(repo: WorkRepo) -> None:
    repo.write("f", b"precious")
    repo.write("d/a", b"also")
    old = os.stat(repo.path / "f").st_mtime_ns - 10**10
    for name in ("f", "d/a"):
        os.utime(repo.path / name, ns=(old, old))
    repo.add("f", "d")
    for part in ("packs", "index"):
        for where, _, files in os.walk(repo.path / ".git/dver" / part):
            for name in files:
                os.unlink(os.path.join(where, name))
    repo.add("f", "d")
    store = repo.open().store
    assert store.read(oid_of(b"precious")) == b"precious"
    assert listing(repo, "d") == {"a": b"also"}


def test_content_is_looked_up_only_where_the_index_changed(
    repo: WorkRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    lookup = recording.forget_unstored

    def count(scan: Scan, store: Store) -> None:
        asked.append(scan.root)
        lookup(scan, store)

    monkeypatch.setattr(recording, "forget_unstored", count)
    repo.write("data/a", b"a")
    repo.add("data")
    repo.add("data")
    assert not asked
    repo.write("other", b"more")
    repo.add("other")
    repo.add("data")
    assert len(asked) == 1


def test_content_of_one_lost_segment_is_stored_again(repo: WorkRepo) -> None:
    repo.write("data/a", b"a")
    repo.write("data/b", b"b")
    time.sleep(0.05)  # so that their stats are trusted
    repo.add("data")
    first = set((repo.path / ".git/dver/index").iterdir())
    repo.write("data/c", b"c")
    repo.add("data")
    for path in first:
        path.unlink()
    repo.add("data")
    assert listing(repo, "data") == {"a": b"a", "b": b"b", "c": b"c"}


def test_a_pointer_in_conflict_is_settled_by_adding(repo: WorkRepo) -> None:
    repo.write("f", b"base")
    repo.add("f")
    repo.commit("base")
    repo.git("checkout", "-q", "-b", "side")
    repo.write("f", b"theirs")
    repo.add("f")
    repo.commit("theirs")
    repo.git("checkout", "-q", "main")
    repo.write("f", b"ours")
    repo.add("f")
    repo.commit("ours")
    repo.git("merge", "-q", "side", check=False)
    assert "<<<<<<<" in (repo.path / "f.dver").read_text()
    repo.write("f", b"both")
    result = repo.add("f", stage=True)
    assert result.targets[0].change == "updated"
    assert repo.pointer("f").oid == oid_of(b"both")
    assert repo.git("ls-files", "--unmerged") == ""


def test_update_adds_what_is_tracked_and_nothing_else(repo: WorkRepo) -> None:
    for name in ("a", "x/b", "x/c/in", "gone"):
        repo.write(name, b"1")
    repo.add("a", "x/b", "x/c", "gone")
    for name in ("a", "x/b", "x/c/in", "x/new"):
        repo.write(name, b"two")
    (repo.path / "gone").unlink()
    assert [t.path for t in repo.add("x", update=True).targets] == ["x/b", "x/c"]
    result = repo.add(update=True, below="x")
    assert [(t.path, t.change) for t in result.targets] == [
        ("../a", "updated"),
        ("b", "unchanged"),
        ("c", "unchanged"),
    ]
    assert repo.pointer("gone").oid == oid_of(b"1")
    assert "x/new" in repo.untracked()


def test_update_of_one_path_inside_a_tracked_directory(repo: WorkRepo) -> None:
    repo.write("d/a", b"1")
    repo.write("d/b", b"1")
    repo.add("d")
    repo.write("d/a", b"2")
    repo.write("d/b", b"2")
    assert repo.add("d/a", update=True).targets[0].parts == ("d/a",)
    assert listing(repo, "d") == {"a": b"2", "b": b"1"}


def test_update_of_an_unknown_path(repo: WorkRepo) -> None:
    repo.write("here", b"1")
    with pytest.raises(NotFoundError):
        repo.add("here", update=True)


# -- lists and patterns ------------------------------------------------------------------------


def test_paths_from_a_list(repo: WorkRepo) -> None:
    for name in ("a", "b c", "n\nl"):
        repo.write(name, b"1")
    repo.add("a", paths_from=b"b c\0n\nl\0")
    assert [t for t in repo.untracked() if t.endswith(".dver")] == [
        "a.dver",
        "b c.dver",
        "n\nl.dver",
    ]


@pytest.mark.parametrize(("paths_from", "words"), [(None, "no path"), (b"\n", "list of paths")])
def test_nothing_to_add(repo: WorkRepo, paths_from: bytes | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        repo.add(paths_from=paths_from)


def test_a_pattern_as_the_shell_leaves_and_as_it_expands_it(repo: WorkRepo) -> None:
    for name in ("a.csv", "b.csv"):
        repo.write(name, b"1")
    assert len(repo.add("*.csv").targets) == 2
    # The second time a shell's '*' matches the pointers too.
    assert len(repo.add("a.csv", "a.csv.dver", "b.csv", "b.csv.dver").targets) == 2


def test_a_name_with_pattern_characters_that_is_gone(repo: WorkRepo) -> None:
    repo.write("d/x[1]", b"1")
    repo.write("d/y", b"1")
    repo.add("d")
    (repo.path / "d/x[1]").unlink()
    repo.add("d/x[1]")
    assert listing(repo, "d") == {"y": b"1"}


def test_a_pattern_inside_a_tracked_directory(repo: WorkRepo) -> None:
    for name in ("d/a.csv", "d/b.csv", "d/c.txt"):
        repo.write(name, b"1")
    repo.add("d")
    for name in ("d/a.csv", "d/b.csv", "d/c.txt"):
        repo.write(name, b"2")
    repo.add("d/*.csv")
    assert listing(repo, "d") == {"a.csv": b"2", "b.csv": b"2", "c.txt": b"1"}


# -- order of writes ---------------------------------------------------------------------------


class CrashError(Exception):
    pass


class Crash:
    """Stops the process, as it were, at the n-th write step."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self, name: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise CrashError


def test_a_crash_at_any_step_leaves_no_pointer_without_its_content(
    template: Path, tmp_path: Path
) -> None:
    steps = 0
    while True:
        shutil.copytree(template, tmp_path / str(steps))
        repo = WorkRepo(tmp_path / str(steps))
        repo.write("f", b"precious")
        repo.write("d/a", b"also")
        fsio.install_hook(Crash(steps))
        try:
            repo.add("f", "d")
        except CrashError:
            done = False
        else:
            done = True
        finally:
            fsio.install_hook(None)
        for name in ("f", "d"):
            if (repo.path / f"{name}.dver").exists():
                pointer = repo.pointer(name)
                store = repo.open().store
                assert store.is_complete(pointer.oid)
                if name == "d":
                    assert listing(repo, "d") == {"a": b"also"}
                assert f"/{name}" in repo.ignored()
        # Doing it again always works.
        repo.add("f", "d")
        assert listing(repo, "d") == {"a": b"also"}
        if done:
            break
        steps += 7
    assert steps > 30


# -- git ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["option", "setting"])
def test_staging(repo: WorkRepo, how: str) -> None:
    repo.write("f", b"1")
    repo.write("sub/g", b"1")
    if how == "setting":
        repo.write(".git/dver/config.yaml", "core:\n  autostage: true\n")
    result = repo.add("f", "sub/g", stage=True if how == "option" else None)
    assert result.staged
    assert result.to_stage == ()
    assert repo.git("diff", "--cached", "--name-only").splitlines() == [
        ".gitignore",
        "f.dver",
        "sub/.gitignore",
        "sub/g.dver",
    ]


def test_in_a_worktree(repo: WorkRepo, tmp_path: Path) -> None:
    repo.git("worktree", "add", "-q", str(tmp_path / "other"))
    other = WorkRepo(tmp_path / "other")
    other.write("f", b"1")
    other.add("f")
    assert other.pointer("f").oid == oid_of(b"1")
    assert not (repo.path / "f.dver").exists()
    assert repo.open().store.read(oid_of(b"1")) == b"1"


def test_twins_are_warned_of(repo: WorkRepo) -> None:
    for name in ("d/Data", "d/data", "d/other"):
        repo.write(name, b"1")
    repo.add("d")
    assert len(repo.heard.warnings) == 1
    assert "d/Data and d/data are one file on some systems" in repo.heard.warnings[0]
    repo.add("d")
    assert repo.heard.warnings == []


def test_many_small_adds_are_merged(repo: WorkRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dver.store.consolidate._MAX_SEGMENTS", 3)
    for n in range(6):
        repo.write("f", b"%d" % n)
        repo.add("f")
    store = repo.open().store
    assert len(store.index.segments) <= 4
    assert all(store.read(oid_of(b"%d" % n)) == b"%d" % n for n in range(6))


def test_ignored_files_are_left_out(repo: WorkRepo) -> None:
    for name in ("d/a.csv", "d/a.tmp", "d/s/b.tmp", "d/s/c"):
        repo.write(name, b"1")
    repo.write(".dverignore", "*.tmp\n")
    repo.add("d")
    assert set(listing(repo, "d")) == {"a.csv", "s/c"}
    repo.write("d/s/d", b"2")
    repo.add("d/s")
    assert set(listing(repo, "d")) == {"a.csv", "s/c", "s/d"}
    with pytest.raises(RefusedError, match=r"leaves d/s/b\.tmp out"):
        repo.add("d/s/b.tmp")
