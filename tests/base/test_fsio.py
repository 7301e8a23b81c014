"""Durable writes: what a crash at any instant leaves, and what the system's refusals are called."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dver.base import fsio
from dver.base.errors import SystemFailure

OLD, NEW = b"old content\n", b"new content\n"


@pytest.fixture
def hook() -> Iterator[Callable[[Callable[[str], None]], None]]:
    """Install a hook for the length of a test."""
    yield fsio.install_hook
    fsio.install_hook(None)


def leftovers(directory: Path) -> list[str]:
    return [name for name in os.listdir(directory) if name.startswith(fsio.TEMP_PREFIX)]


# order and crashes

CRASH = """
import os, sys
from dver.base import fsio
left = int(sys.argv[1])
def hook(name):
    global left
    left -= 1
    if left == 0:
        os._exit(9)
fsio.install_hook(hook)
fsio.write_atomic(sys.argv[2], b"new content\\n", replace=sys.argv[3] == "replace")
"""


def crash_at(step: int, path: Path, how: str) -> bool:
    """Write in a process that dies before a step; say whether it got that far."""
    run = [sys.executable, "-c", CRASH, str(step), str(path), how]
    code = subprocess.run(run, check=False).returncode
    assert code in (0, 9)
    return code == 9


@pytest.mark.parametrize("how", ["replace", "create"])
def test_a_crash_leaves_the_old_or_the_new_file(tmp_path: Path, how: str) -> None:
    seen, step = [], 0
    while True:
        step += 1
        directory = tmp_path / str(step)
        path = directory / "file"
        if how == "replace":
            directory.mkdir()
            path.write_bytes(OLD)
        crashed = crash_at(step, path, how)
        seen.append(path.read_bytes() if path.exists() else None)
        names = set(os.listdir(directory)) if directory.exists() else set()
        assert all(name == "file" or name.startswith(fsio.TEMP_PREFIX) for name in names)
        if not crashed:
            break
    before = OLD if how == "replace" else None
    turn = seen.index(NEW)
    assert seen == [before] * turn + [NEW] * (len(seen) - turn)
    assert turn >= 4, "the new content must not be there before it was written and synced"
    assert not leftovers(directory)


def test_the_order_of_steps(tmp_path: Path, hook: Callable[[Callable[[str], None]], None]) -> None:
    steps: list[str] = []
    hook(steps.append)
    fsio.write_atomic(tmp_path / "file", NEW)
    assert steps == ["create", "write", "fsync", "rename", "fsync"]
    steps.clear()
    fsio.write_atomic(tmp_path / "file", NEW, durable=False)
    assert steps == ["create", "write", "rename"]
    steps.clear()
    fsio.write_atomic(tmp_path / "a" / "b" / "file", NEW, replace=False)
    assert steps == [
        *["create", "mkdir", "fsync", "mkdir", "fsync"],
        *["create", "write", "fsync", "rename", "unlink", "fsync"],
    ]


def test_files_are_synced_before_the_rename_and_directories_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def traced(name: str, real: Callable[..., object], describe: Callable[..., str]) -> None:
        def call(*args: object, **kwargs: object) -> object:
            calls.append(describe(*args))
            return real(*args, **kwargs)

        monkeypatch.setattr(os, name, call)

    kinds = {True: "directory", False: "file"}
    traced("fsync", os.fsync, lambda fd: f"fsync {kinds[stat.S_ISDIR(os.fstat(fd).st_mode)]}")
    traced("replace", os.replace, lambda *_: "replace")
    fsio.write_atomic(tmp_path / "file", NEW)
    assert calls == ["fsync file", "replace", "fsync directory"]


@pytest.mark.parametrize("name", ["create", "write", "fsync", "rename"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, hook: Callable[[Callable[[str], None]], None], name: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)

    def fail(step: str) -> None:
        if step == name:
            raise KeyboardInterrupt

    hook(fail)
    with pytest.raises(KeyboardInterrupt):
        fsio.write_atomic(path, NEW)
    assert path.read_bytes() == OLD
    assert os.listdir(tmp_path) == ["file"]


# what is written


def test_it_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert fsio.write_atomic(path, OLD)
    assert fsio.write_atomic(os.fsencode(path), NEW)
    assert path.read_bytes() == NEW
    assert not fsio.write_atomic(path, OLD, replace=False)
    assert path.read_bytes() == NEW
    assert os.listdir(tmp_path) == ["file"]


def test_modes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    fsio.write_atomic(path, OLD, mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    fsio.write_atomic(path, NEW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(OLD)
    link.symlink_to(target)
    fsio.write_atomic(link, NEW, mode=0o600)
    assert target.read_bytes() == OLD
    assert not link.is_symlink()
    assert link.read_bytes() == NEW
    assert stat.S_IMODE(link.stat().st_mode) == 0o600, "a link's own mode means nothing"


def test_a_taken_name_stays(tmp_path: Path) -> None:
    for final in ("plain", "dangling"):
        fd, temp = fsio.create_temp(tmp_path)
        os.close(fd)
        if final == "plain":
            (tmp_path / final).write_bytes(OLD)
        else:
            (tmp_path / final).symlink_to("nowhere")
        assert fsio.publish(temp, tmp_path / final) is False
        assert not leftovers(tmp_path)
    assert (tmp_path / "plain").read_bytes() == OLD
    assert os.readlink(tmp_path / "dangling") == "nowhere"


def test_publishing_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*args: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    for expected in (True, False):
        fd, temp = fsio.create_temp(tmp_path)
        fsio.write_all(fd, NEW, temp)
        os.close(fd)
        assert fsio.publish(temp, tmp_path / "file") is expected
        assert os.listdir(tmp_path) == ["file"]


def test_large_and_oddly_shaped_data_is_written_whole(tmp_path: Path) -> None:
    from array import array

    data = array("Q", range(50_000))
    fd, temp = fsio.create_temp(tmp_path)
    fsio.write_all(fd, memoryview(data), temp)
    fsio.write_all(fd, b"", temp)
    os.close(fd)
    assert Path(temp).read_bytes() == data.tobytes()


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:3]))
    fsio.write_atomic(tmp_path / "file", NEW)
    assert (tmp_path / "file").read_bytes() == NEW


def test_directories(tmp_path: Path) -> None:
    fsio.make_dirs(tmp_path / "a" / "b" / "c")
    fsio.make_dirs(f"{tmp_path}/a/b/c/d/")
    fsio.make_dirs(tmp_path)
    assert (tmp_path / "a/b/c/d").is_dir()
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(SystemFailure, match="create the directory"):
        fsio.make_dirs(tmp_path / "file" / "x")


def test_directories_made_by_many_at_once(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*"abcdefgh")
    failures: list[BaseException] = []

    def make() -> None:
        try:
            fsio.make_dirs(deep)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert deep.is_dir()


def test_a_temporary_file_makes_its_directory(tmp_path: Path) -> None:
    fd, temp = fsio.create_temp(tmp_path / "new" / "dir", mode=0o600)
    os.close(fd)
    assert Path(temp).parent == tmp_path / "new" / "dir"
    assert stat.S_IMODE(os.stat(temp).st_mode) == 0o600


def test_a_directory_that_is_gone_is_an_error_and_no_endless_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for directory in ("", ".", "sub"):
        with pytest.raises(SystemFailure, match="no such file"):
            fsio.create_temp(directory)


def test_removing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    assert fsio.remove(path)
    assert not fsio.remove(path)
    (tmp_path / "dir").mkdir()
    with pytest.raises(SystemFailure, match="cannot remove"):
        fsio.remove(tmp_path / "dir")


# what the system refuses

REFUSALS = [
    (errno.ENOSPC, "no space left on the disk", "free some space"),
    (errno.EDQUOT, "quota", "free some space"),
    (errno.EROFS, "read-only", "writable"),
    (errno.EACCES, "permission denied", "owner and mode"),
    (errno.EPERM, "not permitted", "owner and mode"),
    (errno.EIO, "I/O error", "fsck"),
    (errno.EMFILE, "too many open files", "ulimit"),
]


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize(("number", "text", "hint"), REFUSALS)
def test_refusals_have_a_cause_a_path_and_a_hint(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
    text: str,
    hint: str,
) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(SystemFailure) as caught:
            fsio.write_atomic(path, NEW)
    assert text in caught.value.message
    assert str(tmp_path) in caught.value.message
    assert hint in (caught.value.hint or "")
    assert path.read_bytes() == OLD
    assert os.listdir(tmp_path) == ["file"]


def test_a_failing_close_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system may report a full disk only when the file is closed."""
    real = os.close
    calls = []

    def close(fd: int) -> None:
        calls.append(fd)
        real(fd)
        if len(calls) == 1:
            raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "close", close)
    with pytest.raises(SystemFailure, match="no space left"):
        fsio.write_atomic(tmp_path / "file", NEW)
    assert len(calls) == 1, "closing again could close somebody else's file"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_file_systems_without_fsync_are_let_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(fd: int) -> None:
        raise OSError(number, "not here")

    monkeypatch.setattr(os, "fsync", refuse)
    assert fsio.write_atomic(tmp_path / "file", NEW)


def test_other_errors_are_told_in_the_systems_words() -> None:
    error = fsio.failure(OSError(errno.ELOOP, "x"), "open", b"a\nb")
    assert error.message == f'cannot open "a\\nb": {os.strerror(errno.ELOOP).lower()}'
    assert error.hint is None
    unnumbered = fsio.failure(OSError("the cable is out"), "read", "x")
    assert unnumbered.message == "cannot read x: the cable is out"
    silent = fsio.failure(OSError(), "read", "x")
    assert silent.message == "cannot read x: OSError"


def test_explained_keeps_the_cause() -> None:
    with pytest.raises(SystemFailure) as caught, fsio.explained("open", "x"):
        raise PermissionError(errno.EACCES, "no")
    assert isinstance(caught.value.__cause__, PermissionError)


def test_reading_at_an_offset(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    fd = os.open(path, os.O_RDONLY | fsio.OPEN_FLAGS)
    try:
        assert fsio.pread(fd, 5, 10) == bytes(range(10, 15))
        assert fsio.pread(fd, 500, 98) == bytes([98, 99])
    finally:
        os.close(fd)


def test_a_buffer_begins_with_a_page() -> None:
    view = fsio.buffer(100_000)
    assert len(view) == 100_000
    assert ctypes.addressof(ctypes.c_char.from_buffer(view)) % mmap.PAGESIZE == 0


def test_appending_does_not_follow_a_symlink(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"one")
    link.symlink_to(file)
    fd = fsio.open_to_append(file)
    fsio.write_all(fd, b" two", file)
    os.close(fd)
    assert file.read_bytes() == b"one two"
    with pytest.raises(OSError, match="symbolic"):
        fsio.open_to_append(link)
