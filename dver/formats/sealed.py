"""JSON that holds its own hash: how roots and notices are spelled.

Pages: ``docs/format/root.md``, ``docs/format/remote.md``. One object in ASCII with sorted keys and
no insignificant space, ended by one line feed; ``check`` is the BLAKE3 of the same without
``check`` and without the line feed. It finds accidents; it cannot find malice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Set as AbstractSet
from itertools import islice
from operator import lt
from typing import Any

from dver.base.errors import FormatError
from dver.base.oid import OID_SIZE, Hasher, finish, format_oid, oid_of


def seal(fields: dict[str, Any]) -> bytes:
    """Return the bytes for some fields, their hash included under ``check``."""
    check = format_oid(oid_of(_dump(fields)))
    return _dump({**fields, "check": check}) + b"\n"


def unseal(
    data: bytes, word: str, *, version: str, keys: AbstractSet[str], limit: int
) -> dict[str, Any]:
    """Parse one, as far as all kinds are alike; ``word`` is what messages call it.

    ``version`` names the field that must be 1, ``keys`` are all that there are, ``limit`` is its
    longest length in bytes. Raises FormatError, also for a hash that does not fit and for another
    spelling than :func:`seal` has. The order of lists, and what is in them, is the caller's.
    """
    if len(data) > limit:
        raise FormatError(f"a {word} is longer than any {word}")
    try:
        fields = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"a {word} is not JSON") from error
    found = fields.get(version) if isinstance(fields, dict) else None
    if type(found) is not int:
        raise FormatError(f"a {word} is JSON, but not dver's")
    if found != 1:
        raise FormatError(
            f"a {word} has format version {str(found)[:40]} and this dver reads version 1",
            hint="upgrade dver",
        )
    if set(fields) != keys:
        raise FormatError(f"a {word} lacks a field or has an unknown one")
    if not _is_canonical(fields, data):
        raise FormatError(f"a {word} does not match its own hash, or is not spelled canonically")
    checked: dict[str, Any] = fields
    return checked


def _is_canonical(fields: dict[str, Any], data: bytes) -> bool:
    """Say whether data is how fields are spelled, and they hold the hash of the rest."""
    try:
        spelled = _dump(fields)
    except (ValueError, RecursionError):
        return False
    if len(spelled) + 1 != len(data) or data[-1:] != b"\n" or not data.startswith(spelled):
        return False
    # By the order of the keys it is the first.
    first = b'{"check":"%b",' % str(fields["check"]).encode("ascii", "replace")
    if not data.startswith(first):
        return False
    hasher = Hasher()
    hasher.update(b"{")
    hasher.update(memoryview(data)[len(first) : -1])
    return format_oid(finish(hasher)) == str(fields["check"])


def digest(value: Any) -> bytes:
    """Return the 32 bytes of 64 lower-case hex digits. Raises TypeError or ValueError."""
    found = bytes.fromhex(value)
    # By far the fastest way to see that it is spelled in the one way.
    if len(found) != OID_SIZE or found.hex() != value:
        raise ValueError(f"{value[:80]!r}")
    return found


def ascending(rows: list[Any]) -> bool:
    """Say whether rows are sorted, and none is there twice. Raises TypeError for mixed types."""
    return all(map(lt, rows, islice(rows, 1, None)))


def text(value: Any, shape: re.Pattern[str] | None = None, *, limit: int | None = None) -> str:
    """Return a value that must be text, of some shape. Raises TypeError or ValueError."""
    if not isinstance(value, str) or (limit is not None and len(value) > limit):
        raise TypeError("expected text")
    if shape is not None and not shape.fullmatch(value):
        raise ValueError(f"{value[:80]!r}")
    return value


def _dump(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")
