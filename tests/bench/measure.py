"""Time whole processes: wall seconds and peak memory by the kernel's own account."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One finished process: wall and CPU seconds, peak resident bytes of it or a child."""

    seconds: float
    cpu: float
    peak: int


@dataclass
class Series:
    """The runs of one command."""

    name: str
    runs: list[Run] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(run.seconds for run in self.runs)

    @property
    def cpu(self) -> float:
        return statistics.median(run.cpu for run in self.runs)

    @property
    def span(self) -> tuple[float, float]:
        return min(r.seconds for r in self.runs), max(r.seconds for r in self.runs)

    @property
    def peak(self) -> int:
        return max(run.peak for run in self.runs)


class Failed(Exception):
    """A benchmarked command failed."""


# A small process of its own, so that the peak is that command's and nobody else's.
_TIMER = """
import os, resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL)
seconds = time.perf_counter() - start
use = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    print(seconds, use.ru_utime + use.ru_stime, use.ru_maxrss * 1024, file=file)
sys.exit(done.returncode)
"""


def run(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Run:
    """Run a command to its end; raises Failed with its output if it does not succeed."""
    with tempfile.TemporaryDirectory() as temp:
        figures = os.path.join(temp, "figures")
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _TIMER, figures, *argv],
            cwd=cwd,
            env=dict(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            output = done.stdout.decode(errors="replace")[-2000:]
            raise Failed(f"{' '.join(argv)} ended with {done.returncode}:\n{output}")
        seconds, cpu, peak = Path(figures).read_text().split()
    return Run(float(seconds), float(cpu), int(peak))


def nothing() -> None:
    """Do nothing: what most commands need before and after them."""


@dataclass(frozen=True)
class Contender:
    """One way to do the work: its command, where it runs, and what makes each run a fresh one.

    ``argv`` may be a function, which is asked after ``before`` was called. ``runs`` bounds the
    number of runs of what takes long.
    """

    name: str
    argv: tuple[str, ...] | Callable[[], tuple[str, ...]]
    cwd: Path
    before: Callable[[], object] = nothing
    env: Mapping[str, str] = field(default_factory=dict)
    runs: int | None = None
    after: Callable[[], object] = nothing


def compare(contenders: Sequence[Contender], env: Mapping[str, str], runs: int) -> list[Series]:
    """Run the contenders in turn, A B C A B C ..., so that a drifting machine hits all alike."""
    series = [Series(one.name) for one in contenders]
    for number in range(runs):
        for one, figures in zip(contenders, series, strict=True):
            if one.runs is not None and number >= one.runs:
                continue
            one.before()
            argv = one.argv() if callable(one.argv) else one.argv
            figures.runs.append(run(argv, one.cwd, {**env, **one.env}))
            one.after()
    return series


def machine() -> str:
    """Describe the machine in a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"{platform.system()} {platform.release()}, {platform.machine()}, {cores} cores,"
        f" {memory:.0f} GiB, load {load}, Python {platform.python_version()},"
        f" measured {time.strftime('%Y-%m-%d', time.gmtime())}"
    )
