"""The notices by which pushes and collections of garbage in a remote take notice of each other.

Page: ``docs/format/remote.md``, section "Notices". A notice is JSON with sorted keys and no
insignificant space, ended by one line feed, with its own hash inside, as a root is.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple, get_args

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.formats.sealed import ascending, digest, seal, text, unseal

Kind = Literal["intent", "condemned", "doomed", "swept", "void", "trash", "retired"]

#: The longest notice (bytes), so that a root of the longest finds room in one.
MAX_SIZE = 32 << 20
#: How many packs a notice may name, so that reading one takes little memory.
MAX_PACKS = 200_000
_KINDS = frozenset(get_args(Kind))
_KEYS = {"check", "dver_notice", "kind", "moment", "packs", "root", "session"}
_WITH_PACKS = frozenset(("condemned", "doomed", "swept"))
_WITH_ROOT = frozenset(("trash", "retired"))
_SESSION = re.compile(r"[0-9a-f]{32}")


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
    packs = [[name.hex(), size, since] for name, size, since in sorted(set(notice.packs))]
    return seal(
        {
            "dver_notice": 1,
            "kind": notice.kind,
            "moment": notice.moment,
            "packs": packs,
            "root": notice.root.decode("ascii"),
            "session": notice.session,
        }
    )


def decode(data: bytes) -> Notice:
    """Parse a notice. Raises FormatError unless it is whole, unaltered and of this version."""
    fields = unseal(data, "notice", version="dver_notice", keys=_KEYS, limit=MAX_SIZE)
    try:
        return _notice(fields)
    except (TypeError, ValueError) as error:
        raise FormatError(f"a notice has a malformed field: {error}") from error


def _notice(fields: dict[str, Any]) -> Notice:
    kind = fields["kind"]
    if kind not in _KINDS:
        raise ValueError("its kind is unknown")
    rows = fields["packs"]
    if len(rows) > MAX_PACKS:
        raise ValueError("it names more packs than a notice may")
    packs = tuple(map(_unused, rows))
    if not ascending(rows):
        raise ValueError("its packs are not sorted, or one is there twice")
    root = text(fields["root"]).encode("ascii")
    if (packs and kind not in _WITH_PACKS) or bool(root) != (kind in _WITH_ROOT):
        raise ValueError("it holds what its kind has no place for")
    session = text(fields["session"], _SESSION)
    return Notice(kind, session, _number(fields["moment"]), packs, root)


def _unused(row: Any) -> Unused:
    name, size, since = row
    return Unused(digest(name), _number(size), _number(since))


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError("expected a number")
    return value
