"""The pointer: the small text file ``<name>.dver`` that git keeps in place of the data.

Page: ``docs/format/pointer.md``. It is YAML that anyone can read, restricted to one spelling: a
fixed first line, then one ``key: value`` per line in a fixed order. There is exactly one pointer
for one content, whatever its path or machine, so pointers conflict only when the data does.

Because of that one spelling no YAML parser is needed to read it, and none is used: there are no
aliases, tags or duplicate keys to fear.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from dver.base.errors import FormatError
from dver.base.oid import OID_SIZE, Oid, format_oid, parse_oid

SUFFIX = ".dver"
MAX_SIZE = 4096
_FIRST_LINE = "dver: 1"
_MAX_COUNT = (1 << 63) - 1
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CONFLICT = ("<<<<<<<", ">>>>>>>", "|||||||")

#: The oid in the pointer of data that was imported and never seen.
UNSEEN = Oid(bytes(OID_SIZE))
_ORIGIN = b"#:"

Kind = Literal["file", "tree"]


class Pointer(NamedTuple):
    """What a pointer file says.

    ``size`` is in bytes, summed over all files of a tree; ``files`` counts a tree's files and
    symlinks and is 1 for a file; ``executable`` is the file's mode bit and False for a tree.
    """

    kind: Kind
    oid: Oid
    size: int
    files: int = 1
    executable: bool = False


def encode(pointer: Pointer) -> bytes:
    """Return the one canonical spelling of a pointer."""
    lines = [
        _FIRST_LINE,
        f"kind: {pointer.kind}",
        f"oid: {format_oid(pointer.oid)}",
        f"size: {pointer.size}",
    ]
    if pointer.kind == "tree":
        lines.append(f"files: {pointer.files}")
    elif pointer.executable:
        lines.append("executable: true")
    return ("\n".join(lines) + "\n").encode("ascii")


def origin_lines(data: bytes) -> bytes:
    """Return the lines of a pointer file that say where it was imported from, b"" if none do.

    :mod:`dver.formats.origin` reads them.
    """
    if _ORIGIN not in data:
        return b""
    lines = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    return b"".join(line + b"\n" for line in lines if line.startswith(_ORIGIN))


def with_origin(pointer: bytes, lines: bytes) -> bytes:
    """Return a pointer's bytes with origin lines as its last, in place of those that it has."""
    own = [line for line in pointer.splitlines(keepends=True) if not line.startswith(_ORIGIN)]
    return b"".join(own) + lines


def decode(data: bytes) -> Pointer:
    """Parse a pointer file.

    Carriage returns that git added on checkout (``core.autocrlf``) and lines that begin with ``#``
    are let pass. Everything else that is not the canonical spelling raises FormatError, whose
    message speaks of the file as "it", so that the caller puts the path before it.
    """
    lines = _lines(data)
    _check_version(lines)
    fields = _fields(lines)
    pointer = _build(fields)
    if fields:
        raise FormatError(f"it has a field {next(iter(fields))!r}, which no {pointer.kind} has")
    canonical = encode(pointer).decode("ascii").splitlines()
    for (number, line), right in zip(lines, canonical, strict=True):
        if line != right:
            raise FormatError(f"line {number} is {line[:60]!r} where {right!r} belongs")
    return pointer


def _lines(data: bytes) -> list[tuple[int, str]]:
    """Return the numbered lines that are not comments."""
    if len(data) > MAX_SIZE:
        raise FormatError(f"it is {len(data)} bytes long, more than the {MAX_SIZE} of any pointer")
    if not data:
        raise FormatError("it is empty", hint="restore it with 'git checkout' or 'git restore'")
    if data.startswith(_BYTE_ORDER_MARK):
        raise FormatError(
            "it begins with a byte order mark", hint="save it as UTF-8 without a byte order mark"
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError("it is not UTF-8 text") from error
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if any(line.startswith(_CONFLICT) or line == "=======" for line in lines):
        raise FormatError(
            "it has git conflict markers",
            hint="'dver resolve' merges the two sides, or takes one with --ours or --theirs",
        )
    if lines.pop() != "":
        raise FormatError("its last line is not ended: it may have been cut off")
    return [(number, line) for number, line in enumerate(lines, 1) if not line.startswith("#")]


def _check_version(lines: list[tuple[int, str]]) -> None:
    first = lines[0][1] if lines else ""
    key, _, version = first.partition(": ")
    if key != "dver":
        raise FormatError(f"it does not begin with {_FIRST_LINE!r}: it is not a pointer of dver")
    if first != _FIRST_LINE:
        raise FormatError(
            f"its format is version {version[:40]!r} and this dver reads version 1",
            hint="upgrade dver",
        )


def _fields(lines: list[tuple[int, str]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for number, line in lines:
        key, colon, value = line.partition(": ")
        if not colon or not key.isidentifier() or not value or value != value.strip():
            raise FormatError(f"line {number} is not 'key: value': {line[:60]!r}")
        if key in fields:
            raise FormatError(f"line {number} repeats the field {key!r}")
        fields[key] = value
    del fields["dver"]
    return fields


def _build(fields: dict[str, str]) -> Pointer:
    kind = _take(fields, "kind")
    if kind not in ("file", "tree"):
        raise FormatError(f"its kind is neither 'file' nor 'tree': {kind[:40]!r}")
    oid_text = _take(fields, "oid")
    try:
        oid = parse_oid(oid_text) if oid_text.startswith("blake3:") else None
    except ValueError:
        oid = None
    if oid is None:
        raise FormatError(f"its oid is not 'blake3:' and 64 hex digits: {oid_text[:80]!r}")
    size = _count(fields, "size", "bytes")
    if kind == "tree":
        return Pointer("tree", oid, size, _count(fields, "files", "files"))
    executable = fields.pop("executable", None)
    if executable not in (None, "true"):
        raise FormatError(
            f"its field 'executable' is {executable[:40]!r}; it is 'true' or the line is left out"
        )
    return Pointer("file", oid, size, 1, executable == "true")


def _take(fields: dict[str, str], key: str) -> str:
    try:
        return fields.pop(key)
    except KeyError:
        raise FormatError(f"it has no field {key!r}") from None


def _count(fields: dict[str, str], key: str, unit: str) -> int:
    text = _take(fields, key)
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > _MAX_COUNT:
        raise FormatError(f"its field {key!r} is not a number of {unit}: {text[:40]!r}")
    return int(text)
