"""A bounded number of requests under way at once, with results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def each(
    jobs: int, items: Iterable[T], work: Callable[[T], R]
) -> Generator[tuple[T, R], None, None]:
    """Yield (item, ``work(item)``) in the order of the items, working on ``jobs`` at once.

    No more than ``jobs`` items are taken ahead of the one that is yielded, so that what the items
    and results hold stays bounded. The first error ends it: what has begun is waited for, what
    has not is dropped, and the error is raised here.
    """
    source = iter(items)
    if jobs <= 1:
        for item in source:
            yield item, work(item)
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    running: deque[tuple[T, Future[R]]] = deque()
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="dver-transfer")
    try:
        for item in source:
            running.append((item, pool.submit(work, item)))
            if len(running) > jobs:
                done, future = running.popleft()
                yield done, future.result()
        while running:
            done, future = running.popleft()
            yield done, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
