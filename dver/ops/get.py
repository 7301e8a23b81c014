"""Any version of any data to anywhere, without touching the workspace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class GetOptions:
    """What to get, and where to.

    ``path`` is a target or a path inside a tracked directory; with ``url`` it is relative to that
    repository's root. ``url`` is a git URL or the path of another local repository. ``rev`` None
    means the pointers in the work tree, or with ``url`` that repository's HEAD. ``output`` is
    a path as the user typed it; None means the path's own last name in the current directory, and
    an existing directory means that name inside it. ``force`` allows replacing an existing file or
    directory. ``remote`` names the remote to read from.
    """

    path: str
    output: str | None = None
    rev: str | None = None
    url: str | None = None
    remote: str | None = None
    force: bool = False
    jobs: int | None = None


@dataclass(frozen=True, slots=True)
class GetResult:
    """What was written. ``commit`` is None for the pointers in the work tree.

    ``size`` is in bytes and ``files`` counts files and symlinks; ``fetched_bytes`` came from
    a remote, the rest was here.
    """

    path: str
    output: str
    commit: str | None
    kind: Literal["file", "executable", "symlink", "directory"]
    oid: str
    size: int
    files: int
    fetched_bytes: int = 0
