"""Trees, workspaces and neighbours that mean harm: nothing outside the target is ever touched."""

from __future__ import annotations

import contextlib
import os
import threading
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from dver.base.errors import CorruptError, DverError, RefusedError
from dver.base.oid import Oid
from dver.formats import pack
from dver.formats import tree as trees
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY, FILE, MAX_DEPTH, Entry, Tree
from dver.workspace.checkout import apply_plan
from dver.workspace.planning import NOTHING
from dver.workspace.safedir import SafeRoot, remove_tree
from tests.support.workbench import ALWAYS, Link, Workbench, kinds

HOSTILE = [
    b"..",
    b".",
    b"../escape",
    b"/etc/passwd",
    b"a/b",
    b"",
    b".git",
    b".GIT",
    b".git ",
    b".git.",
    b".git::$INDEX_ALLOCATION",
    b"git~1",
    ".g\u200cit".encode(),
    b".dver",
    b"CON",
    b"aux.txt",
    b"com1",
    b"..\\x",
    b"n" * 256,
]


def forged(name: bytes, kind: int, oid: bytes, size: int = 4) -> bytes:
    """Return a tree's bytes with any name at all."""
    return trees.encode(Tree(bytes([kind]), array("Q", [size]), oid, [name], size, 1))


@pytest.fixture
def secret(bench: Workbench) -> Path:
    """A file outside the workspace that must stay as it is."""
    path = bench.base / "escape"
    path.write_bytes(b"untouched")
    return path


def everything(base: Path) -> dict[bytes, object]:
    """Return all files outside of the store and the index."""
    from tests.support.workbench import read_back

    found = read_back(os.fsencode(base))
    return {
        name: content
        for name, content in found.items()
        if not name.startswith((b"store/", b"state/", b"state"))
    }


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", [FILE, DIRECTORY])
@pytest.mark.parametrize("nested", [False, True])
def test_hostile_names_never_reach_the_disk(
    bench: Workbench, secret: Path, name: bytes, kind: int, nested: bool
) -> None:
    oid = bench.put_blob(b"evil") if kind == FILE else bench.put_tree(trees.EMPTY_BYTES)
    size = 4 if kind == FILE else 0
    top = bench.put_tree(forged(name, kind, oid, size))
    if nested:
        top = bench.put_tree(forged(b"sub", DIRECTORY, top, size))
    before = everything(bench.base)
    with pytest.raises(CorruptError):
        bench.checkout(Pointer("tree", Oid(top), size, 1))
    assert everything(bench.base) == before


def nested(bench: Workbench, name: bytes, leaf: Entry, depth: int) -> Oid:
    """Store trees one in the other, that deep; return the top one."""
    entry = leaf
    with bench.store.writer() as writer:
        for _ in range(depth):
            data = trees.encode(trees.build([entry], int(entry.kind == DIRECTORY)))
            entry = Entry(DIRECTORY, name, leaf.size, writer.add(data, pack.TREE))
        writer.commit()
    return entry.oid


def test_trees_that_nest_too_deeply(bench: Workbench) -> None:
    leaf = Entry(FILE, b"leaf", 4, Oid(bench.put_blob(b"leaf")))
    oid = nested(bench, b"d", leaf, MAX_DEPTH + 2)
    with pytest.raises(CorruptError, match="deep"):
        bench.checkout(Pointer("tree", oid, 4, 1))
    assert os.listdir(bench.root) == []


def test_directories_deeper_than_a_path_can_be_long(bench: Workbench) -> None:
    leaf = Entry(FILE, b"leaf", 4, Oid(bench.put_blob(b"leaf")))
    oid = nested(bench, b"n" * 100, leaf, 60)
    applied = bench.checkout(Pointer("tree", oid, 4, 1))
    assert applied.failed == []
    assert bench.now(read=False)[0].files == 1
    with SafeRoot(bench.root) as safe:
        remove_tree(safe.open(b""), b"data")
    assert os.listdir(bench.root) == []


def test_a_blob_is_no_tree(bench: Workbench) -> None:
    oid = bench.put_blob(b"just text")
    with pytest.raises(CorruptError):
        bench.checkout(Pointer("tree", Oid(oid), 9, 1))


def outside(bench: Workbench) -> bytes:
    """Make a directory outside the workspace with a file in it."""
    path = os.fsencode(bench.base / "outside")
    os.makedirs(path)
    Path(os.fsdecode(path), "f").write_bytes(b"theirs")
    return path


def test_a_symlink_among_the_parents_of_a_target(bench: Workbench) -> None:
    bench.write({b"real/data/f": b"mine", b"real/data/sub/g": b"mine too"}, under=b"")
    tree, file = bench.add(b"real/data"), bench.add(b"real/data/f")
    there = outside(bench)
    os.symlink(there, bench.path(b"link"))
    for pointer, target in ((tree, b"link/data"), (file, b"link/f"), (file, b"link/new")):
        plan = bench.plan(pointer, target, force=True)
        applied = apply_plan(plan, bench.root, bench.store)
        assert [one.kind for one in applied.failed] == ["RefusedError"] * len(applied.failed)
        assert applied.failed
    removal = bench.plan(None, b"link/f", force=True)
    assert apply_plan(removal, bench.root, bench.store).failed
    assert kinds(everything(bench.base / "outside")) == kinds({b"f": b"theirs"})


def test_a_symlink_inside_a_target_is_replaced_not_followed(bench: Workbench) -> None:
    bench.write({b"sub/f": b"mine", b"file": b"content"})
    pointer = bench.add(moment=ALWAYS)
    there = outside(bench)
    os.rename(bench.path(b"data/sub"), bench.path(b"away"))
    os.symlink(there, bench.path(b"data/sub"))
    os.unlink(bench.path(b"data/file"))
    os.symlink(os.path.join(there, b"f"), bench.path(b"data/file"))
    with pytest.raises(RefusedError):
        bench.checkout(pointer)
    bench.checkout(pointer, force=True)
    assert kinds(bench.read()) == kinds({b"sub/f": b"mine", b"file": b"content"})
    assert kinds(everything(bench.base / "outside")) == kinds({b"f": b"theirs"})


def test_a_directory_that_became_a_symlink_after_the_plan(bench: Workbench) -> None:
    bench.write({b"sub/f": b"1", b"sub/deep/g": b"1", b"k": b"1"})
    first = bench.add(moment=ALWAYS)
    bench.write({b"sub/f": b"2", b"sub/extra": b"2", b"k": b"2"})
    os.unlink(bench.path(b"data/sub/deep/g"))
    os.rmdir(bench.path(b"data/sub/deep"))
    bench.add(moment=ALWAYS)
    there = outside(bench)
    Path(os.fsdecode(there), "extra").write_bytes(b"theirs")
    plan = bench.plan(first)
    os.rename(bench.path(b"data/sub"), bench.path(b"away"))
    os.symlink(there, bench.path(b"data/sub"))
    applied = apply_plan(plan, bench.root, bench.store)
    assert {one.path for one in applied.failed} == {
        b"data/sub/f",
        b"data/sub/deep",
        b"data/sub/extra",
    }
    assert bench.read()[b"k"] == b"1"
    left = everything(bench.base / "outside")
    assert kinds(left) == kinds({b"f": b"theirs", b"extra": b"theirs"})


def two_versions(bench: Workbench) -> tuple[Pointer, Pointer]:
    """Add two versions of a directory that differ in every file and in some directories."""
    bench.write({b"sub/deep/%02d" % i: b"mine" for i in range(4)})
    bench.write({b"sub/new/x": b"1", b"sub/l": Link(b"deep")})
    first = bench.add(moment=ALWAYS)
    with SafeRoot(bench.root) as safe:
        remove_tree(safe.open(b""), b"data")
    bench.write({b"sub/deep/%02d" % i: b"other" for i in range(4)})
    bench.write({b"sub/gone": b"1", b"sub/gone-too/y": b"2", b"sub/l": Link(b"..")})
    return first, bench.add(moment=ALWAYS)


def trap(bench: Workbench) -> bytes:
    """Make a directory outside that looks just like what a checkout is about to change."""
    there = os.fsencode(bench.base / "outside")
    for name in (b"deep/00", b"deep/01", b"gone", b"gone-too/y"):
        os.makedirs(os.path.dirname(os.path.join(there, name)), exist_ok=True)
        Path(os.fsdecode(there), os.fsdecode(name)).write_bytes(b"theirs")
    return there


def test_a_swap_before_any_system_call_gets_no_write_outside(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two_versions(bench)
    there = trap(bench)
    expected = kinds(everything(bench.base / "outside"))
    sub, aside = bench.path(b"data/sub"), bench.path(b"aside")
    calls = ("open", "stat", "mkdir", "rename", "unlink", "rmdir", "symlink", "listdir")
    really = {name: getattr(os, name) for name in calls}
    count = limit = 0

    def counting(name: str) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count == limit:
                really["rename"](sub, aside)
                really["symlink"](there, sub)
            return really[name](*args, **options)

        return call

    failures = 0
    for limit in range(1, 200):
        plan = bench.plan(first, force=True)
        count = 0
        with monkeypatch.context() as patch:
            for name in calls:
                patch.setattr(os, name, counting(name))
            applied = apply_plan(plan, bench.root, bench.store)
        assert kinds(everything(bench.base / "outside")) == expected
        failures += bool(applied.failed)
        if count < limit:
            break
        if os.path.islink(sub):
            os.unlink(sub)
            os.rename(aside, sub)
        bench.checkout(second, force=True)
    assert failures > 5
    assert limit > 40
    assert bench.now()[0] == first


def test_a_racing_thread_never_gets_a_write_outside(bench: Workbench) -> None:
    versions = two_versions(bench)
    there = trap(bench)
    expected = kinds(everything(bench.base / "outside"))
    sub = bench.path(b"data/sub")
    stop = threading.Event()

    def swap() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            aside = bench.path(b"aside-%d" % turn)
            with contextlib.suppress(OSError):
                os.rename(sub, aside)
                os.symlink(there, sub)
                for _ in range(40):
                    os.stat(sub)
            with contextlib.suppress(OSError):
                os.unlink(sub)
            with contextlib.suppress(OSError):
                os.rename(aside, sub)
            for _ in range(40):
                os.lstat(bench.root)

    thread = threading.Thread(target=swap)
    thread.start()
    done = failed = 0
    try:
        for attempt in range(150):
            try:
                plan = bench.plan(versions[attempt % 2], base=NOTHING, force=True)
                result = apply_plan(plan, bench.root, bench.store)
                failed += bool(result.failed)
                done += not result.failed
            except DverError:
                failed += 1
    finally:
        stop.set()
        thread.join()
    assert kinds(everything(bench.base / "outside")) == expected
    assert done > 0
    assert failed > 0


def test_symlinks_of_a_tree_are_made_after_its_files(bench: Workbench) -> None:
    bench.write({b"a": Link(b"../escape"), b"b/c": Link(b"../../../escape"), b"f": b"1"})
    pointer = bench.add()
    target = bench.base / "escape"
    target.write_bytes(b"untouched")
    with SafeRoot(bench.root) as safe:
        remove_tree(safe.open(b""), b"data")
    bench.checkout(pointer)
    assert target.read_bytes() == b"untouched"
    assert os.readlink(bench.path(b"data/a")) == b"../escape"


# the walk itself


def test_safe_root_refuses_symlinks_and_files(bench: Workbench) -> None:
    bench.write({b"d/e/f": b"1", b"l": Link(b"d"), b"d/up": Link(b"..")}, under=b"")
    with SafeRoot(bench.root) as safe:
        for path in (b"l", b"l/e", b"d/up", b"d/up/d", b"d/e/f"):
            with pytest.raises(RefusedError, match="symlink"):
                safe.open(path)
        with pytest.raises(FileNotFoundError):
            safe.open(b"d/none")
        assert os.listdir(safe.open(b"d/e")) == ["f"]


def test_safe_root_may_itself_be_a_symlink(bench: Workbench) -> None:
    os.symlink(bench.root, os.fsencode(bench.base / "way"))
    bench.write({b"d/f": b"1"}, under=b"")
    with SafeRoot(os.fsencode(bench.base / "way")) as safe:
        assert os.listdir(safe.open(b"d")) == ["f"]


def test_safe_root_closes_what_it_opens(bench: Workbench) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with SafeRoot(bench.root) as safe:
        for path in (b"a/b/c", b"a/b/d/e", b"/".join([b"x"] * 120), b"a", b"", b"x/x/y"):
            safe.open(path, make=True)
        for depth in (119, 60, 110, 3, 120):
            fd = safe.open(b"/".join([b"x"] * depth))
            inner = sorted(os.listdir(fd))
            assert inner == ([] if depth == 120 else [b"x".decode()] + ["y"] * (depth == 2))
        assert len(os.listdir("/proc/self/fd")) < before + 60
        safe.forget()
        assert len(os.listdir("/proc/self/fd")) == before + 1
    assert len(os.listdir("/proc/self/fd")) == before


def test_removing_a_tree_does_not_follow_symlinks(bench: Workbench) -> None:
    there = outside(bench)
    bench.write(
        {b"t/a": b"1", b"t/l": Link(there), b"t/d/l": Link(there), b"keep": b"1"}, under=b""
    )
    with SafeRoot(bench.root) as safe:
        remove_tree(safe.open(b""), b"t")
        remove_tree(safe.open(b""), b"gone already")
    assert os.listdir(bench.root) == [b"keep"]
    assert os.listdir(there) == [b"f"]
