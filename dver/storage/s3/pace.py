"""Answers that come too slowly to ever end.

A socket's time limit is for one read. A server, or something between, that sends a byte now and
then keeps within it for ever; so over the length of the limit some bytes must come as well.
"""

from __future__ import annotations

import io
from http.client import HTTPResponse
from typing import Any, Protocol

from dver.base import clock

#: Slower than this (bytes a second) is as good as nothing.
SLOWEST = 64


class Readable(Protocol):
    """The part of a raw stream that is needed here."""

    def readinto(self, buffer: Any, /) -> int | None:
        """Read some bytes into a buffer and return how many; 0 at the end."""

    def close(self) -> None:
        """Close the stream."""


class Paced(io.RawIOBase):
    """A raw stream that raises TimeoutError once ``window`` seconds of waiting brought too little.

    The wait for the first byte does not count, nor does the time between reads.
    """

    def __init__(self, raw: Readable, window: float) -> None:
        super().__init__()
        self._raw = raw
        self._window = window
        self._begun = False
        self._waited = 0.0
        self._got = 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        """Read some bytes. Raises TimeoutError as the class says."""
        began = clock.monotonic()
        count = self._raw.readinto(buffer)
        if self._begun:
            self._waited += clock.monotonic() - began
        self._begun = True
        self._got += count or 0
        if self._waited >= self._window:
            if self._got < SLOWEST * self._window:
                raise TimeoutError("too slow")
            self._waited, self._got = 0.0, 0
        return count

    def close(self) -> None:
        """Close the stream."""
        if not self.closed:
            self._raw.close()
        super().close()


class PacedResponse(HTTPResponse):
    """An answer that ends in TimeoutError if it comes too slowly."""

    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        raw = Paced(sock.makefile("rb", buffering=0), sock.gettimeout() or 60.0)
        self.fp = io.BufferedReader(raw, io.DEFAULT_BUFFER_SIZE)
