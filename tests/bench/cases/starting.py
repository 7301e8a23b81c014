"""What a command costs before it does anything."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.bench import workloads
from tests.bench.lab import Case, Lab, Mark
from tests.bench.measure import Contender

_CLICK = "python -c 'import click'"


def version(lab: Lab) -> Case:
    return _beside_click(lab, "--version")


def help_page(lab: Lab) -> Case:
    return _beside_click(lab, "--help")


def _beside_click(lab: Lab, option: str) -> Case:
    contenders = [
        Contender("dver", (*lab.dver, option), lab.root),
        Contender(_CLICK, (sys.executable, "-P", "-c", "import click"), lab.root),
    ]
    return Case(f"dver {option}", contenders, [Mark(_CLICK, 1.5)])


def few_pointers(lab: Lab) -> Case:
    """Ask for the status of ten small files."""
    repo = _single_files(lab, "few", 10)
    contenders = [
        Contender("dver", (*lab.dver, "status"), repo),
        Contender("git status", ("git", "status"), repo),
    ]
    return Case("status of 10 small files", contenders, seconds=0.1)


def many_pointers(lab: Lab) -> Case:
    """Name one of many pointers, and one of ten."""
    count = lab.many(2000)
    repos = {count: _single_files(lab, "pointers-many", count)}
    repos[10] = _single_files(lab, "pointers-ten", 10)
    commands = ("status", "diff", "add", "checkout", "ls")
    contenders = [
        Contender(f"dver {verb}, {number:,}", (*lab.dver, verb, "file5.csv"), repo)
        for verb in commands
        for number, repo in repos.items()
    ]
    marks = [
        Mark(f"dver {verb}, 10", 1.5, own=f"dver {verb}, {count:,}") for verb in commands
    ] if count > 10 else []  # fmt: skip
    return Case(f"one target among {count:,} pointers, and among 10", contenders, marks)


def _single_files(lab: Lab, name: str, count: int) -> Path:
    repo = lab.repo(name)
    for number in range(count):
        (repo / f"file{number}.csv").write_text(f"a,b\n{number},1\n")
    lab.add(repo, *[f"file{number}.csv" for number in range(count)])
    workloads.git(repo, lab.env, "status")
    return repo


CASES = {
    "few": few_pointers,
    "pointers": many_pointers,
    "version": version,
    "help": help_page,
}
