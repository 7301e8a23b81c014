"""The root: the record, in a remote, of what one push made reachable; the push's commit point.

Page: ``docs/format/root.md``. A root is JSON with sorted keys and no insignificant space, followed by
one line feed. It names what must be kept and served; whoever collects garbage in the remote reads
roots and nothing else. Its key in the remote is ``roots/<session>``, a random name, created once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from dver.base.errors import FormatError
from dver.base.oid import Oid, format_oid, oid_of, parse_oid

MAX_SIZE = 256 << 20
_KEYS = {"dver_root", "session", "created", "repo", "commits", "objects", "check"}


@dataclass(frozen=True, slots=True, order=True)
class RootObject:
    """One thing that a root keeps: a file's content or a whole tree, and the path it was at."""

    path: str
    kind: str
    oid: Oid
    size: int


@dataclass(frozen=True, slots=True)
class Root:
    """What one push made reachable.

    ``session`` is 32 hex digits; ``created`` is UTC in ISO 8601, for people only; ``repo`` names the
    git repository by its root commits' hash or is empty; ``commits`` are the git commits whose
    pointers the objects satisfy, in full hex.
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
        "commits": sorted(root.commits),
        "objects": [[o.path, o.kind, format_oid(o.oid), o.size] for o in sorted(root.objects)],
    }
    fields["check"] = format_oid(oid_of(_dump(fields)))
    return _dump(fields) + b"\n"


def decode(data: bytes) -> Root:
    """Parse a root. Raises FormatError unless it is whole, unaltered and of this version."""
    if len(data) > MAX_SIZE:
        raise FormatError("a root is longer than any root")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError("a root is not JSON") from error
    if not isinstance(fields, dict) or fields.get("dver_root") != 1 or set(fields) != _KEYS:
        raise FormatError("a root is not of a version that this dver reads")
    check = fields.pop("check")
    if check != format_oid(oid_of(_dump(fields))):
        raise FormatError("a root does not match its own hash")
    try:
        root = Root(
            _text(fields["session"]),
            _text(fields["created"]),
            _text(fields["repo"]),
            tuple(_text(commit) for commit in fields["commits"]),
            tuple(_object(row) for row in fields["objects"]),
        )
    except (TypeError, ValueError) as error:
        raise FormatError(f"a root has a malformed field: {error}") from error
    if encode(root) != data:
        raise FormatError("a root is not in its canonical spelling")
    return root


def _object(row: Any) -> RootObject:
    path, kind, oid, size = row
    if kind not in ("file", "tree") or not isinstance(size, int) or isinstance(size, bool):
        raise ValueError("an object's kind or size")
    return RootObject(_text(path), kind, parse_oid(_text(oid)), size)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("expected text")
    return value


def _dump(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")
