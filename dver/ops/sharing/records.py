"""Sending records of lineage along with what they are about."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dver.base.errors import FormatError
from dver.base.oid import Oid, oid_of
from dver.formats import pack, record, recordpath
from dver.formats.root import RootObject
from dver.lineage.finding import RecordFiles
from dver.transfer.closure import Offer

if TYPE_CHECKING:
    from dver.repo import Repo


def record_offers(repo: Repo, revs: Sequence[str], *, store: bool = True) -> Iterator[Offer]:
    """Yield what a push sends of the records of some commits, and of those not committed yet.

    Of each that is its own bytes, the tree of all that it needs, and its signatures. None of it is
    required: a record that came with a clone may need what never was here. What does not parse is
    left out. Signatures are stored here first, unless ``store`` is False.
    """
    files = RecordFiles(repo, revs)
    for path, data, commit in files.records():
        record_id = recordpath.id_of(path)
        if record_id is not None:
            yield from _offers_of(path, record_id, data, commit)
    signatures = list(files.signatures())
    if store and signatures:
        with repo.store.hold():
            repo.store.refresh()
            with repo.store.writer() as writer:
                for _, data, _ in signatures:
                    writer.add(data, pack.BLOB)
                writer.commit()
    for path, data, commit in signatures:
        yield Offer(RootObject(os.fsdecode(path), "file", oid_of(data), len(data)), False, commit)


def _offers_of(path: bytes, record_id: Oid, data: bytes, commit: str) -> Iterator[Offer]:
    try:
        kept = record.decode(data, record_id).keep
    except FormatError:
        return
    name = os.fsdecode(path)
    yield Offer(RootObject(name, "file", record_id, len(data)), False, commit)
    yield Offer(RootObject(name, "tree", kept.oid, kept.size), False, commit)
