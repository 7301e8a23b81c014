"""The stat index: what was remembered about workspace files, so that they need not be read again.

Page: ``docs/format/stat-index.md``. Two kinds of file share one header. A *tree* file remembers one
tracked directory, column by column, so that an unchanged directory of any size is recognised by
comparing two blocks of bytes. The *table* remembers all targets that are single files::

    header 128 bytes  magic "DVERSTAT", version 1 (4), what 1 tree or 2 table (4),
                      d directories (8), n entries (8), length of the paths (8) and names (8),
                      base: kind (1), zero (7), size (8), files (8), oid (32); zero (8),
                      XXH3 of the body (8), XXH3 of the 120 bytes before (8)

    tree: d rows of 72 bytes, each entries (8), length of their names (8), size (8), files (8),
          ignore rules (8), oid of the directory's tree (32); then the columns over the entries of
          all directories in that order: paths of the directories, kinds (1), sizes (8),
          stats (40), oids (32), names
    table: n times kinds (1), sizes (8), stats (40), oids (32), base kinds (1), base sizes (8),
          base files (8), base oids (32), paths

    stats: mode, inode, size in bytes, mtime and ctime in nanoseconds, 8 bytes each

Names and paths end with NUL. All integers are unsigned and little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import NamedTuple

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.base.oid import OID_SIZE, Checksummer, Oid, checksum
from dver.formats.kinds import DIRECTORY, EXECUTABLE, FILE
from dver.formats.pointer import Pointer

MAGIC = b"DVERSTAT"
HEADER = struct.Struct("<8sIIQQQQB7xQQ32sQQ")
_NUMBER = struct.Struct("<Q")
_DIR = struct.Struct("<QQQQQ32s")
#: Bytes per row in the columns of a table, before the paths.
_TABLE_WIDTHS = (1, 8, 40, OID_SIZE, 1, 8, 8, OID_SIZE)
_BASE_KINDS = frozenset((0, FILE, EXECUTABLE, DIRECTORY))
TREE, TABLE = 1, 2
HEADER_SIZE = HEADER.size + _NUMBER.size
STAT_FIELDS = 5
#: Bytes of one entry's stat row.
ROW_SIZE = 8 * STAT_FIELDS
NO_OID = Oid(bytes(OID_SIZE))
NO_ROW = bytes(ROW_SIZE)

Buffer = bytes | bytearray | memoryview


@dataclass(slots=True)
class KnownDir:
    """One remembered directory, as the columns lie in the file.

    ``names`` is ended by NUL name by name. A stat row of zeros is that of an entry whose content
    is not known. ``tree`` is the oid of the directory's tree, or NO_OID when it is not known, and
    then ``size`` and ``files`` mean nothing. ``ignore`` stands for the ignore rules in force.
    """

    path: bytes
    names: Buffer
    kinds: Buffer
    sizes: Buffer
    stats: Buffer
    oids: Buffer
    tree: Oid = NO_OID
    size: int = 0
    files: int = 0
    ignore: int = 0


@dataclass(slots=True)
class KnownTree:
    """One remembered tracked directory: ``dirs`` by path relative to it, b"" for itself.

    ``base`` is what was last added or checked out there. ``stored`` stands for the state of the
    store's index in which all content named here was found, 0 if that was not looked up.
    """

    dirs: dict[bytes, KnownDir] = field(default_factory=dict)
    base: Pointer | None = None
    stored: int = 0


class KnownFile(NamedTuple):
    """One remembered single-file target: ``row`` is 40 bytes, zeros if the content is unknown."""

    kind: int
    size: int
    row: bytes
    oid: Oid
    base: Pointer | None


def encode_tree(known: KnownTree) -> bytes:
    """Return the bytes of a tree file. Directories are written in the order of ``known.dirs``."""
    return b"".join(tree_pieces(known))


def tree_pieces(known: KnownTree) -> list[Buffer]:
    """Return the bytes of a tree file in pieces, most of them those that were given.

    For a million files they are 100 MB, which need not be in memory twice.
    """
    dirs = list(known.dirs.values())
    rows = [
        _DIR.pack(len(one.kinds), len(one.names), one.size, one.files, one.ignore, one.tree)
        for one in dirs
    ]
    paths = b"".join([one.path + b"\0" for one in dirs])
    columns = [[one.kinds for one in dirs], [one.sizes for one in dirs]]
    columns += [[one.stats for one in dirs], [one.oids for one in dirs]]
    names = [one.names for one in dirs]
    body = [b"".join(rows), paths, *(part for column in columns for part in column), *names]
    check = Checksummer()
    for piece in body:
        check.update(piece)
    entries = sum(len(one.kinds) for one in dirs)
    lengths = (len(dirs), entries, len(paths), sum(map(len, names)))
    return [_header(TREE, lengths, known.base, check.intdigest(), known.stored), *body]


def decode_tree(data: bytes) -> KnownTree:
    """Parse a tree file. Raises FormatError for anything that is not exactly one."""
    (dirs, entries, paths_length, names_length), base = decode_header(data, TREE)
    fixed = dirs * _DIR.size + entries * (1 + 8 + ROW_SIZE + OID_SIZE)
    if len(data) != HEADER_SIZE + fixed + paths_length + names_length:
        raise FormatError("a stat index's length does not agree with its header")
    _check_body(data)
    view = memoryview(data)
    at = HEADER_SIZE + dirs * _DIR.size
    paths = _split(data[at : at + paths_length], dirs)
    kinds = at + paths_length
    sizes = kinds + entries
    stats = sizes + 8 * entries
    oids = stats + ROW_SIZE * entries
    names = oids + OID_SIZE * entries
    known = KnownTree(base=base, stored=HEADER.unpack_from(data)[-2])
    start = 0
    for path, row in zip(paths, _DIR.iter_unpack(view[HEADER_SIZE:at]), strict=True):
        count, length, size, files, ignore, tree = row
        end = start + count
        if end > entries or names + length > len(data):
            raise FormatError("a stat index has more entries than its header says")
        known.dirs[path] = KnownDir(
            path,
            view[names : names + length],
            view[kinds + start : kinds + end],
            view[sizes + 8 * start : sizes + 8 * end],
            view[stats + ROW_SIZE * start : stats + ROW_SIZE * end],
            view[oids + OID_SIZE * start : oids + OID_SIZE * end],
            Oid(tree),
            size,
            files,
            ignore,
        )
        start = end
        names += length
    if start != entries or names != len(data):
        raise FormatError("a stat index has fewer entries than its header says")
    return known


def encode_table(files: Iterable[tuple[bytes, KnownFile]]) -> bytes:
    """Return the bytes of the table of single-file targets."""
    items = sorted(files, key=lambda item: item[0])
    paths = b"".join([path + b"\0" for path, _ in items])
    rows = [one for _, one in items]
    bases = [_base_fields(one.base) for one in rows]
    count = len(rows)
    body = b"".join(
        (
            bytes([one.kind for one in rows]),
            struct.pack(f"<{count}Q", *[one.size for one in rows]),
            b"".join([one.row for one in rows]),
            b"".join([one.oid for one in rows]),
            bytes([base[0] for base in bases]),
            struct.pack(f"<{count}Q", *[base[1] for base in bases]),
            struct.pack(f"<{count}Q", *[base[2] for base in bases]),
            b"".join([base[3] for base in bases]),
            paths,
        )
    )
    return _header(TABLE, (0, count, len(paths), 0), None, checksum(body)) + body


class Table(Mapping[bytes, KnownFile]):
    """A decoded table; its rows are taken apart only when they are asked for."""

    __slots__ = ("_at", "_data", "_offsets")

    def __init__(self, data: bytes, offsets: Sequence[int], paths: Sequence[bytes]) -> None:
        self._data = data
        self._offsets = offsets
        self._at = dict(zip(paths, range(len(paths)), strict=True))

    def __getitem__(self, path: bytes) -> KnownFile:
        i = self._at[path]
        data = self._data
        kinds, sizes, rows, oids, base_kinds, base_sizes, base_files, base_oids, _ = self._offsets
        base_oid = Oid(data[base_oids + OID_SIZE * i : base_oids + OID_SIZE * (i + 1)])
        base_size = _NUMBER.unpack_from(data, base_sizes + 8 * i)[0]
        base_count = _NUMBER.unpack_from(data, base_files + 8 * i)[0]
        return KnownFile(
            data[kinds + i],
            _NUMBER.unpack_from(data, sizes + 8 * i)[0],
            data[rows + ROW_SIZE * i : rows + ROW_SIZE * (i + 1)],
            Oid(data[oids + OID_SIZE * i : oids + OID_SIZE * (i + 1)]),
            _base(data[base_kinds + i], base_size, base_count, base_oid),
        )

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._at)

    def __len__(self) -> int:
        return len(self._at)


def decode_table(data: bytes) -> Table:
    """Parse the table of single-file targets. Raises FormatError for anything else."""
    (dirs, count, paths_length, names_length), _ = decode_header(data, TABLE)
    fixed = count * sum(_TABLE_WIDTHS)
    if dirs or names_length or len(data) != HEADER_SIZE + fixed + paths_length:
        raise FormatError("a stat index's length does not agree with its header")
    _check_body(data)
    offsets = [HEADER_SIZE]
    for width in _TABLE_WIDTHS:
        offsets.append(offsets[-1] + width * count)
    base_kinds = offsets[4]
    if not _BASE_KINDS.issuperset(data[base_kinds : base_kinds + count]):
        raise FormatError("a stat index has a base of unknown kind")
    return Table(data, offsets, _split(data[offsets[-1] :], count))


def decode_header(data: bytes, what: int) -> tuple[Sequence[int], Pointer | None]:
    """Return ((directories, entries, length of paths, length of names), base) of a file's start."""
    if len(data) < HEADER_SIZE:
        raise FormatError("a stat index is shorter than its header")
    if _NUMBER.unpack_from(data, HEADER.size)[0] != checksum(data[: HEADER.size]):
        raise FormatError("a stat index's header does not match its checksum")
    magic, version, which, *lengths, kind, size, files, oid, _, _ = HEADER.unpack_from(data)
    if magic != MAGIC or version != 1 or which != what:
        raise FormatError("a stat index is of another kind or version")
    return lengths, _base(kind, size, files, Oid(oid))


def with_base(data: bytes, base: Pointer | None) -> bytes:
    """Return the bytes of a tree file with another base, without taking them apart."""
    lengths, _ = decode_header(data, TREE)
    stored, checked = HEADER.unpack_from(data)[-2:]
    header = HEADER.pack(MAGIC, 1, TREE, *lengths, *_base_fields(base), stored, checked)
    return header + _NUMBER.pack(checksum(header)) + data[HEADER_SIZE:]


def _header(
    what: int, lengths: Sequence[int], base: Pointer | None, checked: int, stored: int = 0
) -> bytes:
    fields = _base_fields(base)
    header = HEADER.pack(MAGIC, 1, what, *lengths, *fields, stored, checked)
    return header + _NUMBER.pack(checksum(header))


def _check_body(data: bytes) -> None:
    if HEADER.unpack_from(data)[-1] != checksum(memoryview(data)[HEADER_SIZE:]):
        raise FormatError("a stat index does not match its checksum")


def _split(block: bytes, count: int) -> list[bytes]:
    parts = block.split(b"\0")
    if parts.pop() or len(parts) != count:
        raise FormatError("a stat index has more or fewer paths than its header says")
    return parts


def _base_fields(base: Pointer | None) -> tuple[int, int, int, bytes]:
    if base is None:
        return 0, 0, 0, NO_OID
    kind = DIRECTORY if base.kind == "tree" else EXECUTABLE if base.executable else FILE
    return kind, base.size, base.files, base.oid


def _base(kind: int, size: int, files: int, oid: Oid) -> Pointer | None:
    if kind == DIRECTORY:
        return Pointer("tree", oid, size, files)
    if kind in (FILE, EXECUTABLE):
        return Pointer("file", oid, size, 1, kind == EXECUTABLE)
    if kind:
        raise FormatError("a stat index has a base of unknown kind")
    return None
