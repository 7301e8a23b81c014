"""Word of what was purged: which objects must not be anywhere any more, since when, by whom, why.

Page: ``docs/format/purged.md``. It is JSON with sorted keys and no insignificant space, ended by
one line feed, with its own hash inside, as a root is. It names no paths and holds no content.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from dver.base import clock
from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.base.oid import Oid, format_oid, parse_oid
from dver.formats.sealed import seal, text, unseal

MAX_SIZE = 4 << 20
#: The longest that ``who`` and ``why`` may be (characters).
MAX_TEXT = 500
_KEYS = {"check", "dver_purged", "id", "moment", "objects", "who", "why"}
_ID = re.compile(r"[0-9a-f]{32}")
_KINDS = ("file", "tree")


class PurgedObject(NamedTuple):
    """One object that was purged, and whether it is a "file" or a "tree"."""

    oid: Oid
    kind: str


@dataclass(frozen=True, slots=True)
class Purged:
    """What one purge took away.

    ``id`` is random, 32 hex digits; ``moment`` is in seconds since 1970, by the clock of whoever
    purged. ``who`` and ``why`` are printable text for people. :func:`decode` returns the objects
    sorted.
    """

    id: str
    moment: int
    who: str
    why: str
    objects: tuple[PurgedObject, ...]

    @property
    def words(self) -> str:
        """How to tell it: ``purged on 2026-01-31 by A. U. Thor: why``."""
        who = f" by {self.who}" if self.who else ""
        why = f": {self.why}" if self.why else ""
        return f"purged on {clock.utc_text(self.moment * 1_000_000_000)[:10]}{who}{why}"


def encode(purged: Purged) -> bytes:
    """Return the bytes, their own hash included under ``check``."""
    return seal(
        {
            "dver_purged": 1,
            "id": purged.id,
            "moment": purged.moment,
            "objects": [[format_oid(one.oid), one.kind] for one in sorted(set(purged.objects))],
            "who": purged.who,
            "why": purged.why,
        }
    )


def decode(data: bytes) -> Purged:
    """Parse it. Raises FormatError unless it is whole, unaltered and of this version."""
    fields = unseal(data, "note of a purge", version="dver_purged", keys=_KEYS, limit=MAX_SIZE)
    try:
        moment = fields["moment"]
        if not isinstance(moment, int) or isinstance(moment, bool) or not 0 <= moment < 1 << 37:
            raise ValueError("its moment is no time")
        purged = Purged(
            text(fields["id"], _ID),
            moment,
            _line(fields["who"]),
            _line(fields["why"]),
            tuple(_object(row) for row in fields["objects"]),
        )
        # One comparison covers the hash, the order, the spelling and anything else.
        same = encode(purged) == data
    except (TypeError, ValueError) as error:
        raise FormatError(f"a note of a purge has a malformed field: {error}") from error
    if not same:
        raise FormatError(
            "a note of a purge does not match its own hash, or is not spelled canonically"
        )
    return purged


def clean_text(words: str) -> str:
    """Return text as ``who`` and ``why`` may hold it: one printable line, not too long."""
    line = " ".join(words.split())
    return "".join(char if char.isprintable() else "?" for char in line)[:MAX_TEXT]


def _object(row: Any) -> PurgedObject:
    oid, kind = row
    if kind not in _KINDS:
        raise ValueError("an object's kind is neither file nor tree")
    return PurgedObject(parse_oid(text(oid)), kind)


def _line(value: Any) -> str:
    line = text(value, limit=MAX_TEXT)
    if not line.isprintable():
        raise ValueError("text holds what cannot be printed")
    return line
