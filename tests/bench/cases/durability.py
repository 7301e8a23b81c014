"""What it costs that whatever dver has told is on the disk."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.bench import workloads
from tests.bench.lab import Case, Lab, fresh_store
from tests.bench.measure import Contender

#: In place of the C library's: calls that claim to have waited for the disk.
_UNSYNCED = """
int fsync(int fd) { (void)fd; return 0; }
int fdatasync(int fd) { (void)fd; return 0; }
int syncfs(int fd) { (void)fd; return 0; }
void sync(void) {}
"""


def unsynced(directory: Path) -> dict[str, str] | None:
    """Return the environment in which no process waits for the disk; None without a C compiler.

    It is put before the C library, so that worker processes are as they are, and no setting of
    dver's is needed that somebody might use.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    source, library = directory / "unsynced.c", directory / "unsynced.so"
    source.write_text(_UNSYNCED)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return {"LD_PRELOAD": str(library)}


def fsync(lab: Lab) -> Case:
    """Add small files for the first time, and the same without waiting for the disk."""
    count = lab.many(10_000)
    repo = lab.files("fsync", count, add=False)
    argv = (*lab.dver, "add", "data")
    before = fresh_store(repo, repo / "data.dver")
    contenders = [Contender("dver", argv, repo, before)]
    env = unsynced(lab.root)
    if env is not None:
        contenders.append(Contender("dver, without fsync", argv, repo, before, env=env))
    return Case(f"add {count:,} x 4 KB, fresh", contenders)


def fsck(lab: Lab) -> Case:
    """Check a store of many objects without reading any data."""
    count = lab.many(1_000_000)
    repo = lab.repo("fsck-index")
    workloads.tree_in_store(repo, count)
    workloads.commit(repo, lab.env)
    contenders = [Contender("dver", (*lab.dver, "fsck"), repo)]
    return Case(f"fsck of {count:,} objects", contenders, seconds=5.0, peak=300 << 20)


CASES = {"fsync": fsync, "fsck-index": fsck}
