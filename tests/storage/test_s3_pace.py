"""Answers that come byte by byte."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dver.base import clock
from dver.base.errors import TransientError
from dver.storage.s3 import S3Storage
from dver.storage.s3.pace import SLOWEST, Paced
from dver.storage.s3.settings import resolve

KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "hunter2", "HOME": "/nowhere"}


class Ticking(clock.Clock):
    """A clock that only tests move."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def ticking() -> Iterator[Ticking]:
    mine = Ticking()
    before = clock.install(mine)
    yield mine
    clock.install(before)


class Slow:
    """A stream each of whose reads takes some seconds and brings some bytes."""

    def __init__(self, ticking: Ticking, *reads: tuple[float, int]) -> None:
        self.ticking = ticking
        self.reads = list(reads)
        self.is_closed = False

    def readinto(self, buffer: memoryview) -> int:
        if not self.reads:
            return 0
        seconds, count = self.reads.pop(0)
        self.ticking.now += seconds
        return min(count, len(buffer))

    def close(self) -> None:
        self.is_closed = True


def test_a_byte_now_and_then_is_a_time_out(ticking: Ticking) -> None:
    slow = Slow(ticking, *[(1.0, 1)] * 100)
    with pytest.raises(TimeoutError), io.BufferedReader(Paced(slow, 60)) as file:
        file.read()
    assert len(slow.reads) == 100 - 61
    assert slow.is_closed


def test_a_slow_line_is_none(ticking: Ticking) -> None:
    slow = Slow(ticking, *[(1.0, SLOWEST)] * 300)
    assert len(io.BufferedReader(Paced(slow, 60)).read()) == 300 * SLOWEST


def test_a_late_beginning_and_a_busy_reader_are_none(ticking: Ticking) -> None:
    stream = Paced(Slow(ticking, (59.0, 1), (30.0, 1), (29.0, 1)), 60)
    for _ in range(3):
        assert stream.readinto(bytearray(10)) == 1
        ticking.now += 1000
    assert stream.readinto(bytearray(10)) == 0


def test_a_server_that_drips_is_cut_off() -> None:
    stop = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            # A client that went away ends it.
            try:
                while not stop.wait(0.005):
                    connection.sendall(b"x")
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        port = server.getsockname()[1]
        settings = resolve("bucket", "", {"endpoint_url": f"http://127.0.0.1:{port}"}, KEYS)
        storage = S3Storage(replace(settings, timeout=5.0))
        # As if the server had been at it for long already.
        waited = iter(range(0, 1 << 30, 4))
        before = clock.install(_Jumping(waited))
        try:
            with pytest.raises(TransientError, match="no answer in time"):
                list(storage.list(""))
        finally:
            clock.install(before)
            stop.set()
            thread.join()
            storage.close()


class _Jumping(clock.Clock):
    """A clock that is four seconds on each time it is asked."""

    def __init__(self, times: Iterator[int]) -> None:
        self._times = times

    def monotonic(self) -> float:
        return float(next(self._times))
