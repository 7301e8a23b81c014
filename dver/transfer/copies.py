"""Which objects a remote holds so that one may rely on it: kept by a root, and really there."""

from __future__ import annotations

from collections.abc import Iterable

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, MissingContentError, RefusedError
from dver.base.oid import Oid
from dver.base.reporter import Reporter
from dver.store import layout
from dver.store.index import Index
from dver.store.store import Store
from dver.transfer.gc.reach import Reach
from dver.transfer.gc.survey import Survey, survey
from dver.transfer.reader import ReadAhead
from dver.transfer.remote import Remote, RemoteStore, lost_packs


@dataclass(frozen=True, slots=True)
class Copies:
    """What of some objects a remote has. ``store_id`` tells remotes apart that are one store.

    ``damaged`` are objects that were read there and are not what their name promises.
    """

    store_id: str
    found: frozenset[Oid]
    damaged: frozenset[Oid] = frozenset()


def copies_in(
    local: Store, remote: Remote, oids: Iterable[Oid], *, read: bool, reporter: Reporter
) -> Copies:
    """Look now which objects a remote has, each with all its parts.

    One counts if a root that no collection declared void leads to it, and each pack that has any
    of it is listed in its full size; with ``read`` all of it is read and hashed, too. Raises
    RefusedError while garbage is being collected there, and if it is the local store under another
    name, which is no second copy; CorruptError if that cannot be told.
    """
    remote.forget_listing()
    if remote.read_format() is None:
        return Copies("", frozenset())
    info = remote.require_format()
    if info.store_id == local.info.store_id:
        raise RefusedError(
            f"{remote.description} is the local store itself, or was copied from it",
            hint="name a remote of its own",
        )
    with local.hold(), reporter.task(f"Looking into {remote.name}", unit="objects"):
        seen = survey(remote, layout.new_session(collection=True))
        if seen.others:
            raise RefusedError(
                f"garbage is being collected in {remote.description}, or that was interrupted",
                hint="try again when it has ended",
            )
        reach = Reach(remote, local, seen.segments, seen.packs)
        holes = reach.add(root for session, root in seen.roots.items() if session not in seen.void)
        bad = {hole.oid for hole in holes}
        found = frozenset(oid for oid in oids if oid in reach.marks and oid not in bad)
    if not read:
        return Copies(info.store_id, found)
    damaged = _unsound(remote, seen, found, reporter)
    return Copies(info.store_id, found - damaged, damaged)


def _unsound(
    remote: Remote, seen: Survey, oids: frozenset[Oid], reporter: Reporter
) -> frozenset[Oid]:
    """Read objects where they lie; return those that are not as they should be."""
    index = Index(seen.segments)
    lost = lost_packs(index.packs(), seen.packs)
    index = Index(seen.segments, lost)
    store = RemoteStore(ReadAhead(remote.storage, index.packs()), remote.require_format(), index)
    places = {oid: place for oid in oids if (place := index.find(oid)) is not None}
    bad = set(oids - places.keys())
    ordered = sorted(places, key=lambda oid: places[oid][:2])
    with reporter.task(f"Reading {remote.name}", unit="bytes") as task:
        for oid in ordered:
            try:
                for piece in store.stream(oid):
                    task.advance(len(piece))
            except (CorruptError, MissingContentError):
                bad.add(oid)
    return frozenset(bad)
