"""A million files and a huge one; the interesting figure is memory."""

from __future__ import annotations

from tests.bench import workloads
from tests.bench.lab import Case, Lab, fresh_store, wipe
from tests.bench.measure import Contender

_GIGABYTE = 1 << 30


def million(lab: Lab, *, flat: bool = False) -> Case:
    """Add a million files of 1 KB."""
    count = lab.many(1_000_000)
    repo = lab.repo("million-flat" if flat else "million")
    workloads.small_files(repo / "data", count, 1024, per_directory=count if flat else 1000)
    shape = "one flat directory" if flat else "nested directories"
    empty = fresh_store(repo, repo / "data.dver")
    contender = Contender("dver", (*lab.dver, "add", "data"), repo, empty, runs=1)
    return Case(f"add {count:,} x 1 KB, {shape}", [contender], peak=_GIGABYTE)


def million_status(lab: Lab) -> Case:
    """Ask for the status of a million files."""
    contender = Contender("dver", (*lab.dver, "status"), lab.root / "million", runs=2)
    return Case(f"status of {lab.many(1_000_000):,} files", [contender], peak=_GIGABYTE)


def million_checkout(lab: Lab) -> Case:
    """Check out a million files."""
    repo = lab.root / "million"
    contender = Contender("dver", (*lab.dver, "checkout"), repo, wipe(repo / "data"), runs=1)
    return Case(f"checkout {lab.many(1_000_000):,} x 1 KB", [contender], peak=_GIGABYTE)


def huge_file(lab: Lab) -> Case:
    """Add one file of 20 GB."""
    size = lab.size(20_000_000_000, 20_000_000)
    repo = lab.repo("huge")
    workloads.large_file(repo / "huge.bin", size)
    empty = fresh_store(repo, repo / "huge.bin.dver")
    contender = Contender("dver", (*lab.dver, "add", "huge.bin"), repo, empty, runs=1)
    return Case(f"add one file of {size / 1e9:.1f} GB", [contender], peak=300 << 20)


CASES = {
    "million": million,
    "million-status": million_status,
    "million-checkout": million_checkout,
    "million-flat": lambda lab: million(lab, flat=True),
    "huge": huge_file,
}
