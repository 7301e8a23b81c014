"""Hostile names through every door: the parser of trees, pointers' paths, checkout, add."""

from __future__ import annotations

import os
from array import array
from pathlib import Path

import pytest

from dver.base.errors import CorruptError, DverError, FormatError
from dver.base.oid import Oid, oid_of
from dver.formats import names, pointer
from dver.formats import tree as trees
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY, FILE, Entry, Tree
from dver.ops.targets.target import decode_at, read_target
from dver.workspace.building import entry_of
from dver.workspace.checkout import apply_plan
from dver.workspace.planning import plan_checkout
from tests.security.names import ODD, REFUSED
from tests.support.cli import Dver
from tests.support.gitrepo import GitRepo
from tests.support.workbench import Workbench, read_back

CONTENT = b"evil"
POINTER = Pointer("file", oid_of(CONTENT), len(CONTENT))
#: No name of one file, and a path like any other.
TWO = b"a/b"
#: Names that a file of Linux can have, so that somebody's repository can hold them.
POSSIBLE = [name for name in REFUSED if name not in (b"", b".", b"..") and not {0, 47} & {*name}]


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


def forged(name: bytes, kind: int, oid: Oid, size: int) -> bytes:
    """Return the bytes of a tree with one entry of any name at all."""
    return trees.encode(Tree(bytes([kind]), array("Q", [size]), oid, [name], size, 1))


def outside_the_store(base: Path) -> dict[bytes, object]:
    found = read_back(os.fsencode(base))
    return {name: one for name, one in found.items() if not name.startswith((b"store/", b"state"))}


def test_there_are_enough_of_them() -> None:
    assert len(set(REFUSED)) == len(REFUSED) >= 60
    assert not set(REFUSED) & set(ODD)
    assert len(POSSIBLE) > 40


@pytest.mark.parametrize("name", REFUSED)
def test_no_parser_takes_it(name: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        names.check_name(name)
    assert caught.value.message.isprintable()
    for path in (name, b"a/" + name, name + b"/a", b"a/" + name + b"/b"):
        if name == TWO:
            continue
        with pytest.raises(FormatError):
            names.check_path(path)
        with pytest.raises(FormatError):
            decode_at(path, pointer.encode(POINTER))
    for kind in (FILE, DIRECTORY):
        with pytest.raises(FormatError):
            trees.decode(forged(name, kind, oid_of(CONTENT), 4))


@pytest.mark.parametrize("name", REFUSED)
def test_no_checkout_writes_it(bench: Workbench, name: bytes) -> None:
    blob = Oid(bench.put_blob(CONTENT))
    before = outside_the_store(bench.base)
    for top in (forged(name, FILE, blob, 4), forged(name, DIRECTORY, trees.EMPTY_OID, 0)):
        for depth in range(2):
            oid = Oid(bench.put_tree(top))
            if depth:
                oid = Oid(bench.put_tree(forged(b"sub", DIRECTORY, oid, 4)))
            for force in (False, True):
                with pytest.raises(CorruptError):
                    bench.checkout(Pointer("tree", oid, 4, 1), force=force)
    for path in (name, b"d/" + name, name + b"/f") if name != TWO else ():
        plan = plan_checkout(path, None, entry_of(Pointer("file", blob, 4)), bench.store)
        with pytest.raises(FormatError):
            apply_plan(plan, bench.root, bench.store)
    assert outside_the_store(bench.base) == before


@pytest.mark.parametrize("name", POSSIBLE)
def test_no_pointer_of_that_name_counts(tmp_path: Path, name: bytes) -> None:
    if len(name) > 200:  # the pointer's own name would be too long for the disk
        return
    (tmp_path / os.fsdecode(name + b".dver")).write_bytes(pointer.encode(POINTER))
    found = read_target(os.fsencode(tmp_path), name)
    assert found.present
    assert found.pointer is None
    assert found.problem is not None


def test_a_repository_full_of_them(git_repo: GitRepo) -> None:
    """Commands look at such pointers, say so for each, and write nothing."""
    dver = Dver(git_repo.path)
    dver("init", "-q")
    here = [name for name in POSSIBLE if len(name) < 200]
    for name in here:
        git_repo.write(name + b".dver", pointer.encode(POINTER))
    before = read_back(os.fsencode(git_repo.path))
    assert dver("status", code=0).stdout.count("broken") >= 1
    for words in (("checkout",), ("push",), ("pull",), ("fetch",), ("fsck",)):
        done = dver.attempt(*words)
        assert 0 < done.exit_code < 70, (words, done)
    after = read_back(os.fsencode(git_repo.path))
    assert {name for name in after.keys() - before.keys() if not name.startswith(b".git/")} == set()
    hooks = git_repo.path / ".git" / "hooks"
    assert not [one for one in hooks.glob("*") if one.suffix != ".sample"]


@pytest.mark.parametrize(
    "name", [one for one in POSSIBLE if len(one) < 200 and one not in (b".git", b".dver")]
)
def test_nothing_of_that_name_is_added(git_repo: GitRepo, name: bytes) -> None:
    dver = Dver(git_repo.path)
    dver("init", "-q")
    git_repo.write(name, b"data")
    done = dver.attempt("add", "--", os.fsdecode(name))
    assert done.exit_code in (2, 4, 5), done
    git_repo.write(b"data/" + name, b"data")
    done = dver.attempt("add", "data")
    assert done.exit_code in (2, 4, 5), done
    assert not (git_repo.path / "data.dver").exists()


def test_odd_names_are_taken_as_they_are(git_repo: GitRepo, tmp_path: Path) -> None:
    """Added, committed, pushed, cloned and brought back, as files, directories and targets."""
    dver = Dver(git_repo.path)
    dver("init", "-q")
    targets = [name for name in ODD if name != b".gitignore"]
    for name in ODD:
        git_repo.write(b"data/" + name, b"1" + name)
        git_repo.write(b"data/in/" + name + b"/x", b"2" + name)
    for name in targets:
        git_repo.write(b"one/" + name, b"3" + name)
    dver("add", "-q", "data")
    dver("add", "-q", "--", *[b"one/" + name for name in targets])
    dver("remote", "add", "nas", tmp_path / "nas", "-q")
    git_repo.commit("odd")
    dver("push", "-q")
    dver("status", "-v")
    clone = Dver(GitRepo.clone(git_repo.path, tmp_path / "clone").path)
    clone("pull", "-q")
    for part in ("data", "one"):
        here = read_back(os.fsencode(git_repo.path / part))
        there = read_back(os.fsencode(clone.cwd / part))
        assert there == here
        assert len(here) > len(targets)
    assert not list(tmp_path.rglob("pwned*"))


@pytest.mark.parametrize("name", ODD)
def test_odd_names_never_reach_a_terminal_raw(git_repo: GitRepo, name: bytes) -> None:
    dver = Dver(git_repo.path)
    dver("init", "-q")
    git_repo.write(b"data/" + name, b"1")
    dver("add", "-q", "data")
    git_repo.write(b"data/" + name, b"2")
    for words in (("status", "-v"), ("diff",), ("ls", "-R", "data"), ("du", "data")):
        done = dver.attempt(*words)
        assert done.exit_code in (0, 1)
        for line in (done.stdout + done.stderr).split("\n"):
            assert line.replace("\t", " ").isprintable(), (words, line)


def test_bash_is_offered_nothing_that_it_would_run(git_repo: GitRepo) -> None:
    dver = Dver(git_repo.path)
    dver("init", "-q")
    for name in (*ODD, b"good", b"good-2.csv", "größe".encode()):
        if name != b".gitignore":
            git_repo.write(name + b".dver", pointer.encode(POINTER))
    for shell, more in (("bash", False), ("zsh", True), ("fish", True)):
        env = {"_DVER_COMPLETE": f"{shell}_complete", "COMP_WORDS": "dver ls "}
        env["COMP_CWORD"] = "" if shell == "fish" else "2"
        out = dver(env=env).stdout
        assert "good-2.csv" in out
        assert "größe" in out
        assert ("$(touch" in out) == more
        assert ("`" in out) == more
        assert "\x1b" not in out


def test_twins_are_refused_where_they_are_one(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case twins, and the two spellings of an accent: on such a disk one would hide the other."""
    from dver.workspace import twins

    monkeypatch.setattr(twins, "folds_names", lambda safe: True)
    blob = Oid(bench.put_blob(CONTENT))
    for pair in ((b"a", b"A"), ("\u00e9".encode(), "e\u0301".encode())):
        entries = [Entry(FILE, name, 4, blob) for name in pair]
        oid = Oid(bench.put_tree(trees.encode(trees.build(entries, 0))))
        with pytest.raises(DverError, match="one and the same"):
            bench.checkout(Pointer("tree", oid, 8, 2))
        assert not os.path.lexists(bench.path(b"data"))
