"""Looking after the store."""

from __future__ import annotations

import shutil
import sys

from tests.bench import workloads
from tests.bench.lab import Case, Lab, Mark, wipe
from tests.bench.measure import Contender

#: What b3sum does: the file mapped, all processors.
_B3SUM = (
    "import sys, blake3; h = blake3.blake3(max_threads=blake3.blake3.AUTO);"
    " print(h.update_mmap(sys.argv[1]).hexdigest())"
)


def fsck(lab: Lab) -> Case:
    """Read and hash all of a store."""
    repo = lab.repo("fsck")
    size = lab.size(2_000_000_000, 20_000_000)
    workloads.large_file(repo / "big.bin", size)
    lab.add(repo, "big.bin")
    program = shutil.which("b3sum")
    argv = (program,) if program else (sys.executable, "-P", "-c", _B3SUM)
    full = (*lab.dver, "fsck", "--full")
    contenders = [
        Contender("dver", full, repo),
        Contender("b3sum", (*argv, "big.bin"), repo),
        # The first check after adding hashes chunks and wholes, a later one only chunks.
        Contender("dver, nothing proved yet", full, repo, wipe(repo / ".git/dver/proofs")),
    ]
    name = f"fsck --full of {size / 1e9:.2f} GB"
    return Case(name, contenders, [Mark("b3sum", 2.0)], peak=300 << 20)


def gc(lab: Lab) -> Case:
    """Look for garbage among many objects, and find none."""
    count = lab.many(1_000_000)
    repo = lab.repo("gc")
    workloads.tree_in_store(repo, count)
    workloads.commit(repo, lab.env)
    contenders = [Contender("dver", (*lab.dver, "gc"), repo)]
    name = f"gc of a store with {count:,} objects, nothing to delete"
    return Case(name, contenders, seconds=10.0, peak=300 << 20)


CASES = {"fsck": fsck, "gc": gc}
