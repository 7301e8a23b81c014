"""The root: the record, in a remote, of what one push made reachable; the push's commit point.

Page: ``docs/format/root.md``. A root is JSON with sorted keys and no insignificant space, ended by
one line feed. It names what must be kept and served; whoever collects garbage in the remote reads
roots and nothing else. Its key in the remote is ``roots/<session>``, a random name, created once.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.base.oid import PREFIX, Oid, format_oid
from dver.formats.sealed import ascending, digest, seal, text, unseal

#: The longest root (bytes): at most some 200,000 objects, so that reading one takes little memory.
MAX_SIZE = 16 << 20
_MAX_TEXT = 16384
_SESSION = re.compile(r"[0-9a-f]{32}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_KEYS = {"dver_root", "session", "created", "repo", "commits", "objects", "check"}


class RootObject(NamedTuple):
    """One thing that a root keeps: a file's content or a whole tree, and the path it was at.

    The path is for people; nothing is ever opened or written by it. ``size`` is in bytes.
    """

    path: str
    kind: str
    oid: Oid
    size: int


@dataclass(frozen=True, slots=True)
class Root:
    """What one push made reachable.

    ``session`` is 32 hex digits; ``created`` is UTC in ISO 8601, for people only; ``repo`` names
    the git repository by its root commits' hash or is empty; ``commits`` are the git commits whose
    pointers the objects satisfy, in full hex. :func:`decode` returns commits and objects sorted.
    """

    session: str
    created: str
    repo: str
    commits: tuple[str, ...]
    objects: tuple[RootObject, ...]


def encode(root: Root) -> bytes:
    """Return the bytes of a root, its own hash included under ``check``."""
    fields: dict[str, Any] = {
        "dver_root": 1,
        "session": root.session,
        "created": root.created,
        "repo": root.repo,
        "commits": sorted(set(root.commits)),
        "objects": [[o.path, o.kind, format_oid(o.oid), o.size] for o in sorted(set(root.objects))],
    }
    return seal(fields)


def decode(data: bytes) -> Root:
    """Parse a root. Raises FormatError unless it is whole, unaltered and of this version."""
    fields = unseal(data, "root", version="dver_root", keys=_KEYS, limit=MAX_SIZE)
    try:
        commits, rows = fields["commits"], fields["objects"]
        for commit in commits:
            _text(commit, _COMMIT)
        objects = tuple(map(_object, rows))
        if not (ascending(commits) and ascending(rows)):
            raise ValueError("a list is not sorted, or names something twice")
        return Root(
            _text(fields["session"], _SESSION),
            _text(fields["created"], _MOMENT),
            _text(fields["repo"]),
            tuple(commits),
            objects,
        )
    except (TypeError, ValueError) as error:
        raise FormatError(f"a root has a malformed field: {error}") from error


def _object(row: Any) -> RootObject:
    path, kind, oid, size = row
    if kind not in ("file", "tree"):
        raise ValueError("an object's kind is neither file nor tree")
    if type(size) is not int or not 0 <= size < 1 << 63:
        raise ValueError("an object's size is not a number of bytes")
    if not isinstance(oid, str) or not oid.startswith(PREFIX):
        raise ValueError("an object's oid is none")
    if not isinstance(path, str) or len(path) > _MAX_TEXT:
        raise TypeError("expected text")
    return RootObject(path, kind, Oid(digest(oid[len(PREFIX) :])), size)


def _text(value: Any, shape: re.Pattern[str] | None = None) -> str:
    return text(value, shape, limit=_MAX_TEXT)
