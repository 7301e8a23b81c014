"""Being told to stop by other signals than the interrupt from the terminal."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class StoppedError(KeyboardInterrupt):
    """The process was told to end; everything is cleaned up as after an interrupt."""


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise StoppedError in the block on SIGTERM and SIGHUP, unless somebody else handles them.

    A batch system ends its jobs so, and a terminal that is closed.
    """
    import signal

    def stop(number: int, _frame: object) -> None:
        # Once is enough: a second one must not break into the cleaning up.
        signal.signal(number, signal.SIG_IGN)
        raise StoppedError

    caught = []
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, stop)
                caught.append(number)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, signal.SIG_DFL)
