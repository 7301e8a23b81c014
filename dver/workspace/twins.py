"""Names that some file systems take for one: equal but for case, or for how accents are written."""

from __future__ import annotations

import contextlib
import os
import unicodedata

from dver.base.errors import RefusedError
from dver.base.fsio import OPEN_FLAGS, TEMP_PREFIX, show
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
        there = {join(prefix, one.path).rstrip(b"/"): one.names for one in plan.current.dirs}
    pairs = []
    for batch in plan.all_batches():
        names = batch.names
        if batch.replaces is not None:
            names = sorted({*names, *there.get(batch.path, ())})
        pairs += [(batch.path, *pair) for pair in find_twins(names)]
    if pairs:
        raise RefusedError(
            f"{len(pairs)} pairs of names are one and the same to this file system",
            hint="check out on a case-sensitive file system, or rename one of each pair",
            paths=[
                f"{show(join(path, one))} and {show(join(path, other))}"
                for path, one, other in pairs
            ],
        )


def folds_names(safe: SafeRoot) -> bool:
    """Say whether the root's file system takes names for one that differ in case or accents.

    Found out with a temporary file; where none can be made, nothing can be checked out either.
    """
    fd = safe.open(b"")
    name = f"{TEMP_PREFIX}{os.urandom(8).hex()}\u00e9"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS
        os.close(os.open(os.fsencode(name), flags, 0o600, dir_fd=fd))
    except OSError:
        return False
    try:
        for other in (name.upper(), unicodedata.normalize("NFD", name)):
            with contextlib.suppress(OSError):
                os.stat(os.fsencode(other), dir_fd=fd, follow_symlinks=False)
                return True
    finally:
        # What cannot be removed now goes with a later collection.
        with contextlib.suppress(OSError):
            os.unlink(os.fsencode(name), dir_fd=fd)
    return False
