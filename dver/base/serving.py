"""What a worker process does: serve jobs from standard input until it ends.

The other side is :mod:`dver.base.workers`. The caller waits until this process is up, so all that
is imported here is built into the interpreter; the handler imports what it needs.
"""

from __future__ import annotations

import marshal
import os
import sys

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from typing import IO, Any

#: A message is its length, in so many bytes in little-endian order, and then its marshal form.
_LENGTH = 8


def send(stream: IO[bytes], value: Any) -> None:
    """Write one message."""
    data = marshal.dumps(value)
    stream.write(len(data).to_bytes(_LENGTH, "little") + data)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read one message. Raises EOFError where there is none any more."""
    head = stream.read(_LENGTH)
    if len(head) < _LENGTH:
        raise EOFError
    return marshal.loads(stream.read(int.from_bytes(head, "little")))  # noqa: S302 - our own kin


def main(handler: str) -> None:
    """Serve one handler, ``module:Class``, see :func:`dver.base.workers.run_jobs`."""
    stdin, stdout = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what somebody prints is no answer
    module, _, name = handler.partition(":")
    running: Any = None
    try:
        while True:
            verb, value = receive(stdin)
            answer: object = None
            try:
                if verb == "setup":
                    __import__(module)
                    running = getattr(sys.modules[module], name)(value)
                elif verb == "job":
                    answer = running(value)
                else:
                    answer = running.close()
                    running = None
                reply: tuple[str, object] = ("ok", answer)
            except Exception as error:  # noqa: BLE001 - the caller raises or shows it
                reply = _failed(error)
            send(stdout, reply)
    except (EOFError, BrokenPipeError):
        if hasattr(running, "abandon"):
            running.abandon()
    try:  # noqa: SIM105 - contextlib would have to be read from the disk
        stdout.close()
    except OSError:
        pass


def _failed(error: Exception) -> tuple[str, object]:
    from dver.base.errors import DverError

    if isinstance(error, DverError):
        return "error", (type(error).__name__, error.message, error.hint, error.paths)
    import traceback

    return "bug", traceback.format_exc()
