"""JSON that holds its own hash: how roots and notices are spelled.

Pages: ``docs/format/root.md``, ``docs/format/remote.md``. One object in ASCII with sorted keys and
no insignificant space, ended by one line feed; ``check`` is the BLAKE3 of the same without
``check`` and without the line feed. It finds accidents; it cannot find malice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Set as AbstractSet
from typing import Any

from dver.base.errors import FormatError
from dver.base.oid import format_oid, oid_of


def seal(fields: dict[str, Any]) -> bytes:
    """Return the bytes for some fields, their hash included under ``check``."""
    check = format_oid(oid_of(_dump(fields)))
    return _dump({**fields, "check": check}) + b"\n"


def unseal(
    data: bytes, word: str, *, version: str, keys: AbstractSet[str], limit: int
) -> dict[str, Any]:
    """Parse one, as far as all kinds are alike; ``word`` is what messages call it.

    ``version`` names the field that must be 1, ``keys`` are all that there are, ``limit`` is its
    longest length in bytes. Raises FormatError. The caller compares what it makes of the fields,
    sealed again, with the bytes: that covers the hash, the order and the spelling.
    """
    if len(data) > limit:
        raise FormatError(f"a {word} is longer than any {word}")
    try:
        fields = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"a {word} is not JSON") from error
    found = fields.get(version) if isinstance(fields, dict) else None
    if not isinstance(found, int):
        raise FormatError(f"a {word} is JSON, but not dver's")
    if found != 1:
        raise FormatError(
            f"a {word} has format version {str(found)[:40]} and this dver reads version 1",
            hint="upgrade dver",
        )
    if set(fields) != keys:
        raise FormatError(f"a {word} lacks a field or has an unknown one")
    checked: dict[str, Any] = fields
    return checked


def text(value: Any, shape: re.Pattern[str] | None = None, *, limit: int | None = None) -> str:
    """Return a value that must be text, of some shape. Raises TypeError or ValueError."""
    if not isinstance(value, str) or (limit is not None and len(value) > limit):
        raise TypeError("expected text")
    if shape is not None and not shape.fullmatch(value):
        raise ValueError(f"{value[:80]!r}")
    return value


def _dump(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")
