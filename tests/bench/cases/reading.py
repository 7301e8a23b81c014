"""Reading any version from Python, without a checkout."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.bench import workloads
from tests.bench.cloud import Cloud
from tests.bench.lab import Case, Figure, Lab, Mark, fresh_store
from tests.bench.measure import Contender
from tests.bench.reading import figure

_PLAIN = "the plain file"


def first_byte(lab: Lab) -> Case:
    """Open a file of a revision and read a byte."""
    size = lab.size(100_000_000)
    repo = _large(lab, "first", size)
    notes = lab.root / "first.json"
    return Case(
        f"dver:// open of {size // 1_000_000:,} MB at a revision, first byte",
        _contenders(lab, "first", repo, notes),
        figures=[
            Figure("imports excluded", lambda: 1000 * figure(notes, "seconds"), 50, "ms"),
            Figure("imports included", lambda: 1000 * figure(notes, "with imports"), 500, "ms"),
        ],
    )


def sequential(lab: Lab) -> Case:
    """Read a large file from its beginning to its end, out of the page cache."""
    size = lab.size(1_000_000_000)
    repo = _large(lab, "sequential", size)
    notes, plain = lab.root / "sequential.json", lab.root / "plain-sequential.json"
    return Case(
        f"read {size // 1_000_000:,} MB at a revision twice, in pieces of 1 MiB",
        _contenders(lab, "sequential", repo, notes),
        [Mark(_PLAIN, 1.25)],
        figures=[
            Figure(
                "second time, processor, against the plain file",
                lambda: figure(notes, "cpu") / figure(plain, "cpu"),
                1.25,
                "x",
            )
        ],
    )


def from_disk(lab: Lab) -> Case:
    """The same when the page cache has nothing of it; with a directory on a disk only."""
    size = lab.size(1_000_000_000)
    repo = _large(lab, "cold", size)
    notes, plain = lab.root / "cold.json", lab.root / "plain-cold.json"
    return Case(
        f"read {size // 1_000_000:,} MB at a revision from the disk, in pieces of 1 MiB",
        _contenders(lab, "cold", repo, notes),
        figures=[
            Figure(
                "open to end, against the plain file",
                lambda: figure(notes, "seconds") / figure(plain, "seconds"),
                1.25,
                "x",
            )
        ],
    )


def anywhere(lab: Lab) -> Case:
    """Read 64 KiB here and there of a large file in a bucket."""
    cloud = Cloud(lab)
    size = lab.size(200_000_000, least=20_000_000)
    repo = _large(lab, "random", size)
    cloud.attach(repo)
    workloads.commit(repo, lab.env)
    lab.call(repo, *lab.dver, "push", env=cloud.env)
    notes = lab.root / "random.json"
    contenders = [
        Contender(
            "dver",
            _program(notes, "random", "HEAD"),
            repo,
            fresh_store(repo),
            env={**cloud.env, **_path()},
        )
    ]
    return Case(
        f"200 reads of 64 KiB anywhere in {size // 1_000_000:,} MB in S3 on loopback",
        contenders,
        figures=[
            Figure("bytes moved / bytes asked for", lambda: figure(notes, "moved"), 4, "x"),
            Figure("requests", lambda: figure(notes, "requests"), 600, ""),
        ],
    )


def _large(lab: Lab, name: str, size: int) -> Path:
    repo = lab.repo(f"reading-{name}")
    workloads.large_file(repo / "model.bin", size, seed=4)
    lab.add(repo, "model.bin")
    lab.call(repo, "git", "tag", "v1")
    return repo


def _contenders(lab: Lab, what: str, repo: Path, notes: Path) -> list[Contender]:
    plain = lab.root / f"plain-{what}.json"
    return [
        Contender("dver", _program(notes, what, "v1"), repo, env=_path()),
        Contender(_PLAIN, _program(plain, what), repo, env=_path()),
    ]


def _program(notes: Path, what: str, *rev: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.bench.reading", str(notes), what, "model.bin", *rev)


def _path() -> dict[str, str]:
    """Let the program be found from another directory."""
    return {"PYTHONPATH": str(Path(__file__).parents[3])}


CASES = {
    "first byte": first_byte,
    "read a file": sequential,
    "read from disk": from_disk,
    "read anywhere in S3": anywhere,
}
