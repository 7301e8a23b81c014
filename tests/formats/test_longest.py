"""The longest roots and notices are read in little memory: anybody who can push may write one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dver.base.errors import FormatError
from dver.base.oid import Oid
from dver.formats import notice, root
from dver.formats.notice import Notice, Unused
from dver.formats.root import Root, RootObject

#: What parsing may take at most, the interpreter included (MiB).
_MOST = 256

# On Linux ru_maxrss begins with what the process that started this one had.
_MEASURE = """
import re, resource, sys
from dver.formats import notice, root
data = sys.stdin.buffer.read()
(root if sys.argv[1] == "root" else notice).decode(data)
if sys.platform == "linux":
    print(int(re.search("VmHWM:(.*)kB", open("/proc/self/status").read())[1]) >> 10)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 20)
"""


def oid(number: int) -> bytes:
    return number.to_bytes(32, "big")


def longest(kind: str) -> bytes:
    """Return a root or a notice with as many rows as fit, each as short as it can be."""
    if kind == "root":
        count = (root.MAX_SIZE - 500) // 91
        objects = tuple(RootObject("", "file", Oid(oid(n)), 0) for n in range(count))
        return root.encode(Root("0" * 32, "2026-01-01T00:00:00Z", "", (), objects))
    packs = tuple(Unused(oid(n), 1 << 62, 1 << 62) for n in range(notice.MAX_PACKS))
    return notice.encode(Notice("condemned", "0" * 32, 0, packs))


@pytest.mark.parametrize("kind", ["root", "notice"])
def test_memory_of_the_longest(kind: str) -> None:
    data = longest(kind)
    if kind == "root":
        assert 0.95 * root.MAX_SIZE < len(data) <= root.MAX_SIZE
    assert len(data) < notice.MAX_SIZE
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, kind], input=data, capture_output=True, check=True
    )
    assert int(done.stdout) < _MOST


@pytest.mark.parametrize("kind", ["root", "notice"])
def test_nothing_longer_is_looked_at(kind: str) -> None:
    limit = root.MAX_SIZE if kind == "root" else notice.MAX_SIZE
    with pytest.raises(FormatError, match="longer than any"):
        (root if kind == "root" else notice).decode(b" " * (limit + 1))
