"""Checkout in trouble: damage, missing content, full disks, interruptions."""

from __future__ import annotations

import errno
import os

import pytest

from dver.base import fsio
from dver.base.errors import CorruptError, DverError, MissingContentError, SystemFailure
from dver.base.oid import EMPTY, Oid
from dver.formats.pointer import Pointer
from dver.formats.tree import FILE, Entry
from dver.workspace import checkout as checking
from dver.workspace import staging
from dver.workspace.checkout import FailedPath, apply_plan, failure_of
from tests.support.workbench import Link, Workbench, kinds
from tests.workspace.checkouts import damage, lose, versions, wipe

# damage, missing content, full disks


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


def test_foreign_failures_become_errors_of_dver(bench: Workbench) -> None:
    (pointer,) = versions(bench, {b"a": b"1"})
    with pytest.raises(DverError):
        apply_plan(bench.plan(pointer), bench.root + b"/nowhere", bench.store)
