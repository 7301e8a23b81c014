"""What of purged objects lies in a remote beside what its index names.

Pushes, collections and purges that were killed leave packs that no segment names, and repairs put
files aside. Once an index has forgotten a file, only its chunks' own names tell what they are.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from dver.base.errors import (
    CorruptError,
    FormatError,
    MissingContentError,
    ObjectNotFound,
    RemoteError,
    SystemFailure,
)
from dver.base.oid import OID_SIZE, Oid
from dver.base.regular import open_regular
from dver.formats import pack
from dver.formats.purged import PurgedObject
from dver.storage.base import Storage
from dver.store import quarantine, walk
from dver.store.index import Index
from dver.store.store import Store
from dver.store.strays import footer_rows
from dver.transfer.gc.survey import Survey
from dver.transfer.remote import Remote

_GONE = (CorruptError, FormatError, MissingContentError, ObjectNotFound)


def parts_here(local: Store, named: Iterable[PurgedObject], index: Index) -> set[bytes]:
    """Return what named objects consist of as the local store has them, and the index does not.

    What the index has is judged by what the remote itself needs.
    """
    found: set[bytes] = set()
    for one in named:
        tops = [one.oid]
        if one.kind == "tree":
            tops += [
                tree.oid(at)
                for _, tree in walk.distinct(local, [one.oid], missing=lambda _: None)
                for at in range(len(tree))
            ]
        for oid in dict.fromkeys(tops):
            with contextlib.suppress(*_GONE):
                found.update(part for part, _ in local.parts(oid))
    return {oid for oid in found if Oid(oid) not in index}


def in_unindexed(
    remote: Remote, index: Index, seen: Survey, oids: AbstractSet[bytes]
) -> set[bytes]:
    """Return the packs that no segment names and that have any of some objects.

    Those that a collection, or an earlier purge, has said to be swept are among them: nobody
    counts on these any more, and their chunks cannot be told by any name.
    """
    found = set()
    swept = seen.notices.swept_packs()
    for name in seen.packs.keys() - index.packs().keys():
        if name in swept or _has_any(remote.storage, name, seen.packs[name], oids):
            found.add(name)
    return found


def _has_any(storage: Storage, name: bytes, size: int, oids: AbstractSet[bytes]) -> bool:
    try:
        rows = footer_rows(storage, name, size)
    except (CorruptError, ObjectNotFound):
        return False
    return not oids.isdisjoint(pack.oids_of(rows))


def remove_set_aside(storage: Storage, oids: AbstractSet[bytes]) -> Iterator[str]:
    """Delete what repairs set aside if it holds any of some objects; yield what could not be.

    That means what cannot be deleted, and what cannot be looked into.
    """
    for key, _, _ in list(quarantine.listed(storage)):
        try:
            if _holds(storage, key, oids):
                quarantine.remove(storage, key)
                for reason in storage.delete_old_versions(key):
                    raise RemoteError(reason)
        except (*_GONE, RemoteError, SystemFailure, OSError):
            yield key


def _holds(storage: Storage, key: str, oids: AbstractSet[bytes]) -> bool:
    path = storage.local_path(key) if storage.facts.local else None
    if path is not None:
        return _file_holds(path, oids)
    with tempfile.TemporaryDirectory(prefix="dver-aside-") as temp:
        copy = Path(temp, "copy")
        storage.get_file(key, copy)
        return _file_holds(str(copy), oids)


def _file_holds(path: str, oids: AbstractSet[bytes]) -> bool:
    """Say whether a file holds a frame of any of some objects; its frames need not be in order."""
    fd = open_regular(path)
    try:
        if not os.fstat(fd).st_size:
            return False
        with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as data:
            at = data.find(pack.FRAME_MAGIC)
            while at >= 0:
                end = at + pack.FRAME.size
                if data[end - OID_SIZE : end] in oids:
                    return True
                at = data.find(pack.FRAME_MAGIC, at + 1)
    finally:
        os.close(fd)
    return False
