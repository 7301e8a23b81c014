"""Open directories by path: what Windows gets in place of openat and its kin."""

from __future__ import annotations

import errno
import os
import stat
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from dver.base import bytelocks, handles, pathwise
from dver.base.osat import NOFOLLOW, OPEN_DIR
from tests.support import elsewhere

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL


@pytest.fixture(params=[True, False], ids=["pinned", "by path"])
def pinning(request: pytest.FixtureRequest) -> Iterator[bool]:
    with pytest.MonkeyPatch.context() as patch:
        elsewhere.become(pinning=request.param, patch=patch)
        yield request.param
    elsewhere.come_back()


@pytest.fixture
def top(pinning: bool, tmp_path: Path) -> Iterator[int]:
    """A directory ``in/side`` that is open, below one beside which there is another."""
    (tmp_path / "root/in/side").mkdir(parents=True)
    (tmp_path / "outside/side").mkdir(parents=True)
    root = pathwise.open(os.fsencode(tmp_path / "root"), OPEN_DIR)
    inner = pathwise.open(b"in", OPEN_DIR, dir_fd=root)
    side = pathwise.open(b"side", OPEN_DIR, dir_fd=inner)
    yield side
    for fd in (side, inner, root):
        pathwise.close(fd)


def test_files_come_and_go(top: int, tmp_path: Path) -> None:
    side = tmp_path / "root/in/side"
    fd = pathwise.open(b"a", _WRITE, 0o600, dir_fd=top)
    os.write(fd, b"one")
    os.close(fd)
    assert pathwise.stat(b"a", dir_fd=top, follow_symlinks=False).st_size == 3
    with pytest.raises(FileExistsError):
        pathwise.open(b"a", _WRITE, 0o600, dir_fd=top)
    (side / "b").write_bytes(b"two")
    (side / "b").chmod(0o444)
    pathwise.rename(b"a", b"b", src_dir_fd=top, dst_dir_fd=top)
    assert (side / "b").read_bytes() == b"one"
    assert pathwise.listdir(top) == ["b"]
    (side / "b").chmod(0o444)
    pathwise.unlink(b"b", dir_fd=top)
    assert pathwise.listdir(top) == []


def test_directories_come_and_go(top: int, tmp_path: Path) -> None:
    side = tmp_path / "root/in/side"
    pathwise.mkdir(b"new", dir_fd=top)
    pathwise.mkdir(b"empty", dir_fd=top)
    pathwise.rename(b"new", b"empty", src_dir_fd=top, dst_dir_fd=top)
    (side / "empty/x").write_bytes(b"")
    pathwise.mkdir(b"new", dir_fd=top)
    with pytest.raises(OSError, match="not empty") as caught:
        pathwise.rename(b"new", b"empty", src_dir_fd=top, dst_dir_fd=top)
    assert caught.value.errno == errno.ENOTEMPTY
    os.symlink("new", side / "link")
    with pytest.raises(NotADirectoryError):
        pathwise.rename(b"new", b"link", src_dir_fd=top, dst_dir_fd=top)
    pathwise.rmdir(b"new", dir_fd=top)
    assert sorted(os.listdir(side)) == ["empty", "link"]


def test_nothing_goes_through_a_symlink(top: int, tmp_path: Path) -> None:
    side = tmp_path / "root/in/side"
    os.symlink(tmp_path / "outside", side / "there")
    os.symlink(tmp_path / "outside/file", side / "dangling")
    os.symlink("dangling", side / "again")
    with pytest.raises(NotADirectoryError):
        pathwise.open(b"there", OPEN_DIR, dir_fd=top)
    with pytest.raises(FileExistsError):
        pathwise.open(b"dangling", _WRITE, dir_fd=top)
    with pytest.raises(OSError, match="symbolic links"):
        pathwise.open(b"again", os.O_RDONLY | NOFOLLOW, dir_fd=top)
    assert stat.S_ISLNK(pathwise.stat(b"there", dir_fd=top, follow_symlinks=False).st_mode)
    assert pathwise.readlink(b"again", dir_fd=top) == b"dangling"
    assert os.listdir(tmp_path / "outside") == ["side"]


@pytest.mark.parametrize("name", [b"", b"..", b"../x", b"a/b", b"/etc", b"a\0"])
def test_a_name_is_one_component(top: int, name: bytes) -> None:
    for call in (
        lambda: pathwise.mkdir(name, dir_fd=top),
        lambda: pathwise.unlink(name, dir_fd=top),
        lambda: pathwise.open(name, _WRITE, dir_fd=top),
        lambda: pathwise.stat(name, dir_fd=top, follow_symlinks=False),
    ):
        with pytest.raises((OSError, ValueError)):
            call()


@pytest.mark.parametrize("name", [b"a\\b", b"..\\x", b"c:", b"file:stream"])
def test_nor_is_a_path_of_windows(name: bytes, top: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pathwise, "_WINDOWS", True)
    with pytest.raises(OSError, match="Invalid"):
        pathwise.mkdir(name, dir_fd=top)


def test_a_directory_that_was_swapped_is_not_written_to(
    top: int, pinning: bool, tmp_path: Path
) -> None:
    inner = tmp_path / "root/in"
    if pinning:
        with pytest.raises(PermissionError):
            os.rename(inner, tmp_path / "aside")
        return
    os.rename(inner, tmp_path / "aside")
    os.symlink(tmp_path / "outside", inner)
    for call in (
        lambda: pathwise.mkdir(b"x", dir_fd=top),
        lambda: pathwise.open(b"x", _WRITE, dir_fd=top),
        lambda: pathwise.listdir(top),
    ):
        with pytest.raises(NotADirectoryError):
            call()
    # Nor to a true directory in its place.
    inner.unlink()
    (inner / "side").mkdir(parents=True)
    with pytest.raises(NotADirectoryError):
        pathwise.mkdir(b"x", dir_fd=top)
    assert os.listdir(tmp_path / "outside/side") == os.listdir(inner / "side") == []


def test_the_root_may_be_reached_through_a_symlink(pinning: bool, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    os.symlink("real", tmp_path / "way")
    with pytest.raises(NotADirectoryError):
        pathwise.open(os.fsencode(tmp_path / "way"), OPEN_DIR)
    fd = pathwise.open(os.fsencode(tmp_path / "way"), OPEN_DIR & ~NOFOLLOW)
    pathwise.mkdir(b"x", dir_fd=fd)
    pathwise.close(fd)
    assert os.listdir(tmp_path / "real") == ["x"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        pathwise.mkdir(b"y", dir_fd=fd)


def test_what_is_open_elsewhere_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = os.replace, []

    def busy(one: bytes, other: bytes) -> None:
        tries.append(one)
        if len(tries) < 3:
            raise PermissionError(errno.EACCES, "it is open")
        real(one, other)

    monkeypatch.setattr(os, "replace", busy)
    monkeypatch.setattr(pathwise, "_PAUSES", (0.0,) * 4)
    (tmp_path / "a").write_bytes(b"a")
    pathwise.replace(os.fspath(tmp_path / "a"), os.fspath(tmp_path / "b"))
    assert len(tries) == 3
    monkeypatch.setattr(pathwise, "_PAUSES", (0.0,))
    tries.clear()
    with pytest.raises(PermissionError):
        pathwise.replace(os.fspath(tmp_path / "b"), os.fspath(tmp_path / "a"))


@pytest.mark.parametrize(
    ("path", "long"),
    [
        (b"C:\\data", b"\\\\?\\C:\\data"),
        (b"C:/data/x", b"\\\\?\\C:\\data\\x"),
        (b"\\\\server\\share\\x", b"\\\\?\\UNC\\server\\share\\x"),
        (b"//server/share/x", b"\\\\?\\UNC\\server\\share\\x"),
        (b"\\\\?\\C:\\data", b"\\\\?\\C:\\data"),
    ],
)
def test_paths_of_any_length(path: bytes, long: bytes) -> None:
    assert pathwise.extended(path, windows=True) == long
    assert pathwise.extended(path, windows=False) == path
    back = path.replace(b"\\", b"/").removeprefix(b"//?/")
    assert pathwise.plain(long) == back


def test_rows_of_windows(tmp_path: Path) -> None:
    """No made-up bits for execution, no numbers beyond 64 bits, no junctions."""
    found = types.SimpleNamespace(
        st_mode=stat.S_IFREG | 0o777,
        st_ino=(5 << 64) + 7,
        st_size=1,
        st_mtime_ns=2,
        st_ctime_ns=3,
    )
    assert pathwise.stat_fields(found) == (stat.S_IFREG | 0o666, 7, 1, 2, 3)
    found.st_mode, found.st_reparse_tag = stat.S_IFDIR | 0o777, 0xA0000003
    assert pathwise.stat_fields(found)[0] == 0
    found.st_reparse_tag = 0x9000001A  # a directory of OneDrive
    assert pathwise.stat_fields(found)[0] == stat.S_IFDIR | 0o777


def test_pins_ask_windows_for_the_right_handles(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    api = types.SimpleNamespace(
        CreateFile=lambda *args: asked.append(args) or 7, CloseHandle=lambda handle: None
    )
    monkeypatch.setattr(handles, "_windows", lambda: api)
    assert handles.pin(b"d") == 7
    assert handles.pin(b"d", follow=True) == 7
    assert handles.is_pinned(b"d") is False
    # Rights to list; sharing of reads and writes, not of deletion; existing; a directory, no link.
    assert asked == [
        ("d", 1, 3, 0, 3, 0x0220_0000, 0),
        ("d", 1, 3, 0, 3, 0x0200_0000, 0),
        ("d", 1, 0, 0, 3, 0x0220_0000, 0),
    ]


def test_locks_of_windows(pinning: bool, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_bytes(b"")
    one, two, three = (os.open(path, os.O_RDWR) for _ in range(3))
    assert bytelocks.try_lock(one, exclusive=False)
    assert bytelocks.try_lock(two, exclusive=False)
    assert not bytelocks.try_lock(three, exclusive=True)
    bytelocks.unlock(one)
    bytelocks.unlock(two)
    assert bytelocks.try_lock(three, exclusive=True)
    assert not bytelocks.try_lock(one, exclusive=False)
    for fd in (one, two, three):
        os.close(fd)
