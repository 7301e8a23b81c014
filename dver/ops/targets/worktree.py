"""What operations that change the work tree share: the lock, and telling git."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dver.base.locking import Lock

if TYPE_CHECKING:
    from dver.repo import Repo


def hold_worktree(repo: Repo, *, timeout: float = 60.0) -> Lock:
    """Return the lock that whatever changes this work tree holds meanwhile."""
    return Lock(repo.layout.workspace_lock, exclusive=True, timeout=timeout)


def known_to_git(repo: Repo, paths: Sequence[bytes]) -> list[bytes]:
    """Return those of some paths that ``git add`` can be given: there, or gone from git's index."""
    gone = [path for path in paths if not os.path.lexists(repo.absolute(path))]
    tracked = set(repo.git.tracked_by_git(gone)) if gone else set()
    unknown = set(gone) - tracked
    return [path for path in paths if path not in unknown]


def stage(repo: Repo, paths: Sequence[bytes], choice: bool | None) -> bool:
    """Do as ``git add`` does for files that changed or are gone, if that is wanted; say whether.

    ``choice`` None leaves it to the setting ``core.autostage``.
    """
    wanted = repo.config.get("core.autostage") is True if choice is None else choice
    if not wanted or not paths:
        return False
    repo.git.run(
        *("update-index", "--add", "--remove", "-z", "--stdin"),
        stdin=b"".join(path + b"\0" for path in paths),
    )
    return True
