"""What a scan finds, and what it takes from memory instead of reading."""

from __future__ import annotations

import os
import socket

import pytest

from dver.base.errors import RefusedError, SystemFailure
from dver.base.oid import oid_of
from dver.formats.tree import MAX_DEPTH
from dver.workspace import scan as scanning
from dver.workspace.filescan import scan_file
from dver.workspace.hashing import fill_scan
from dver.workspace.scan import find_twins, scan_directory
from dver.workspace.state import Scan
from tests.support.workbench import ALWAYS, EMPTY_DIR, Link, Program, Workbench


def paths(scan: Scan) -> dict[bytes, str]:
    """Return every entry's path and kind."""
    return {
        os.path.join(state.path, name): chr(state.kinds[i])
        for state in scan.dirs
        for i, name in enumerate(state.names)
    }


def test_kinds_and_order(bench: Workbench) -> None:
    names = [
        b"a",
        b"-rf",
        b"new\nline",
        b"quote\"'",
        b"\xff\xfe",
        b"sp ace",
        b"\xc3\xa9",
        b"Z" * 255,
    ]
    bench.write(dict.fromkeys(names, b"1"))
    bench.write({b"run": Program(b"#!"), b"l": Link(b"nowhere"), b"e/mpty": EMPTY_DIR, b"d/f": b""})
    scan = bench.scan()
    expected = dict.fromkeys(names, "f") | {
        b"run": "x",
        b"l": "l",
        b"e": "d",
        b"e/mpty": "d",
        b"d": "d",
        b"d/f": "f",
    }
    assert paths(scan) == expected
    assert scan.top.names == sorted(scan.top.names)
    assert [state.path for state in scan.dirs] == [b"", b"d", b"e", b"e/mpty"]


def test_symlinks_are_read_not_followed(bench: Workbench) -> None:
    bench.write({b"real/f": b"content", b"to_dir": Link(b"real"), b"up": Link(b"../../secret")})
    scan = bench.scan()
    fill_scan(scan, None)
    top = scan.top
    assert top.oid(top.names.index(b"to_dir")) == oid_of(b"real")
    assert top.oid(top.names.index(b"up")) == oid_of(b"../../secret")
    assert top.sizes[top.names.index(b"up")] == len(b"../../secret")
    assert [state.path for state in scan.dirs] == [b"", b"real"]


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_cannot_be_tracked_is_refused_by_name(bench: Workbench, kind: str) -> None:
    bench.write({b"sub/ok": b"1"})
    odd = bench.path(b"data/sub/odd")
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        with socket.socket(socket.AF_UNIX) as one:
            directory = os.open(os.path.dirname(odd), os.O_RDONLY)
            one.bind(f"/proc/self/fd/{directory}/odd")
            os.close(directory)
    with pytest.raises(RefusedError, match=f"sub/odd.*{kind}"):
        bench.scan()
    lenient = bench.scan(lenient=True)
    assert [problem.path for problem in lenient.problems] == [b"sub/odd"]
    assert paths(lenient) == {b"sub": "d", b"sub/ok": "f"}
    with pytest.raises(RefusedError, match=kind):
        scan_file(odd)


@pytest.mark.parametrize("name", [b".git", b".GIT", b".dver", b"aux.txt", b"git~1"])
def test_names_that_dver_refuses(bench: Workbench, name: bytes) -> None:
    bench.write({b"deep/" + name: b"x", b"deep/fine": b"y"})
    with pytest.raises(RefusedError) as caught:
        bench.scan()
    assert b"deep/" + name in os.fsencode(caught.value.message)
    assert caught.value.hint
    if name == b".git":
        assert "repository" in caught.value.hint
    lenient = bench.scan(lenient=True)
    assert [problem.path for problem in lenient.problems] == [b"deep/" + name]
    assert paths(lenient) == {b"deep": "d", b"deep/fine": "f"}


def test_nested_repository_is_refused_as_a_directory(bench: Workbench) -> None:
    bench.write({b"vendor/.git/HEAD": b"ref", b"vendor/code": b"1"})
    with pytest.raises(RefusedError, match=r"vendor/\.git"):
        bench.scan()
    assert b"vendor/.git/HEAD" not in paths(bench.scan(lenient=True))


def chain(top: bytes, name: bytes, depth: int) -> None:
    """Make directories one in the other, deeper than a path can be long."""
    os.makedirs(top, exist_ok=True)
    fd = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        inner = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    with open(os.open(b"leaf", os.O_WRONLY | os.O_CREAT, dir_fd=fd), "wb") as file:
        file.write(b"deep")
    os.close(fd)


def test_nesting_deeper_than_a_path_can_be_long(bench: Workbench) -> None:
    chain(bench.path(b"data"), b"n" * 200, 30)
    scan = bench.scan()
    assert len(scan.dirs) == 31
    assert scan.dirs[-1].names == [b"leaf"]
    with pytest.raises(SystemFailure, match="too long"):
        fill_scan(scan, None)


def test_nesting_beyond_the_format_is_refused(bench: Workbench) -> None:
    chain(bench.path(b"data"), b"d", MAX_DEPTH - 1)
    assert len(bench.scan().dirs) == MAX_DEPTH
    chain(bench.path(b"more"), b"d", MAX_DEPTH)
    with pytest.raises(RefusedError, match="directories deep"):
        bench.scan(b"more")
    assert len(bench.scan(b"more", lenient=True).dirs) == MAX_DEPTH


def test_the_target_itself_is_not_reached_through_a_symlink(bench: Workbench) -> None:
    bench.write({b"f": b"1"}, under=b"real")
    os.symlink(b"real", bench.path(b"data"))
    with pytest.raises(SystemFailure):
        bench.scan()


def test_a_target_that_is_not_there(bench: Workbench) -> None:
    with pytest.raises(SystemFailure, match="no such file"):
        bench.scan()
    assert scan_file(bench.path(b"data")) is None
    bench.write({b"data": b"1"}, under=b"")
    assert scan_file(bench.path(b"data/below")) is None


def test_files_that_vanish_during_the_scan(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write({b"a": b"1", b"c": b"2"})
    listed = os.listdir

    def ghostly(fd: int) -> list[str]:
        return [*listed(fd), "b"]

    monkeypatch.setattr(scanning.os, "listdir", ghostly)
    with pytest.raises(RefusedError, match="vanished") as caught:
        bench.scan()
    assert caught.value.paths[0].endswith("data/b")
    assert paths(bench.scan(lenient=True)) == {b"a": "f", b"c": "f"}


def test_a_directory_that_vanishes_during_the_scan(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write({b"a": b"1", b"sub/f": b"2"})
    listed = os.listdir

    def then_remove(fd: int) -> list[str]:
        names = listed(fd)
        if "sub" in names:
            os.rename(bench.path(b"data/sub"), bench.path(b"elsewhere"))
            os.symlink(b"../elsewhere", bench.path(b"data/sub"))
            # Seen as a directory by stat, and a symlink by the time it is opened.
        return names

    looked = os.stat
    real = os.lstat(bench.path(b"data/sub"))

    def stale(name: bytes, **options: object) -> os.stat_result:
        return real if name == b"sub" else looked(name, **options)

    monkeypatch.setattr(scanning.os, "listdir", then_remove)
    monkeypatch.setattr(scanning.os, "stat", stale)
    assert paths(bench.scan(lenient=True)) == {b"a": "f"}


def test_leftover_temporary_files_are_not_data(bench: Workbench) -> None:
    temp, similar = b".dver-tmp-0123456789abcdef", b".dver-tmp-notes"
    bench.write({temp: b"x", b"sub/" + temp + b"/f": b"x", similar: b"mine"})
    scan = bench.scan()
    assert paths(scan) == {b"sub": "d", similar: "f"}
    assert scan.leftovers == [temp, b"sub/" + temp]


def test_unchanged_files_are_not_read(bench: Workbench) -> None:
    bench.write({b"a": b"1", b"sub/b": b"2", b"sub/deep/c": b"3", b"l": Link(b"a")})
    pointer = bench.add(moment=ALWAYS)
    scan = bench.scan()
    assert list(scan.unknown()) == []
    assert scan.top.tree == pointer.oid
    assert bench.now(read=False) == (pointer, 0)


def test_only_what_changed_is_read(bench: Workbench) -> None:
    bench.write({b"%03d" % i: b"%d" % i for i in range(300)})
    bench.write({b"sub/%03d" % i: b"%d" % i for i in range(50)})
    pointer = bench.add(moment=ALWAYS)
    bench.write({b"007": b"seven", b"150.5": b"new", b"sub/010": b"ten"})
    os.unlink(bench.path(b"data/299"))
    scan = bench.scan()
    changed = {os.path.join(scan.dirs[d].path, scan.dirs[d].names[i]) for d, i in scan.unknown()}
    assert changed == {b"007", b"150.5", b"sub/010"}
    fresh, _ = bench.now()
    assert fresh == scan_from_scratch(bench)
    assert fresh != pointer


def scan_from_scratch(bench: Workbench) -> object:
    """Return the pointer of what is there, with nothing taken from memory."""
    from dver.workspace.building import finish_trees

    scan = scan_directory(bench.path(b"data"))
    fill_scan(scan, None)
    return finish_trees(scan)


def test_a_touched_file_is_read_and_found_unchanged(bench: Workbench) -> None:
    bench.write({b"a": b"1", b"b": b"2"})
    pointer = bench.add(moment=ALWAYS)
    os.utime(bench.path(b"data/a"), ns=(1, 1))
    assert bench.now() == (pointer, 1)


def test_a_changed_mode_is_seen(bench: Workbench) -> None:
    bench.write({b"a": b"1"})
    pointer = bench.add(moment=ALWAYS)
    os.chmod(bench.path(b"data/a"), 0o755)
    now, _ = bench.now()
    assert now.oid != pointer.oid
    os.chmod(bench.path(b"data/a"), 0o644)
    assert bench.now()[0] == pointer


def test_a_replaced_kind_is_seen(bench: Workbench) -> None:
    bench.write({b"a": b"to", b"b/c": b"1"})
    bench.add(moment=ALWAYS)
    bench.write({b"a": Link(b"to")})
    os.rename(bench.path(b"data/b"), bench.path(b"away"))
    bench.write({b"b": b"file now"})
    assert paths(bench.scan()) == {b"a": "l", b"b": "f"}
    assert bench.now()[0] == scan_from_scratch(bench)


def test_times_before_1970(bench: Workbench) -> None:
    bench.write({b"old": b"1", b"new": b"2"})
    os.utime(bench.path(b"data/old"), ns=(-5_000_000_001, -5_000_000_001))
    pointer = bench.add(moment=ALWAYS)
    assert bench.now() == (pointer, 1)


def test_an_empty_directory(bench: Workbench) -> None:
    bench.write({b"": EMPTY_DIR})
    pointer = bench.add()
    assert (pointer.size, pointer.files) == (0, 0)
    assert bench.now() == (pointer, 0)


def test_a_part_of_a_target(bench: Workbench) -> None:
    bench.write({b"a": b"1", b"sub/b": b"2", b"sub/deep/c": b"3"})
    bench.add(moment=ALWAYS)
    part = bench.scan(start=b"sub")
    assert [state.path for state in part.dirs] == [b"sub", b"sub/deep"]
    assert list(part.unknown()) == []
    bench.write({b"sub/deep/c": b"4"})
    again = bench.scan(start=b"sub")
    assert list(again.unknown()) == [(1, 0)]


def test_twins() -> None:
    assert find_twins([b"a", b"b", b"\xff"]) == []
    assert find_twins([b"README", b"a", b"readme"]) == [(b"README", b"readme")]
    assert find_twins(["caf\u00e9".encode(), "cafe\u0301".encode()]) == [
        ("caf\u00e9".encode(), "cafe\u0301".encode())
    ]
    assert find_twins(["\u00c9".encode(), "e\u0301".encode()])
    assert find_twins(["stra\u00dfe".encode(), b"strasse"])


def test_a_scan_that_fails_leaves_nothing_open(bench: Workbench) -> None:
    bench.write({b"deep/.git/config": b"1"})
    before = os.listdir("/proc/self/fd")
    with pytest.raises(RefusedError):
        bench.scan()
    assert len(os.listdir("/proc/self/fd")) == len(before)
