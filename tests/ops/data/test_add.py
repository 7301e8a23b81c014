"""Putting data under dver, and recording its state again."""

from __future__ import annotations

import os
import shutil
import socket
import time
from pathlib import Path

import pytest

from dver.base import fsio
from dver.base.errors import (
    DverError,
    FormatError,
    MissingContentError,
    NotFoundError,
    RefusedError,
    RepositoryError,
    UsageError,
)
from dver.base.oid import oid_of
from dver.formats.pointer import Pointer
from dver.formats.tree import EMPTY_OID
from dver.ops.data import recording
from dver.ops.data.add import AddOptions, add
from dver.repo import Repo
from dver.store import walk
from dver.store.store import Store
from dver.workspace.state import Scan
from tests.support.gitrepo import GitRepo
from tests.support.workrepo import WorkRepo


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return WorkRepo.create(tmp_path_factory.mktemp("template") / "repo").path


@pytest.fixture
def repo(template: Path, tmp_path: Path) -> WorkRepo:
    shutil.copytree(template, tmp_path / "repo", symlinks=True)
    return WorkRepo(tmp_path / "repo")


def listing(repo: WorkRepo, path: str) -> dict[str, bytes | None]:
    """Return what a pointer records: content by path, None for an empty directory."""
    store = repo.open().store
    found: dict[str, bytes | None] = {}
    for directory, oid, tree in walk.walk(store, repo.pointer(path).oid):
        if oid == EMPTY_OID and directory:
            found[os.fsdecode(directory)] = None
        for entry in tree:
            name = os.fsdecode(walk.join(directory, entry.name))
            if entry.kind != ord("d"):
                found[name] = store.read(entry.oid)
            if entry.kind == ord("x"):
                found[name + " (x)"] = b""
    return found


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


# -- parts of a tracked directory --------------------------------------------------------------


@pytest.fixture
def tracked(repo: WorkRepo) -> WorkRepo:
    for name in ("d/a", "d/s/x", "d/s/y", "d/t/z"):
        repo.write(name, name.encode())
    repo.add("d")
    return repo


def test_a_part_changes_only_that_part(tracked: WorkRepo) -> None:
    tracked.write("d/a", b"changed, not added")
    tracked.write("d/s/x", b"new x")
    tracked.write("d/s/n", b"n")
    tracked.write("d/u/v", b"v")
    result = tracked.add("d/s/x", "d/u")
    (target,) = result.targets
    assert (target.path, target.change, target.parts) == ("d", "updated", ("d/s/x", "d/u"))
    assert listing(tracked, "d") == {
        "a": b"d/a",
        "s/x": b"new x",
        "s/y": b"d/s/y",
        "t/z": b"d/t/z",
        "u/v": b"v",
    }
    assert tracked.pointer("d").files == 5
    assert tracked.ignored() == ["/d"]
    assert tracked.untracked() == [".gitignore", "d.dver"]


def test_parts_that_are_gone_are_taken_out(tracked: WorkRepo) -> None:
    (tracked.path / "d/a").unlink()
    (tracked.path / "d/t/z").unlink()
    (tracked.path / "d/t").rmdir()
    tracked.add("d/t", "d/a")
    assert listing(tracked, "d") == {"s/x": b"d/s/x", "s/y": b"d/s/y"}


def test_a_part_equals_adding_the_whole(tracked: WorkRepo) -> None:
    tracked.write("d/s/x", b"new")
    (tracked.path / "d/s/y").unlink()
    tracked.write("d/s/deep/er/file", b"1")
    tracked.add("d/s")
    part = tracked.pointer("d")
    assert tracked.add("d").targets[0].change == "unchanged"
    assert tracked.pointer("d") == part


def test_a_part_given_from_inside(tracked: WorkRepo) -> None:
    tracked.write("d/s/x", b"new")
    assert tracked.add("x", below="d/s").targets[0].path == ".."
    assert listing(tracked, "d")["s/x"] == b"new"


def test_a_part_with_the_whole_is_the_whole(tracked: WorkRepo) -> None:
    tracked.write("d/a", b"new")
    tracked.write("d/s/x", b"new")
    assert tracked.add("d/a", "d").targets[0].parts == ()
    assert listing(tracked, "d")["s/x"] == b"new"


def test_an_unchanged_part_changes_nothing(tracked: WorkRepo) -> None:
    before = tracked.snapshot()
    assert tracked.add("d/s", "d/a").targets[0].change == "unchanged"
    assert tracked.snapshot() == before


def test_a_part_that_nobody_knows(tracked: WorkRepo) -> None:
    before = tracked.snapshot()
    with pytest.raises(NotFoundError, match="d/s/nope is neither"):
        tracked.add("d/s/nope")
    assert tracked.snapshot() == before


def test_a_part_whose_directory_was_a_file(tracked: WorkRepo) -> None:
    (tracked.path / "d/a").unlink()
    tracked.write("d/a/b", b"in a directory now")
    tracked.add("d/a")
    assert listing(tracked, "d")["a/b"] == b"in a directory now"


def test_below_what_was_a_file_there_is_a_hint(tracked: WorkRepo) -> None:
    (tracked.path / "d/a").unlink()
    tracked.write("d/a/b", b"in a directory now")
    with pytest.raises(RefusedError, match="d/a is recorded as a file") as caught:
        tracked.add("d/a/b")
    assert caught.value.hint == "dver add d/a"


def test_a_part_of_what_is_tracked_as_a_file(repo: WorkRepo) -> None:
    repo.write("x", b"file")
    repo.add("x")
    (repo.path / "x").unlink()
    repo.write("x/in", b"dir")
    with pytest.raises(RefusedError, match="tracked as a file"):
        repo.add("x/in")


def test_a_part_needs_the_recorded_listing(tracked: WorkRepo) -> None:
    for part in ("packs", "index"):
        for where, _, files in os.walk(tracked.path / ".git/dver" / part):
            for name in files:
                os.unlink(os.path.join(where, name))
    with pytest.raises(MissingContentError) as caught:
        tracked.add("d/a")
    assert caught.value.hint == "dver fetch d"


def test_a_part_needs_a_pointer_that_can_be_read(tracked: WorkRepo) -> None:
    tracked.write("d.dver", b"dver: 1\nkind: tree\n")
    with pytest.raises(FormatError, match=r"d\.dver is broken"):
        tracked.add("d/a")


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


# -- what is refused; nothing changes then -----------------------------------------------------


def refuse(repo: WorkRepo, error: type[DverError], match: str, *paths: str, below: str = "") -> str:
    before = repo.snapshot()
    with pytest.raises(error, match=match) as caught:
        repo.add(*paths, below=below)
    assert repo.snapshot() == before
    return caught.value.hint or ""


def test_what_git_tracks(repo: WorkRepo) -> None:
    repo.commit_files({"code.py": "1", "d/readme": "2", "d/more": "3"})
    hint = refuse(repo, RefusedError, "git already tracks code.py", "code.py")
    assert hint == "git rm -r --cached -- code.py && dver add code.py"
    refuse(repo, RefusedError, "git already tracks files in d", "d")
    # The advice works.
    repo.git("rm", "-r", "-q", "--cached", "--", "d")
    repo.add("d")
    assert listing(repo, "d") == {"readme": b"2", "more": b"3"}


def test_one_bad_path_changes_nothing(repo: WorkRepo) -> None:
    repo.write("good", b"1")
    hint = refuse(repo, NotFoundError, "no file or directory goood", "good", "goood")
    assert hint == "did you mean good?"


@pytest.mark.parametrize("where", ["", "sub"])
def test_the_repository_root(repo: WorkRepo, where: str) -> None:
    (repo.path / "sub").mkdir()
    hint = refuse(repo, UsageError, "whole repository", ".." if where else ".", below=where)
    assert "dver add -u" in hint


@pytest.mark.parametrize(
    ("path", "match"),
    [
        (".git/config", "git directory"),
        (".dver/config.yaml", "own files"),
        (".dver", "own files"),
        ("../elsewhere", "outside the repository"),
        ("f.dver", "pointer file"),
        ("NUL", "Windows"),
        ("d/GIT~1/x", "own files"),
    ],
)
def test_places_where_no_data_may_be(repo: WorkRepo, path: str, match: str) -> None:
    repo.write("f", b"1")
    repo.add("f")
    refuse(repo, UsageError, match, path)


def test_overlapping_targets(repo: WorkRepo) -> None:
    repo.write("d/a", b"1")
    repo.write("d/b", b"2")
    repo.add("d/a")
    refuse(repo, RefusedError, "tracked by itself", "d")
    repo.rm("d/a", keep_data=True)
    repo.add("d")
    assert listing(repo, "d") == {"a": b"1", "b": b"2"}


def test_symlinks(repo: WorkRepo, tmp_path: Path) -> None:
    repo.write("real/f", b"1")
    (repo.path / "link").symlink_to("real")
    (repo.path / "out").symlink_to(tmp_path)
    refuse(repo, RefusedError, "is a symlink", "link")
    refuse(repo, RefusedError, "beyond the symlink link", "link/f")
    refuse(repo, RefusedError, "beyond the symlink out", "out/x")


def test_special_files(repo: WorkRepo) -> None:
    os.mkfifo(repo.path / "pipe")
    refuse(repo, RefusedError, "named pipe", "pipe")
    (repo.path / "d").mkdir()
    here = Path.cwd()
    os.chdir(repo.path / "d")
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind("sock")
            refuse(repo, RefusedError, "a socket", "d")
    finally:
        os.chdir(here)


def test_repositories_inside(repo: WorkRepo) -> None:
    GitRepo.init(repo.path / "d/inner").write("f", b"1")
    before = repo.untracked()
    for path in ("d", "d/inner"):
        with pytest.raises(RefusedError, match=r"git repository|own files"):
            repo.add(path)
    with pytest.raises(RefusedError, match="lies in another git repository"):
        repo.add("d/inner/f")
    assert repo.untracked() == before


def test_names_inside_that_are_refused(repo: WorkRepo) -> None:
    repo.write("d/sub/aux.txt", b"1")
    refuse(repo, RefusedError, r"d/sub/aux\.txt", "d")


def test_a_pointer_that_git_would_ignore(repo: WorkRepo) -> None:
    repo.write(".gitignore", "/out\n*.dver\n")
    repo.write("out/f", b"1")
    repo.write("f", b"1")
    hint = refuse(repo, RefusedError, "could never be committed", "f")
    assert "check-ignore -v f.dver" in hint
    refuse(repo, RefusedError, "could never be committed", "out/f")


def test_data_that_git_would_not_ignore(repo: WorkRepo) -> None:
    repo.write("sub/f", b"1")
    repo.write("sub/.gitignore", "!f\n")
    repo.add("sub/f")  # the new line comes last and wins
    repo.write("g", b"1")
    repo.git("config", "core.excludesFile", str(repo.path / "rules"))
    repo.write("rules", "!g\n")
    repo.add("g")


def test_an_unreadable_file(repo: WorkRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.write("d/a", b"1")
    repo.write("d/b", b"1")
    real = os.open

    def denied(path: object, *args: object, **kwargs: object) -> int:
        if isinstance(path, bytes) and path.endswith(b"/d/b"):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", denied)
    refuse(repo, DverError, "permission denied", "d")


def test_a_file_that_changes_while_it_is_added(
    repo: WorkRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = repo.write("d/growing", b"1")
    real = os.fstat
    seen = []

    def fstat(fd: int) -> os.stat_result:
        if real(fd).st_ino == path.stat().st_ino:
            seen.append(1)
            with path.open("ab") as file:
                file.write(b"more")
        return real(fd)

    monkeypatch.setattr(os, "fstat", fstat)
    before = repo.untracked()
    with pytest.raises(RefusedError, match="changed while it was being added"):
        repo.add("d")
    # Once since the scan, and then again before and after another reading.
    assert len(seen) == 3
    assert repo.untracked() == before


def test_not_set_up(git_repo: GitRepo) -> None:
    git_repo.write("f", b"1")
    with pytest.raises(RepositoryError) as caught:
        add(Repo.open(git_repo.path), AddOptions(("f",)), WorkRepo(git_repo.path).heard)
    assert caught.value.hint == "dver init"


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
