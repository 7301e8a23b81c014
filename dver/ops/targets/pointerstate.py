"""How a pointer file in the work tree compares with git's index and HEAD."""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Mapping
from typing import Any, Literal

from dver.ops.targets.target import Target

PointerState = Literal["unchanged", "new", "modified", "deleted", "renamed", "conflict", "broken"]


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


def moved_pointers(
    targets: Mapping[bytes, Target], committed: Mapping[bytes, str]
) -> dict[bytes, bytes]:
    """Return new path -> old path of pointers that were renamed since HEAD, their content equal.

    Both sides are data paths. Of several candidates one of the same last name is taken.
    """
    origins: dict[str, list[bytes]] = {}
    for path in sorted(committed):
        target = targets.get(path)
        if target is None or not (target.present or target.file.unmerged or target.file.skipped):
            origins.setdefault(committed[path], []).append(path)
    moved: dict[bytes, bytes] = {}
    if not origins:
        return moved
    like = next(iter(origins))
    for path, target in sorted(targets.items()):
        if path in committed or target.pointer is None or target.file.unmerged:
            continue
        name = path.rpartition(b"/")[2]
        candidates = next((o for o in map(origins.get, blob_ids(target.raw, like)) if o), None)
        if candidates:
            same = [one for one in candidates if one.rpartition(b"/")[2] == name]
            moved[path] = (same or candidates)[0]
            candidates.remove(moved[path])
    return moved


def blob_ids(raw: bytes, like: str | None) -> set[str]:
    """Return the ids that git may give to a file: as it is, and with its line ends converted."""
    algorithm = _algorithm("sha256" if like is not None and len(like) == 64 else "sha1")
    texts = {raw, raw.replace(b"\r\n", b"\n")}
    return {algorithm(b"blob %d\0" % len(text) + text).hexdigest() for text in texts}


@functools.cache
def _algorithm(name: str) -> Any:
    if name == "sha1":
        # Python's own: hashlib loads OpenSSL, which takes longer than the rest of a status.
        with contextlib.suppress(ImportError):
            return importlib.import_module("_sha1").sha1
    import hashlib

    return getattr(hashlib, name)
