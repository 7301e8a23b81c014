"""What a pointer records, to compare."""

from __future__ import annotations

import os

from dver.formats.tree import EMPTY_OID
from dver.store import walk
from tests.support.workrepo import WorkRepo


def listing(repo: WorkRepo, path: str) -> dict[str, bytes | None]:
    """Return what a pointer records: content by path, None for an empty directory."""
    store = repo.open().store
    found: dict[str, bytes | None] = {}
    for directory, oid, tree in walk.walk(store, repo.pointer(path).oid):
        if oid == EMPTY_OID and directory:
            found[os.fsdecode(directory)] = None
        for entry in tree:
            name = os.fsdecode(walk.join(directory, entry.name))
            if entry.kind != ord("d"):
                found[name] = store.read(entry.oid)
            if entry.kind == ord("x"):
                found[name + " (x)"] = b""
    return found
