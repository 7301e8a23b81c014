"""The pointers of git-lfs (version 1 of its specification), and where its objects lie."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dver.foreign.dvcfiles import Out

#: A pointer is shorter than this (bytes).
MAX_SIZE = 1024
MIN_SIZE = 100
_FIRST = (
    b"version https://git-lfs.github.com/spec/v1",
    b"version https://hawser.github.com/spec/v1",
)
_OID = re.compile(rb"oid sha256:([0-9a-f]{64})")
_SIZE = re.compile(rb"size ([0-9]{1,19})")
#: A line of a .gitattributes file that gives paths to git-lfs.
FILTER = re.compile(rb"(?m)^[^#\n]*\sfilter=lfs(?:\s|$)")


def read_pointer(path: bytes, data: bytes, *, executable: bool = False) -> Out | None:
    """Return what a pointer of git-lfs stands for, or None if a file is none."""
    if not (MIN_SIZE <= len(data) < MAX_SIZE and data.startswith(_FIRST)):
        return None
    lines = data.split(b"\n")
    if lines[0].rstrip(b"\r") not in _FIRST:
        return None
    oid = next((m for line in lines if (m := _OID.fullmatch(line.rstrip(b"\r")))), None)
    size = next((m for line in lines if (m := _SIZE.fullmatch(line.rstrip(b"\r")))), None)
    if oid is None or size is None:
        return None
    extended = any(line.startswith(b"ext-") for line in lines)
    problem = "it went through an extension of git-lfs" if extended else ""
    return Out(
        path,
        bytes.fromhex(oid[1].decode()),
        executable=executable,
        algorithm="sha256",
        size=int(size[1]),
        problem=problem,
    )


# Unlike DVC, git-lfs has no objects for directories.
def keys(digest: bytes, *, directory: bool = False) -> Iterator[str]:  # noqa: ARG001
    """Yield where an object lies below ``lfs/objects``."""
    text = digest.hex()
    yield f"{text[:2]}/{text[2:4]}/{text}"
