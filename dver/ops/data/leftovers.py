"""Data that stayed in the workspace when git took its pointer away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats import pointer as pointers
from dver.ops.data.restoring import Wish
from dver.ops.targets.placed import left_behind
from dver.ops.targets.pointerstate import blob_ids
from dver.ops.targets.scope import Scope
from dver.ops.targets.target import Target
from dver.workspace.statindex import StatIndex

if TYPE_CHECKING:
    from dver.repo import Repo


def find_leftovers(
    repo: Repo,
    scope: Scope,
    targets: Mapping[bytes, Target],
    index: StatIndex,
    reporter: Reporter,
) -> list[Wish]:
    """Return a wish to remove each leftover that a commit, stash or reflog still names.

    Whoever deleted a pointer that was never committed may want to keep the data; nothing but
    that pointer told where its content is. So such data stays, with a warning.
    """
    paths = left_behind(repo, scope, targets)
    committed: dict[bytes, set[str]] = {}
    if paths and repo.git.head() is not None:
        from dver.git.history import history

        for change in history(repo.git, ["--all", "--reflog"], paths):
            if change.blob is not None:
                committed.setdefault(change.path, set()).add(change.blob)
    wishes = []
    for path in paths:
        base = index.base(path)
        blobs = committed.get(path + pointers.SUFFIX.encode(), set())
        like = next(iter(blobs), None)
        if base is not None and blobs & blob_ids(pointers.encode(base), like):
            wishes.append(Wish(path, None))
            continue
        shown = show(repo.display(path))
        reporter.warn(
            f"{shown} is not tracked any more, and stays since no commit names its content",
            hint=f"'dver add {shown}' tracks it again; delete it if nobody needs it",
        )
    return wishes
