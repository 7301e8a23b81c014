"""Locks between processes: who waits, who does not, and what a dead holder leaves."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dver.base import clock, locking
from dver.base.errors import LockedError, SystemFailure
from dver.base.locking import Lock
from dver.base.quoting import show

HOLD = """
import sys
from pathlib import Path
from dver.base.locking import Lock
sys.argv = ["/usr/bin/dver", "add", "s3://key:secret@bucket"]
with Lock(Path({path!r}), exclusive={exclusive}, timeout=0):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(path: Path, *, exclusive: bool) -> Iterator[subprocess.Popen[str]]:
    """Hold a lock in another process for the length of the block."""
    program = HOLD.format(path=str(path), exclusive=exclusive)
    run = [sys.executable, "-c", program]
    with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "lock"


def free(path: Path, *, exclusive: bool) -> bool:
    """Say whether the lock can be had at once."""
    try:
        with Lock(path, exclusive=exclusive, timeout=0):
            return True
    except LockedError:
        return False


def test_an_exclusive_holder_keeps_everybody_out(path: Path) -> None:
    with held_elsewhere(path, exclusive=True) as process:
        assert not free(path, exclusive=True)
        assert not free(path, exclusive=False)
        with pytest.raises(LockedError) as caught, Lock(path, exclusive=True, timeout=0):
            pass
        assert caught.value.message == (
            f"{path} is locked (held by process {process.pid} dver add)"
        )
        assert caught.value.hint
    assert free(path, exclusive=True)


def test_who_shares_it_is_named_too(path: Path) -> None:
    with held_elsewhere(path, exclusive=False) as process:
        with pytest.raises(LockedError) as caught, Lock(path, exclusive=True, timeout=0):
            pass
        assert f"(held by process {process.pid}" in caught.value.message


def test_waiting_is_told_once_with_the_name_of_the_holder(path: Path) -> None:
    said: list[str] = []
    previous = clock.install(Hasty())
    locking.tell_of_waiting(said.append)
    try:
        with held_elsewhere(path, exclusive=True) as process:
            with pytest.raises(LockedError), Lock(path, exclusive=False, timeout=30):
                pass
            assert said == [f"waiting for {path} (held by process {process.pid} dver add)"]
    finally:
        clock.install(previous)
        locking.tell_of_waiting(None)


class Hasty(clock.Clock):
    """Time passes as fast as anybody waits for it."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_shared_holders_keep_out_only_exclusive_ones(path: Path) -> None:
    with held_elsewhere(path, exclusive=False):
        assert free(path, exclusive=False)
        assert not free(path, exclusive=True)
    assert free(path, exclusive=True)


def test_a_killed_holder_frees_the_lock(path: Path) -> None:
    with held_elsewhere(path, exclusive=True) as process:
        process.kill()
        process.wait()
        assert free(path, exclusive=True)


def test_the_lock_file_is_never_deleted(path: Path) -> None:
    for exclusive in (True, False):
        with Lock(path, exclusive=exclusive):
            pass
        assert path.exists()


def test_no_argument_that_may_hold_a_secret_is_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/x/dver", "get", "https://user:secret@host/"])
    with Lock(path, exclusive=True):
        text = path.read_text()
    assert text == f"{os.getpid()} dver get\n"


def test_a_longer_name_of_an_earlier_holder_is_gone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("123456789 a-very-long-command with words\n" * 3)
    with Lock(path, exclusive=True):
        assert path.read_text().count("\n") == 1


def test_what_others_wrote_cannot_drive_the_terminal(path: Path) -> None:
    with held_elsewhere(path, exclusive=True):
        path.write_bytes(b"1 \x1b[2J\n\xff gone" + b"x" * 5000)
        with pytest.raises(LockedError) as caught, Lock(path, exclusive=True, timeout=0):
            pass
        assert caught.value.message.isprintable()
        assert len(caught.value.message) < 200 + len(str(path))


class Stepping(clock.Clock):
    """Time passes only by sleeping; after some of it somebody frees the lock."""

    def __init__(self, process: subprocess.Popen[str] | None, after: float) -> None:
        self.process, self.after = process, after
        self.elapsed = 0.0
        self.naps: list[float] = []

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.elapsed += seconds
        if self.process is not None and self.elapsed > self.after:
            self.process.kill()
            self.process.wait()


@contextmanager
def stepping(process: subprocess.Popen[str] | None, after: float = 0.0) -> Iterator[Stepping]:
    mine = Stepping(process, after)
    previous = clock.install(mine)
    try:
        yield mine
    finally:
        clock.install(previous)


def test_it_waits_until_the_other_is_done(path: Path) -> None:
    with held_elsewhere(path, exclusive=True) as process, stepping(process, after=3.0) as time:
        with Lock(path, exclusive=True, timeout=60):
            pass
        assert 3.0 < time.elapsed < 5.0
        assert max(time.naps) <= 0.5


def test_it_gives_up_when_the_time_is_over(path: Path) -> None:
    with held_elsewhere(path, exclusive=True), stepping(None) as time:
        with pytest.raises(LockedError), Lock(path, exclusive=False, timeout=10):
            pass
        assert 10 <= time.elapsed < 11


def test_giving_up_closes_the_file(path: Path) -> None:
    with held_elsewhere(path, exclusive=True):
        probe = os.open(os.devnull, os.O_RDONLY)
        os.close(probe)
        for _ in range(3):
            assert not free(path, exclusive=True)
        again = os.open(os.devnull, os.O_RDONLY)
        os.close(again)
        assert again == probe


def test_it_is_not_reentrant(path: Path) -> None:
    with Lock(path, exclusive=True):
        assert not free(path, exclusive=True)
        assert not free(path, exclusive=False)


def test_leaving_frees_it_although_a_child_still_has_the_descriptor(path: Path) -> None:
    lock = Lock(path, exclusive=True)
    with lock:
        inherited = os.dup(lock._fd)
    try:
        assert free(path, exclusive=True)
    finally:
        os.close(inherited)


def refuse_opening(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let no file be opened for writing."""
    real = os.open

    def refuse(name: str, flags: int, *args: int) -> int:
        if flags & os.O_RDWR:
            raise OSError(number, os.strerror(number))
        return real(name, flags, *args)

    monkeypatch.setattr(os, "open", refuse)


def test_a_reader_of_somebody_elses_store_locks_as_well(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert free(path, exclusive=True)
    with held_elsewhere(path, exclusive=True):
        refuse_opening(monkeypatch, errno.EACCES)
        assert not free(path, exclusive=False)
    assert free(path, exclusive=False)
    with pytest.raises(SystemFailure, match="permission denied"):
        free(path, exclusive=True)


def test_a_read_only_disk_needs_no_shared_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_opening(monkeypatch, errno.EROFS)
    assert free(path, exclusive=False)
    with pytest.raises(SystemFailure, match="read-only"):
        free(path, exclusive=True)


def test_an_unusable_path_is_a_system_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SystemFailure, match="directory"):
        free(tmp_path / "file" / "lock", exclusive=True)


def test_file_systems_without_locks_are_let_pass(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def refuse(fd: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert free(path, exclusive=True)
    assert show(path)


def test_a_failing_lock_call_is_a_system_failure(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def refuse(fd: int, how: int) -> None:
        raise OSError(errno.EIO, "gone")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(SystemFailure, match="take the lock"):
        free(path, exclusive=True)
