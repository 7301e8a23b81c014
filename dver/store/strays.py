"""What lies in a store beside what its index names: packs without a segment, and no files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace

from dver.base.errors import CorruptError, FormatError, ObjectNotFound
from dver.base.oid import Oid, checksum
from dver.formats import pack
from dver.storage.base import Storage
from dver.store import layout
from dver.store.fsck import Problem
from dver.store.index import Index

#: What fsck calls a segment that is there and cannot be used.
DAMAGED_SEGMENT = "segment-damaged"


def irregular(storage: Storage) -> Iterator[Problem]:
    """Yield what stands in the place of a pack or segment on this disk and is no regular file.

    A listing leaves such things out, and whoever opens one gets an error.
    """
    for prefix, what in ((layout.PACKS, "pack-damaged"), (layout.INDEX, DAMAGED_SEGMENT)):
        if not storage.facts.local:
            return
        top = storage.local_path(prefix.rstrip("/"))
        for path in _names(top, 1 if prefix == layout.PACKS else 0) if top else ():
            name = layout.name_of(path)
            if name is None or os.path.isfile(path):
                continue
            key = layout.pack_key(name) if prefix == layout.PACKS else layout.segment_key(name)
            if path == storage.local_path(key) and os.path.lexists(path):
                yield Problem(what, key, f"it is {_kind(path)}, no regular file")


def _names(directory: str, depth: int) -> Iterator[str]:
    """Yield the paths of all that lies so many directories below one."""
    try:
        with os.scandir(directory) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if not depth:
            yield entry.path
        elif entry.is_dir(follow_symlinks=False):
            yield from _names(entry.path, depth - 1)


def _kind(path: str) -> str:
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return "a symlink"
    if stat.S_ISDIR(mode):
        return "a directory"
    return "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"


def unindexed(storage: Storage, index: Index) -> dict[bytes, int]:
    """Return the packs that are there and no segment of an index names, with their sizes."""
    named = index.packs()
    return {
        name: entry.size
        for entry in storage.list(layout.PACKS)
        if (name := layout.name_of(entry.key)) is not None
        and entry.key == layout.pack_key(name)
        and name not in named
    }


def footer_rows(storage: Storage, name: bytes, size: int) -> bytes:
    """Return the footer rows of a pack, with one or two short reads.

    Raises CorruptError if they do not match their checksum or the pack's name.
    """
    key = layout.pack_key(name)
    if size < pack.HEADER.size + pack.TRAILER.size:
        raise FormatError("a pack is shorter than its header and trailer")
    trailer = storage.get(key, size - pack.TRAILER.size, pack.TRAILER.size)
    length = pack.footer_length(trailer, size)
    rows = storage.get(key, size - pack.TRAILER.size - length, length)
    header = storage.get(key, 0, pack.HEADER.size)
    pack.check_header(header, trailer)
    sound = checksum(rows) == pack.footer_checksum(trailer)
    if not sound or pack.name_of(header, rows, trailer) != name:
        raise CorruptError("its header and footer do not hash to its name")
    return rows


def in_unindexed_packs(storage: Storage, index: Index) -> dict[Oid, bytes]:
    """Return what an index does not have and a pack that it does not name has, with that pack."""
    found: dict[Oid, bytes] = {}
    for name, size in sorted(unindexed(storage, index).items()):
        try:
            rows = footer_rows(storage, name, size)
        except (CorruptError, ObjectNotFound):
            continue
        found.update((oid, name) for oid in pack.oids_of(rows) if oid not in index)
    return found


def with_what_segments_named(
    storage: Storage, index: Index, problems: Iterable[Problem]
) -> list[Problem]:
    """Return problems, those of damaged segments with the objects that only these may have named.

    These are what the footers of packs say that no sound segment names. An interrupted command may
    leave such a pack as well, so that is more than was lost at times, and never less.
    """
    found = list(problems)
    if not any(one.what == DAMAGED_SEGMENT for one in found):
        return found
    lost = in_unindexed_packs(storage, index)
    return [
        replace(one, oids=tuple(dict.fromkeys((*one.oids, *lost))))
        if one.what == DAMAGED_SEGMENT
        else one
        for one in found
    ]
