"""Fetching: what is not here yet, read in few requests, verified before it becomes visible.

Frames come first into packs that no segment names. A commit publishes them, and it happens only
for frames whose content was hashed. A chunked object becomes visible last: once its chunks are
here, all of it is read and hashed, and only then is its chunk list written.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from dver.base.dataclass import dataclass
from dver.base.oid import Oid
from dver.base.reporter import Reporter
from dver.formats import pack
from dver.formats.pack import LIST_KINDS
from dver.store.store import Store
from dver.store.tombstones import Tombstones, read_tombstones
from dver.store.walk import Layered
from dver.transfer.chunked import Completion, Top, open_top
from dver.transfer.closure import Lost, Reason
from dver.transfer.delivery import Delivery
from dver.transfer.purges import learn
from dver.transfer.receiver import Receiver
from dver.transfer.remote import Remote
from dver.transfer.supply import Supply
from dver.transfer.trace import trace
from dver.transfer.treefetch import RemoteTrees
from dver.transfer.wants import Descent, Want

#: Chunked files are completed in groups of about this many bytes, which bounds memory.
_GROUP = 16 << 30


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch brought, or with ``dry_run`` would have brought.

    ``objects`` counts files, links and directories; ``packs`` those taken whole; ``bytes`` and
    ``requests`` what went over the wire. ``lost`` is what could not be had; all else is here.
    """

    objects: int
    packs: int
    bytes: int
    requests: int
    lost: tuple[Lost, ...] = ()


def fetch(
    local: Store,
    remote: Remote,
    wants: Sequence[Want],
    *,
    dry_run: bool = False,
    workers: int | None = None,
    reporter: Reporter,
) -> Fetched:
    """Bring what is wanted, and is not here, from a remote.

    ``workers`` is how many processes verify what comes; None decides by the processors. Asks
    nothing of the remote if everything is here. Nothing becomes visible in the local store
    that was not verified. Raises RemoteError if the remote fails; what was committed until then
    stays, and the next fetch goes on from there.
    """
    before = remote.storage.requests, remote.storage.received
    failed: dict[Oid, Reason] = {}
    purged = read_tombstones(local.local_directory())
    supply = Supply(remote, reporter, workers)
    mine: set[Oid] = set()
    with local.hold():
        if dry_run:
            objects, size = _foretell(local, supply, wants, failed, purged)
            packs = 0
        else:
            mine = {want.oid for want in wants if want.inside and local.has(want.oid)}
            objects, packs = _carry_out(local, supply, wants, failed, purged)
            size = remote.storage.received - before[1]
        if "missing" in failed.values():
            # Somebody may have purged it there.
            known = learn(local, remote.purged(anew=True), remote.name, reporter)
            failed.update((oid, "purged") for oid in failed if oid in known)
        lost = _trace(local, remote, wants, failed) if failed else ()
    if not dry_run and not lost and objects:
        # A directory whose listing came from there was pushed, even if only parts of it came.
        remote.remember_seen(want.oid for want in wants if want.oid not in mine)
    return Fetched(objects, packs, size, remote.storage.requests - before[0], lost)


def _carry_out(
    local: Store,
    supply: Supply,
    wants: Sequence[Want],
    failed: dict[Oid, Reason],
    purged: Tombstones,
) -> tuple[int, int]:
    """Fetch; return how many objects and whole packs came."""
    with Receiver(local, supply.remote.name) as receiver:
        descent = Descent(local, RemoteTrees(local, supply, receiver), failed, purged.keys())
        descent.run(wants)
        _fetch_files(local, supply, receiver, descent.files, failed)
        del descent  # it holds every oid that was wanted, and the index needs the memory
        receiver.commit()
        return receiver.objects, receiver.packs


def _fetch_files(
    local: Store,
    supply: Supply,
    receiver: Receiver,
    files: dict[Oid, int],
    failed: dict[Oid, Reason],
) -> None:
    """Fetch files, given with their sizes, and use them up."""
    completion = Completion(local, supply, receiver)
    group: list[Top] = []
    size = 0
    if not files:
        return
    label = f"Fetching from {supply.remote.name}"
    wanted = supply.locate(files, failed, files)
    if not wanted.has_lists:
        files.clear()  # only lists need a size, and a million oids take 110 MiB
    for batch in supply.deliver(wanted, failed, spool=receiver.spool, label=label):
        receiver.adopt(batch)
        for got in batch.got:
            if got.frame.kind not in LIST_KINDS:
                receiver.add(got)
                continue
            top = open_top(got, files.get(got.frame.oid))
            if top is None:
                failed[got.frame.oid] = "damaged"
            else:
                group.append(top)
                size += top.chunks.size
                for oid, _ in top.chunks.rows:
                    chunk = Delivery.open_chunk(batch, oid)
                    if chunk is not None:
                        receiver.add(chunk)
        if size >= _GROUP:
            completion.run(group, failed)
            group, size = [], 0
    completion.run(group, failed)


def _foretell(
    local: Store,
    supply: Supply,
    wants: Sequence[Want],
    failed: dict[Oid, Reason],
    purged: Tombstones,
) -> tuple[int, int]:
    """Return how many objects would come, and at most how many bytes."""
    trees = RemoteTrees(local, supply, None)
    descent = Descent(local, trees, failed, purged.keys())
    descent.run(wants)
    wanted = supply.locate(descent.files, failed).ordered()
    # A chunked file is asked for in full only when it is fetched.
    chunked = sum(
        size for oid, size in descent.files.items() if size > pack.MAX_FRAME and oid not in failed
    )
    return trees.fetched + len(wanted), wanted.size + chunked


def _trace(
    local: Store, remote: Remote, wants: Sequence[Want], failed: Mapping[Oid, Reason]
) -> tuple[Lost, ...]:
    """Find the paths that need what could not be had."""
    where = (local.storage.description, remote.description)
    source = Layered([local, remote.store()])
    lost = {}
    for want in wants:
        found = trace(
            source,
            want.kind,
            want.oid,
            os.fsencode(want.path),
            failed.__contains__,
            inside=want.inside,
        )
        for path, oid in found:
            reason = failed.get(oid, "missing")
            lost[path, oid] = Lost(os.fsdecode(path), oid, reason, where, want.commit)
    return tuple(lost.values())
