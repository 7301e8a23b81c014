"""Which data may have been changed and not added, told in less than what 'dver status' takes.

To know that no file of a directory was changed, each has to be looked at. A commit that is not
about data is not to wait for that: of a very large directory, the directories in it are looked at
then, whose times tell of every file that came, went or was replaced. What a program wrote into a
file that stays, only the next look at all files finds.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dver.formats.pointer import Pointer
from dver.git.pointers import data_path
from dver.ops.targets.target import present_targets, read_target
from dver.workspace.statindex import StatIndex

if TYPE_CHECKING:
    from dver.repo import Repo

#: So many files are looked at one by one whatever a commit is about (each takes about 4 us).
FEW_FILES = 5_000


def worth_a_look(repo: Repo, pointers: Iterable[bytes]) -> list[bytes] | None:
    """Return the targets to be looked at closely for a commit without data; None for all.

    ``pointers`` are the pointer files in git's index.
    """
    paths = [data_path(path) for path in pointers]
    if len(paths) > FEW_FILES:
        return []
    root = os.fsencode(repo.root)
    targets = present_targets({path: read_target(root, path) for path in paths})
    files = sum(one.pointer.files for one in targets.values() if one.pointer is not None)
    if files <= FEW_FILES:
        return None
    index = StatIndex(repo.state_dir)
    found, left = [], FEW_FILES
    for path, target in sorted(targets.items(), key=lambda one: _files(one[1].pointer)):
        count = _files(target.pointer)
        if count <= left:
            left -= count
            found.append(path)
        elif target.pointer is not None and _may_differ(repo, index, path, target.pointer):
            found.append(path)
    return found


def _files(pointer: Pointer | None) -> int:
    return 1 if pointer is None else pointer.files


def _may_differ(repo: Repo, index: StatIndex, path: bytes, pointer: Pointer) -> bool:
    """Tell whether directories of a target were touched since all of it was seen as recorded."""
    absolute = repo.absolute(path)
    if not os.path.lexists(absolute):
        return False
    known, moment = index.load_tree(path), index.saved(path)
    if known is None or not moment or b"" not in known.dirs:
        return True
    if known.dirs[b""].tree != pointer.oid:
        return True
    try:
        return any(
            os.lstat(os.path.join(absolute, inner) if inner else absolute).st_mtime_ns >= moment
            for inner in known.dirs
        )
    except OSError:
        return True
