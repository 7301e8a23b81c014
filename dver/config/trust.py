"""Which destinations the user has agreed to send data to.

Whoever can commit to a repository can change where its committed remotes point. So nothing is
sent to a committed destination until the user here has named it: by typing it in ``remote add`` or
``remote set``, by ``remote trust``, or by fetching from it in a clone that trusts nothing yet.
Later a fetch agrees to nothing, or whoever moves a committed remote and copies its data there
would get what is pushed next. What the user's own levels say (user, local, environment, command)
needs no second word.
"""

from __future__ import annotations

from pathlib import Path

from dver.base import fsio
from dver.base.locking import Lock
from dver.config import document

FILE = "trusted"
_HEADER = "# Destinations that dver may send this repository's data to; see 'dver remote trust'.\n"


def is_pinned(state: Path, destination: str) -> bool:
    """Tell whether the user agreed to a destination. ``state`` is dver's common directory."""
    return destination in _read(state)


def is_anything_pinned(state: Path) -> bool:
    """Tell whether the user agreed to any destination."""
    return bool(_read(state))


def pin(state: Path, destination: str) -> bool:
    """Note that the user agrees to a destination; return False if that was known."""
    with Lock(state / "config.lock", exclusive=True):
        known = _read(state)
        if destination in known:
            return False
        lines = sorted({*known, destination})
        text = _HEADER + "".join(line + "\n" for line in lines)
        fsio.write_atomic(state / FILE, text.encode())
    return True


def _read(state: Path) -> frozenset[str]:
    data = document.read(state / FILE)
    if data is None:
        return frozenset()
    lines = data.decode("utf-8", "replace").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))
