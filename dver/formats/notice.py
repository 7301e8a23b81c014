"""The notices by which pushes and collections of garbage in a remote take notice of each other.

Page: ``docs/format/remote.md``, section "Notices". A notice is JSON with sorted keys and no
insignificant space, ended by one line feed, with its own hash inside, as a root is.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from dver.base.errors import FormatError
from dver.base.oid import format_oid, oid_of

Kind = Literal["intent", "condemned", "doomed", "swept", "void", "trash", "retired"]

MAX_SIZE = 128 << 20
_KINDS = frozenset(get_args(Kind))
_KEYS = {"check", "dver_notice", "kind", "moment", "packs", "root", "session"}
_WITH_PACKS = frozenset(("condemned", "doomed", "swept"))
_WITH_ROOT = frozenset(("trash", "retired"))
_SESSION = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[0-9a-f]{64}")


class Unused(NamedTuple):
    """A pack that nothing needs: its name, its size in bytes, and since when.

    ``since`` is in seconds since 1970, by the storage's clock.
    """

    name: bytes
    size: int
    since: int


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice.

    ``session`` says whose it is; ``moment`` when it was written, in seconds since 1970 by the
    storage's clock; ``packs`` which packs it is about, and ``root`` the bytes of a root that was
    dropped, or of one that names all that was, for the kinds that have them. :func:`decode`
    returns the packs sorted.
    """

    kind: Kind
    session: str
    moment: int = 0
    packs: tuple[Unused, ...] = ()
    root: bytes = b""


def encode(notice: Notice) -> bytes:
    """Return the bytes of a notice, its own hash included under ``check``."""
    fields: dict[str, Any] = {
        "dver_notice": 1,
        "kind": notice.kind,
        "moment": notice.moment,
        "packs": [[name.hex(), size, since] for name, size, since in sorted(set(notice.packs))],
        "root": notice.root.decode("ascii"),
        "session": notice.session,
    }
    fields["check"] = format_oid(oid_of(_dump(fields)))
    return _dump(fields) + b"\n"


def decode(data: bytes) -> Notice:
    """Parse a notice. Raises FormatError unless it is whole, unaltered and of this version."""
    if len(data) > MAX_SIZE:
        raise FormatError("a notice is longer than any notice")
    try:
        fields = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise FormatError("a notice is not JSON") from error
    version = fields.get("dver_notice") if isinstance(fields, dict) else None
    if not isinstance(version, int):
        raise FormatError("a notice is JSON, but not dver's")
    if version != 1:
        raise FormatError(
            f"a notice has format version {str(version)[:40]} and this dver reads version 1",
            hint="upgrade dver",
        )
    if set(fields) != _KEYS:
        raise FormatError("a notice lacks a field or has an unknown one")
    try:
        notice = _notice(fields)
        # One comparison covers the hash, the order, the spelling and anything else.
        same = encode(notice) == data
    except (TypeError, ValueError) as error:
        raise FormatError(f"a notice has a malformed field: {error}") from error
    if not same:
        raise FormatError("a notice does not match its own hash, or is not spelled canonically")
    return notice


def _notice(fields: dict[str, Any]) -> Notice:
    kind = fields["kind"]
    if kind not in _KINDS:
        raise ValueError("its kind is unknown")
    packs = tuple(_unused(row) for row in fields["packs"])
    root = _text(fields["root"]).encode("ascii")
    if (packs and kind not in _WITH_PACKS) or bool(root) != (kind in _WITH_ROOT):
        raise ValueError("it holds what its kind has no place for")
    session = _text(fields["session"], _SESSION)
    return Notice(kind, session, _number(fields["moment"]), packs, root)


def _unused(row: Any) -> Unused:
    name, size, since = row
    return Unused(bytes.fromhex(_text(name, _NAME)), _number(size), _number(since))


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise ValueError("expected a number")
    return value


def _text(value: Any, shape: re.Pattern[str] | None = None) -> str:
    if not isinstance(value, str):
        raise TypeError("expected text")
    if shape is not None and not shape.fullmatch(value):
        raise ValueError(f"{value[:80]!r}")
    return value


def _dump(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")
