"""How the shape of data differs between two versions: files, and columns where that is cheap."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace

from dver.base.dataclass import dataclass
from dver.base.errors import DverError, MissingContentError
from dver.base.oid import Oid
from dver.formats.chunklist import ChunkList
from dver.formats.origin import UNSEEN
from dver.formats.pointer import Pointer
from dver.store.codec import Buffer
from dver.store.localchunks import LocalChunks
from dver.store.ranged import ChunkCache, ObjectReader, Wanted
from dver.store.store import Store
from dver.store.treediff import diff_trees
from dver.store.walk import Layered, TreeSource

#: Reads the bytes of a file from one position to another.
Read = Callable[[int, int], bytes]

#: A header, or the description at the end of a file, is looked for in so many bytes.
HEADER = 64 << 10
_MOST_COLUMNS = 10_000
_PARQUET = (b".parquet", b".pq")
_MAGIC, _FOOTER, _MOST_FOOTER = b"PAR1", 8, 64 << 20
#: So much of a file's chunks is kept while its columns are looked at (bytes).
_CACHE = 8 << 20


@dataclass(frozen=True, slots=True)
class Shape:
    """What differs: counts of files, None where that cannot be told without downloading.

    ``old_size`` and ``size`` are in bytes. ``columns_added`` and ``columns_removed`` are names of
    columns of a CSV or Parquet file, ``columns_changed`` those whose type is another, with both.
    ``note`` says why columns could not be compared.
    """

    added: int | None
    removed: int | None
    modified: int | None
    old_size: int
    size: int
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    columns_changed: tuple[str, ...] = ()
    note: str = ""


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


def has_columns(name: bytes) -> bool:
    """Tell whether a file of that name says what its columns are: CSV, TSV or Parquet."""
    return name.lower().endswith((b".csv", b".tsv", *_PARQUET))


def with_columns(
    shape: Shape, name: bytes, old: tuple[int, Read | None], new: tuple[int, Read | None]
) -> Shape:
    """Return a shape that also tells which columns came, went and changed.

    ``old`` and ``new`` are the size of each file, and what reads a range of it, None if it cannot
    be read. What cannot be told is left out, and where that is for want of a library, noted.
    """
    (old_size, old_read), (new_size, new_read) = old, new
    if old_read is None or new_read is None:
        return shape
    try:
        before, after = columns_of(name, old_size, old_read), columns_of(name, new_size, new_read)
    except _NoLibraryError:
        return replace(shape, note="columns not compared, since pyarrow is not installed")
    except DverError as error:
        return replace(shape, note=f"columns not compared: {error.message}")
    if not before or not after:
        return shape
    return replace(
        shape,
        columns_added=tuple(one for one in after if one not in before),
        columns_removed=tuple(one for one in before if one not in after),
        columns_changed=tuple(
            f"{one} ({before[one]} -> {kind})"
            for one, kind in after.items()
            if one in before and before[one] != kind
        ),
    )


def columns_of(name: bytes, size: int, read: Read) -> dict[str, str]:
    """Return the columns of a file with their types, "" where it tells none; {} if it tells none.

    Of a CSV or TSV file the beginning is read, of a Parquet file the end.
    """
    if name.lower().endswith(_PARQUET):
        return _parquet(size, read)
    return dict.fromkeys(_header(read(0, min(HEADER, size)), name), "")


def _header(data: bytes, name: bytes) -> tuple[str, ...]:
    if b"\n" not in data:
        return ()
    tabs = name.lower().endswith(b".tsv")
    try:
        line = data.partition(b"\n")[0].decode("utf-8-sig").rstrip("\r")
        found = next(csv.reader([line], delimiter="\t" if tabs else ","), [])
    except (UnicodeDecodeError, csv.Error):
        return ()
    return tuple(found) if len(found) <= _MOST_COLUMNS else ()


class _NoLibraryError(Exception):
    """What reads Parquet is not installed."""


def _parquet(size: int, read: Read) -> dict[str, str]:
    # The last eight bytes tell how long the part is that describes the columns.
    end = read(max(0, size - HEADER), size)
    if len(end) < _FOOTER or not end.endswith(_MAGIC):
        return {}
    length = int.from_bytes(end[-_FOOTER:-4], "little") + _FOOTER
    if length > min(size, _MOST_FOOTER):
        return {}
    if length > len(end):
        end = read(size - length, size)
    try:
        import pyarrow as pa  # type: ignore[import-untyped]  # it comes without types
        from pyarrow import parquet
    except ImportError:
        raise _NoLibraryError from None
    try:
        schema = parquet.read_schema(pa.BufferReader(_MAGIC + end[-length:]))
    except (pa.ArrowException, OSError, ValueError):
        return {}
    return {field.name: str(field.type) for field in schema}


def here(store: Store, pointer: Pointer) -> Read | None:
    """Return what reads ranges of a file in a local store, None if it is not there."""
    if pointer.oid == UNSEEN or pointer.kind != "file" or not store.has(pointer.oid):
        return None
    try:
        return ObjectReader(_Here(store), ChunkCache(_CACHE), pointer.oid, pointer.size).read
    except DverError:
        return None


class _Here:
    """The chunks of a local store, and of nothing behind it."""

    def __init__(self, store: Store) -> None:
        self._chunks = LocalChunks(store)

    def chunk_list(self, oid: Oid) -> ChunkList | None:
        """Return the list under an oid; see ChunkSource."""
        return self._chunks.chunk_list(oid)

    def fill(self, wanted: Sequence[Wanted]) -> list[Buffer]:
        """Return chunks. Raises MissingContentError for what is not here."""
        return self._chunks.fill(wanted, self._chunks.places(wanted))
