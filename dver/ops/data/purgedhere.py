"""What was purged, as commands that record and compare see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dver.base.oid import Oid, format_oid
from dver.base.reporter import Reporter

if TYPE_CHECKING:
    from dver.store.store import Store


def was_purged(store: Store, oid: Oid) -> bool:
    """Say whether an object that the store does not have was purged."""
    if store.has(oid):
        return False
    from dver.store.tombstones import explain

    return explain(store.local_directory(), oid) is not None


def warn_of_purged(store: Store, reporter: Reporter) -> None:
    """Warn if the store has anything that was purged: somebody has just added it."""
    from dver.store.tombstones import read_tombstones

    purged = read_tombstones(store.local_directory())
    for oid in purged:
        if store.has(oid):
            reporter.warn(
                f"{format_oid(oid)} was {purged[oid].words}, and is here again; no push sends it",
                hint=f"'dver purge {format_oid(oid)}' removes it again, with '--lift' it may stay",
            )
