"""Time per file and memory against the number of files, and memory against a file's size."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench import table, workloads
from tests.bench.lab import Lab, fresh_store, wipe
from tests.bench.measure import Contender, Series, compare

#: DVC is not measured with more files than this.
_DVC_MOST = 100_000
_FILE_SIZE = 1024
_MEMORY = 300 << 20
Keep = Callable[[dict[str, Any]], None]


def growth(lab: Lab, args: argparse.Namespace, keep: Keep) -> int:
    """Measure, print, and keep {"files": {program: {step: {count: figures}}}, "bytes": ...}."""
    counts = sorted({lab.many(int(one)) for one in args.growth_sizes.split(",") if one})
    found: dict[str, Any] = {}
    keep({"files": found})
    programs: dict[str, Callable[[Lab, int], list[Contender]]] = {"dver": dver_steps}
    if lab.dvc:
        programs["dvc"] = dvc_steps
    for count in counts:
        for program, steps in programs.items():
            if program == "dvc" and count > _DVC_MOST:
                continue
            print(f"... {program}, {count:,} files", file=sys.stderr, flush=True)
            runs = 1 if count > 100_000 or program == "dvc" else args.runs
            for one in steps(lab, count):
                (series,) = compare([one], lab.env, runs)
                by_step = found.setdefault(program, {})
                by_step.setdefault(one.name, {})[str(count)] = figures(series)
                keep({"files": found})
            for path in lab.root.glob("growth*"):
                shutil.rmtree(path)
    missed = print_files(found)
    sizes = [lab.size(int(float(one) * 1e9)) for one in args.growth_gigabytes.split(",") if one]
    if sizes:
        missed += one_file(lab, sizes, keep)
    return missed


def figures(series: Series) -> dict[str, float]:
    return {"seconds": series.median, "cpu": series.cpu, "peak": series.peak}


def dver_steps(lab: Lab, count: int) -> list[Contender]:
    """Return the steps for dver, each ready once the one before has run."""
    repo = lab.repo("growth")
    workloads.small_files(repo / "data", count, _FILE_SIZE)
    remote, clone = lab.root / "growth-remote", lab.root / "growth-clone"
    dver = lab.dver
    forget = wipe(remote, repo / ".git" / "dver" / "remotes")

    def before_push() -> None:
        forget()
        (repo / ".dver" / "config.yaml").write_text("")
        lab.call(repo, *dver, "remote", "add", "origin", str(remote))
        workloads.commit(repo, lab.env)

    def before_pull() -> None:
        if not clone.exists():
            lab.clone(repo, clone.name)
        fresh_store(clone, clone / "data")()

    def before_diff() -> None:
        workloads.change_files(repo / "data", 10, seed=8)
        lab.add(repo, "data")

    return [
        Contender("add", (*dver, "add", "data"), repo, fresh_store(repo, repo / "data.dver")),
        Contender("status", (*dver, "status"), repo),
        Contender("checkout", (*dver, "checkout"), repo, wipe(repo / "data")),
        Contender("push", (*dver, "push"), repo, before_push),
        Contender("pull", (*dver, "pull"), clone, before_pull),
        Contender("diff", (*dver, "diff", "HEAD~1", "HEAD"), repo, before_diff, runs=1),
    ]


def dvc_steps(lab: Lab, count: int) -> list[Contender]:
    """Return the same steps for DVC, each run once."""
    repo, dvc = lab.dvc_repo("growth"), str(lab.dvc)
    workloads.small_files(repo / "data", count, _FILE_SIZE)
    remote, clone = lab.root / "growth-remote", lab.root / "growth-clone"

    def before_push() -> None:
        lab.call(repo, dvc, "remote", "add", "-q", "-d", "o", str(remote))
        workloads.commit(repo, lab.env)

    def before_diff() -> None:
        workloads.change_files(repo / "data", 10, seed=8)
        lab.call(repo, dvc, "add", "-q", "data")
        workloads.commit(repo, lab.env)

    return [
        Contender("add", (dvc, "add", "-q", "data"), repo),
        Contender("status", (dvc, "status", "-q"), repo),
        Contender("checkout", (dvc, "checkout", "-q"), repo, wipe(repo / "data")),
        Contender("push", (dvc, "push", "-q"), repo, before_push),
        Contender("pull", (dvc, "pull", "-q"), clone, lambda: lab.clone(repo, clone.name)),
        Contender("diff", (dvc, "diff", "HEAD~1", "HEAD"), repo, before_diff),
    ]


def print_files(found: dict[str, Any]) -> int:
    """Print a table per program; return how many marks dver misses."""
    missed = 0
    for program, steps in found.items():
        counts = sorted({int(count) for by_count in steps.values() for count in by_count})
        columns = [f"{count:,}" for count in counts]
        print(f"\n{program}: time per file, peak memory by number of files\n")
        print(table.head(["work", *columns, "slowest / fastest per file", "memory"]))
        for step, by_count in steps.items():
            cells, each, peaks = [], [], {}
            for count in counts:
                one = by_count[str(count)]
                each.append(one["seconds"] / count)
                peaks[count] = one["peak"]
                cells.append(f"{each[-1] * 1e6:.1f} us, {one['peak'] >> 20} MiB")
            ratio = max(each) / min(each)
            time, memory = f"{ratio:.2f} x", ""
            if len(each) > 1:
                # Start-up weighs on few files; this ratio tells whether many cost more.
                time = f"{time}; last / one before {each[-1] / each[-2]:.2f} x"
            if program == "dver":
                # A diff costs what differs, so its time is not one per file.
                held = step == "diff" or ratio <= 1.3
                time += "" if step == "diff" else f" (mark 1.30 x: {table.sign(held)})"
                memory, fits = memory_verdict(peaks)
                missed += (not held) + (not fits)
            print(table.line([step, *cells, time, memory]), flush=True)
    return missed


def memory_verdict(peaks: dict[int, int]) -> tuple[str, bool]:
    """Judge the memory of the largest number of files by that of a tenth."""
    most = max(peaks)
    bound = 1 << 30
    if most // 10 in peaks:
        bound = min(bound, 2 * peaks[most // 10] + (150 << 20))
    fits = peaks[most] <= bound
    return f"mark {bound >> 20} MiB: {table.sign(fits)}", fits


def one_file(lab: Lab, sizes: list[int], keep: Keep) -> int:
    """Add and check out one file of growing size."""
    found: dict[str, dict[str, Any]] = {"add": {}, "checkout": {}}
    repo = lab.repo("growth-file")
    big = repo / "big.bin"
    steps = [
        ("add", fresh_store(repo, Path(f"{big}.dver"))),
        ("checkout", wipe(big)),
    ]
    print("\ndver, one file of noise: time and peak memory by its size\n")
    print(table.head(["work", "size", "wall", "CPU", "peak memory", "marks"]))
    missed = 0
    for size in sizes:
        fresh_store(repo)()
        workloads.large_file(big, size)
        for step, before in steps:
            argv = (*lab.dver, step, "big.bin")
            (series,) = compare([Contender(step, argv, repo, before)], lab.env, 1)
            found[step][str(size)] = figures(series)
            fits = series.peak <= _MEMORY
            missed += not fits
            cells = [step, f"{size / 1e9:.2f} GB", table.seconds(series.median)]
            cells += [table.seconds(series.cpu), f"{series.peak >> 20} MiB"]
            print(table.line([*cells, f"mark {_MEMORY >> 20} MiB: {table.sign(fits)}"]), flush=True)
        keep({"bytes": found})
    return missed
