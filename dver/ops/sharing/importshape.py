"""How the shape of data differs between two versions: files, and columns where that is cheap."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace

from dver.base.errors import MissingContentError
from dver.base.oid import Oid
from dver.formats.origin import UNSEEN
from dver.formats.pointer import Pointer
from dver.store.store import Store
from dver.store.treediff import diff_trees
from dver.store.walk import Layered, TreeSource

#: A header is looked for in so many bytes.
HEADER = 64 << 10
_MOST_COLUMNS = 10_000


@dataclass(frozen=True, slots=True)
class Shape:
    """What differs: counts of files, None where that cannot be told without downloading.

    ``old_size`` and ``size`` are in bytes. ``columns_added`` and ``columns_removed`` are names in
    the header of a CSV file.
    """

    added: int | None
    removed: int | None
    modified: int | None
    old_size: int
    size: int
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()


def shape_of(here: TreeSource, old: Pointer, new: Pointer, there: TreeSource) -> Shape:
    """Compare two versions by their lists of files; no content is read."""
    if old.kind == "tree" and new.kind == "tree" and UNSEEN not in (old.oid, new.oid):
        added = removed = modified = 0
        try:
            for change in diff_trees(Layered([here, there]), old.oid, new.oid):
                added += change.old is None
                removed += change.new is None
                modified += change.old is not None and change.new is not None
        except MissingContentError:
            return Shape(None, None, None, old.size, new.size)
        return Shape(added, removed, modified, old.size, new.size)
    same_kind = old.kind == new.kind == "file"
    return Shape(0, 0, 1 if same_kind else None, old.size, new.size)


def has_header(name: bytes) -> bool:
    """Tell whether a file of that name begins with the names of its columns."""
    return name.lower().endswith((b".csv", b".tsv"))


def header_of(data: bytes, name: bytes) -> tuple[str, ...]:
    """Return the columns that the beginning of a CSV or TSV file names, () if it names none."""
    if not has_header(name) or b"\n" not in data:
        return ()
    tabs = name.lower().endswith(b".tsv")
    try:
        line = data.partition(b"\n")[0].decode("utf-8-sig").rstrip("\r")
        found = next(csv.reader([line], delimiter="\t" if tabs else ","), [])
    except (UnicodeDecodeError, csv.Error):
        return ()
    return tuple(found) if len(found) <= _MOST_COLUMNS else ()


def with_columns(shape: Shape, old: tuple[str, ...], new: tuple[str, ...]) -> Shape:
    """Return a shape that also tells which columns came and went."""
    if not old or not new:
        return shape
    return replace(
        shape,
        columns_added=tuple(one for one in new if one not in old),
        columns_removed=tuple(one for one in old if one not in new),
    )


def beginning(store: Store | None, oid: Oid) -> bytes:
    """Return the beginning of a file's content in a store, b"" if it is not there."""
    data = b""
    if store is None or oid == UNSEEN:
        return data
    try:
        for piece in store.stream(oid):
            data += bytes(piece)
            if len(data) >= HEADER:
                break
    except MissingContentError:
        return b""
    return data[:HEADER]
