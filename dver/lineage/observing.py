"""Which files of the repository a command opens, as far as can be seen.

Python says of itself which files it opens (its audit hooks, PEP 578). Programs in other languages,
and C libraries that open files themselves (sqlite, libxml2), are not seen. So what is seen counts,
and what is not seen says nothing.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

_HOOK = Path(__file__).parent / "observer"
_SEPARATOR = os.sep.encode()


class Observer:
    """Watches one command. Use it in a ``with`` block, and give the command :meth:`variables`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._directory = tempfile.TemporaryDirectory(prefix="dver-")
        self._into = os.path.join(self._directory.name, "opened")
        Path(self._into).touch()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()

    def variables(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the variables to add to a command's environment."""
        path = env.get("PYTHONPATH")
        return {
            "PYTHONPATH": os.pathsep.join([str(_HOOK), *([path] if path else [])]),
            "DVER_OBSERVE_INTO": self._into,
            "DVER_OBSERVE_ROOT": str(self._root),
        }

    def found(self) -> tuple[set[bytes], set[bytes]]:
        """Return the paths that were (read, written), relative to the root."""
        top = os.fsencode(os.path.join(self._root, "")).replace(_SEPARATOR, b"/")
        reads: set[bytes] = set()
        writes: set[bytes] = set()
        for entry in Path(self._into).read_bytes().split(b"\0"):
            path = entry[1:].replace(_SEPARATOR, b"/")
            if path.startswith(top) and entry[:1] in (b"r", b"w"):
                (writes if entry[:1] == b"w" else reads).add(path.removeprefix(top))
        # A module that was compiled before is not opened itself.
        reads.update(filter(None, map(_source_of, reads | writes)))
        return reads, writes


def _source_of(path: bytes) -> bytes | None:
    """Return the module that a file of Python's cache was compiled from, None for other files."""
    directory, _, name = path.rpartition(b"/")
    if not name.endswith(b".pyc") or directory.rpartition(b"/")[2] != b"__pycache__":
        return None
    above = directory.removesuffix(b"__pycache__")
    return above + name.partition(b".")[0] + b".py"
