"""``python -m tests.bench.counts``: count the work of common commands, and compare with a baseline.

Wall time on a shared machine says little; system calls, instructions and calls of Python functions
say the same every time. Each command runs as a process of its own with one worker; a count that
grew by more than 25 % fails. ``--write`` renews the baseline of this Python version.

Instructions depend on how Python was built, so the committed baseline has none: count another
checkout first (``--instructions --source DIR --baseline FILE --write``), then compare with FILE.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench import workloads
from tests.bench.lab import wipe
from tests.bench.table import head, line

BASELINE = Path(__file__).parent / "baseline.json"
#: A count may grow by this part of the baseline before it fails.
ALLOWED = 0.25
_FILES = 3000

Counts = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Change:
    """A count beside its baseline; None where there is no such count."""

    command: str
    unit: str
    before: int | None
    now: int | None

    @property
    def ratio(self) -> float | None:
        return self.now / self.before if self.before and self.now is not None else None

    @property
    def is_worse(self) -> bool:
        return self.ratio is not None and self.ratio > 1 + ALLOWED


def compare(baseline: Counts, now: Counts) -> list[Change]:
    """Put counts beside the baseline; commands and units of either are all there."""
    changes = []
    for command in dict.fromkeys([*baseline, *now]):
        old, new = baseline.get(command, {}), now.get(command, {})
        changes += [
            Change(command, unit, old.get(unit), new.get(unit))
            for unit in dict.fromkeys([*old, *new])
        ]
    return changes


def verdict(changes: list[Change]) -> list[str]:
    """Return what fails: counts that grew too much, and a baseline that nothing was compared with.

    A unit that this machine cannot count is no failure as long as each command has another.
    """
    problems = [
        f"{one.command}: {one.now:,} {one.unit}, {one.ratio:.2f} x the {one.before:,} before"
        for one in changes
        if one.is_worse
    ]
    compared = {one.command for one in changes if one.ratio is not None}
    silent = dict.fromkeys(one.command for one in changes if one.command not in compared)
    problems += [f"{command}: nothing to compare" for command in silent]
    return problems


# counting

#: Counts the calls of Python functions, in the command's own process.
_CALLS = """
import sys
count = 0
def profile(frame, event, argument):
    global count
    if event == "call":
        count += 1
output, sys.argv = sys.argv[1], ["dver", *sys.argv[2:]]
sys.setprofile(profile)
code = 0
try:
    from dver.cli.main import main
    code = main()
finally:
    sys.setprofile(None)
    with open(output, "w") as file:
        print(count, file=file)
sys.exit(code)
"""
_PLAIN = "import sys; from dver.cli.main import program; sys.argv[0] = 'dver'; program()"

Counter = Callable[[Path, Mapping[str, str], tuple[str, ...]], "int | None"]


def python_calls(repo: Path, env: Mapping[str, str], words: tuple[str, ...]) -> int:
    """Count the calls of Python functions."""
    output = repo.parent / "calls"
    start([sys.executable, "-P", "-c", _CALLS, str(output), *words], repo, env)
    return int(output.read_text())


def system_calls(repo: Path, env: Mapping[str, str], words: tuple[str, ...]) -> int | None:
    """Count the system calls of the command and its children, or None without strace."""
    if not shutil.which("strace"):
        return None
    output = repo.parent / "strace"
    plain = [sys.executable, "-P", "-c", _PLAIN, *words]
    # Waiting and memory depend on what else runs and on addresses.
    chosen = "trace=%file,%desc,%process"
    start(
        ["strace", "-f", "-c", "-U", "calls,name", "-e", chosen, "-o", str(output), *plain],
        repo,
        env,
    )
    return parse_strace(output.read_text())


def parse_strace(text: str) -> int:
    """Return the total of a table that ``strace -c -U calls,name`` wrote."""
    rows = [row.split() for row in text.splitlines()]
    return sum(
        int(row[0]) for row in rows if len(row) == 2 and row[0].isdigit() and row[1] != "total"
    )


def instructions(repo: Path, env: Mapping[str, str], words: tuple[str, ...]) -> int | None:
    """Count instructions in user mode: by perf, or in the command's own process by valgrind.

    Returns None where neither can, as perf cannot in most virtual machines.
    """
    plain = [sys.executable, "-P", "-c", _PLAIN, *words]
    output = repo.parent / "instructions"
    tools = {
        "perf": ("stat", "-x", ",", "-e", "instructions:u", "-o", str(output), "--"),
        "valgrind": (
            *("--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"),
            f"--log-file={output}",
        ),
    }
    for tool, options in tools.items():
        if shutil.which(tool) and (tool != "perf" or perf_counts(repo.parent)):
            start([tool, *options, *plain], repo, env)
            return parse_instructions(output.read_text())
    return None


def perf_counts(work: Path) -> bool:
    """Say whether perf can count instructions here."""
    argv = ["perf", "stat", "-x", ",", "-e", "instructions:u", "true"]
    done = subprocess.run(argv, cwd=work, capture_output=True, text=True, check=False)
    return done.returncode == 0 and parse_instructions(done.stderr) is not None


def parse_instructions(text: str) -> int | None:
    """Return the count in what ``perf stat -x,`` or cachegrind wrote, or None if there is none."""
    for row in text.splitlines():
        cells = row.split(",")
        if len(cells) > 2 and "instructions" in cells[2]:
            return int(cells[0]) if cells[0].isdigit() else None
        if " I   refs:" in row or " I refs:" in row:
            return int(row.rpartition(":")[2].replace(",", ""))
    return None


def start(argv: list[str], repo: Path, env: Mapping[str, str]) -> None:
    subprocess.run(argv, cwd=repo, env=dict(env), check=True, stdout=subprocess.DEVNULL)


COUNTERS: dict[str, Counter] = {"python calls": python_calls, "system calls": system_calls}


@dataclass(frozen=True)
class Step:
    """A command that is counted, and what makes it the same work each time."""

    name: str
    words: tuple[str, ...]
    before: Callable[[], None]


def steps(repo: Path, env: Mapping[str, str]) -> Iterator[Step]:
    """Yield the commands, each once the one before was counted."""
    plain = [sys.executable, "-P", "-c", _PLAIN]
    remote = repo.parent / "remote"
    workloads.small_files(repo / "data", _FILES, 1000, per_directory=300)
    start([*plain, "init"], repo, env)
    start([*plain, "remote", "add", "origin", str(remote)], repo, env)
    nothing = wipe()
    yield Step("status, nothing tracked", ("status",), nothing)
    yield Step("add", ("add", "data"), wipe(repo / "data.dver", *in_store(repo)))
    workloads.commit(repo, env)
    settle(repo, plain, env)
    yield Step("status", ("status",), nothing)
    yield Step("add again", ("add", "data"), nothing)
    yield Step("checkout", ("checkout",), wipe(repo / "data"))
    yield Step("push", ("push",), wipe(remote, repo / ".git" / "dver" / "remotes"))


def in_store(repo: Path) -> list[Path]:
    """Return what a fresh add must not find."""
    return [repo / ".git" / "dver" / name for name in ("packs", "index", "stat", "tmp")]


def settle(repo: Path, plain: list[str], env: Mapping[str, str]) -> None:
    """Make all files old, so that their stats are trusted, and remembered."""
    for path in (repo / "data").rglob("*"):
        os.utime(path, ns=(10**18, 10**18))
    start([*plain, "add", "data"], repo, env)


def count(counters: Mapping[str, Counter], source: Path | None) -> Counts:
    """Run and count everything. ``source`` is a checkout to count instead of the installed dver."""
    found: Counts = {}
    with tempfile.TemporaryDirectory(prefix="dver-counts-") as temp:
        work = Path(temp)
        env = workloads.hermetic(work / "home") | {
            # One process, the same order of sets each time, and compiled modules as they are.
            "DVER_CORE_WORKERS": "1",
            "DVER_CORE_JOBS": "1",
            "PYTHONHASHSEED": "0",
            **({"PYTHONPATH": str(source.resolve())} if source else {}),
        }
        repo = workloads.repository(work / "repo", env)
        for step in steps(repo, env):
            for unit, counter in counters.items():
                step.before()
                number = counter(repo, env, step.words)
                if number is not None:
                    found.setdefault(step.name, {})[unit] = number
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.counts", description=__doc__)
    parser.add_argument("--write", action="store_true", help="renew the baseline")
    parser.add_argument("--baseline", type=Path, default=BASELINE, help="compare with this file")
    parser.add_argument("--source", type=Path, help="count the dver of this checkout")
    parser.add_argument(
        "--instructions", action="store_true", help="also by perf or valgrind, which is slow"
    )
    args = parser.parse_args()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    baselines = json.loads(args.baseline.read_text()) if args.baseline.exists() else {}
    counters = {**COUNTERS, **({"instructions": instructions} if args.instructions else {})}
    now = count(counters, args.source)
    changes = compare(baselines.get(version, {}), now)
    print(head(["command", "count", "before", "now", "ratio"]))
    for one in changes:
        ratio = f"{one.ratio:.3f}" if one.ratio is not None else ""
        numbers = ["" if n is None else f"{n:,}" for n in (one.before, one.now)]
        print(line([one.command, one.unit, *numbers, ratio]))
    if args.write:
        baselines[version] = now
        args.baseline.write_text(json.dumps(baselines, indent=1, sort_keys=True) + "\n")
        return 0
    if version not in baselines:
        print(f"no baseline for Python {version}; --write makes one")
        return 1
    problems = verdict(changes)
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
