"""Copying what is needed out of packs that are mostly garbage, so that these can go.

It is a push of what is there already: new packs, then segments. The old packs stay until a
collection finds that nothing in them is needed; nothing is deleted here.
"""

from __future__ import annotations

from collections.abc import Iterator

from dver.base.reporter import Reporter
from dver.formats import pack
from dver.store import layout
from dver.store.packfile import PackBuilder
from dver.store.store import Store
from dver.transfer.delivery import Delivery, Got
from dver.transfer.gc.reach import Reach
from dver.transfer.ranges import Wanted
from dver.transfer.remote import Remote
from dver.transfer.session import Session
from dver.transfer.spool import Spool
from dver.transfer.uploads import PACK_TARGET, Upload, finish_pack

_TREES = (pack.TREE, pack.TREE_LIST)


def repack(
    local: Store,
    remote: Remote,
    reach: Reach,
    others: frozenset[bytes],
    reporter: Reporter,
    *,
    packs: frozenset[bytes] | None = None,
) -> frozenset[bytes]:
    """Copy what is marked in packs of which less than half is; return those packs.

    The same is done for packs that ``others`` may delete, and never do if they died. With
    ``packs`` these are the ones to copy from.
    """
    if packs is None:
        packs = reach.wasteful_packs() | (reach.used_packs() & others)
    wanted = reach.wanted(packs)
    if not len(wanted):
        return frozenset()
    session = Session(remote, reporter, remote.jobs)
    # Collections do not take it for a push that is under way: its packs hold what roots need.
    session.id = layout.new_session(collection=True)
    remote.forget_listing()
    session.watch.begin()
    listed = remote.list_packs()
    with Spool(local.local_directory(), f"{remote.name}/gc", session.id) as spool:
        uploads = _new_packs(remote, wanted, spool, reporter)
        total = sum(frames.size for frames in wanted.packs.values())
        for upload, _ in session.send(uploads, listed, total):
            spool.drop(upload.name)
        session.publish_index()
    return packs


def _new_packs(
    remote: Remote, wanted: Wanted, spool: Spool, reporter: Reporter
) -> Iterator[Upload]:
    """Yield new packs of frames that were read and verified; what is damaged is left out."""
    builders: dict[bool, PackBuilder] = {}
    try:
        with reporter.task(f"Copying in {remote.name}", unit="bytes") as task:
            delivery = Delivery(remote, None, task)
            for batch in delivery.read(wanted, delivery.plan(wanted)):
                for got in batch.got:
                    yield from _add(builders, got, spool)
        for tree in sorted(builders):
            yield finish_pack(builders.pop(tree), spool)
    finally:
        for builder in builders.values():
            builder.abandon()


def _add(builders: dict[bool, PackBuilder], got: Got, spool: Spool) -> Iterator[Upload]:
    frame = got.frame
    tree = frame.kind in _TREES
    builder = builders.get(tree)
    if builder is None:
        builder = builders[tree] = PackBuilder(str(spool.directory))
    builder.add(frame.oid, frame.kind, frame.codec, bytes(got.stored), frame.raw)
    if builder.size >= PACK_TARGET:
        yield finish_pack(builders.pop(tree), spool)
