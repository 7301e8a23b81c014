"""Link modes: what the cache promises, and what happens to those who edit it."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dver.base.errors import CorruptError, RefusedError
from dver.base.oid import oid_of
from dver.formats.tree import EXECUTABLE, FILE
from dver.workspace import links as linking
from dver.workspace.filescan import scan_file
from dver.workspace.links import LinkMode, probe_link_modes, usable_modes
from dver.workspace.state import MTIME, FileState, Scan
from tests.support.workbench import ALWAYS, Link, Program, Workbench, kinds

FILES: dict[bytes, object] = {
    b"a": b"alpha",
    b"same": b"alpha",
    b"run": Program(b"alpha"),
    b"sub/b": b"beta" * 99,
    b"l": Link(b"a"),
    b"big": bytes(300_000),
}


def fresh(bench: Workbench) -> None:
    """Remove the data."""
    import shutil

    shutil.rmtree(bench.path(b"data"), ignore_errors=True)


def content(bench: Workbench) -> dict[bytes, object]:
    """Return what a reader of the data sees, links of ours followed."""
    found = {}
    for name, what in bench.read().items():
        if isinstance(what, Link) and os.path.isabs(what):
            with open(what, "rb") as file:
                data = file.read()
            found[name] = Program(data) if os.access(what, os.X_OK) else data
            continue
        found[name] = what
    return kinds(found)


@pytest.fixture
def _cloning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reflinks work on file systems that have none, by copying."""
    import fcntl

    def clone(fd: int, request: int, source: int) -> int:
        assert request == 0x40049409
        os.write(fd, os.pread(source, 1 << 20, 0))
        return 0

    monkeypatch.setattr(fcntl, "ioctl", clone)


@pytest.mark.usefixtures("_cloning")
@pytest.mark.parametrize("mode", ["reflink", "hardlink", "symlink"])
def test_every_mode_gives_the_same_data(bench: Workbench, mode: LinkMode) -> None:
    bench.write(FILES)
    pointer = bench.add()
    expected = content(bench)
    fresh(bench)
    applied = bench.checkout(pointer, modes=[mode, "copy"])
    assert applied.failed == []
    assert content(bench) == expected
    assert bench.now()[0] == pointer
    state = os.lstat(bench.path(b"data/a"))
    cached = os.stat(bench.links.path(oid_of(b"alpha"), executable=False))
    assert stat.S_IMODE(cached.st_mode) == 0o444
    if mode == "hardlink":
        assert state.st_ino == cached.st_ino == os.lstat(bench.path(b"data/same")).st_ino
        assert state.st_ino != os.lstat(bench.path(b"data/run")).st_ino
    elif mode == "symlink":
        assert stat.S_ISLNK(state.st_mode)
    else:
        assert state.st_mode & stat.S_IWUSR
        assert state.st_ino != cached.st_ino
    assert isinstance(applied.state, Scan)
    assert applied.state.top.tree == pointer.oid


def test_copies_never_touch_the_cache(bench: Workbench) -> None:
    bench.write(FILES)
    pointer = bench.add()
    fresh(bench)
    bench.checkout(pointer)
    assert not os.path.exists(bench.links.directory)


@pytest.mark.parametrize("mode", ["hardlink", "symlink"])
def test_versions_follow_each_other(bench: Workbench, mode: LinkMode) -> None:
    bench.write(FILES)
    first = bench.add()
    bench.write({b"a": b"changed", b"sub/b": b"too", b"run": b"alpha", b"same": Program(b"alpha")})
    second = bench.add()
    for pointer in (first, second, first, second):
        applied = bench.checkout(pointer, modes=[mode, "copy"])
        assert applied.failed == []
        assert bench.now()[0] == pointer
    cache = {path: intact for path, _, intact in bench.links.files()}
    assert all(cache.values())
    assert len(cache) >= 4
    bench.checkout(first)
    assert bench.now()[0] == first


def test_hardlinks_stay_known_when_more_are_made(bench: Workbench) -> None:
    bench.write({b"a": b"alpha", b"sub/b": b"beta"})
    pointer = bench.add()
    fresh(bench)
    before = bench.index.moment(bench.root)
    from dver.workspace.checkout import apply_plan

    plan = bench.plan(pointer)
    applied = apply_plan(plan, bench.root, bench.store, modes=["hardlink"], moment=before)
    assert isinstance(applied.state, Scan)
    bench.index.save_tree(b"data", applied.state, moment=ALWAYS, base=pointer)
    assert bench.now(read=False)[1] == 0
    os.link(bench.path(b"data/a"), bench.path(b"another"))
    assert bench.now(read=False) == (pointer, 0)
    os.unlink(bench.path(b"data/a"))
    bench.write({b"a": b"ALPHA"})
    assert bench.now(read=False)[1] == 1


def test_an_edit_through_a_hardlink_spoils_the_cache_file_only(bench: Workbench) -> None:
    bench.write({b"a": b"alpha", b"b": b"beta"})
    pointer = bench.add()
    fresh(bench)
    bench.checkout(pointer, modes=["hardlink"])
    path = bench.path(b"data/a")
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.write(b"EDITS")
    os.chmod(path, 0o444)
    assert bench.links.find(oid_of(b"alpha"), 5, executable=False) is None
    assert bench.now()[0] != pointer
    plan = bench.plan(pointer)
    assert [one.path for one in plan.conflicts] == [b"data/a"]
    bench.checkout(pointer, modes=["hardlink"], force=True)
    assert bench.read() == {b"a": b"alpha", b"b": b"beta"}
    assert os.stat(path).st_mode & stat.S_IWUSR  # a copy: the cache file cannot be used
    assert {intact for _, _, intact in bench.links.files()} == {True, False}


def test_an_edit_through_a_symlink_is_the_users_work(bench: Workbench) -> None:
    bench.write({b"a": b"alpha", b"b": b"beta"})
    pointer = bench.add()
    fresh(bench)
    bench.checkout(pointer, modes=["symlink"])
    cached = os.readlink(bench.path(b"data/a"))
    os.chmod(cached, 0o644)
    with open(cached, "r+b") as file:
        file.write(b"EDITS")
    now, _ = bench.now()
    assert now.oid != pointer.oid
    with pytest.raises(RefusedError):
        bench.checkout(pointer, modes=["symlink"])
    with open(cached, "rb") as file:
        assert file.read() == b"EDITS"
    bench.add()
    assert bench.store.has(oid_of(b"EDITS"))
    bench.checkout(pointer, modes=["symlink"])
    assert content(bench) == kinds({b"a": b"alpha", b"b": b"beta"})


def test_a_cache_that_was_deleted(bench: Workbench) -> None:
    bench.write({b"a": b"alpha", b"run": Program(b"beta")})
    pointer = bench.add()
    fresh(bench)
    bench.checkout(pointer, modes=["symlink"])
    assert bench.now() == (pointer, 0)
    shutil.rmtree(bench.links.directory)
    now, _ = bench.now()
    assert now.oid != pointer.oid
    bench.checkout(pointer, modes=["symlink"])
    assert content(bench) == kinds({b"a": b"alpha", b"run": Program(b"beta")})
    shutil.rmtree(bench.links.directory)
    bench.checkout(pointer)
    assert kinds(bench.read()) == kinds({b"a": b"alpha", b"run": Program(b"beta")})


@pytest.mark.parametrize("length", [0, 1, 4096, 4097, 10_000, 3 * 4096])
def test_content_is_told_whatever_its_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    monkeypatch.setattr(linking, "_WINDOW", 4096)
    data = bytes(range(256)) * (length // 256) + b"x" * (length % 256)
    path = tmp_path / "file"
    path.write_bytes(data)
    assert linking.is_content(os.fsencode(path), oid_of(data))
    path.write_bytes(data + b"y")
    assert not linking.is_content(os.fsencode(path), oid_of(data))


def test_single_files_as_links(bench: Workbench) -> None:
    bench.write({b"m.bin": b"weights"}, under=b"")
    pointer = bench.add(b"m.bin", moment=ALWAYS)
    for mode in ("symlink", "hardlink"):
        os.unlink(bench.path(b"m.bin"))
        bench.checkout(pointer, b"m.bin", modes=[mode])
        assert bench.plan(pointer, b"m.bin").is_empty
    shutil.rmtree(bench.links.directory)


def test_only_the_mode_changes_of_a_hardlinked_file(bench: Workbench) -> None:
    bench.write({b"a": b"alpha"})
    first = bench.add()
    bench.write({b"a": Program(b"alpha")})
    second = bench.add()
    fresh(bench)
    bench.checkout(first, modes=["hardlink"])
    plain = bench.links.path(oid_of(b"alpha"), executable=False)
    bench.checkout(second, modes=["hardlink"])
    assert stat.S_IMODE(os.stat(plain).st_mode) == 0o444
    assert stat.S_IMODE(os.stat(bench.path(b"data/a")).st_mode) == 0o555


# the cache itself


def test_the_cache_keeps_only_verified_content(bench: Workbench) -> None:
    oid = oid_of(b"good")

    def bad() -> Iterator[bytes]:
        yield b"evil"
        raise CorruptError("its content has another hash")

    with pytest.raises(CorruptError):
        bench.links.fill(oid, 4, bad(), executable=False)
    assert list(bench.links.files()) == []
    path = bench.links.fill(oid, 4, [b"go", b"od"], executable=False)
    assert path == bench.links.find(oid, 4, executable=False)
    assert bench.links.find(oid, 5, executable=False) is None
    assert bench.links.find(oid, 4, executable=True) is None
    assert bench.links.fill(oid, 4, bad(), executable=False) == path


def test_a_file_of_somebody_else_is_not_used(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    oid = oid_of(b"good")
    bench.links.fill(oid, 4, [b"good"], executable=False)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert bench.links.find(oid, 4, executable=False) is None


def test_a_file_system_without_nanoseconds(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.utime

    def coarse(fd: int, *, ns: tuple[int, int]) -> None:
        really(fd, ns=(ns[0] // 10**9 * 10**9, ns[1] // 10**9 * 10**9))

    monkeypatch.setattr(linking.os, "utime", coarse)
    bench.write({b"a": b"alpha"})
    pointer = bench.add()
    fresh(bench)
    assert bench.checkout(pointer, modes=["hardlink"]).failed == []
    assert bench.read() == {b"a": b"alpha"}
    assert list(bench.links.files()) == []


def test_resolving_symlinks(bench: Workbench) -> None:
    oid = oid_of(b"good")
    path = bench.links.fill(oid, 4, [b"good"], executable=True)
    assert path is not None
    linked = bench.links.resolve(path)
    assert linked is not None
    assert (linked.kind, linked.size, linked.oid) == (EXECUTABLE, 4, oid)
    gone = bench.links.resolve(bench.links.path(oid_of(b"x"), executable=False))
    assert gone is not None
    assert (gone.kind, gone.oid) == (FILE, bytes(32))
    for other in (b"a", b"/etc/passwd", path + b"/..", path[:-1], bench.links.directory):
        assert bench.links.resolve(other) is None


# which modes work


def test_probing(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    store = os.fsencode(bench.base / "store")
    modes = probe_link_modes(bench.root, store)
    assert modes[0] == "copy"
    assert {"hardlink", "symlink"} <= set(modes)
    assert os.listdir(bench.root) == []
    assert not [name for name in os.listdir(store) if name.startswith(b".dver-tmp")]
    assert probe_link_modes(bench.root + b"/none", store) == ["copy"]

    def refuse(*args: object, **options: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(linking.os, "link", refuse)
    assert "hardlink" not in probe_link_modes(bench.root, store)
    bench.write(FILES)
    pointer = bench.add()
    fresh(bench)
    assert bench.checkout(pointer, modes=["hardlink", "copy"]).failed == []
    assert kinds(bench.read()) == kinds(FILES)


@pytest.mark.parametrize(
    ("wanted", "working", "expected"),
    [
        (["reflink", "copy"], ["copy", "hardlink"], ["copy"]),
        (["reflink", "hardlink", "copy"], ["copy", "hardlink", "reflink"], None),
        (["hardlink"], ["copy", "hardlink"], ["hardlink", "copy"]),
        (["copy", "hardlink"], ["copy", "hardlink"], ["copy"]),
        ([], ["copy"], ["copy"]),
    ],
)
def test_usable_modes(
    wanted: list[LinkMode], working: list[LinkMode], expected: list[LinkMode] | None
) -> None:
    assert usable_modes(wanted, working) == (expected or wanted)


# what is remembered of links


def test_a_hardlink_is_remembered_at_once_and_whatever_is_linked_later(bench: Workbench) -> None:
    """Its stamp tells that the content is the same, so its times may be as young as they like."""
    bench.write({b"f": b"content"}, under=b"")
    pointer = bench.add(b"f")
    os.unlink(bench.path(b"f"))
    bench.checkout(pointer, b"f", modes=["hardlink"])
    assert os.stat(bench.path(b"f")).st_nlink == 2

    def state() -> FileState | None:
        return scan_file(bench.path(b"f"), bench.index.load_file(b"f"))

    known = state()
    assert known is not None
    assert known.oid == pointer.oid
    before = os.stat(bench.path(b"f")).st_ctime_ns
    os.utime(bench.path(b"f"), ns=(known.row[MTIME],) * 2)
    os.link(bench.path(b"f"), bench.path(b"another"))
    assert os.stat(bench.path(b"f")).st_ctime_ns != before
    known = state()
    assert known is not None
    assert known.oid == pointer.oid
    os.chmod(bench.path(b"f"), 0o644)
    with open(bench.path(b"f"), "r+b") as file:
        file.write(b"CONTENT")
    os.chmod(bench.path(b"f"), 0o444)
    known = state()
    assert known is not None
    assert known.oid is None


@pytest.mark.parametrize("mode", ["hardlink", "symlink"])
def test_links_need_not_wait_until_they_are_old(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, mode: LinkMode
) -> None:
    monkeypatch.setattr("dver.workspace.checkout._WORTH_WAITING", 1)
    slept: list[float] = []
    monkeypatch.setattr("dver.base.clock.sleep", slept.append)
    bench.write({b"f": b"content"}, under=b"")
    pointer = bench.add(b"f")
    for modes in ([mode], ["copy"]):
        os.unlink(bench.path(b"f"))
        bench.checkout(pointer, b"f", modes=modes)
        assert len(slept) == (modes == ["copy"])
