"""Temporary files that commands which were killed left outside the store."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator

from dver.base import clock
from dver.base.fsio import TEMP_PREFIX
from dver.git.repository import Git

#: Behind the number may stand what the file was to try out: an accent, a kind of link.
_NAME = re.compile(re.escape(TEMP_PREFIX) + r"[0-9a-f]{16}\w{0,10}")
#: A temporary file that nobody wrote to for so long (seconds) belongs to no running command.
_STALE = 3600.0


def stale_temporaries(git: Git) -> Iterator[tuple[str, int]]:
    """Yield (absolute path, bytes) of each in a repository: in its state and in its work tree.

    Only what was not written to for an hour counts, since commands that share no lock with the
    caller may be running.
    """
    before = clock.now_ns() - int(_STALE * 1e9)
    for path in (*_in_state(git), *_in_worktree(git)):
        with contextlib.suppress(OSError):
            found = os.lstat(path)
            if stat.S_ISREG(found.st_mode) and found.st_mtime_ns < before:
                yield path, found.st_size


def _in_state(git: Git) -> Iterator[str]:
    for top in {os.path.join(git.common_dir, "dver"), os.path.join(git.git_dir, "dver")}:
        for directory, below, files in os.walk(top):
            if directory == top:
                # The store cleans these up itself, under its lock.
                below[:] = [name for name in below if name not in ("packs", "index", "tmp")]
            yield from (os.path.join(directory, name) for name in files if _NAME.fullmatch(name))


def _in_worktree(git: Git) -> Iterator[str]:
    if git.root in (git.git_dir, git.common_dir):
        return
    # Not in ignored directories, which is where the data is: a checkout looks after those.
    args = ("ls-files", "-z", "--others", "--exclude-standard")
    for raw in git.run(*args, "--", f":(top,glob)**/{TEMP_PREFIX}*").split(b"\0"):
        path = os.path.join(os.fsencode(git.root), raw)
        if _NAME.fullmatch(os.fsdecode(os.path.basename(path))):
            yield os.fsdecode(path)
