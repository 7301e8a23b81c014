"""The same work with one worker and with two."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench import table, workloads
from tests.bench.lab import Lab, fresh_store, wipe
from tests.bench.measure import Contender, compare

_WORKERS = (1, 2)
_MARKS = {"add": 1.6}


def cores(lab: Lab, runs: int, keep: Callable[[dict[str, Any]], None]) -> int:
    """Measure, print, and keep {work: {workers: figures}}; return how many marks are missed."""
    count, size = lab.many(100_000), lab.size(2_000_000_000, 20_000_000)
    works = {
        "add": (f"add {count:,} x 4 KB", *_small(lab, count)),
        "checkout": (f"checkout {count:,} x 4 KB", *_checkout(lab, count)),
        "large-add": (f"add one file of {size / 1e9:.2f} GB", *_large(lab, size)),
        "fsck": ("fsck --full of that file", *_fsck(lab, size)),
    }
    print(f"\ndver with {_WORKERS[0]} and {_WORKERS[1]} workers (core.workers)\n")
    print(table.head(["work", "1 worker", "CPU", "2 workers", "CPU", "faster by, and mark"]))
    missed = 0
    for key, (name, argv, repo, before) in works.items():
        contenders = [
            Contender(str(n), argv, repo, before, env={"DVER_CORE_WORKERS": str(n)})
            for n in _WORKERS
        ]
        one, two = compare(contenders, lab.env, runs)
        ratio = one.median / two.median
        verdict = f"{ratio:.2f} x"
        if key in _MARKS:
            missed += ratio < _MARKS[key]
            verdict += f" (mark at least {_MARKS[key]} x: {table.sign(ratio >= _MARKS[key])})"
        cells = [table.seconds(x) for x in (one.median, one.cpu, two.median, two.cpu)]
        print(table.line([name, *cells, verdict]), flush=True)
        keep({
            key: {s.name: {"seconds": s.median, "cpu": s.cpu, "peak": s.peak} for s in (one, two)}
        })  # fmt: skip
    for path in lab.root.glob("cores*"):
        shutil.rmtree(path)
    return missed


Work = tuple[tuple[str, ...], Path, Callable[[], None]]


def _small(lab: Lab, count: int) -> Work:
    repo = lab.files("cores-add", count, add=False)
    return (*lab.dver, "add", "data"), repo, fresh_store(repo, repo / "data.dver")


def _checkout(lab: Lab, count: int) -> Work:
    repo = lab.files("cores-out", count)
    return (*lab.dver, "checkout"), repo, wipe(repo / "data")


def _large(lab: Lab, size: int) -> Work:
    repo = lab.repo("cores-large")
    workloads.large_file(repo / "big.bin", size)
    return (*lab.dver, "add", "big.bin"), repo, fresh_store(repo, repo / "big.bin.dver")


def _fsck(lab: Lab, size: int) -> Work:
    repo = lab.repo("cores-fsck")
    workloads.large_file(repo / "big.bin", size)
    lab.add(repo, "big.bin")
    return (*lab.dver, "fsck", "--full"), repo, lambda: None
