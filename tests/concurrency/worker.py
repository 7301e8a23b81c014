"""A process of a campaign: a pusher or a collector, told what to do by its arguments.

``python -m tests.concurrency.worker push PLACE DIRECTORY SEED ROUNDS [STOP_AT]`` pushes that many
versions and prints a line of JSON for each that was acknowledged. With STOP_AT it stops itself
(SIGSTOP) before the request of that number. ``collect PLACE DIRECTORY SEED GRACE`` collects
garbage until its standard input is closed. PLACE is the JSON of :class:`Place`.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dver.base.errors import CorruptError, DverError, RefusedError, RemoteError
from dver.base.reporter import SILENT
from dver.formats.root import Root
from dver.storage.base import Storage
from dver.storage.factory import open_storage
from dver.transfer.gc.collect import Kept, collect
from tests.transfer.world import Clone, Nested, noise

#: What is pushed below this path may be dropped by any collection.
PASSING = "passing"
#: Files that all pushers take from, so that they rely on each other's packs.
POOL = 40
TRIES = 4


@dataclass(frozen=True)
class Place:
    """Where the remote is."""

    url: str
    options: dict[str, str] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)

    def open(self) -> Storage:
        return open_storage(self.url, self.options, environ=self.environ, base=Path("/"))

    def text(self) -> str:
        return json.dumps(asdict(self))


def content(seed: int) -> Nested:
    """Return a directory: some files of the pool, in some order, and one of its own."""
    choice = random.Random(seed)
    chosen = choice.sample(range(POOL), 12)
    return {"own": noise(seed, 700), **{f"p{one:02}": noise(-1 - one, 2500) for one in chosen}}


class StopAt:
    """Stops this process before the request of some number."""

    def __init__(self, number: int) -> None:
        self._left = number

    def __call__(self, verb: str, key: str) -> None:
        self._left -= 1
        if self._left == -1:
            os.kill(os.getpid(), signal.SIGSTOP)


def push_all(place: Place, directory: Path, seed: int, rounds: int, stop_at: int | None) -> int:
    """Push versions, each under a path of its own; say which were acknowledged."""
    clone = Clone(directory, place.open())
    if stop_at is not None:
        clone.storage.hook = StopAt(stop_at)
    failures = 0
    for number in range(rounds):
        key = seed * 1000 + number
        passing = number % 2 == 1 and rounds > 1
        one = clone.add(f"{PASSING if passing else 'kept'}/{key}", content(key))
        for _ in range(TRIES):
            try:
                pushed = clone.push(one)
            except RemoteError as error:
                failures += 1
                print(json.dumps({"failed": error.message}), flush=True)
                continue
            assert not pushed.lost
            print(json.dumps({"seed": key, "path": one.path}), flush=True)
            break
    return 0 if failures <= rounds else 1


def drop_passing(roots: Mapping[str, Root], ages: Mapping[str, float]) -> dict[str, Kept]:
    """Drop what may be dropped."""
    return {
        session: Kept(())
        for session, root in roots.items()
        if all(one.path.startswith(PASSING) for one in root.objects) and ages[session] > 0.2
    }


def collect_all(place: Place, directory: Path, seed: int, grace: int) -> int:
    """Collect until told to end; say how much each collection deleted."""
    clone = Clone(directory, place.open())
    choice = random.Random(seed)
    while not select.select([sys.stdin], [], [], choice.uniform(0.0, 0.3))[0]:
        try:
            done = collect(
                clone.store,
                clone.remote(),
                grace=grace,
                policy=drop_passing,
                reporter=SILENT,
            )
        except RefusedError as error:
            # Before the first push, and where a push fills an empty remote.
            print(json.dumps({"refused": error.message}), flush=True)
        except (RemoteError, CorruptError) as error:
            print(json.dumps({"failed": error.message}), flush=True)
        else:
            print(
                json.dumps(
                    {
                        "deleted": len(done.swept.deleted),
                        "spared": len(done.swept.spared),
                        "voided": len(done.swept.voided),
                        "dropped": len(done.dropped),
                    }
                ),
                flush=True,
            )
    return 0


def main(args: list[str]) -> int:
    verb, place, directory, seed, *rest = args
    where = Place(**json.loads(place))
    numbers = [int(text) for text in rest]
    try:
        if verb == "push":
            stop_at = numbers[1] if len(numbers) > 1 else None
            return push_all(where, Path(directory), int(seed), numbers[0], stop_at)
        return collect_all(where, Path(directory), int(seed), numbers[0])
    except DverError as error:
        print(json.dumps({"ended": error.message}), flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
