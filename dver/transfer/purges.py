"""Learning from a remote what was purged there, so that it is not sent or missed any more."""

from __future__ import annotations

from dver.base.oid import format_oid
from dver.base.reporter import Reporter
from dver.store.store import Store
from dver.store.tombstones import Tombstones, keep_tombstones, read_tombstones

_SHOWN = 3


def learn(local: Store, there: Tombstones, name: str, reporter: Reporter) -> Tombstones:
    """Remember what a remote says was purged; return all purges that are known now.

    Says so if anything that was purged is still in the local store: nobody removes that unasked.
    """
    top = local.local_directory()
    new = keep_tombstones(top, there.purges.values())
    known = read_tombstones(top)
    left = [oid for oid in known if local.has(oid)]
    if left:
        oids = " ".join(format_oid(oid) for oid in left[:_SHOWN])
        more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
        what = "an object that was" if len(left) == 1 else f"{len(left)} objects that were"
        reporter.warn(
            f"the local store still has {what} {known[left[0]].words}; nothing of that is sent",
            hint=f"'dver purge {oids}' removes them here{more}; if that word is wrong,"
            f" 'dver purge --lift {oids}' takes it back",
        )
    elif new:
        objects = sum(len(one.objects) for one in new)
        what = "an object was" if objects == 1 else f"{objects} objects were"
        reporter.note(f"learnt from {name} that {what} {new[0].words}")
    return known
