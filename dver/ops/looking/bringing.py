"""Fetching one path of one version into a store, if it is not all there yet."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dver.base.errors import MissingContentError
from dver.base.reporter import Reporter
from dver.formats.tree import DIRECTORY
from dver.ops.targets.lost import lost_error
from dver.ops.targets.remembered import missing_error
from dver.ops.targets.versions import Located, Version, entry_at
from dver.store.whole import is_whole

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.store.store import Store


def is_here(repo: Repo, version: Version, located: Located, store: Store) -> bool:
    """Say whether a store has all of what is at a path."""
    try:
        entry = entry_at(repo, version, located, store)
    except MissingContentError:
        return False
    return is_whole(store, entry.oid, tree=entry.kind == DIRECTORY)


def bring(
    repo: Repo,
    version: Version,
    located: Located,
    store: Store,
    reporter: Reporter,
    *,
    remote: str | None = None,
    jobs: int | None = None,
) -> int:
    """Fetch what a store lacks of what is at a path; return how many bytes that were.

    Raises MissingContentError or CorruptError if something is not to be had, and whatever reading
    the remote raises.
    """
    if is_here(repo, version, located, store):
        return 0
    from dver.transfer.fetch import fetch
    from dver.transfer.wants import Want

    if remote is None and repo.config.default_remote() is None:
        raise missing_error(repo, [(located.path, located.pointer.oid)], "the local store")
    opened = repo.open_remote(remote, write=False)
    if jobs is not None:
        opened.set_jobs(jobs)
    want = Want(
        located.pointer.kind,
        located.pointer.oid,
        located.pointer.size,
        os.fsdecode(located.target),
        (located.inside,) if located.inside else (),
        version.commit or "",
    )
    fetched = fetch(store, opened, [want], reporter=reporter)
    if fetched.lost:
        raise lost_error(repo, fetched.lost)
    return fetched.bytes
