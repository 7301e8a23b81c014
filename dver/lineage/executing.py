"""Running a command whose output is both shown and kept."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Literal

from dver.base import clock
from dver.base.dataclass import dataclass
from dver.base.errors import NotFoundError, SystemFailure
from dver.base.quoting import show

#: So much of the end of what a command prints is kept (bytes).
KEPT_OUTPUT = 16 << 20
#: How long a command that was told to stop may take to do so (seconds).
_GRACE = 10.0

Stream = Literal["stdout", "stderr"]
#: Takes what a command prints, as it comes.
Sink = Callable[[Stream, bytes], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended. Times are nanoseconds since 1970, by the wall clock.

    ``exit`` is what a shell would say: the exit code, or 128 plus the number of the ``signal``.
    ``milliseconds`` is measured by a clock that is never set. ``peak_rss`` is in bytes, 0 where
    the system does not tell. ``interrupted``: whoever started dver told it to stop.
    """

    started: int
    finished: int
    milliseconds: int
    exit: int
    signal: str
    peak_rss: int
    stdout: bytes
    stderr: bytes
    interrupted: bool = False


def find_program(argv: Sequence[str], cwd: str, env: Mapping[str, str]) -> None:
    """Raise NotFoundError if there is no such program, before anything is done for it."""
    name = argv[0]
    if os.sep in name or (os.altsep is not None and os.altsep in name):
        there = os.access(os.path.join(cwd, name), os.X_OK)
    else:
        there = shutil.which(name, path=env.get("PATH")) is not None
    if not there:
        raise NotFoundError(
            f"there is no program {show(name)} to run",
            hint="check the name, and the PATH or the virtual environment",
        )


def execute(argv: Sequence[str], cwd: str, env: Mapping[str, str], sink: Sink) -> Outcome:
    """Run a command to its end, with the standard input of this process.

    An interrupt reaches the command first, as it does in a shell, and is answered for by
    ``interrupted``. Raises SystemFailure if it cannot be started.
    """
    started, begun = clock.now_ns(), clock.monotonic()
    try:
        process = subprocess.Popen(
            argv, cwd=cwd, env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise SystemFailure(f"cannot run {show(argv[0])}: {reason}") from error
    tails = {"stdout": _Tail(), "stderr": _Tail()}
    threads = [
        threading.Thread(target=_copy, args=(pipe, name, tails[name], sink), daemon=True)
        for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr))
    ]
    for thread in threads:
        thread.start()
    usage: list[int] = []
    _running.add(process.pid)
    try:
        interrupted = _wait(process, usage)
    finally:
        _running.discard(process.pid)
    for thread in threads:
        # A process that the command left behind may hold the pipes open for ever.
        thread.join(_GRACE if interrupted else None)
    code = process.returncode
    name = ""
    if code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
        code = 128 - code
    return Outcome(
        started,
        clock.now_ns(),
        round((clock.monotonic() - begun) * 1000),
        code,
        name,
        usage[0] if usage else 0,
        tails["stdout"].data(),
        tails["stderr"].data(),
        interrupted,
    )


#: The commands that run in this process now.
_running: set[int] = set()


def stop_running() -> None:
    """Tell the commands that other threads wait for to end; they are recorded as such."""
    for pid in list(_running):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)


class _Tail:
    """The end of a stream."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        while self._size - len(self._parts[0]) >= KEPT_OUTPUT:
            self._size -= len(self._parts.pop(0))

    def data(self) -> bytes:
        return b"".join(self._parts)[-KEPT_OUTPUT:]


def _copy(pipe: IO[bytes], name: Stream, tail: _Tail, sink: Sink) -> None:
    with pipe:
        while data := os.read(pipe.fileno(), 1 << 16):
            tail.add(data)
            sink(name, data)


def _wait(process: subprocess.Popen[bytes], usage: list[int]) -> bool:
    """Wait for the end; say whether this process was told to stop meanwhile."""
    try:
        _reap(process, usage)
    except KeyboardInterrupt as told:
        # The terminal told the command as well; whoever told only dver means both.
        if type(told) is not KeyboardInterrupt:
            process.terminate()
        deadline = clock.monotonic() + _GRACE
        while process.poll() is None and clock.monotonic() < deadline:
            with contextlib.suppress(KeyboardInterrupt):
                clock.sleep(0.05)
        if process.poll() is None:
            process.kill()
        process.wait()
        return True
    return False


def _reap(process: subprocess.Popen[bytes], usage: list[int]) -> None:
    if not hasattr(os, "wait4"):
        process.wait()
        return
    _, status, resources = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    usage.append(resources.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
