"""How many requests S3 gets, counted by a proxy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import table, workloads
from tests.bench.cloud import Cloud
from tests.bench.lab import Lab, fresh_store
from tests.bench.measure import run

#: After so many pushes of 100 changed files each one file is pulled again.
SMALL_PUSHES = (5, 10, 20)

Keep = Callable[[dict[str, Any]], None]


@dataclass
class Counting:
    """Runs commands of dver and prints what each of them asked of the server."""

    lab: Lab
    cloud: Cloud
    keep: Keep
    missed: int = 0

    def command(
        self,
        name: str,
        repo: Path,
        *words: str,
        requests: int | None = None,
        received: float | None = None,
    ) -> None:
        """Run one command; ``requests`` and ``received`` (bytes) are the most it may cost."""
        proxy = self.cloud.proxy
        assert proxy is not None
        proxy.reset()
        done = run((*self.lab.dver, *words), repo, {**self.lab.env, **self.cloud.env})
        counts = proxy.counts
        verdicts = []
        if requests is not None:
            verdicts.append(f"mark {requests}: {table.sign(counts.requests <= requests)}")
        if received is not None:
            held = table.sign(counts.received <= received)
            verdicts.append(f"mark {table.amount(received, 'B')}: {held}")
        self.missed += sum("MISSED" in one for one in verdicts)
        methods = ", ".join(f"{n} {method}" for method, n in sorted(counts.methods.items()))
        sent, got = table.amount(counts.sent, "B"), table.amount(counts.received, "B")
        cells = [name, f"{counts.requests} ({methods})", sent, got, table.seconds(done.seconds)]
        print(table.line([*cells, "; ".join(verdicts)]), flush=True)
        self.keep(
            {
                name: {
                    "requests": dict(counts.methods),
                    "sent": counts.sent,
                    "received": counts.received,
                    "seconds": done.seconds,
                }
            }
        )


def requests(lab: Lab, keep: Keep) -> int:
    """Count, print and keep; return how many marks are missed."""
    counting = Counting(lab, Cloud(lab, latency=0.0), keep)
    print("\nS3 requests, counted by a proxy\n")
    print(table.head(["work", "requests", "sent", "received", "wall", "marks"]))
    sharing(counting)
    in_large_remote(counting)
    return counting.missed


def sharing(counting: Counting) -> None:
    """Count for a directory of many files, pushed and pulled."""
    lab, cloud = counting.lab, counting.cloud
    count = lab.many(100_000)
    changed = lab.many(1000)
    repo = lab.files("requests", count)
    cloud.attach(repo)
    workloads.commit(repo, lab.env)
    counting.command(f"push {count:,} files", repo, "push")
    counting.command("push with nothing new", repo, "push", requests=3)
    workloads.change_files(repo / "data", changed, seed=9)
    lab.add(repo, "data")
    counting.command(f"push with {changed:,} changed files", repo, "push", requests=8)
    clone = lab.clone(repo, "requests-clone")
    counting.command("pull of everything into a fresh clone", clone, "pull")
    fresh_store(clone, clone / "data")()
    counting.command("pull of one directory, cold", clone, "pull", "data/00000")
    fresh_store(clone, clone / "data")()
    counting.command("pull of one file, cold", clone, "pull", "data/00000/00000007.bin", requests=8)


def in_large_remote(counting: Counting) -> None:
    """Count for one file in a remote of a million objects, before and after small pushes."""
    lab, cloud = counting.lab, counting.cloud
    count = lab.many(1_000_000)
    repo = lab.repo("requests-large")
    workloads.tree_in_store(repo, count)
    cloud.attach(repo)
    workloads.commit(repo, lab.env)
    counting.command(f"push {count:,} objects", repo, "push")
    name = f"pull of one file, cold, {count:,} objects in the remote"
    one = "data/00000/00000007.bin"
    pushes = 0
    for target in (0, 1, *SMALL_PUSHES):
        while pushes < target:
            pushes += 1
            workloads.change_in_store(repo, lab.many(100), seed=pushes)
            workloads.commit(repo, lab.env)
            lab.call(repo, *lab.dver, "push", env=cloud.env)
        clone = lab.clone(repo, f"requests-large-clone-{pushes}")
        later = f", small pushes since then: {pushes}" if pushes else ""
        counting.command(name + later, clone, "pull", one, requests=8, received=3e6)
