"""Every parser of what others wrote, fed with damage: only documented errors, little memory, fast.

``python -m tests.security.fuzz --inputs 1000000 --seed 1`` is the long campaign; the ordinary test
run has a short one. Inputs begin as golden samples and as random values of each format, and are
damaged one to eight times: bits, lengths, numbers at their limits, pieces cut, doubled, moved and
spliced between samples, words of the format, and, where a format has checksums, half of them sealed
again so that only the parser can object. An input with an outcome that was not seen before is kept
and damaged further.

Each input must be taken or refused with the error that the parser documents, in a second of
processor time, within 256 MiB of memory beyond what the process had before, and what is taken must
be spelled back byte for byte where a format has one spelling only. Findings are printed with their
bytes, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import re
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tests.security.parsers import Target, random_values, scratch, targets

MEMORY = 256 << 20
SECONDS = 1.0
_KEPT = 400
_WORKERS = max(os.cpu_count() or 1, 1)


# -- damage ----------------------------------------------------------------------------------------

_NUMBERS = (0, 1, 2, 31, 32, 127, 128, 255, 256, 4096, 65535, 1 << 16, 1 << 20, (1 << 20) + 1)
_NUMBERS += ((1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


def damaged(rng: random.Random, data: bytes, target: Target, corpus: list[bytes]) -> bytes:
    """Return an input after one to eight accidents or attacks."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4, 8))):
        _damage(rng, out, target, corpus)
        del out[1 << 18 :]
    made = bytes(out)
    if target.seal is not None and rng.random() < 0.5:
        made = target.seal(made)
    return made


def _damage(rng: random.Random, out: bytearray, target: Target, corpus: list[bytes]) -> None:
    at = rng.randrange(len(out) + 1)
    end = min(at + rng.choice((1, 2, 4, 8, 16, 40, 56, 100)), len(out))
    how = rng.randrange(12)
    if how == 0 and at < len(out):
        out[at] ^= 1 << rng.randrange(8)
    elif how == 1 and at < len(out):
        out[at] = rng.randrange(256)
    elif how == 2:
        del out[at:]
    elif how == 3:
        del out[at:end]
    elif how == 4:
        out[at:at] = rng.randbytes(rng.choice((1, 2, 8, 32, 60)))
    elif how == 5:
        out[at:at] = out[at:end] * rng.choice((1, 2, 7, 100))
    elif how in (6, 7):
        width = rng.choice((1, 2, 4, 8))
        number = rng.choice(_NUMBERS) & ((1 << 8 * width) - 1)
        if rng.random() < 0.3 and at + width <= len(out):
            number = int.from_bytes(out[at : at + width], "little") + rng.choice((-1, 1, 8, -8))
        out[at : at + width] = (number % (1 << 8 * width)).to_bytes(width, "little")
    elif how == 8:
        other = rng.choice(corpus)
        start = rng.randrange(len(other) + 1)
        out[at:end] = other[start : start + rng.choice((4, 32, 100, 1000))]
    elif how == 9 and target.words:
        out[at:at] = rng.choice(target.words) * rng.choice((1, 1, 1, 3, 50, 3000))
    elif how == 10 and target.words:
        out[at:end] = rng.choice(target.words)
    else:
        there = rng.randrange(len(out) + 1)
        out[there:there] = out[at:end]


# -- running ---------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What came of one parser."""

    inputs: int = 0
    taken: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    findings: list[tuple[str, str]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count another worker's."""
        self.inputs += other.inputs
        self.taken += other.taken
        self.outcomes.update(other.outcomes)
        self.slowest = max(self.slowest, other.slowest)
        self.findings += other.findings


class TooSlowError(BaseException):
    """An input took longer than any may."""


def _alarm(_signal: int, _frame: FrameType | None) -> None:
    raise TooSlowError


def try_one(target: Target, data: bytes, tally: Tally) -> bool:
    """Run one input; say whether its outcome is a new one."""
    tally.inputs += 1
    started = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        target.run(data)
        outcome = "taken"
    except target.errors as error:
        message = getattr(error, "message", str(error))
        outcome = re.sub(r"['\"].*['\"]|[0-9a-f]{16,}|\d+", "#", message)[:120]
        if not message.isprintable() or len(message) > 1000:
            tally.findings.append((f"message {message[:200]!r}", data.hex()))
    except TooSlowError:
        outcome = "too slow"
        tally.findings.append((outcome, data.hex()))
    except MemoryError:
        outcome = "too much memory"
        tally.findings.append((outcome, data.hex()))
    except BaseException as error:
        outcome = f"{type(error).__name__}: {error}"[:200]
        tally.findings.append((outcome, data.hex()))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    tally.slowest = max(tally.slowest, time.process_time() - started)
    tally.taken += outcome == "taken"
    tally.outcomes[outcome] += 1
    return tally.outcomes[outcome] == 1


def campaign(target: Target, inputs: int, seed: int, more: list[bytes]) -> Tally:
    """Feed one parser that many inputs."""
    rng = random.Random(f"{target.name} {seed}")
    tally = Tally()
    corpus = [*target.seeds, *more]
    before = signal.signal(signal.SIGPROF, _alarm)
    try:
        for data in corpus[:inputs]:
            try_one(target, data, tally)
        while tally.inputs < inputs:
            data = damaged(rng, rng.choice(corpus), target, corpus)
            if try_one(target, data, tally) and len(corpus) < _KEPT and len(data) < 65536:
                corpus.append(data)
            if len(tally.findings) >= 20:
                break
    finally:
        signal.signal(signal.SIGPROF, before)
    return tally


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """Let the process have no more than 256 MiB beyond what it has mapped now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _work(job: tuple[str, int, int, list[bytes]]) -> tuple[str, Tally, int]:
    name, inputs, seed, more = job
    target = targets()[name]
    for data in target.seeds:  # what is imported at the first use is not the input's fault
        with contextlib.suppress(*target.errors):
            target.run(data)
    try:
        with bounded_memory():
            tally = campaign(target, inputs, seed, more)
    finally:
        while scratch:
            scratch.pop().cleanup()
    return name, tally, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def main() -> int:
    """Run the campaign and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000, help="over all parsers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="one parser")
    parser.add_argument("--workers", type=int, default=_WORKERS)
    options = parser.parse_args()
    chosen = [options.only] if options.only else list(targets())
    values = random_values(options.seed, 200)
    rounds = 8
    each = -(-options.inputs // (len(chosen) * rounds))
    jobs = [
        (name, each, options.seed * 1000 + turn, values.get(name, []))
        for turn in range(rounds)
        for name in chosen
    ]
    tallies: dict[str, Tally] = {name: Tally() for name in chosen}
    peak = 0
    started = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.workers, maxtasksperchild=4) as pool:
        for name, tally, rss in pool.imap_unordered(_work, jobs):
            tallies[name].add(tally)
            peak = max(peak, rss)
    for name, tally in tallies.items():
        print(
            f"{name:16} {tally.inputs:8,} inputs  {tally.taken:8,} taken  "
            f"{len(tally.outcomes):4} outcomes  slowest {tally.slowest * 1000:6.1f} ms  "
            f"{len(tally.findings)} findings"
        )
    total = sum(tally.inputs for tally in tallies.values())
    findings = [(name, *one) for name, tally in tallies.items() for one in tally.findings]
    print(
        f"{total:,} inputs, seed {options.seed}, {time.monotonic() - started:.0f} s, "
        f"peak memory of a process {peak} MiB, {len(findings)} findings"
    )
    for name, what, data in findings[:50]:
        print(f"{name}: {what}\n    {data[:4000]}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
