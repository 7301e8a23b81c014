"""Having a second process look at remembered directories while this one looks at others.

Most of a scan is the kernel's work and the interpreter's, file by file, for one processor. Where a
directory is remembered, its paths are known before the scan gets there: the process begins with the
last of them, and both meet somewhere in the middle. What it cannot list, and what was not
remembered, is left to the scan.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Self

from dver.base.workers import Worker
from dver.formats.statindex import KnownTree
from dver.workspace.lister import Listed

#: Below so many entries, starting a process takes longer than it saves.
WORTH = 16_384
#: How many entries the process is given at once, and how many times before it has answered.
_BATCH = 2048
_AHEAD = 2


def is_worth(known: KnownTree | None) -> bool:
    """Say whether enough is remembered, and a processor free, for a second process to help."""
    from dver.base.workers import usable_cores

    if known is None or len(known.dirs) < 2:
        return False
    return sum(len(one.kinds) for one in known.dirs.values()) >= WORTH and usable_cores() > 1


class Ahead:
    """What a second process finds of the remembered directories at and below ``start``.

    Use it in a ``with`` block, and ask for directories in the order in which they are remembered.
    """

    def __init__(self, root: bytes, known: KnownTree, start: bytes) -> None:
        self._root = root
        inside = start + b"/" if start else b""
        self._paths = [path for path in known.dirs if path == start or path.startswith(inside)]
        self._counts = [len(known.dirs[path].kinds) for path in self._paths]
        self._position = {path: i for i, path in enumerate(self._paths)}
        #: What lies before was taken by the scan, and what lies behind by the process.
        self._first, self._end = 0, len(self._paths)
        self._found: dict[bytes, Listed] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._worker: Worker | None = None
        self._thread = threading.Thread(target=self._drive, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self._changed:
            self._first = self._end
        if kind is not None and self._worker is not None:
            self._worker.kill()
        self._thread.join()

    def take(self, path: bytes) -> Listed:
        """Return the names in a directory and their stat rows, or None to have the scan look."""
        at = self._position.get(path)
        if at is None:
            return None
        with self._changed:
            if at < self._end:
                self._first = max(self._first, at + 1)
                return None
            self._first = self._end
            while path not in self._found and not self._ended:
                self._changed.wait()
            return self._found.pop(path, None)

    def _jobs(self) -> Iterator[list[bytes]]:
        while True:
            with self._changed:
                count, end = 0, self._end
                while self._end > self._first and count < _BATCH:
                    self._end -= 1
                    count += self._counts[self._end]
                if self._end == end:
                    return
                job = self._paths[self._end : end]
            yield job

    def _drive(self) -> None:
        with (
            contextlib.suppress(Exception),  # the scan does what is not found
            Worker("dver.workspace.lister:Lister", self._root, bare=True) as worker,
        ):
            self._worker = worker
            waiting: deque[Sequence[bytes]] = deque()
            for job in self._jobs():
                worker.send(job)
                waiting.append(job)
                if len(waiting) == _AHEAD:
                    self._receive(worker, waiting.popleft())
            while waiting:
                self._receive(worker, waiting.popleft())
            worker.close()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _receive(self, worker: Worker, job: Sequence[bytes]) -> None:
        listed = worker.receive()
        with self._changed:
            self._found.update(zip(job, listed, strict=True))
            self._changed.notify_all()
