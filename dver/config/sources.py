"""Which sources of imported data the user here has named or agreed to.

Whoever can write to a repository can write any URL into a pointer: of a machine that only this one
reaches, or of a file that is nobody else's business. So the source in a pointer is asked only
once the user has named it in this clone, with ``dver import``, or has agreed to it with
``--trust``. That gives no leave to send anything there; see :mod:`dver.config.trust`.
"""

from __future__ import annotations

from pathlib import Path

from dver.base import fsio
from dver.base.locking import Lock
from dver.config import document

FILE = "trusted-sources"
_HEADER = "# Places that imported data may be read from; see 'dver update --help'.\n"


def is_agreed(state: Path, place: str) -> bool:
    """Tell whether the user agreed to a source. ``state`` is dver's common directory."""
    return place in _read(state)


def agree(state: Path, place: str) -> None:
    """Note that the user agrees to a source."""
    if is_agreed(state, place):
        return
    with Lock(state / "config.lock", exclusive=True):
        lines = sorted({*_read(state), place})
        text = _HEADER + "".join(line + "\n" for line in lines)
        fsio.write_atomic(state / FILE, text.encode())


def _read(state: Path) -> frozenset[str]:
    data = document.read(state / FILE)
    if data is None:
        return frozenset()
    lines = data.decode("utf-8", "replace").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))
