"""Asking about versions."""

from __future__ import annotations

from tests.bench import workloads
from tests.bench.lab import Case, Lab, Mark
from tests.bench.measure import Contender


def diff(lab: Lab) -> Case:
    """Compare two versions of many files, of which ten differ."""
    count = lab.many(100_000)
    repo = lab.files("diff", count)
    workloads.change_files(repo / "data", 10, seed=8)
    lab.add(repo, "data")
    contenders = [
        Contender("dver", (*lab.dver, "diff", "HEAD~1", "HEAD"), repo),
        Contender("git diff of the pointers", ("git", "diff", "HEAD~1", "HEAD"), repo),
    ]
    name = f"diff of two versions of {count:,} files, ten changes"
    return Case(name, contenders, seconds=0.2)


def log(lab: Lab) -> Case:
    """List the versions of a file that changed in each of many commits."""
    commits = lab.many(1000)
    repo = lab.repo("log")
    workloads.commit(repo, lab.env)
    workloads.pointer_history(repo, lab.env, commits)
    contenders = [
        Contender("dver", (*lab.dver, "log", "model.bin"), repo),
        Contender("git log", ("git", "log", "--", "model.bin.dver"), repo),
    ]
    name = f"log of a path over {commits:,} commits"
    return Case(name, contenders, [Mark("git log", more=0.25)])


CASES = {"diff": diff, "log": log}
