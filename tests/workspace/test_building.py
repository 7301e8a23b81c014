"""Building trees out of scans, and replacing paths inside them."""

from __future__ import annotations

import os

import pytest

from dver.base.errors import NotFoundError, RefusedError
from dver.base.oid import Oid, oid_of
from dver.formats import pack
from dver.formats import tree as trees
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY, EXECUTABLE, FILE, Entry
from dver.store import ingest
from dver.workspace import hashing
from dver.workspace.building import Replacement, Splice, build_trees, entry_of, pointer_of
from dver.workspace.filescan import scan_file
from dver.workspace.hashing import fill_files, fill_scan
from dver.workspace.state import DirState, Scan
from tests.support.workbench import ALWAYS, EMPTY_DIR, Link, Program, Workbench


def test_trees_are_those_of_the_format(bench: Workbench) -> None:
    bench.write({b"b": b"22", b"a": Program(b"1"), b"d/l": Link(b"x"), b"d/e": EMPTY_DIR})
    scan = bench.scan()
    fill_scan(scan, None)
    built = list(build_trees(scan))
    inner = trees.build(
        [
            Entry(ord("l"), b"l", 1, oid_of(b"x")),
            Entry(DIRECTORY, b"e", 0, trees.EMPTY_OID),
        ],
        0,
    )
    inner_data = trees.encode(inner)
    top = trees.build(
        [
            Entry(EXECUTABLE, b"a", 1, oid_of(b"1")),
            Entry(FILE, b"b", 2, oid_of(b"22")),
            Entry(DIRECTORY, b"d", 1, oid_of(inner_data)),
        ],
        1,
    )
    data = trees.encode(top)
    assert [one for _, one in built] == [trees.EMPTY_BYTES, inner_data, data]
    assert pointer_of(scan) == Pointer("tree", oid_of(data), 4, 3)


def test_trees_that_are_known_are_not_built_again(bench: Workbench) -> None:
    bench.write({b"a": b"1", b"same/x": b"2", b"other/y": b"3"})
    bench.add(moment=ALWAYS)
    bench.write({b"other/y": b"4"})
    scan = bench.scan()
    fill_scan(scan, None)
    assert len(list(build_trees(scan))) == 2
    again = bench.scan()
    fill_scan(again, None)
    assert len(list(build_trees(again, known=lambda oid: False))) == 3


def test_results_before_the_trees_are_built(bench: Workbench) -> None:
    bench.write({b"a": b"1", b"d/b": b"2"})
    scan = bench.scan()
    with pytest.raises(ValueError, match="not built"):
        pointer_of(scan)


def test_pointers_as_entries() -> None:
    oid = oid_of(b"x")
    assert entry_of(Pointer("file", oid, 1), b"n") == Entry(FILE, b"n", 1, oid)
    assert entry_of(Pointer("file", oid, 1, 1, True)) == Entry(EXECUTABLE, b"", 1, oid)
    assert entry_of(Pointer("tree", oid, 9, 3)) == Entry(DIRECTORY, b"", 9, oid)


# replacing paths


def spliced(
    bench: Workbench, pointer: Pointer, changes: dict[bytes, Replacement | None]
) -> Pointer:
    """Replace paths inside a directory, store the trees, and return the new pointer."""
    splice = Splice(bench.store, pointer, changes)
    with bench.store.writer() as writer:
        for _, data in splice:
            writer.add(data, pack.TREE)
        writer.commit()
    return splice.result


def test_replacing_paths_equals_adding_the_whole(bench: Workbench) -> None:
    bench.write({b"a": b"1", b"d/b": b"2", b"d/e/f": b"3", b"d/e/g": b"4", b"gone/x": b"5"})
    pointer = bench.add()
    bench.write({b"a": Program(b"one"), b"d/e/f": b"three", b"new/deep/n": b"6"})
    bench.write({b"sub/s": b"7", b"sub/t/u": Link(b"8")})
    os.unlink(bench.path(b"data/d/e/g"))
    os.unlink(bench.path(b"data/gone/x"))
    whole = bench.add()
    sub = bench.scan(start=b"sub")
    fill_scan(sub, None)
    for _ in build_trees(sub):
        pass
    part = pointer_of(sub)
    changes = {
        b"a": Replacement(EXECUTABLE, 3, oid_of(b"one")),
        b"d/e/f": Replacement(FILE, 5, oid_of(b"three")),
        b"d/e/g": None,
        b"gone/x": None,
        b"never/there": None,
        b"new/deep/n": Replacement(FILE, 1, oid_of(b"6")),
        b"sub": Replacement(DIRECTORY, part.size, part.oid, part.files),
    }
    assert spliced(bench, pointer, changes) == whole
    back = spliced(bench, whole, {b"sub": None, b"new": None})
    assert (back.files, back.size) == (whole.files - 3, whole.size - 3)


def test_a_file_is_not_taken_for_a_directory(bench: Workbench) -> None:
    bench.write({b"a": b"1"})
    pointer = bench.add()
    with pytest.raises(NotFoundError, match="a is not a directory"):
        spliced(bench, pointer, {b"a/b": Replacement(FILE, 1, oid_of(b"x"))})


# reading


def test_a_file_that_changes_while_it_is_read(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write({b"%03d" % i: b"%d" % i for i in range(40)} | {b"sub/x": b"1"})
    scan = bench.scan()
    really = ingest.ingest_into

    def unstable(
        taker: object, writer: object, paths: object, *rest: object, **options: object
    ) -> None:
        for i in range(len(paths)):
            if paths[i].endswith(b"/007"):
                raise RefusedError("a file changed", paths=["007"])
        really(taker, writer, paths, *rest, **options)

    monkeypatch.setattr(ingest, "ingest_into", unstable)
    monkeypatch.setattr(hashing, "ingest_into", unstable)
    with pytest.raises(RefusedError):
        fill_scan(scan, None)
    fill_scan(scan, None, lenient=True)
    assert [scan.dirs[d].names[i] for d, i in scan.unknown()] == [b"007"]
    monkeypatch.undo()
    fill_scan(scan, None)
    assert list(scan.unknown()) == []


def test_files_that_vanish_before_they_are_read(bench: Workbench) -> None:
    bench.write({b"a": b"1", b"b": b"2", b"l": Link(b"3"), b"sub/c": b"4"})
    scan = bench.scan()
    for name in (b"a", b"l", b"sub/c"):
        os.unlink(bench.path(b"data/" + name))
    with pytest.raises(RefusedError) as caught:
        fill_scan(scan, None)
    assert caught.value.paths
    fill_scan(scan, None, lenient=True)
    assert [state.names for state in scan.dirs] == [[b"b", b"sub"], []]


def test_a_symlink_that_becomes_a_file_before_it_is_read(bench: Workbench) -> None:
    bench.write({b"l": Link(b"3")})
    scan = bench.scan()
    state = scan_file(bench.path(b"data/l"))
    bench.write({b"l": b"a file now"})
    with pytest.raises(RefusedError, match="symlink changed"):
        fill_scan(scan, None)
    assert state is not None
    with pytest.raises(RefusedError, match="symlink changed"):
        fill_files([(bench.path(b"data/l"), state)], None)


def test_the_kind_is_that_of_the_moment_of_reading(bench: Workbench) -> None:
    bench.write({b"a": b"1"})
    scan = bench.scan()
    state = scan_file(bench.path(b"data/a"))
    bench.write({b"a": Program(b"one")})
    fill_scan(scan, None)
    assert (chr(scan.top.kinds[0]), scan.top.sizes[0]) == ("x", 3)
    assert state is not None
    fill_files([(bench.path(b"data/a"), state)], None)
    assert (chr(state.kind), state.size, state.oid) == ("x", 3, oid_of(b"one"))


def test_content_is_stored_with_a_writer_and_only_then(bench: Workbench) -> None:
    bench.write({b"a": b"content", b"l": Link(b"text")})
    scan = bench.scan()
    fill_scan(scan, None)
    assert not bench.store.has(oid_of(b"content"))
    again = bench.scan()
    with bench.store.writer() as writer:
        fill_scan(again, writer)
        writer.commit()
    assert bench.store.read(oid_of(b"content")) == b"content"
    assert bench.store.read(oid_of(b"text")) == b"text"


# columns


def test_unknown_entries_are_found_whatever_the_oids_around_them() -> None:
    from array import array

    zeros, half = bytes(32), b"\1" + bytes(31)
    oids = [zeros, half, bytes(31) + b"\1", half, zeros, zeros, b"\1" * 32]
    state = DirState(
        b"",
        [b"%d" % i for i in range(7)],
        bytearray(b"ffffdfx"),
        array("Q", [0] * 7),
        bytearray(b"".join(oids)),
        array("Q", [0] * 35),
    )
    assert list(state.unknown()) == [0, 5]
    state.tree = Oid(half)
    assert list(state.unknown()) == []
    state.remove([0, 5])
    assert state.names == [b"1", b"2", b"3", b"4", b"6"]
    assert (state.tree, list(Scan(b"", b"", [state]).unknown())) == (None, [])
