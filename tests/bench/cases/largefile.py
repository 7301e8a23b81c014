"""One large file: noise, as weights and archives are, and a table."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.bench import workloads
from tests.bench.lab import Case, Figure, Lab, Mark, fresh_store, shell, wipe
from tests.bench.measure import Contender

_INSERTED = 1_000_000
_MEMORY = 300 << 20


def _noise(lab: Lab, name: str) -> tuple[Path, str]:
    repo = lab.repo(name)
    size = lab.size(2_000_000_000, 20_000_000)
    workloads.large_file(repo / "big.bin", size)
    return repo, f"{size / 1e9:.2f} GB"


def add(lab: Lab) -> Case:
    """Add one large file that does not compress."""
    repo, size = _noise(lab, "large-add")
    empty = fresh_store(repo, repo / "big.bin.dver")
    gone = wipe(lab.root / "copy.bin")
    synced = shell("cp big.bin ../copy.bin", "sync ../copy.bin")
    contenders = [
        Contender("dver", (*lab.dver, "add", "big.bin"), repo, empty),
        Contender("cp", ("cp", "big.bin", "../copy.bin"), repo, gone),
        Contender("cp + sync", synced, repo, gone),
    ]
    return Case(f"add one file of {size}", contenders, [Mark("cp + sync", 1.2)], peak=_MEMORY)


def checkout(lab: Lab) -> Case:
    """Check that file out by copying."""
    repo, size = _noise(lab, "large-out")
    lab.add(repo, "big.bin")
    shutil.copy(repo / "big.bin", lab.root / "source.bin")
    command = (*lab.dver, "checkout", "--link", "copy")
    contenders = [
        Contender("dver", command, repo, wipe(repo / "big.bin")),
        Contender("cp", ("cp", "source.bin", "copy2.bin"), lab.root, wipe(lab.root / "copy2.bin")),
    ]
    name = f"checkout one file of {size}, copied"
    return Case(name, contenders, [Mark("cp", 1.3)], peak=_MEMORY)


def linked_checkout(lab: Lab) -> Case:
    """Check it out as a hard link to the copy that the first such checkout left."""
    repo, size = _noise(lab, "large-link")
    lab.add(repo, "big.bin")
    command = (*lab.dver, "checkout", "--link", "hardlink")
    wipe(repo / "big.bin")()
    lab.call(repo, *command)
    contenders = [Contender("dver", command, repo, wipe(repo / "big.bin"))]
    return Case(f"checkout one file of {size}, linked", contenders, seconds=0.1)


def inserted(lab: Lab) -> Case:
    """Add a large file again after something was inserted in its middle."""
    repo, size = _noise(lab, "large-insert")
    first, second = lab.root / "first.bin", lab.root / "second.bin"
    (repo / "big.bin").rename(first)
    workloads.with_inserted(first, second, _INSERTED)
    empty = fresh_store(repo, repo / "big.bin.dver", repo / "big.bin")
    command = (*lab.dver, "add", "big.bin")
    sizes: list[int] = []

    def stored() -> int:
        return workloads.size_of(repo / ".git" / "dver" / "packs", repo / ".git" / "dver" / "index")

    def original() -> None:
        empty()
        shutil.copy(first, repo / "big.bin")

    def changed() -> None:
        original()
        lab.call(repo, *command)
        shutil.copy(second, repo / "big.bin")
        sizes[:] = [stored()]

    contenders = [
        Contender("dver", command, repo, changed, after=lambda: sizes.append(stored())),
        Contender("first add", command, repo, original),
    ]
    new = Figure("new bytes stored", lambda: sizes[1] - sizes[0], 2e6, "B")
    name = f"add {size} again, 1 MB inserted in the middle"
    return Case(name, contenders, [Mark("first add", 0.6)], figures=[new])


def csv(lab: Lab) -> Case:
    """Add a table; what counts is the room it takes."""
    repo = lab.repo("csv")
    workloads.table(repo / "table.csv", lab.size(182_000_000))
    raw = (repo / "table.csv").stat().st_size
    packs = repo / ".git" / "dver" / "packs"
    contenders = [
        Contender(
            "dver",
            (*lab.dver, "add", "table.csv"),
            repo,
            fresh_store(repo, repo / "table.csv.dver"),
        ),
        Contender("zstd -3, as a stream", _zstd("table.csv"), repo),
    ]
    ratio = Figure("stored / raw bytes", lambda: workloads.size_of(packs) / raw, 0.40, "x")
    return Case(f"add a CSV of {raw / 1e6:.0f} MB", contenders, figures=[ratio])


def _zstd(name: str) -> tuple[str, ...]:
    code = (
        "import zstandard, sys; zstandard.ZstdCompressor(3)"
        ".copy_stream(open(sys.argv[1], 'rb'), open(sys.argv[1] + '.zst', 'wb'))"
    )
    return (sys.executable, "-P", "-c", code, name)


def csv_again(lab: Lab) -> Case:
    """Push a table after a few rows were inserted; what counts is the bytes sent."""
    repo, remote = lab.repo("csv-again"), lab.root / "csv-remote"
    first, second = lab.root / "first.csv", lab.root / "second.csv"
    workloads.table(first, lab.size(182_000_000))
    workloads.with_rows(first, second, 10)
    lab.call(repo, *lab.dver, "remote", "add", "origin", str(remote))
    sizes: list[int] = []

    def before() -> None:
        wipe(remote, repo / ".git" / "dver" / "remotes", repo / ".git" / "dver" / "packs")()
        wipe(repo / ".git" / "dver" / "index", repo / "table.csv.dver")()
        for version in (first, second):
            shutil.copy(version, repo / "table.csv")
            lab.call(repo, *lab.dver, "add", "table.csv")
            if version is first:
                lab.call(repo, *lab.dver, "push")
        sizes[:] = [workloads.size_of(remote)]

    def after() -> None:
        sizes.append(workloads.size_of(remote))

    contenders = [Contender("dver", (*lab.dver, "push"), repo, before, after=after)]
    sent = Figure("bytes sent", lambda: sizes[1] - sizes[0], 0.5e6, "B")
    name = f"push a CSV of {first.stat().st_size / 1e6:.0f} MB, ten rows inserted"
    return Case(name, contenders, figures=[sent])


CASES = {
    "large-add": add,
    "large-checkout": checkout,
    "large-link": linked_checkout,
    "large-insert": inserted,
    "csv": csv,
    "csv-again": csv_again,
}
