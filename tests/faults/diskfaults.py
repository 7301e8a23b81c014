"""A layer below :mod:`dver.base.fsio` that lets calls which change a file system fail."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Self

#: These need space; those, in addition, a disk that can be written at all.
_GROWING = (
    *("write", "writev", "pwrite", "fsync", "open", "mkdir", "rename", "replace", "link"),
    *("symlink", "copy_file_range", "ftruncate"),
)
_CHANGING = ("unlink", "remove", "rmdir", "chmod", "fchmod", "utime")
_BY_DESCRIPTOR = ("write", "writev", "pwrite", "fsync", "ftruncate")


@dataclass(frozen=True)
class Fault:
    """The ``nth`` call fails (0: none does), with ``lasting`` all after it too.

    A lasting lack of space begins with a write that is cut short.
    """

    number: int
    nth: int
    lasting: bool

    def __str__(self) -> str:
        since = "from call" if self.lasting else "at call"
        return f"{errno.errorcode[self.number]} {since} {self.nth}"


class Layer:
    """Stands in for the calls of :mod:`os` that change a file system, and counts them.

    With ``only`` the others do not count, and never fail.
    """

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.only = ""
        self.count = 0
        self.hit = ""
        self._lock = threading.Lock()
        self._real: dict[str, Any] = {}

    def __enter__(self) -> Self:
        # It asks what the calls can do when it is imported, and must meet the true ones.
        import_module("dver.workspace.safedir")
        names = _GROWING
        if self.fault.number in (errno.EROFS, errno.EIO):
            names += _CHANGING
        for name in names:
            if hasattr(os, name):
                self._real[name] = getattr(os, name)
                setattr(os, name, self._failing(name, self._real[name]))
        return self

    def __exit__(self, *exc: object) -> None:
        for name, real in self._real.items():
            setattr(os, name, real)

    def _failing(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if not self._changes(name, args) or self.only not in ("", name):
                return real(*args, **options)
            with self._lock:
                self.count += 1
                first = self.count == self.fault.nth
                fails = first or (self.fault.lasting and 0 < self.fault.nth < self.count)
            if not fails:
                return real(*args, **options)
            if first:
                self.hit = f"{name} {args[0] if name not in _BY_DESCRIPTOR else ''}"
            if name == "write" and first and self.fault.lasting and len(args[1]) > 1:
                return real(args[0], memoryview(args[1])[: len(args[1]) // 2])
            number = self.fault.number
            path = args[0] if isinstance(args[0], str | bytes | os.PathLike) else None
            raise OSError(number, os.strerror(number), *([path] if path is not None else []))

        return call

    def _changes(self, name: str, args: tuple[Any, ...]) -> bool:
        if name == "open":
            return bool(args[1] & (os.O_CREAT | os.O_TRUNC))
        if name in _BY_DESCRIPTOR:
            # Pipes to git are no disk.
            mode = os.fstat(args[0]).st_mode
            return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
        return True
