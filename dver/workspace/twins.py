"""Names that not every file system can hold.

Some take two names for one, equal but for case or for how accents are written; those of Windows
know no names with certain characters. What cannot be held as it is is refused before anything is
written.
"""

from __future__ import annotations

import contextlib
import os
import sys
import unicodedata
from collections.abc import Collection, Sequence

from dver.base.errors import RefusedError
from dver.base.fsio import OPEN_FLAGS, TEMP_PREFIX
from dver.base.osat import osat
from dver.base.quoting import show
from dver.formats.names import unfit_for_windows
from dver.store.walk import join
from dver.workspace.plan import CheckoutPlan
from dver.workspace.safedir import SafeRoot
from dver.workspace.scan import find_twins
from dver.workspace.state import Scan


def refuse_twins(plan: CheckoutPlan, safe: SafeRoot) -> None:
    """Raise RefusedError if a plan writes two names that this file system would take for one."""
    if not any(plan.all_batches()) or not folds_names(safe):
        return
    there = {}
    if isinstance(plan.current, Scan):
        prefix = plan.path[: len(plan.path) - len(plan.current.start)].rstrip(b"/")
        there = {join(prefix, one.path).rstrip(b"/"): one for one in plan.current.dirs}
    pairs = []
    for batch in plan.all_batches():
        names = batch.names
        if batch.replaces is not None:
            before = there.get(batch.path)
            names = sorted({*names, *(before.names if before is not None else ())})
        pairs += [(batch.path, *pair) for pair in find_twins(names)]
    if pairs:
        raise _refusal(pairs)


def refuse_twin_targets(paths: Collection[bytes], root: bytes) -> None:
    """Raise RefusedError if two targets, or directories above them, would become one in a root."""
    names: dict[bytes, set[bytes]] = {}
    for path in paths:
        above = path
        while above:
            above, _, name = above.rpartition(b"/")
            names.setdefault(above, set()).add(name)
    pairs = [(path, *pair) for path in sorted(names) for pair in find_twins(sorted(names[path]))]
    if pairs:
        with SafeRoot(root) as safe:
            if folds_names(safe):
                raise _refusal(pairs)


def refuse_unfit(plan: CheckoutPlan, platform: str = sys.platform) -> None:
    """Raise RefusedError if a plan writes names that the system cannot hold, as on Windows."""
    if platform != "win32":
        return
    found = [
        (join(batch.path, name), reason)
        for batch in plan.all_batches()
        for name in batch.names
        if (reason := unfit_for_windows(name)) is not None
    ]
    if found:
        raise RefusedError(
            f"Windows cannot hold {counted(len(found), 'name')} of these",
            hint="check out in WSL or on another system, or rename them there",
            paths=[f"{show(path)}: {reason}" for path, reason in found],
        )


def _refusal(pairs: Sequence[tuple[bytes, bytes, bytes]]) -> RefusedError:
    verb = "is" if len(pairs) == 1 else "are"
    return RefusedError(
        f"{counted(len(pairs), 'pair')} of names {verb} one and the same to this file system",
        hint="check out on a case-sensitive file system, or rename one of each pair there",
        paths=[
            f"{show(join(path, one))} and {show(join(path, other))}" for path, one, other in pairs
        ],
    )


def counted(number: int, word: str) -> str:
    """Return a number with its word: ``1 pair``, ``2 pairs``."""
    return f"{number:,} {word}" + ("" if number == 1 else "s")


def folds_names(safe: SafeRoot) -> bool:
    """Say whether the root's file system takes names for one that differ in case or accents.

    Found out with a temporary file; where none can be made, nothing can be checked out either.
    """
    fd = safe.open(b"")
    name = f"{TEMP_PREFIX}{os.urandom(8).hex()}\u00e9"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS
        os.close(osat.open(os.fsencode(name), flags, 0o600, dir_fd=fd))
    except OSError:
        return False
    try:
        for other in (name.upper(), unicodedata.normalize("NFD", name)):
            with contextlib.suppress(OSError):
                osat.stat(os.fsencode(other), dir_fd=fd, follow_symlinks=False)
                return True
    finally:
        # What cannot be removed now goes with a later collection.
        with contextlib.suppress(OSError):
            osat.unlink(os.fsencode(name), dir_fd=fd)
    return False
