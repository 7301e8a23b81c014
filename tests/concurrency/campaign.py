"""Many pushers and collectors on one remote, and what must be there in the end.

``python -m tests.concurrency.campaign --pushers 32 --rounds 20`` is the long form; the tests run a
short one. Each acknowledged version must be there, byte for byte, before and after a last
collection, unless it was pushed to be dropped.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dver.base.reporter import SILENT
from dver.transfer.gc.collect import collect
from dver.transfer.remote import lost_packs
from tests.concurrency.worker import PASSING, Place, content
from tests.support.s3server import S3Server, moto_server, rclone_server
from tests.transfer.world import Clone, flat

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Outcome:
    """What the processes said."""

    acknowledged: dict[int, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    collections: int = 0
    deleted: int = 0
    voided: int = 0
    spared: int = 0
    dropped: int = 0
    exits: list[int] = field(default_factory=list)

    def take(self, line: dict[str, Any]) -> None:
        if "seed" in line:
            self.acknowledged[line["seed"]] = line["path"]
        elif "deleted" in line:
            self.collections += 1
            self.deleted += line["deleted"]
            self.voided += line["voided"]
            self.spared += line["spared"]
            self.dropped += line["dropped"]
        elif "refused" not in line:
            self.failed.append(str(line))


def start(*args: object) -> subprocess.Popen[bytes]:
    """Start a worker; its standard input stays open, and closing it ends a collector."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.concurrency.worker", *map(str, args)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def run(
    place: Place,
    directory: Path,
    *,
    pushers: int,
    rounds: int,
    collectors: int = 2,
    grace: int = 0,
    seed: int = 1,
    limit: float = 3600.0,
) -> Outcome:
    """Let pushers and collectors run until the last pusher has ended."""
    first = Clone(directory / "first", place.open())
    first.push(first.add("kept/first", content(0)))
    outcome = Outcome({0: "kept/first"})
    collecting = [
        start("collect", place.text(), directory / f"gc{number}", seed + number, grace)
        for number in range(collectors)
    ]
    pushing = [
        start("push", place.text(), directory / f"p{number}", seed * 100 + number + 1, rounds)
        for number in range(pushers)
    ]
    deadline = time.monotonic() + limit
    for process in [*pushing, *collecting]:
        out, _ = process.communicate(timeout=max(1.0, deadline - time.monotonic()))
        outcome.exits.append(process.returncode)
        for line in out.splitlines():
            outcome.take(json.loads(line))
    return outcome


def check(place: Place, directory: Path, outcome: Outcome) -> list[str]:
    """Return what is wrong: nothing, or versions that were acknowledged and are not there."""
    problems = [f"exit codes {outcome.exits}"] if any(outcome.exits) else []
    kept = {
        seed: path for seed, path in outcome.acknowledged.items() if not path.startswith(PASSING)
    }
    for name in ("before", "after"):
        clone = Clone(directory / name, place.open())
        for seed, path in sorted(kept.items()):
            expected = Clone(directory / f"{name}-source", place.open()).add(path, content(seed))
            if clone.fetch(expected).lost:
                problems.append(f"{path} is incomplete {name} the last collection")
            elif clone.content(expected) != flat(content(seed)):
                problems.append(f"{path} differs {name} the last collection")
        remote = clone.remote()
        collect(clone.store, remote, grace=0, reporter=SILENT)
        remote.refresh_roots()
        named = {one.path for root in remote.roots.values() for one in root.objects}
        problems += [f"{path} has no root" for path in kept.values() if path not in named]
        remote.refresh_index(whole=True)
        lost = lost_packs(remote.index.packs(), remote.list_packs())
        if lost - remote.list_notices().swept_packs():
            problems.append(f"the index names packs that are gone, {name} the last collection")
    return problems


def stopped_push(
    place: Place, directory: Path, number: int, between: Any
) -> tuple[bool, bool, Outcome]:
    """Stop a pusher before a request, do something, and let it go on.

    Returns whether it came so far, whether it succeeded, and what it said.
    """
    process = start("push", place.text(), directory / "stopped", 777, 1, number)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    came = os.WIFSTOPPED(status)
    if came:
        try:
            between()
        finally:
            os.kill(process.pid, signal.SIGCONT)
        _, status = os.waitpid(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    outcome = Outcome()
    assert process.stdout is not None
    assert process.stdin is not None
    with process.stdout, process.stdin:
        for line in process.stdout.read().splitlines():
            outcome.take(json.loads(line))
    return came, bool(outcome.acknowledged), outcome


def on_server(server: S3Server) -> Place:
    """Return a new place on an S3 server."""
    return Place(server.new_url(), server.options, server.environ)


def main() -> int:
    """Run the long form, and say what came of it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--pushers", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--collectors", type=int, default=2)
    parser.add_argument("--grace", type=int, default=1, help="seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--server", choices=["directory", "rclone", "moto"], default="directory")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if given.server == "directory":
            (directory / "remote").mkdir()
            place = Place(str(directory / "remote"))
        elif given.server == "rclone":
            place = on_server(stack.enter_context(rclone_server(directory / "buckets")))
        else:
            place = on_server(stack.enter_context(moto_server()))
        began = time.monotonic()
        outcome = run(
            place,
            directory,
            pushers=given.pushers,
            rounds=given.rounds,
            collectors=given.collectors,
            grace=given.grace,
            seed=given.seed,
        )
        problems = check(place, directory, outcome)
        print(
            f"{given}: {len(outcome.acknowledged)} versions acknowledged,"
            f" {len(outcome.failed)} attempts failed, {outcome.collections} collections"
            f" ({outcome.deleted} packs deleted, {outcome.spared} spared, {outcome.voided} sessions"
            f" voided, {outcome.dropped} roots dropped), {time.monotonic() - began:.0f} s"
        )
        print("\n".join(problems) or "nothing is lost")
        return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
