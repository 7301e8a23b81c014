"""The inputs and outputs of records: bringing them here, and writing them to any place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.reporter import Reporter
from dver.formats.kinds import DIRECTORY, EXECUTABLE, FILE
from dver.formats.record import Item
from dver.formats.tree import Entry
from dver.ops.data.materialise import materialise
from dver.store.whole import is_whole

if TYPE_CHECKING:
    from dver.repo import Repo


def is_here(repo: Repo, item: Item) -> bool:
    """Say whether the local store has all of an item."""
    return is_whole(repo.store, item.oid, tree=item.kind == "tree")


def absent(repo: Repo, items: Sequence[Item]) -> list[Item]:
    """Return those of some items that the local store does not have all of."""
    return [one for one in items if not is_here(repo, one)]


def bring(repo: Repo, items: Sequence[Item], remote: str | None, reporter: Reporter) -> list[str]:
    """Fetch items that are not here, as far as they are to be had; return where was looked.

    ``remote`` None is the default one, if there is one. Raises RemoteError if it cannot be asked.
    """
    where = [repo.store.storage.description]
    wanted = [one for one in items if not is_here(repo, one)]
    if not wanted or (remote is None and repo.config.default_remote() is None):
        return where
    from dver.transfer.fetch import fetch
    from dver.transfer.wants import Want

    opened = repo.open_remote(remote, write=False)
    wants = [Want(one.kind, one.oid, one.size, one.path, (), "") for one in wanted]
    fetch(repo.store, opened, wants, reporter=reporter)
    return [*where, opened.storage.description]


def write_out(repo: Repo, item: Item, place: Path, scratch: Path, reporter: Reporter) -> None:
    """Write an item to a place, whatever is there; ``scratch`` is on the same file system."""
    fsio.make_dirs(os.fspath(scratch))
    fsio.make_dirs(os.fspath(place.parent))
    kind = DIRECTORY if item.kind == "tree" else EXECUTABLE if item.executable else FILE
    entry = Entry(kind, b"", item.size, item.oid)
    materialise(repo.store, entry, place, scratch, shown=item.path, force=True, reporter=reporter)
