"""From a pointer to files: everything comes back, and nobody's work is lost."""

from __future__ import annotations

import os

import pytest

from dver.base.errors import RefusedError
from dver.formats.tree import DIRECTORY, Entry
from dver.workspace import checkout as checking
from dver.workspace.checkout import apply_plan, failure_of
from dver.workspace.planning import NOTHING, UNSAVED, UNTRACKED
from dver.workspace.state import Scan
from tests.support.workbench import ALWAYS, EMPTY_DIR, Link, Program, Workbench, kinds
from tests.workspace.checkouts import RICH, versions, wipe


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
