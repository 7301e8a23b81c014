"""The stat index: its bytes, what it trusts, and what it survives."""

from __future__ import annotations

import contextlib
import os
from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dver.base import clock
from dver.base.errors import FormatError
from dver.base.oid import Oid, checksum, oid_of
from dver.formats import statindex as form
from dver.formats.pointer import Pointer
from dver.formats.statindex import NO_OID, NO_ROW, KnownDir, KnownFile, KnownTree
from dver.workspace import fsclock, statindex
from dver.workspace.state import FileState
from dver.workspace.statindex import StatIndex
from tests.support.workbench import ALWAYS, EMPTY_DIR, Workbench

BASE = Pointer("tree", Oid(b"\x11" * 32), 5, 2)


def sample_tree() -> KnownTree:
    """Return a small tree with every kind of field in use."""
    row = array("Q", [0o100644, 7, 5, 1_000_000_001, 2_000_000_002]).tobytes()
    directory = array("Q", [0o040000, 0, 0, 0, 0]).tobytes()
    top = KnownDir(
        b"",
        b"a\0sub\0",
        b"fd",
        array("Q", [5, 0]).tobytes(),
        row + directory,
        b"\x22" * 32 + b"\x33" * 32,
        Oid(b"\x44" * 32),
        5,
        2,
        9,
    )
    sub = KnownDir(b"sub", b"", b"", b"", b"", b"")
    return KnownTree({b"": top, b"sub": sub}, BASE, 0x0102030405060708)


def sample_table() -> dict[bytes, KnownFile]:
    """Return a small table with every kind of base."""
    return {
        b"m.bin": KnownFile(ord("x"), 3, b"\x01" * 40, Oid(b"\x05" * 32), None),
        b"d/\xff": KnownFile(
            ord("f"), 9, NO_ROW, NO_OID, Pointer("file", Oid(b"\x06" * 32), 9, 1, True)
        ),
    }


def test_golden_bytes_of_a_tree() -> None:
    data = form.encode_tree(sample_tree())
    body = (
        bytes.fromhex("0200000000000000 0600000000000000 0500000000000000 0200000000000000")
        + bytes.fromhex("0900000000000000")
        + b"\x44" * 32
        + bytes(72)
        + b"\0sub\0"
        + b"fd"
        + bytes.fromhex("0500000000000000 0000000000000000")
        + bytes.fromhex("a481000000000000 0700000000000000 0500000000000000")
        + bytes.fromhex("01ca9a3b00000000 0294357700000000")
        + bytes.fromhex("0040000000000000")
        + bytes(32)
        + b"\x22" * 32
        + b"\x33" * 32
        + b"a\0sub\0"
    )
    header = (
        b"DVERSTAT\x01\0\0\0\x01\0\0\0"
        + bytes.fromhex("0200000000000000 0200000000000000 0500000000000000 0600000000000000")
        + b"d"
        + bytes(7)
        + bytes.fromhex("0500000000000000 0200000000000000")
        + b"\x11" * 32
        + bytes.fromhex("0807060504030201")
        + checksum(body).to_bytes(8, "little")
    )
    assert data == header + checksum(header).to_bytes(8, "little") + body
    assert checksum(data) == 0x1DBF2A108933DCCE


def test_golden_bytes_of_a_table() -> None:
    data = form.encode_table(sample_table().items())
    body = (
        b"fx"
        + bytes.fromhex("0900000000000000 0300000000000000")
        + bytes(40)
        + b"\x01" * 40
        + bytes(32)
        + b"\x05" * 32
        + b"x\0"
        + bytes.fromhex("0900000000000000 0000000000000000")
        + bytes.fromhex("0100000000000000 0000000000000000")
        + b"\x06" * 32
        + bytes(32)
        + b"d/\xff\0m.bin\0"
    )
    assert data[128:] == body
    assert data[:16] == b"DVERSTAT\x01\0\0\0\x02\0\0\0"
    assert checksum(data) == 0xC9DA5379F90F713C
    assert form.decode_table(data) == sample_table()


def test_round_trip_of_a_tree() -> None:
    known = form.decode_tree(form.encode_tree(sample_tree()))
    assert known.base == BASE
    assert list(known.dirs) == [b"", b"sub"]
    top, expected = known.dirs[b""], sample_tree().dirs[b""]
    for column in ("names", "kinds", "sizes", "stats", "oids"):
        assert bytes(getattr(top, column)) == getattr(expected, column)
    assert (top.tree, top.size, top.files, top.ignore) == (Oid(b"\x44" * 32), 5, 2, 9)


@pytest.mark.parametrize("kind", ["tree", "table"])
def test_any_damage_is_noticed(kind: str) -> None:
    if kind == "tree":
        data, decode = form.encode_tree(sample_tree()), form.decode_tree
    else:
        data, decode = form.encode_table(sample_table().items()), form.decode_table
    for at in range(len(data)):
        with pytest.raises(FormatError):
            decode(data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :])
        with pytest.raises(FormatError):
            decode(data[:at])
    with pytest.raises(FormatError):
        decode(data + b"\0")


def resealed(data: bytes) -> bytes:
    """Return bytes whose checksums are right again, as only an attacker would make them."""
    header = data[:112] + checksum(data[128:]).to_bytes(8, "little")
    return header + checksum(header).to_bytes(8, "little") + data[128:]


@settings(max_examples=200)
@given(st.data())
def test_hostile_bytes_never_do_more_than_fail(data: st.DataObject) -> None:
    tree = data.draw(st.booleans())
    good = form.encode_tree(sample_tree()) if tree else form.encode_table(sample_table().items())
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FormatError):
        (form.decode_tree if tree else form.decode_table)(resealed(bytes(bad)))


def test_what_is_remembered_comes_back(bench: Workbench) -> None:
    bench.write({b"a": b"1", b"sub/b": b"22", b"e": EMPTY_DIR})
    pointer = bench.add(moment=ALWAYS)
    again = StatIndex(bench.base / "state")
    known = again.load_tree(b"data")
    assert known is not None
    assert known.base == again.base(b"data") == pointer
    assert sorted(known.dirs) == [b"", b"e", b"sub"]
    assert known.dirs[b""].tree == pointer.oid


def test_files_and_directories_are_kept_apart(bench: Workbench) -> None:
    bench.write({b"f.csv": b"1", b"d/x": b"2"}, under=b"")
    file, tree = bench.add(b"f.csv", moment=ALWAYS), bench.add(b"d", moment=ALWAYS)
    again = StatIndex(bench.base / "state")
    assert again.base(b"f.csv") == file
    assert again.base(b"d") == tree
    known = again.load_file(b"f.csv")
    assert known is not None
    assert known.oid == oid_of(b"1")
    assert again.load_tree(b"f.csv") is None
    assert again.load_file(b"d") is None
    assert again.base(b"other") is None


@pytest.mark.parametrize("damage", ["flip", "cut", "foreign", "empty"])
def test_a_damaged_index_counts_as_absent(bench: Workbench, damage: str) -> None:
    bench.write({b"data/a": b"1", b"f": b"2"}, under=b"")
    pointer = bench.add(moment=ALWAYS)
    bench.add(b"f", moment=ALWAYS)
    for path in (bench.base / "state/stat").iterdir():
        data = path.read_bytes()
        path.write_bytes(
            {
                "flip": data[:200] + bytes([data[200] ^ 1]) + data[201:],
                "cut": data[:-1],
                "foreign": b"something else entirely" * 20,
                "empty": b"",
            }[damage]
        )
    index = bench.index = StatIndex(bench.base / "state")
    assert index.load_tree(b"data") is None
    assert index.load_file(b"f") is None
    assert bench.now() == (pointer, 1)
    bench.add(moment=ALWAYS)
    assert index.load_tree(b"data") is not None


def test_a_state_directory_that_cannot_be_written(bench: Workbench, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_bytes(b"")
    bench.index = StatIndex(blocked)
    assert bench.index.moment(bench.root) == 0
    bench.write({b"data/a": b"1", b"f": b"2"}, under=b"")
    assert bench.add(b"f").size == 1
    assert bench.now() == (bench.add(), 1)


def test_rename_and_remove(bench: Workbench) -> None:
    bench.write({b"f": b"1", b"g": b"1", b"d/x": b"2", b"e/x": b"2"}, under=b"")
    for target in (b"f", b"g", b"d", b"e"):
        bench.add(target, moment=ALWAYS)
    index = bench.index
    index.rename(b"f", b"f2")
    index.rename(b"d", b"new/d2")
    index.save()
    again = StatIndex(bench.base / "state")
    assert again.load_file(b"f") is None
    assert again.load_file(b"f2") is not None
    assert again.load_tree(b"d") is None
    assert again.load_tree(b"new/d2") is not None
    again.remove(b"f2")
    again.remove(b"new/d2")
    again.save()
    last = StatIndex(bench.base / "state")
    assert last.load_file(b"f2") is None
    assert last.load_file(b"g") is not None
    assert last.load_tree(b"new/d2") is None
    assert last.load_tree(b"e") is not None
    assert len(list((bench.base / "state/stat").iterdir())) == 2


def test_rename_over_a_target_of_the_other_kind(bench: Workbench) -> None:
    bench.write({b"f": b"1", b"d/x": b"2"}, under=b"")
    bench.add(b"f", moment=ALWAYS)
    pointer = bench.add(b"d", moment=ALWAYS)
    bench.index.rename(b"d", b"f")
    assert bench.index.base(b"f") == pointer
    assert bench.index.load_file(b"f") is None


def test_a_base_changes_alone(bench: Workbench) -> None:
    bench.write({b"f": b"1", b"d/x": b"2"}, under=b"")
    for target in (b"f", b"d"):
        bench.add(target, moment=ALWAYS)
        bench.index.set_base(target, BASE)
    bench.index.save()
    again = StatIndex(bench.base / "state")
    assert again.base(b"f") == again.base(b"d") == BASE
    known = again.load_file(b"f")
    assert known is not None
    assert known.oid == oid_of(b"1")
    assert bench.scan(b"d").top.tree is not None


def test_a_part_is_remembered_into_the_whole(bench: Workbench) -> None:
    bench.write({b"a": b"1", b"sub/b": b"2", b"sub/deep/c": b"3", b"other/d": b"4"})
    bench.add(moment=ALWAYS)
    bench.write({b"sub/new/n": b"5", b"sub/b": b"changed"})
    os.rename(bench.path(b"data/sub/deep"), bench.path(b"away"))
    part = bench.scan(start=b"sub")
    from dver.workspace.building import finish_trees
    from dver.workspace.hashing import fill_scan

    fill_scan(part, None)
    finish_trees(part)
    known = bench.index.load_tree(b"data")
    bench.index.save_tree(b"data", part, moment=ALWAYS, base=BASE, known=known)
    after = bench.index.load_tree(b"data")
    assert after is not None
    assert sorted(after.dirs) == [b"", b"other", b"sub", b"sub/new"]
    assert after.base == BASE
    pointer, unknown = bench.now()
    assert unknown == 0
    assert pointer == bench.add()


def test_one_file_is_remembered_into_the_whole(bench: Workbench) -> None:
    from dver.workspace.filescan import scan_file
    from dver.workspace.hashing import fill_files

    bench.write({b"a": b"1", b"sub/b": b"2", b"sub/c": b"3", b"gone/x": b"4"})
    bench.add(moment=ALWAYS)
    bench.write({b"sub/b": b"two", b"sub/aa": b"first"})
    os.unlink(bench.path(b"data/sub/c"))
    for inner in (b"sub/b", b"sub/aa", b"sub/c"):
        path = bench.path(b"data/" + inner)
        state = scan_file(path)
        if state is not None:
            fill_files([(path, state)], None)
        bench.index.save_entry(b"data", inner, state, moment=ALWAYS, base=BASE)
    pointer, unknown = bench.now()
    assert unknown == 0
    assert pointer == bench.add()


# what is trusted


def test_moment_is_the_file_systems_own_time(bench: Workbench) -> None:
    before = bench.index.moment(bench.root)
    bench.write({b"a": b"1"})
    touched = os.stat(bench.path(b"data/a")).st_mtime_ns
    after = bench.index.moment(bench.root)
    assert before <= touched - fsclock.MARGIN_NS + 10_000_000
    assert before <= after <= touched + 1_000_000_000
    assert list((bench.base / "state/stat").iterdir()) == []


def test_fresh_files_are_not_trusted(bench: Workbench) -> None:
    bench.write({b"a": b"1", b"sub/b": b"2"})
    pointer = bench.add()
    assert bench.now() == (pointer, 2)


def test_a_change_within_one_tick_is_seen(bench: Workbench) -> None:
    for i in range(60):
        bench.write({b"f": b"%04d" % i, b"old": b"same"})
        inode = os.stat(bench.path(b"data/f"))
        pointer = bench.add()
        with open(bench.path(b"data/f"), "r+b") as file:
            file.write(b"X%03d" % i)
        os.utime(bench.path(b"data/f"), ns=(inode.st_atime_ns, inode.st_mtime_ns))
        assert bench.now()[0] != pointer


def test_a_change_within_one_tick_of_a_checkout_is_seen(bench: Workbench) -> None:
    bench.write({b"f": b"aaaa"})
    first = bench.add()
    bench.write({b"f": b"bbbb"})
    second = bench.add()
    for pointer, other in ((first, second), (second, first)) * 20:
        bench.checkout(pointer)
        assert bench.now()[0] == pointer
        with open(bench.path(b"data/f"), "r+b") as file:
            file.write(b"cccc")
        now, _ = bench.now()
        assert now not in (pointer, other)
        bench.checkout(pointer, force=True)


def test_old_files_are_trusted_and_future_ones_never(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write({b"past": b"1", b"future": b"2"})
    hour = 3600 * 10**9
    now = os.stat(bench.path(b"data/past")).st_mtime_ns
    os.utime(bench.path(b"data/future"), ns=(now + 5 * hour, now + 5 * hour))
    pointer = bench.add(moment=now + hour)
    assert bench.now() == (pointer, 1)
    scan = bench.scan()
    assert [scan.dirs[d].names[i] for d, i in scan.unknown()] == [b"future"]


class _Stat:
    def __init__(self, mtime: int, device: int = 1) -> None:
        self.st_mtime_ns, self.st_dev = mtime, device


def test_margins(monkeypatch: pytest.MonkeyPatch) -> None:
    second = 10**9
    fine, coarse = 100 * second + 5, 100 * second
    assert fsclock.trusted_before(_Stat(fine), 1) == fine - 20_000_000
    assert fsclock.trusted_before(_Stat(coarse), 1) == coarse - 2 * second

    class Behind(clock.Clock):
        def now_ns(self) -> int:
            return 50 * second

    previous = clock.install(Behind())
    try:
        elsewhere = fsclock.trusted_before(_Stat(fine), 2)
    finally:
        clock.install(previous)
    assert elsewhere == 48 * second


def test_single_files_follow_the_same_rule(bench: Workbench) -> None:
    bench.write({b"f": b"1"}, under=b"")
    bench.add(b"f", moment=1)
    state = bench.current(b"f")
    known = bench.index.load_file(b"f")
    assert known is not None
    assert known.row == NO_ROW
    assert known.oid == oid_of(b"1")
    assert isinstance(state, FileState)
    bench.index.set_file(b"f", state, moment=ALWAYS, base=None)
    known = bench.index.load_file(b"f")
    assert known is not None
    assert known.row != NO_ROW


def test_two_thousand_single_files_load_at_once(bench: Workbench) -> None:
    row = (0o100644, 1, 2, 3, 4)
    for i in range(2000):
        state = FileState(ord("f"), 2, row, oid_of(b"%d" % i))
        bench.index.set_file(b"d/%05d" % i, state, moment=ALWAYS, base=None)
    bench.index.save()
    assert [path.name for path in (bench.base / "state/stat").iterdir()] == ["files"]
    again = StatIndex(bench.base / "state")
    known = again.load_file(b"d/01999")
    assert known is not None
    assert known.oid == oid_of(b"1999")


def test_saving_nothing_new_writes_nothing(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write({b"f": b"1"}, under=b"")
    bench.add(b"f", moment=ALWAYS)
    state = bench.current(b"f")
    assert isinstance(state, FileState)
    base = bench.index.base(b"f")

    def refuse(*args: object, **options: object) -> bool:
        raise AssertionError("written again")

    monkeypatch.setattr(statindex.fsio, "write_atomic", refuse)
    bench.index.set_file(b"f", state, moment=ALWAYS, base=base)
    bench.index.save()
