"""How close two files are that should be the same: byte for byte, or in what they hold.

Content is compared by what it is: tensors in a safetensors file, arrays in npy and npz, members
of zip and gzip, rows of CSV, tables in parquet (with pyarrow, where it is installed), opcodes of a
pickle. Nothing is executed for it: a pickle is taken apart, never loaded.
"""

from __future__ import annotations

import csv
import gzip
import importlib
import itertools
import json
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO

from dver.base.dataclass import dataclass
from dver.formats.record import Grade

#: The order from best to worst.
GRADES: tuple[Grade, ...] = ("exact", "content", "metric", "diverged", "blocked")
#: Files are compared in pieces of so many bytes.
_PIECE = 1 << 20
#: Larger files than this are compared by their bytes alone where they would have to be in memory.
MAX_IN_MEMORY = 512 << 20
#: No header of a safetensors file is longer (bytes).
_MAX_HEADER = 100 << 20
_LENGTH = struct.Struct("<Q")
#: What a pickle's opcodes say of its own spelling and nothing of its content.
_SPELLING = {"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"}
#: Members of archives that name the moment or the machine, not the content.
_INCIDENTAL = (".data/serialization_id", "data/serialization_id", ".DS_Store")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether two files hold the same, and what was compared; ``note`` says what differs."""

    same: bool
    note: str


class _Unlike(Exception):
    """The files differ; the message says where."""


class _Unfit(Exception):
    """A file is not of the kind that its name says."""


def worst(grades: Sequence[Grade]) -> Grade:
    """Return the worst of some grades, ``exact`` of none."""
    return max(grades, key=GRADES.index, default="exact")


def same_content(name: str, one: Path, other: Path) -> Comparison:
    """Compare two files of the same name that are not equal byte for byte."""
    lower = name.lower()
    for endings, what, compare in _KINDS:
        if lower.endswith(endings):
            try:
                compare(one, other)
            except _Unlike as difference:
                return Comparison(False, f"{what}: {difference}")
            except (_Unfit, ValueError, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
                return Comparison(False, f"not comparable as {what}: {error}")
            return Comparison(True, f"the same {what}")
    return Comparison(False, "the bytes differ, and nothing is known of this kind of file")


def pairs_of(one: Path, other: Path) -> list[tuple[str, Path, Path]] | None:
    """Return (name, file, file) for two files, or for those of two directories that differ.

    None if the directories do not have files of the same names.
    """
    if one.is_dir() != other.is_dir():
        return None
    if not one.is_dir():
        return [(one.name, one, other)]
    mine, theirs = _files(one), _files(other)
    if mine != theirs:
        return None
    pairs = [(name, one / name, other / name) for name in mine]
    return [pair for pair in pairs if not _equal_files(pair[1], pair[2])]


def _files(top: Path) -> list[str]:
    return sorted(
        str(path.relative_to(top)) for path in top.rglob("*") if path.is_symlink() or path.is_file()
    )


# -- kinds of files ----------------------------------------------------------------------------


def _safetensors(one: Path, other: Path) -> None:
    with one.open("rb") as first, other.open("rb") as second:
        mine, theirs = _tensors(first), _tensors(second)
        _same_keys(mine, theirs, "tensor")
        for name in sorted(mine):
            (kind, shape, at, size), (kind2, shape2, at2, size2) = mine[name], theirs[name]
            if (kind, shape, size) != (kind2, shape2, size2):
                raise _Unlike(f"{name} is {kind2} {shape2} and was {kind} {shape}")
            if not _equal_ranges(first, at, second, at2, size):
                raise _Unlike(f"the tensor {name} differs")


def _tensors(file: BinaryIO) -> dict[str, tuple[str, str, int, int]]:
    (length,) = _LENGTH.unpack(_exactly(file, 8))
    if length > _MAX_HEADER:
        raise _Unfit("the header is too long")
    header = json.loads(_exactly(file, length))
    found = {}
    for name, facts in header.items():
        if name != "__metadata__":
            start, end = facts["data_offsets"]
            found[name] = (
                str(facts["dtype"]),
                str(facts["shape"]),
                8 + length + start,
                end - start,
            )
    return found


def _npy(one: Path, other: Path) -> None:
    _require_small(one, other)
    _same_array("the array", one.read_bytes(), other.read_bytes())


def _same_array(name: str, one: bytes, other: bytes) -> None:
    header, data = _npy_parts(one)
    header2, data2 = _npy_parts(other)
    if header != header2:
        raise _Unlike(f"{name} is {header2} and was {header}")
    if data != data2:
        raise _Unlike(f"{name} differs")


def _npy_parts(data: bytes) -> tuple[str, memoryview]:
    # https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
    if data[:6] != b"\x93NUMPY":
        raise _Unfit("no npy magic")
    width = 2 if data[6] == 1 else 4
    length = int.from_bytes(data[8 : 8 + width], "little")
    start = 8 + width + length
    return data[8 + width : start].decode("latin-1").strip(), memoryview(data)[start:]


def _zip(one: Path, other: Path) -> None:
    with zipfile.ZipFile(one) as first, zipfile.ZipFile(other) as second:
        mine, theirs = _members(first), _members(second)
        _same_keys(mine, theirs, "member")
        for name in sorted(mine):
            with first.open(mine[name]) as a, second.open(theirs[name]) as b:
                if name.endswith(".npy"):
                    _same_array(name.removesuffix(".npy"), _limited(a), _limited(b))
                elif name.endswith(".pkl"):
                    _same_opcodes(_limited(a), _limited(b))
                elif not _equal_streams(a.read, b.read):
                    raise _Unlike(f"{name} differs")


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    files = [one for one in archive.infolist() if not one.is_dir()]
    # torch puts all below one directory that is named after the file.
    tops = {one.filename.partition("/")[0] + "/" for one in files}
    top = tops.pop() if len(tops) == 1 else ""
    found = {one.filename.removeprefix(top): one for one in files}
    return {name: one for name, one in found.items() if not name.endswith(_INCIDENTAL)}


def _gzip(one: Path, other: Path) -> None:
    with gzip.open(one) as first, gzip.open(other) as second:
        if not _equal_streams(first.read, second.read):
            raise _Unlike("what is compressed differs")


def _rows(one: Path, other: Path) -> None:
    separator = "\t" if one.name.lower().endswith(".tsv") else ","
    with (
        one.open(newline="", encoding="utf-8-sig") as first,
        other.open(newline="", encoding="utf-8-sig") as second,
    ):
        pairs = itertools.zip_longest(
            csv.reader(first, delimiter=separator), csv.reader(second, delimiter=separator)
        )
        for line, (mine, theirs) in enumerate(pairs, 1):
            if mine is None or theirs is None:
                raise _Unlike(f"{'more' if mine is None else 'fewer'} rows, from row {line} on")
            if mine != theirs and not _same_cells(mine, theirs):
                raise _Unlike(f"row {line} differs")


def _same_cells(mine: list[str], theirs: list[str]) -> bool:
    return len(mine) == len(theirs) and all(map(_same_cell, mine, theirs))


def _same_cell(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        # 1.50 and 1.5 are one number; 1.5 and 1.4999 are two.
        return float(one) == float(other)
    except ValueError:
        return False


def _parquet(one: Path, other: Path) -> None:
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise _Unfit("pyarrow is not installed") from None
    mine, theirs = parquet.ParquetFile(one), parquet.ParquetFile(other)
    if not mine.schema_arrow.equals(theirs.schema_arrow):
        raise _Unlike("the columns differ")
    if mine.metadata.num_rows != theirs.metadata.num_rows:
        raise _Unlike(f"{theirs.metadata.num_rows} rows, and were {mine.metadata.num_rows}")
    for name in mine.schema_arrow.names:
        if not mine.read(columns=[name]).equals(theirs.read(columns=[name])):
            raise _Unlike(f"the column {name} differs")


def _pickle(one: Path, other: Path) -> None:
    _require_small(one, other)
    _same_opcodes(one.read_bytes(), other.read_bytes())


def _same_opcodes(one: bytes, other: bytes) -> None:
    pairs = itertools.zip_longest(_opcodes(one), _opcodes(other))
    for n, (mine, theirs) in enumerate(pairs):
        if mine != theirs:
            shown = mine or theirs
            raise _Unlike(f"from opcode {n} ({shown[0] if shown else ''}) on")


def _opcodes(data: bytes) -> Iterator[tuple[str, object]]:
    """Yield what a pickle does, with references by the step that made what they are to.

    So it does not matter which objects it numbers, as long as those that are referred to are.
    """
    places: dict[object, int] = {}
    steps = 0
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name == "MEMOIZE":
            places[len(places)] = steps
        elif opcode.name in ("BINPUT", "LONG_BINPUT", "PUT"):
            places[argument] = steps
        elif opcode.name in ("BINGET", "LONG_BINGET", "GET"):
            steps += 1
            yield "GET", places.get(argument, argument)
        elif opcode.name not in _SPELLING:
            steps += 1
            yield opcode.name, argument


def _json(one: Path, other: Path) -> None:
    _require_small(one, other)
    mine, theirs = json.loads(one.read_bytes()), json.loads(other.read_bytes())
    if mine != theirs:
        raise _Unlike("the values differ")


_KINDS: Sequence[tuple[tuple[str, ...], str, Callable[[Path, Path], None]]] = (
    ((".safetensors",), "tensors", _safetensors),
    ((".npy",), "array", _npy),
    ((".npz",), "arrays", _zip),
    ((".zip", ".whl", ".jar", ".pt", ".pth", ".ckpt", ".keras", ".docx", ".xlsx"), "members", _zip),
    ((".gz", ".tgz"), "uncompressed bytes", _gzip),
    ((".csv", ".tsv"), "rows", _rows),
    ((".parquet", ".pq"), "table", _parquet),
    ((".pkl", ".pickle"), "pickled objects", _pickle),
    ((".json",), "values", _json),
)


# -- bytes -------------------------------------------------------------------------------------


def _same_keys(mine: Mapping[str, object], theirs: Mapping[str, object], what: str) -> None:
    for name in sorted(mine.keys() ^ theirs.keys()):
        raise _Unlike(f"the {what} {name} is {'gone' if name in mine else 'new'}")


def _require_small(*paths: Path) -> None:
    if any(path.stat().st_size > MAX_IN_MEMORY for path in paths):
        raise _Unfit(f"larger than {MAX_IN_MEMORY >> 20} MiB")


def _limited(file: IO[bytes]) -> bytes:
    data = file.read(MAX_IN_MEMORY + 1)
    if len(data) > MAX_IN_MEMORY:
        raise _Unfit(f"a member is larger than {MAX_IN_MEMORY >> 20} MiB")
    return data


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise _Unfit("it ends too early")
    return data


def _equal_files(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as first, other.open("rb") as second:
        return _equal_streams(first.read, second.read)


def _equal_ranges(one: BinaryIO, at: int, other: BinaryIO, at2: int, size: int) -> bool:
    one.seek(at)
    other.seek(at2)
    while size > 0:
        a, b = one.read(min(size, _PIECE)), other.read(min(size, _PIECE))
        if a != b:
            return False
        if not a:
            raise _Unfit("it ends too early")
        size -= len(a)
    return True


def _equal_streams(one: Callable[[int], bytes], other: Callable[[int], bytes]) -> bool:
    while True:
        a, b = _full(one), _full(other)
        if a != b:
            return False
        if not a:
            return True


def _full(read: Callable[[int], bytes]) -> bytes:
    parts: list[bytes] = []
    left = _PIECE
    while left and (data := read(left)):
        parts.append(data)
        left -= len(data)
    return b"".join(parts)
