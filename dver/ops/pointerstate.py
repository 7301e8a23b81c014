"""How a pointer file in the work tree compares with git's index and HEAD."""

from __future__ import annotations

import hashlib
from typing import Literal

from dver.ops.targets import Target

PointerState = Literal["unchanged", "new", "modified", "deleted", "conflict", "broken"]


def pointer_state(target: Target | None, committed: str | None) -> tuple[PointerState, bool]:
    """Return how the pointer in the work tree compares with HEAD, and whether that is staged."""
    if target is None:
        return ("unchanged" if committed is None else "deleted"), True
    if target.file.unmerged:
        return "conflict", False
    if not target.present:
        return "deleted", False
    if target.problem is not None:
        return "broken", False
    here = blob_ids(target.raw, committed or target.file.blob)
    staged = target.file.blob in here
    if committed is None:
        return "new", staged
    return ("unchanged", staged) if committed in here else ("modified", staged)


def blob_ids(raw: bytes, like: str | None) -> set[str]:
    """Return the ids that git may give to a file: as it is, and with its line ends converted."""
    algorithm = hashlib.sha256 if like is not None and len(like) == 64 else hashlib.sha1
    texts = {raw, raw.replace(b"\r\n", b"\n")}
    return {algorithm(b"blob %d\0" % len(text) + text).hexdigest() for text in texts}
