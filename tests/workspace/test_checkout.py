"""From a pointer to files: everything comes back, and nobody's work is lost."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

import pytest

from dver.base import fsio
from dver.base.errors import (
    CorruptError,
    DverError,
    MissingContentError,
    RefusedError,
    SystemFailure,
)
from dver.base.oid import EMPTY, Oid
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY, FILE, Entry
from dver.workspace import checkout as checking
from dver.workspace import jobs, staging, twins
from dver.workspace.checkout import FailedPath, apply_plan, failure_of
from dver.workspace.planning import NOTHING, UNSAVED, UNTRACKED
from dver.workspace.state import Scan
from tests.support.workbench import ALWAYS, EMPTY_DIR, Link, Program, Workbench, kinds

RICH: dict[bytes, object] = {
    b"a": b"alpha",
    b"empty": b"",
    b"run": Program(b"#!/bin/sh\n"),
    b"link": Link(b"a"),
    b"dangling": Link(b"../../nowhere"),
    b"nothing": EMPTY_DIR,
    b"sub/b": b"beta" * 1000,
    b"sub/link": Link(b"\xff\xfe"),
    b"sub/deep/c": b"gamma",
    b"sub/deep/also/nothing": EMPTY_DIR,
    b"odd/new\nline": b"1",
    b"odd/-rf": b"2",
    b"odd/\xff\xfe": b"3",
    b"odd/" + b"n" * 255: b"4",
    b"odd/sp ace": b"5",
    b"big": bytes(range(256)) * 8192,
}


def versions(bench: Workbench, *contents: dict[bytes, object]) -> list[Pointer]:
    """Add several states of one directory and return their pointers; the last one stays."""
    pointers = []
    for files in contents:
        wipe(bench)
        bench.write(files)
        pointers.append(bench.add(moment=ALWAYS))
    return pointers


def wipe(bench: Workbench, target: bytes = b"data") -> None:
    """Remove the data of a target, and what is remembered of it."""
    import shutil

    path = bench.path(target)
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    bench.index.remove(target)
    os.makedirs(bench.path(b"data"), exist_ok=True)


def test_everything_comes_back(bench: Workbench) -> None:
    (pointer,) = versions(bench, RICH)
    expected = kinds(bench.read())
    wipe(bench)
    os.rmdir(bench.path(b"data"))
    applied = bench.checkout(pointer)
    assert kinds(bench.read()) == expected
    assert applied.written == pointer.files
    assert applied.bytes == pointer.size
    assert applied.failed == []
    assert os.listdir(bench.root) == [b"data"]
    assert bench.add() == pointer


def test_what_was_written_is_remembered(bench: Workbench) -> None:
    (pointer,) = versions(bench, RICH)
    wipe(bench)
    os.rmdir(bench.path(b"data"))
    before = bench.index.moment(bench.root)
    applied = apply_plan(bench.plan(pointer), bench.root, bench.store, moment=before)
    assert isinstance(applied.state, Scan)
    assert applied.state.top.tree == pointer.oid
    bench.index.save_tree(b"data", applied.state, moment=ALWAYS, base=pointer)
    assert bench.now(read=False) == (pointer, 0)


def test_from_one_version_to_another_in_place(bench: Workbench) -> None:
    changed = RICH | {b"a": b"changed", b"sub/deep/c": b"more gamma", b"added/x": b"1"}
    changed |= {b"run": b"#!/bin/sh\n", b"link": Link(b"big"), b"late": Link(b"a")}
    del changed[b"sub/b"], changed[b"nothing"], changed[b"odd/-rf"]
    first, second = versions(bench, RICH, changed)
    there = kinds(bench.read())
    bench.checkout(first)
    assert bench.now()[0] == first
    applied = bench.checkout(second)
    assert kinds(bench.read()) == there
    assert bench.now()[0] == second
    assert applied.deleted == 2
    assert isinstance(applied.state, Scan)
    assert applied.state.top.tree == second.oid


def test_equal_content_is_left_alone(bench: Workbench) -> None:
    first, second = versions(bench, RICH, RICH | {b"a": b"new"})
    inode = os.stat(bench.path(b"data/big")).st_ino
    plan = bench.plan(first)
    assert (plan.files, plan.unchanged) == (1, first.files - 1)
    bench.checkout(first)
    assert os.stat(bench.path(b"data/big")).st_ino == inode
    assert bench.plan(first).is_empty
    assert not bench.plan(second).is_empty


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({b"x": b"file"}, {b"x/y": b"dir"}),
        ({b"x/y": b"dir", b"x/z/w": b"1"}, {b"x": b"file"}),
        ({b"x": Link(b"target")}, {b"x/y": b"dir"}),
        ({b"x/y": b"dir"}, {b"x": Link(b"target")}),
        ({b"x": Link(b"target")}, {b"x": b"target"}),
        ({b"x": b"target"}, {b"x": Link(b"target")}),
        ({b"x": EMPTY_DIR}, {b"x": b""}),
        ({b"x": b""}, {b"x": EMPTY_DIR}),
        ({b"x": b"1"}, {b"x": Program(b"1")}),
        ({b"x": Program(b"1")}, {b"x": b"1"}),
        ({b"x": Program(b"1")}, {b"x": b"2"}),
        ({b"x/y": b"1"}, {b"x": EMPTY_DIR}),
        ({b"x": EMPTY_DIR, b"k": b""}, {b"k": b""}),
    ],
)
def test_changes_of_kind(
    bench: Workbench, before: dict[bytes, object], after: dict[bytes, object]
) -> None:
    first, second = versions(bench, before, after)
    expected = kinds(bench.read())
    bench.checkout(first)
    assert kinds(bench.read()) == kinds(before)
    applied = bench.checkout(second)
    assert kinds(bench.read()) == expected
    assert isinstance(applied.state, Scan)
    assert applied.state.top.tree == second.oid
    assert bench.now()[0] == second


def test_the_target_itself_changes_kind(bench: Workbench) -> None:
    (tree,) = versions(bench, {b"a/b": b"1", b"c": b"2"})
    bench.write({b"file": b"content"}, under=b"")
    file = bench.add(b"file", moment=ALWAYS)
    bench.checkout(file)
    assert bench.read(b"")[b"data"] == b"content"
    bench.checkout(tree)
    assert bench.now()[0] == tree


def test_single_files(bench: Workbench) -> None:
    bench.write({b"deep/er/m.bin": Program(b"one")}, under=b"")
    first = bench.add(b"deep/er/m.bin", moment=ALWAYS)
    bench.write({b"deep/er/m.bin": b"two"}, under=b"")
    second = bench.add(b"deep/er/m.bin", moment=ALWAYS)
    applied = bench.checkout(first, b"deep/er/m.bin")
    assert kinds(bench.read(b"deep")) == kinds({b"er/m.bin": Program(b"one")})
    assert (applied.written, applied.bytes) == (1, 3)
    assert bench.index.base(b"deep/er/m.bin") == first
    os.unlink(bench.path(b"deep/er/m.bin"))
    bench.checkout(second, b"deep/er/m.bin")
    assert kinds(bench.read(b"deep")) == kinds({b"er/m.bin": b"two"})
    assert bench.plan(second, b"deep/er/m.bin").unchanged == 1
    applied = bench.checkout(None, b"deep/er/m.bin")
    assert applied.deleted == 1
    assert bench.read(b"deep") == {b"er": EMPTY_DIR}


def test_parents_are_made(bench: Workbench) -> None:
    bench.write({b"x/y/f": b"1", b"x/y/d/g": b"2"}, under=b"")
    file, tree = bench.add(b"x/y/f"), bench.add(b"x/y/d")
    os.rename(bench.path(b"x"), bench.path(b"away"))
    bench.checkout(file, b"x/y/f")
    bench.checkout(tree, b"x/y/d")
    assert bench.read(b"x") == {b"y/f": b"1", b"y/d/g": b"2"}


# parts of a tracked directory


def part_plan(bench: Workbench, inner: bytes, desired: Entry | None) -> checking.Applied:
    """Check out one path inside the target ``data``."""
    from dver.workspace.building import finish_trees
    from dver.workspace.hashing import fill_scan
    from dver.workspace.planning import plan_checkout

    path = b"data/" + inner
    current: object
    if os.path.isdir(bench.path(path)):
        current = bench.scan(start=inner, lenient=True)
        fill_scan(current, None)
        finish_trees(current)
    else:
        current = bench.current(path)
    plan = plan_checkout(path, current, desired, bench.store)
    return apply_plan(plan, bench.root, bench.store, moment=ALWAYS)


def test_only_some_paths_of_a_directory(bench: Workbench) -> None:
    from dver.store import walk

    old = {b"a": b"1", b"sub/b": b"2", b"sub/gone/c": b"3", b"other/d": b"4"}
    new = {b"a": b"11", b"sub/b": b"22", b"sub/new": b"33", b"other/d": b"44"}
    first, _ = versions(bench, old, new)
    applied = part_plan(bench, b"sub", walk.find(bench.store, first.oid, b"sub"))
    expected = {b"a": b"11", b"sub/b": b"2", b"sub/gone/c": b"3", b"other/d": b"44"}
    assert bench.read() == expected
    assert isinstance(applied.state, Scan)
    assert applied.state.start == b"sub"
    assert [one.path for one in applied.state.dirs] == [b"sub", b"sub/gone"]
    known = bench.index.load_tree(b"data")
    bench.index.save_tree(b"data", applied.state, moment=ALWAYS, base=None, known=known)
    assert bench.now(read=False)[1] == 0
    part_plan(bench, b"a", walk.find(bench.store, first.oid, b"a"))
    part_plan(bench, b"other/d", walk.find(bench.store, first.oid, b"other/d"))
    assert bench.read() == old
    part_plan(bench, b"other", None)
    part_plan(bench, b"a", None)
    assert bench.read() == {b"sub/b": b"2", b"sub/gone/c": b"3"}


# nobody's work is lost


def test_modified_content_stops_everything(bench: Workbench) -> None:
    first, second = versions(bench, {b"a": b"1", b"b": b"1"}, {b"a": b"2", b"b": b"2"})
    bench.write({b"a": b"precious"})
    plan = bench.plan(first)
    assert [(one.path, one.reason) for one in plan.conflicts] == [(b"data/a", UNSAVED)]
    with pytest.raises(RefusedError) as caught:
        bench.checkout(first)
    assert caught.value.paths == ("data/a",)
    assert "--force" in (caught.value.hint or "")
    assert bench.read() == {b"a": b"precious", b"b": b"2"}
    bench.checkout(first, force=True)
    assert bench.read() == {b"a": b"1", b"b": b"1"}
    assert second != first


def test_content_that_is_in_the_store_may_be_overwritten(bench: Workbench) -> None:
    first, _ = versions(bench, {b"a": b"1"}, {b"a": b"2"})
    bench.write({b"a": b"3"})
    bench.put_blob(b"3")
    bench.checkout(first)
    assert bench.read() == {b"a": b"1"}


def test_a_modified_file_that_the_version_lacks(bench: Workbench) -> None:
    first, second = versions(bench, {b"k": b"1"}, {b"k": b"1", b"x": b"tracked"})
    bench.write({b"x": b"edited"})
    plan = bench.plan(first)
    assert [one.path for one in plan.conflicts] == [b"data/x"]
    bench.write({b"x": b"tracked"})
    bench.checkout(first)
    assert bench.read() == {b"k": b"1"}
    assert second.files == 2


def test_files_that_were_never_tracked_stay(bench: Workbench) -> None:
    old = {b"k": b"1", b"sub/x": b"1"}
    first, _ = versions(bench, old, {b"k": b"2", b"sub/x": b"2", b"gone/y": b"3"})
    mine = {b"notes": b"mine", b"copy": b"1", b"sub/more": b"mine", b"gone/mine": b"m"}
    bench.write(mine | {b"my/own": b"x", b"my/empty": EMPTY_DIR})
    plan = bench.plan(first)
    assert plan.conflicts == []
    kept = {one.path: one.reason for one in plan.kept}
    assert kept == {
        b"data/notes": UNSAVED,
        b"data/copy": UNTRACKED,
        b"data/sub/more": UNSAVED,
        b"data/gone/mine": UNSAVED,
        b"data/my/own": UNSAVED,
        b"data/my/empty": UNTRACKED,
    }
    bench.checkout(first)
    assert bench.read() == old | mine | {b"my/own": b"x", b"my/empty": EMPTY_DIR}
    assert bench.now()[0].oid != first.oid
    bench.checkout(first, force=True)
    assert bench.read() == old


def test_without_a_base_extra_files_go_if_the_store_has_them(bench: Workbench) -> None:
    first, _ = versions(bench, {b"k": b"1"}, {b"k": b"1", b"x": b"2", b"d/e": b"3"})
    bench.write({b"mine": b"unsaved"})
    bench.index.remove(b"data")
    plan = bench.plan(first)
    assert [(one.path, one.reason) for one in plan.kept] == [(b"data/mine", UNSAVED)]
    bench.checkout(first)
    assert bench.read() == {b"k": b"1", b"mine": b"unsaved"}


def test_where_nothing_was_tracked_nothing_extra_goes(bench: Workbench) -> None:
    first, _ = versions(bench, {b"k": b"1"}, {b"k": b"1", b"x": b"2"})
    plan = bench.plan(first, base=NOTHING)
    assert [(one.path, one.reason) for one in plan.kept] == [(b"data/x", UNTRACKED)]


def test_an_untracked_file_in_the_way(bench: Workbench) -> None:
    first, _ = versions(bench, {b"x/y": b"1", b"z": b"2"}, {b"k": b"1"})
    bench.write({b"x": b"mine", b"z/inner": b"mine too", b"z/saved": b"1"})
    plan = bench.plan(first)
    assert {one.path for one in plan.conflicts} == {b"data/x", b"data/z/inner"}
    with pytest.raises(RefusedError):
        bench.checkout(first)
    there = {b"k": b"1", b"x": b"mine", b"z/inner": b"mine too", b"z/saved": b"1"}
    assert bench.read() == there
    bench.checkout(first, force=True)
    assert bench.read() == {b"x/y": b"1", b"z": b"2"}


def test_an_ignored_file_in_a_directory_that_goes(bench: Workbench) -> None:
    first, _ = versions(bench, {b"k": b"1"}, {b"k": b"1", b"sub/x": b"2"})
    bench.write({b".dverignore": b"*.log\n"}, under=b"")
    bench.write({b"sub/run.log": b"mine"})
    bench.checkout(first)
    assert bench.read() == {b"k": b"1", b"sub/run.log": b"mine"}


def test_a_file_that_changes_between_plan_and_checkout(bench: Workbench) -> None:
    first, _ = versions(
        bench, {b"a": b"1", b"b": b"1", b"d/x": b"1"}, {b"a": b"2", b"b": b"2", b"gone": b"3"}
    )
    plan = bench.plan(first)
    bench.write({b"a": b"typed meanwhile", b"gone": b"this too", b"d/mine": b"and this"})
    applied = apply_plan(plan, bench.root, bench.store)
    assert {one.path for one in applied.failed} == {b"data/a", b"data/gone", b"data/d"}
    assert {one.kind for one in applied.failed} == {"RefusedError"}
    there = {b"a": b"typed meanwhile", b"gone": b"this too", b"b": b"1", b"d/mine": b"and this"}
    assert bench.read() == there
    assert isinstance(failure_of(applied.failed), RefusedError)


def test_hardlinked_files_are_replaced_not_written_into(bench: Workbench) -> None:
    first, _ = versions(bench, {b"a": b"old!"}, {b"a": b"new!"})
    os.link(bench.path(b"data/a"), bench.path(b"other-name"))
    bench.add(moment=ALWAYS)
    bench.checkout(first)
    assert bench.read(b"")[b"other-name"] == b"new!"
    assert bench.read() == {b"a": b"old!"}


# damage, missing content, full disks


def lose(bench: Workbench, content: bytes) -> None:
    """Make a store forget one object, as if it was never fetched."""
    from dver.base.oid import oid_of

    oid = oid_of(content)
    place, find = bench.store.place, bench.store._find

    def without(asked: Oid) -> object:
        return None if asked == oid else place(asked)

    def fail(asked: Oid) -> object:
        if asked == oid:
            raise MissingContentError(f"the object {asked.hex()} is not in the store")
        return find(asked)

    bench.store.place = without
    bench.store._find = fail


def damage(bench: Workbench, content: bytes) -> None:
    """Flip one byte of one stored object."""
    from dver.base.oid import oid_of
    from dver.formats.pack import FRAME
    from dver.store import layout

    place = bench.store.place(oid_of(content))
    assert place is not None
    path = Path(bench.store.local_directory(), layout.pack_key(place.pack))
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.seek(place.offset + FRAME.size + place.stored // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0xFF]))


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("size", [3, 700_000, 3_000_000])
def test_missing_content_leaves_the_rest_done(bench: Workbench, fresh: bool, size: int) -> None:
    lost = os.urandom(size)
    files = {b"a": b"1", b"d/lost": lost, b"d/z": b"2", b"l": Link(b"text")}
    first, _ = versions(bench, files, {b"a": b"9", b"d/lost": b"8", b"d/z": b"7"})
    if fresh:
        wipe(bench)
        os.rmdir(bench.path(b"data"))
    lose(bench, lost)
    applied = bench.checkout(first)
    assert [(one.path, one.kind) for one in applied.failed] == [
        (b"data/d/lost", "MissingContentError")
    ]
    error = failure_of(applied.failed)
    assert isinstance(error, MissingContentError)
    assert error.paths[0].startswith("data/d/lost (blake3:")
    there = files.copy()
    if fresh:
        del there[b"d/lost"]
    else:
        there[b"d/lost"] = b"8"
    assert kinds(bench.read()) == kinds(there)
    assert bench.now()[0].oid != first.oid


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("size", [3000, 700_000, 3_000_000])
def test_damaged_content_never_reaches_the_workspace(
    bench: Workbench, fresh: bool, size: int
) -> None:
    from dver.store.chunking import cut

    bad = os.urandom(size)
    first, _ = versions(bench, {b"a": b"1", b"bad": bad}, {b"a": b"2", b"bad": b"3"})
    if fresh:
        wipe(bench)
        os.rmdir(bench.path(b"data"))
    chunks = [bad[at : at + length] for at, length in cut(bad, bench.store.info.chunker, last=True)]
    damage(bench, chunks[-1])
    applied = bench.checkout(first)
    assert [(one.path, one.kind) for one in applied.failed] == [(b"data/bad", "CorruptError")]
    assert isinstance(failure_of(applied.failed), CorruptError)
    expected: dict[bytes, object] = {b"a": b"1"} if fresh else {b"a": b"1", b"bad": b"3"}
    assert bench.read() == expected


def test_a_missing_tree_stops_the_plan(bench: Workbench) -> None:
    pointer = Pointer("tree", Oid(b"\x07" * 32), 5, 2)
    with pytest.raises(MissingContentError):
        bench.plan(pointer)


def test_a_tree_that_lies_about_sizes(bench: Workbench) -> None:
    from dver.formats import tree as trees

    oid = bench.put_blob(b"four")
    data = trees.encode(trees.build([Entry(FILE, b"f", 4_000_000, Oid(oid))], 0))
    top = Oid(bench.put_tree(data))
    applied = bench.checkout(Pointer("tree", top, 4_000_000, 1))
    assert [one.kind for one in applied.failed] == ["CorruptError"]
    assert bench.read() == {}


@pytest.mark.parametrize("text", [b"", b"a\0b", b"x" * 5000])
def test_symlinks_of_impossible_text(bench: Workbench, text: bytes) -> None:
    from dver.formats import tree as trees

    entry = Entry(ord("l"), b"l", len(text), Oid(bench.put_blob(text)))
    top = Oid(bench.put_tree(trees.encode(trees.build([entry], 0))))
    applied = bench.checkout(Pointer("tree", top, len(text), 1))
    assert [(one.path, one.kind) for one in applied.failed] == [(b"data/l", "CorruptError")]


def test_the_gravest_failure_decides_the_error() -> None:
    def failed(kind: str) -> FailedPath:
        return FailedPath(kind.encode(), EMPTY, kind, "why")

    assert failure_of([]) is None
    some = [failed("RefusedError"), failed("SystemFailure"), failed("MissingContentError")]
    assert type(failure_of(some)) is MissingContentError
    assert type(failure_of([*some, failed("CorruptError")])) is CorruptError
    assert type(failure_of([failed("Unheard")])) is SystemFailure
    error = failure_of(some)
    assert error is not None
    assert len(error.paths) == 3


class _Disk:
    f_bavail, f_frsize = 10, 100


def test_a_disk_that_is_too_small_is_noticed_before(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pointer,) = versions(bench, {b"a": b"x" * 980})
    wipe(bench)
    monkeypatch.setattr(checking.os, "statvfs", lambda path: _Disk)
    with pytest.raises(SystemFailure, match=r"not enough space.*980.*1000"):
        bench.checkout(pointer)
    assert bench.read() == {}
    _Disk.f_bavail = 11
    bench.checkout(pointer)


def fail_at(name: str, number: int, error: BaseException) -> object:
    """Return a hook for fsio that raises at the n-th step of a name."""
    seen = [0]

    def hook(step: str) -> None:
        seen[0] += step == name
        if step == name and seen[0] == number:
            raise error

    return hook


def test_a_disk_that_fills_up_ends_the_work(bench: Workbench) -> None:
    first, _ = versions(bench, {b"%d" % i: b"%d" % i for i in range(20)}, {b"k": b"1"})
    full = OSError(errno.ENOSPC, "full")
    wipe(bench)
    os.rmdir(bench.path(b"data"))
    plan = bench.plan(first)
    fsio.install_hook(fail_at("write", 5, full))
    try:
        with pytest.raises(SystemFailure, match="no space"):
            apply_plan(plan, bench.root, bench.store)
    finally:
        fsio.install_hook(None)
    assert os.listdir(bench.root) == []


def test_a_directory_that_cannot_be_written_is_told_and_the_rest_done(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = versions(
        bench, {b"a": b"1", b"ro/x": b"1", b"ro/new/y": b"1"}, {b"a": b"2", b"ro/x": b"2"}
    )
    plan = bench.plan(first)
    locked = os.stat(bench.path(b"data/ro")).st_ino
    really_open, really_mkdir = os.open, os.mkdir

    def deny(dir_fd: int | None) -> None:
        if dir_fd is not None and os.fstat(dir_fd).st_ino == locked:
            raise PermissionError(errno.EACCES, "denied")

    def guarded_open(
        path: bytes, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
    ) -> int:
        if flags & os.O_CREAT:
            deny(dir_fd)
        return really_open(path, flags, mode, dir_fd=dir_fd)

    def guarded_mkdir(path: bytes, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        deny(dir_fd)
        really_mkdir(path, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", guarded_open)
    monkeypatch.setattr(os, "mkdir", guarded_mkdir)
    applied = apply_plan(plan, bench.root, bench.store)
    monkeypatch.undo()
    assert {one.path for one in applied.failed} == {b"data/ro/x", b"data/ro/new"}
    assert all("permission denied" in one.message for one in applied.failed)
    assert bench.read() == {b"a": b"1", b"ro/x": b"2"}


# interruptions


class Killed(BaseException):
    """The process ends here."""


def test_an_interruption_at_any_step_tears_nothing(bench: Workbench) -> None:
    old: dict[bytes, object] = {
        b"a": b"old",
        b"b": b"old b",
        b"x": b"f",
        b"d/e": b"1",
        b"l": Link(b"1"),
    }
    new: dict[bytes, object] = {
        b"a": b"new",
        b"c": b"new c",
        b"x/y": b"f",
        b"d": b"now a file",
        b"l": Link(b"2"),
        b"fresh/one": b"1",
    }
    first, second = versions(bench, old, new)
    step, interrupted = 0, True
    while interrupted:
        bench.checkout(first, force=True)
        assert kinds(bench.read()) == kinds(old)
        plan = bench.plan(second)
        step += 1
        seen = [0]

        def hook(name: str, seen: list[int] = seen, step: int = step) -> None:
            seen[0] += 1
            if seen[0] == step:
                raise Killed(name)

        fsio.install_hook(hook)
        try:
            apply_plan(plan, bench.root, bench.store)
            interrupted = False
        except Killed:
            pass
        finally:
            fsio.install_hook(None)
        for name, content in bench.read().items():
            allowed = [kinds(version).get(name) for version in (old, new)]
            is_dir = any(other.startswith(name + b"/") for other in (*old, *new))
            assert (type(content).__name__, content) in allowed or (is_dir and content is None)
        bench.checkout(second)
        assert kinds(bench.read()) == kinds(new)
    assert step > 20


def test_what_a_killed_checkout_left_is_cleaned_up(bench: Workbench) -> None:
    (pointer,) = versions(bench, {b"a": b"1", b"sub/b": b"2"})
    wipe(bench)
    temp = b".dver-tmp-0123456789abcdef"
    bench.write({temp + b"/half/way": b"x", b".dver-tmp-mine": b"y"}, under=b"")
    os.rmdir(bench.path(b"data"))
    bench.checkout(pointer)
    assert sorted(os.listdir(bench.root)) == [b".dver-tmp-mine", b"data"]
    bench.write({b"sub/" + temp: b"torn", b"sub/b": b"2"})
    os.utime(bench.path(b"data/sub/" + temp), (1, 1))
    bench.checkout(pointer)
    assert bench.read() == {b"a": b"1", b"sub/b": b"2"}


def test_a_directory_in_use_by_another_checkout_is_not_cleaned_up(bench: Workbench) -> None:
    (pointer,) = versions(bench, {b"a": b"1"})
    wipe(bench)
    os.rmdir(bench.path(b"data"))
    temp = bench.path(b".dver-tmp-0123456789abcdef")
    os.mkdir(temp)
    fd = os.open(temp, os.O_RDONLY)
    assert staging._lock(fd)
    bench.checkout(pointer)
    assert os.path.isdir(temp)
    os.close(fd)


# names that a file system takes for one


def test_twins_on_a_file_system_that_folds_names(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pointer,) = versions(bench, {b"README": b"1", b"sub/readme": b"2", b"readme": b"3"})
    wipe(bench)
    bench.checkout(pointer)
    wipe(bench)
    monkeypatch.setattr(twins, "folds_names", lambda safe: True)
    with pytest.raises(RefusedError) as caught:
        bench.checkout(pointer)
    assert caught.value.paths == ("data/README and data/readme",)
    assert bench.read() == {}


def test_a_twin_of_a_file_that_is_there(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = versions(bench, {b"a": b"1"}, {b"a": b"1", b"A": b"2"})
    bench.checkout(first)
    monkeypatch.setattr(twins, "folds_names", lambda safe: True)
    with pytest.raises(RefusedError, match="1 pair of names is"):
        bench.checkout(second)


def test_names_that_the_system_cannot_hold(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pointer,) = versions(bench, {b"fine": b"1", b"sub/10:30": b"2", b"end.": b"3"})
    wipe(bench)
    on_windows = partial(twins.refuse_unfit, platform="win32")
    monkeypatch.setattr("dver.workspace.checkout.refuse_unfit", on_windows)
    with pytest.raises(RefusedError, match="Windows cannot hold 2 names") as caught:
        bench.checkout(pointer)
    assert sorted(caught.value.paths) == [
        "data/end.: it ends with a dot or a space",
        'data/sub/10:30: it holds one of < > : " | ? * \\ or a control character',
    ]
    assert bench.read() == {}


def test_targets_and_directories_that_would_become_one(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    cafe = ["caf\u00e9/a".encode(), "cafe\u0301/b".encode()]
    apart = [b"Data/a", b"data/b", b"x/Data", *cafe]
    twins.refuse_twin_targets(apart, bench.root)
    monkeypatch.setattr(twins, "folds_names", lambda safe: True)
    with pytest.raises(RefusedError, match="2 pairs of names are one and the same") as caught:
        twins.refuse_twin_targets(apart, bench.root)
    assert "Data and data" in caught.value.paths
    twins.refuse_twin_targets([b"data/a", b"data/b", b"x/Data"], bench.root)


def test_this_file_system_is_asked(bench: Workbench) -> None:
    from dver.workspace.safedir import SafeRoot

    with SafeRoot(bench.root) as safe:
        folds = twins.folds_names(safe)
    bench.write({b"CaSe": b""}, under=b"")
    assert folds == os.path.exists(bench.path(b"cAsE"))
    assert os.listdir(bench.root) == [b"CaSe"]


# worker processes


def test_worker_processes_do_the_same(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_WORTH_FILES", 1)
    monkeypatch.setattr(jobs, "_JOB_FILES", 7)
    many: dict[bytes, object] = RICH | {
        b"many/%d/%03d" % (i % 3, i): b"%d" % i * 50 for i in range(60)
    }
    first, second = versions(bench, many, many | {b"a": b"other", b"many/1/001": b"new"})
    lost = b"%d" % 8 * 50
    expected = kinds(bench.read())
    wipe(bench)
    os.rmdir(bench.path(b"data"))
    applied = bench.checkout(second, workers=2)
    assert kinds(bench.read()) == expected
    assert applied.failed == []
    assert (applied.written, applied.bytes) == (second.files, second.size)
    assert isinstance(applied.state, Scan)
    assert applied.state.top.tree == second.oid
    damage(bench, lost)
    os.unlink(bench.path(b"data/many/2/008"))
    applied = bench.checkout(first, workers=2)
    assert [(one.path, one.kind) for one in applied.failed] == [
        (b"data/many/2/008", "CorruptError")
    ]
    del many[b"many/2/008"]
    assert kinds(bench.read()) == kinds(many)


def test_a_root_that_is_replaced_is_noticed_by_the_workers(bench: Workbench) -> None:
    from dver.workspace.writing import Worker

    setup = (bench.root, (0, 0), bench.store.local_directory(), ["copy"])
    with pytest.raises(RefusedError, match="replaced"):
        Worker(setup)


def test_hopeless_failures_end_the_work_in_workers_too(bench: Workbench) -> None:
    from dver.workspace.writing import _give_up_if_hopeless

    with pytest.raises(SystemFailure):
        _give_up_if_hopeless(OSError(errno.ENOSPC, "full"), b"f")
    _give_up_if_hopeless(OSError(errno.EACCES, "denied"), b"f")
    _give_up_if_hopeless(CorruptError("bad"), b"f")


# progress and results


def test_progress_counts_every_file(bench: Workbench) -> None:
    from dver.base.reporter import Task

    class Counting(Task):
        count = 0

        def advance(self, amount: int = 1) -> None:
            self.count += amount

    (pointer,) = versions(bench, RICH)
    wipe(bench)
    os.rmdir(bench.path(b"data"))
    task = Counting()
    plan = bench.plan(pointer)
    apply_plan(plan, bench.root, bench.store, task=task)
    assert task.count == plan.files == pointer.files


def test_executables_follow_the_umask(bench: Workbench) -> None:
    (pointer,) = versions(bench, {b"run": Program(b"1"), b"plain": b"2"})
    wipe(bench)
    old = os.umask(0o027)
    try:
        bench.checkout(pointer)
    finally:
        os.umask(old)
    modes = {
        name: os.stat(bench.path(b"data/" + name)).st_mode & 0o777 for name in (b"run", b"plain")
    }
    assert modes == {b"run": 0o750, b"plain": 0o640}


def test_a_plan_tells_what_it_will_do(bench: Workbench) -> None:
    first, second = versions(bench, {b"a": b"123", b"d/b": b"45"}, {b"a": b"6", b"c": b"7"})
    plan = bench.plan(first)
    assert (plan.files, plan.bytes, plan.deleted, plan.unchanged) == (2, 5, 1, 0)
    assert plan.desired == Entry(DIRECTORY, b"", first.size, first.oid)
    assert second.files == 2


def test_waiting_out_the_tick_after_large_files(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dver.base import clock

    (pointer,) = versions(bench, {b"a": b"1" * 1000})
    wipe(bench)
    monkeypatch.setattr(checking, "_WORTH_WAITING", 500)
    waited: list[float] = []
    monkeypatch.setattr(clock, "sleep", waited.append)
    bench.checkout(pointer)
    assert waited == [0.02]


def test_foreign_failures_become_errors_of_dver(bench: Workbench) -> None:
    (pointer,) = versions(bench, {b"a": b"1"})
    with pytest.raises(DverError):
        apply_plan(bench.plan(pointer), bench.root + b"/nowhere", bench.store)


def test_an_interrupt_stops_the_workers_and_leaves_nothing(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    import _thread
    import signal

    from dver.base.reporter import Task

    signal.signal(signal.SIGINT, signal.default_int_handler)

    class Interrupting(Task):
        def advance(self, amount: int = 1) -> None:
            _thread.interrupt_main()

    monkeypatch.setattr(jobs, "_WORTH_FILES", 1)
    monkeypatch.setattr(jobs, "_JOB_FILES", 5)
    (pointer,) = versions(bench, {b"d%d/%03d" % (i % 5, i): b"%d" % i for i in range(400)})
    wipe(bench)
    os.rmdir(bench.path(b"data"))
    plan = bench.plan(pointer)
    with pytest.raises(KeyboardInterrupt):
        apply_plan(plan, bench.root, bench.store, workers=2, task=Interrupting())
    assert os.listdir(bench.root) == []
    bench.checkout(pointer)
    assert bench.now()[0] == pointer


def test_a_full_disk_met_by_this_process_ends_the_work_of_all(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from dver.workspace import writing

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(jobs, "_WORTH_FILES", 1)
    monkeypatch.setattr(jobs, "_JOB_FILES", 5)
    (pointer,) = versions(bench, {b"d%d/%03d" % (i % 5, i): b"%d" % i for i in range(400)})
    wipe(bench)
    os.rmdir(bench.path(b"data"))
    with monkeypatch.context() as patch:
        patch.setattr(writing, "_write_whole", full)
        with pytest.raises(SystemFailure, match="no space left"):
            bench.checkout(pointer, workers=2)
    assert os.listdir(bench.root) == []
    bench.checkout(pointer, workers=2)
    assert bench.now()[0] == pointer
