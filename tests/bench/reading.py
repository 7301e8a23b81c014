"""A program that reads a file from Python, and notes what that took. Run by the cases.

``python -m tests.bench.reading NOTES first|sequential|cold|random PATH [REV]``: without REV the
plain file is read. A line of JSON for each run is appended to NOTES.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import BinaryIO

_PIECE = 1 << 20
_LENGTH = 64 << 10
_READS = 200


def opened(path: str, rev: str | None) -> BinaryIO:
    """Open the plain file, or that of a revision."""
    if rev is None:
        return open(path, "rb", buffering=0)
    import fsspec

    file: BinaryIO = fsspec.filesystem("dver", rev=rev).open(path)
    return file


def imported(rev: str | None) -> None:
    """Import all that reading imports, so that it is not measured."""
    if rev is not None:
        import fsspec

        fsspec.get_filesystem_class("dver")


def first(path: str, rev: str | None) -> dict[str, float]:
    """Take the time of everything, and of what is left once the modules are there."""
    begin = time.perf_counter()
    imported(rev)
    there = time.perf_counter()
    with opened(path, rev) as file:
        file.read(1)
    end = time.perf_counter()
    return {"seconds": end - there, "with imports": end - begin}


def sequential(path: str, rev: str | None) -> dict[str, float]:
    """Read all of it in pieces; the first time is not counted, it brings the file to memory."""
    for _ in range(2):
        begin, used = time.perf_counter(), time.process_time()
        with opened(path, rev) as file:
            while file.read(_PIECE):
                pass
        took = {"seconds": time.perf_counter() - begin, "cpu": time.process_time() - used}
    return took


def cold(path: str, rev: str | None) -> dict[str, float]:
    """Read all of it in pieces, from the disk."""
    imported(rev)
    os.sync()  # what is not written yet cannot be dropped
    for one in [Path(path), *Path(".git/dver/packs").glob("*/*")]:
        with open(one, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    begin = time.perf_counter()
    with opened(path, rev) as file:
        while file.read(_PIECE):
            pass
    return {"seconds": time.perf_counter() - begin}


def skipping(path: str, rev: str | None) -> dict[str, float]:
    """Read pieces from anywhere, out of the remote."""
    import fsspec

    fs = fsspec.filesystem("dver", rev=rev)
    size, rng = fs.info(path)["size"], random.Random(1)
    begin = time.perf_counter()
    with fs.open(path) as file:
        for _ in range(_READS):
            file.seek(rng.randrange(size - _LENGTH))
            file.read(_LENGTH)
    took = time.perf_counter() - begin
    requests, received = fs._session().contents.traffic
    return {"seconds": took, "requests": requests, "moved": received / (_READS * _LENGTH)}


def figure(notes: Path, key: str) -> float:
    """Return the median of a figure over the runs so far."""
    found = sorted(json.loads(line)[key] for line in notes.read_text().splitlines())
    return float(found[len(found) // 2])


WORK = {"first": first, "sequential": sequential, "cold": cold, "random": skipping}

if __name__ == "__main__":
    work = WORK[sys.argv[2]]
    told = work(sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else None)
    with open(sys.argv[1], "a", encoding="utf-8") as out:
        print(json.dumps(told), file=out)
