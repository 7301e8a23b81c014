"""The error for content that a transfer could not bring, after all else was brought."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dver.base.errors import CorruptError, DverError, MissingContentError
from dver.base.oid import Oid, format_oid
from dver.base.quoting import show
from dver.ops.targets.remembered import missing_error

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.transfer.closure import Lost

_SHOWN = 3


def lost_error(repo: Repo, lost: Sequence[Lost]) -> DverError:
    """Return MissingContentError if anything is missing, CorruptError if all of it is damaged.

    It names paths, oids, and the places that were looked at.
    """
    where = " nor in ".join(lost[0].where)
    missing = [one for one in lost if one.reason != "damaged"]
    damaged = [f"{_line(repo, one)}, damaged" for one in lost if one.reason == "damaged"]
    if not missing:
        return CorruptError(
            f"the content of {len(damaged)} {'path is' if len(damaged) == 1 else 'paths is'}"
            f" damaged, looked for in {where}",
            hint="'dver fsck --repair' puts aside what is damaged here, so that fetching again"
            " brings it; 'dver fsck --full -r NAME' tells what is damaged in a remote",
            paths=damaged,
        )
    error = missing_error(repo, [(os.fsencode(one.path), one.oid) for one in missing], where)
    error.paths = (*(_line(repo, one) for one in missing), *damaged)
    return error


def withheld_error(repo: Repo, oids: Sequence[Oid]) -> MissingContentError:
    """Return the error for content that is here and was not sent, since somebody purged it."""
    from dver.store.tombstones import explain

    words = explain(repo.store.local_directory(), oids[0]) or "purged"
    what = "an object that was" if len(oids) == 1 else f"{len(oids)} objects that were"
    named = " ".join(format_oid(oid) for oid in oids[:_SHOWN])
    more = f" and {len(oids) - _SHOWN} more" if len(oids) > _SHOWN else ""
    them = "it" if len(oids) == 1 else "them"
    return MissingContentError(
        f"what is here of {what} {words} was not pushed",
        hint=f"'dver purge {named}' removes {them} here{more}; if that word is wrong,"
        f" 'dver purge --lift {named}' takes it back",
    )


def _line(repo: Repo, one: Lost) -> str:
    at = f" at {one.commit[:10]}" if one.commit else ""
    return f"{show(repo.display(os.fsencode(one.path)))}{at} ({format_oid(one.oid)})"
