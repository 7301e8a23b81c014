"""Checkouts against somebody who swaps directories for symlinks and files for hardlinks meanwhile.

``python -m tests.security.race --tries 1000 --seed 1`` is the long campaign; the ordinary test run
has a short one. A process of its own swaps ``data/sub`` and directories in it for symlinks to
a directory outside, or to ``.git/hooks``, and files for hardlinks of files outside, as fast as it
can, while checkouts go back and forth between two versions that differ in every file. After each
try nothing outside may have changed: no name, no content, no mode. A try that ends in an error is
fine, and afterwards a checkout that is left alone must bring every byte.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dver.base.errors import DverError
from dver.formats.pointer import Pointer
from dver.workspace.checkout import apply_plan
from dver.workspace.planning import NOTHING
from dver.workspace.safedir import SafeRoot, remove_tree
from tests.support.workbench import ALWAYS, Link, Program, Workbench, read_back

_PLACES = (b"data", b"data/sub", b"data/sub/deep", b"data/sub/gone-too", b"data/new")
_FILES = (b"data/sub/gone", b"data/sub/deep/00", b"data/top")


def versions(bench: Workbench) -> tuple[Pointer, Pointer]:
    """Add two versions that differ in every file, in modes, and in what is a directory."""
    bench.write({b"sub/deep/%02d" % i: b"mine" for i in range(6)})
    bench.write({b"sub/new/x": b"1", b"sub/l": Link(b"deep"), b"top": Program(b"1")})
    bench.write({b"swap": b"a file", b"gone/a/b": b"1"})
    first = bench.add(moment=ALWAYS)
    with SafeRoot(bench.root) as safe:
        remove_tree(safe.open(b""), b"data")
    bench.write({b"sub/deep/%02d" % i: b"other" for i in range(6)})
    bench.write({b"sub/gone": b"1", b"sub/gone-too/y": b"2", b"sub/l": Link(b".."), b"top": b"1"})
    bench.write({b"swap/is": b"a directory", b"new/post-checkout": Program(b"#!/bin/sh\n")})
    return first, bench.add(moment=ALWAYS)


def trap(bench: Workbench) -> list[bytes]:
    """Make places outside that look just like what a checkout is about to change."""
    places = [os.fsencode(bench.base / "outside"), os.path.join(bench.root, b".git", b"hooks")]
    for place in places:
        for name in (b"deep/00", b"deep/01", b"gone", b"gone-too/y", b"new/x", b"top", b"00"):
            os.makedirs(os.path.dirname(os.path.join(place, name)), exist_ok=True)
            Path(os.fsdecode(os.path.join(place, name))).write_bytes(b"theirs")
    return places


def seen(places: list[bytes]) -> dict[bytes, object]:
    """Return all that is in the places, with modes."""
    found: dict[bytes, object] = {}
    for place in places:
        for name, content in read_back(place).items():
            path = os.path.join(place, name)
            found[path] = (content, os.lstat(path).st_mode)
    return found


def _attack(root: bytes, places: list[bytes], seed: int, begun: Any, stop: Any) -> None:
    rng = random.Random(seed)
    turn = 0
    begun.set()
    while not stop.is_set():
        turn += 1
        aside = os.path.join(root, b"aside-%d-%d" % (seed, turn))
        place = rng.choice(places)
        if rng.random() < 0.2:
            path = os.path.join(root, rng.choice(_FILES))
            with contextlib.suppress(OSError):
                os.link(os.path.join(place, b"gone"), aside)
                os.rename(aside, path)
            continue
        path = os.path.join(root, rng.choice(_PLACES))
        with contextlib.suppress(OSError):
            os.rename(path, aside)
            os.symlink(place, path)
            for _ in range(rng.randrange(60)):
                os.lstat(root)
        with contextlib.suppress(OSError):
            if os.path.islink(path):
                os.unlink(path)
        with contextlib.suppress(OSError):
            os.rename(aside, path)
        with contextlib.suppress(OSError):
            for _ in range(rng.randrange(60)):
                os.lstat(root)


@contextlib.contextmanager
def attacker(root: bytes, places: list[bytes], seed: int) -> Iterator[None]:
    """Let somebody swap things below a root until the block ends."""
    context = multiprocessing.get_context("spawn")
    begun, stop = context.Event(), context.Event()
    process = context.Process(target=_attack, args=(root, places, seed, begun, stop), daemon=True)
    process.start()
    try:
        # On a busy machine all tries might be over before there is anybody to race with.
        assert begun.wait(60)
        yield
    finally:
        stop.set()
        process.join()


def tidy(bench: Workbench) -> None:
    """Remove what the attacker left, so that the next tries begin as people's do."""
    for name in os.listdir(bench.root):
        if name.startswith(b"aside-") or name == b"data":
            # While the attacker is at it, something may appear where all was removed.
            with SafeRoot(bench.root) as safe, contextlib.suppress(OSError):
                remove_tree(safe.open(b""), name)


def campaign(base: Path, tries: int, seed: int) -> Counter[str]:
    """Run the tries; return how they ended. Raises AssertionError at the first escape."""
    bench = Workbench(base)
    both = versions(bench)
    places = trap(bench)
    expected = seen(places)
    ended: Counter[str] = Counter()
    with attacker(bench.root, places, seed):
        for turn in range(tries):
            if turn % 25 == 0:
                tidy(bench)
            try:
                plan = bench.plan(both[turn % 2], base=NOTHING, force=True)
                modes = (("copy",), ("hardlink", "copy"), ("symlink", "copy"))[turn // 2 % 3]
                result = apply_plan(plan, bench.root, bench.store, modes=modes)
                ended["failed in part" if result.failed else "done"] += 1
            except (DverError, OSError) as error:
                ended[type(error).__name__] += 1
            assert seen(places) == expected, f"try {turn} of seed {seed} changed something outside"
    tidy(bench)
    for pointer in both:
        bench.checkout(pointer, force=True)
        assert bench.now()[0] == pointer
    assert seen(places) == expected
    return ended


def main() -> int:
    """Run the campaign and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--tries", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dver-race-") as base:
        ended = campaign(Path(base), options.tries, options.seed)
    told = ", ".join(f"{count} {word}" for word, count in ended.most_common())
    print(f"{options.tries} tries, seed {options.seed}, {time.monotonic() - started:.0f} s: {told}")
    print("0 escapes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
