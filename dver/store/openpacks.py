"""The packs that a store reads from at the moment, kept open."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict

from dver.base.regular import open_regular

#: So many packs are open at once.
MOST = 64


class OpenPack:
    """An open pack, closed when the last thread that reads from it lets go of it."""

    __slots__ = ("fd", "path")

    def __init__(self, path: str) -> None:
        self.fd = -1
        self.path = path
        self.fd = open_regular(path)

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


class OpenPacks:
    """Packs by name, of which the ones used longest ago are closed. For several threads."""

    def __init__(self) -> None:
        self._packs: OrderedDict[bytes, OpenPack] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: bytes) -> OpenPack | None:
        """Return a pack if it is open."""
        with self._lock:
            pack = self._packs.get(name)
            if pack is not None:
                self._packs.move_to_end(name)
            return pack

    def open(self, name: bytes, path: str) -> OpenPack:
        """Open a pack, and keep it so. Raises CorruptError, or OSError."""
        pack = OpenPack(path)
        with self._lock:
            while len(self._packs) >= MOST:
                self._packs.popitem(last=False)
            return self._packs.setdefault(name, pack)

    def close(self) -> None:
        """Let go of all of them."""
        with self._lock:
            self._packs.clear()
