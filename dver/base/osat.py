"""The calls of :mod:`os` that take an open directory, wherever dver runs.

``osat`` is :mod:`os` itself where that has ``openat`` and the like, so that nothing is paid there
for the systems that have none: on these, Windows above all, it is :mod:`dver.base.pathwise`, which
has the same calls. Nothing but the standard library is imported here, since processes that are to
start quickly need it.
"""

from __future__ import annotations

import os
import sys
from operator import attrgetter

# Mypy knows the name; importing it from typing would take longer than all else here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Whether the system itself can begin at an open directory.
NATIVE = os.open in os.supports_dir_fd
#: Whether a file's mode tells that it can be executed.
HAS_MODES = os.name != "nt"

# For mypy it is os, where all of the calls are.
if TYPE_CHECKING or NATIVE:
    import os as osat
else:
    from dver.base import pathwise as osat

#: What asks ``osat.open`` for a directory, and for no symlink.
DIRECTORY: int = getattr(os, "O_DIRECTORY", getattr(osat, "DIRECTORY", 0))
NOFOLLOW: int = getattr(os, "O_NOFOLLOW", getattr(osat, "NOFOLLOW", 0))
#: How a directory is opened, never through a symlink in its last component.
OPEN_DIR = (
    os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | DIRECTORY | NOFOLLOW
)

#: Five integers of a stat result; what is equal in all of them has not changed.
stat_fields: Any
if HAS_MODES:
    stat_fields = attrgetter("st_mode", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
else:
    from dver.base.pathwise import stat_fields


def fchmod(fd: int, mode: int) -> None:
    """Change the mode of an open file, where files have one."""
    if sys.platform != "win32" and hasattr(os, "fchmod"):
        os.fchmod(fd, mode)


__all__ = [
    "DIRECTORY",
    "HAS_MODES",
    "NATIVE",
    "NOFOLLOW",
    "OPEN_DIR",
    "fchmod",
    "osat",
    "stat_fields",
]
