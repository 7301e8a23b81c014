"""Worker processes for work that is too small per item for threads to help.

A worker is a fresh interpreter that runs one function of dver over the jobs it is sent; its side
is :mod:`dver.base.serving`. Nothing is forked, so threads, notebooks and scripts without a
``__main__`` guard are safe; nothing is imported from the current directory (``-P``), which may be
a stranger's repository. Jobs and answers travel as :mod:`marshal` values (numbers, bytes, text,
lists, tuples, dicts) between two processes of one interpreter version, through pipes that nobody
else can reach.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from dver.base import errors
from dver.base.serving import receive, send

# Tidying the interpreter up takes several milliseconds, for which the caller would wait.
_BOOT = (
    # An interrupt reaches the caller as well, and it decides what becomes of the workers. The
    # public module would import enum for this, which takes longer than all else here.
    "import _signal; _signal.signal(_signal.SIGINT, _signal.SIG_IGN);"
    "import os, sys; sys.path.insert(0, sys.argv[1]);"
    "from dver.base.serving import main; main(sys.argv[2]);"
    "sys.stdout.flush(); sys.stderr.flush(); os._exit(0)"
)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_jobs(
    handler: str,
    setup: object,
    jobs: Iterable[object],
    *,
    workers: int,
    answered: Callable[[Any, Any], None],
    here: Callable[[Any], Any] | None = None,
) -> list[Any]:
    """Run every job in one of several worker processes; return each worker's closing answer.

    With ``here`` this process does jobs as well by calling it, so one worker less is needed, and
    the time in which workers start is not lost.

    ``handler`` names a class as ``module:Class``; each worker makes one with ``Class(setup)``,
    calls it with each job, and at the end calls ``close()``, whose answer is the closing one. If
    the work ends in another way ``abandon()`` is called where there is one, unless the worker was
    killed. ``answered(job, answer)`` is called in this process, one call at a time. Errors of dver
    raised in a worker are raised here again, after all workers have stopped.
    """
    queue = _Queue(jobs)
    running: list[Worker] = []
    closing: list[Any] = []
    failures: list[BaseException] = []

    def serve() -> None:
        try:
            with Worker(handler, setup) as worker:
                running.append(worker)
                for job in queue:
                    worker.send(job)
                    answer = worker.receive()
                    with queue.lock:
                        if queue.stopped:
                            return  # the caller has left, or is about to
                        try:
                            answered(job, answer)
                        except BaseException:
                            queue.stopped = True
                            raise
                last = None if queue.stopped else worker.close()
                with queue.lock:
                    closing.append(last)
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread below
            queue.stopped = True
            failures.append(error)

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(max(workers, 1))]
    for thread in threads:
        thread.start()
    try:
        _do_here(here, queue, answered, failures)
        for thread in threads:
            thread.join()
    except BaseException:
        # An interrupt: whoever cleans up after it must not meet workers that still write.
        queue.stopped = True
        for worker in running:
            worker.kill()
        for thread in threads:
            thread.join(1.0)
        raise
    if failures:
        raise failures[0]
    return closing


def _do_here(
    here: Callable[[Any], Any] | None,
    queue: _Queue,
    answered: Callable[[Any, Any], None],
    failures: list[BaseException],
) -> None:
    if here is None:
        return
    try:
        for job in queue:
            answer = here(job)
            with queue.lock:
                if queue.stopped:
                    return
                answered(job, answer)
    except Exception as error:  # noqa: BLE001 - raised when the workers have done their last job
        queue.stopped = True
        failures.append(error)


class _Queue:
    """Jobs handed to several threads, each to one of them, until somebody stops it."""

    def __init__(self, jobs: Iterable[object]) -> None:
        self._source = iter(jobs)
        self.lock = threading.Lock()
        self.stopped = False

    def __iter__(self) -> Iterator[object]:
        while not self.stopped:
            with self.lock:
                try:
                    job = next(self._source)
                except StopIteration:
                    return
            yield job


class Worker:
    """One worker process, for a caller that sends it several jobs ahead.

    Answers come in the order of the jobs. What waits unanswered must fit the buffers of two pipes,
    64 KiB each way, or both sides wait for each other. Leave the ``with`` block without
    :meth:`close` and the work is abandoned.
    """

    #: How long (seconds) a worker may take to give up before it is killed.
    _GRACE = 5.0

    def __init__(self, handler: str, setup: object, *, bare: bool = False) -> None:
        """Start the process; a ``bare`` one has the standard library only, and starts sooner."""
        import subprocess

        package_parent = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
        command = [sys.executable, "-SP" if bare else "-P", "-c", _BOOT, package_parent, handler]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=True
            )
        except OSError as error:
            raise errors.SystemFailure(f"cannot start a worker process: {error}") from error
        self._stdin: Any = self._process.stdin
        self._stdout: Any = self._process.stdout
        self._ready = False
        try:
            self._tell(("setup", setup))
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise

    def send(self, job: object) -> None:
        """Send one job."""
        self._tell(("job", job))

    def close(self) -> Any:
        """Return the handler's closing answer, when all answers were received."""
        self._tell(("close", None))
        return self.receive()

    def _tell(self, message: tuple[str, object]) -> None:
        try:
            send(self._stdin, message)
        except OSError as error:
            raise _died() from error

    def receive(self) -> Any:
        """Return the next answer, or raise what the handler raised, while it was made or since."""
        if not self._ready:
            # Only now, so that the process starts while the caller prepares its first jobs.
            self._ready = True
            self.receive()
        try:
            status, value = receive(self._stdout)
        except (OSError, EOFError) as error:
            raise _died() from error
        if status == "ok":
            return value
        if status == "error":
            name, text, hint, paths = value
            kind = getattr(errors, name, errors.DverError)
            raise kind(text, hint=hint, paths=paths)
        raise RuntimeError(f"a worker process failed:\n{value}")

    def kill(self) -> None:
        """End the process at once; who waits for its answer gets SystemFailure."""
        self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        from subprocess import TimeoutExpired

        with contextlib.suppress(OSError):
            self._stdin.close()
        # Nobody reads answers any more: a worker that would write one must not wait for that.
        self._stdout.close()
        try:
            self._process.wait(self._GRACE)
        except TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _died() -> errors.SystemFailure:
    return errors.SystemFailure("a worker process died", hint="run it again")
