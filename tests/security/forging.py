"""Stores that lie: frames under the names of other contents, with checksums that fit."""

from __future__ import annotations

from collections.abc import Iterable

from dver.base.oid import Oid
from dver.formats import pack
from dver.store.packfile import PackBuilder
from dver.store.store import Store
from dver.store.writer import _table, blocks_of_rows, publish_packs, write_segment


def forge(store: Store, objects: Iterable[tuple[bytes, int, bytes]]) -> bytes:
    """Put (oid, kind, content) into a local store, whatever the content's hash is.

    Returns the name of the pack. All checksums fit, as those of somebody who means it would.
    """
    directory = store.local_directory()
    builder = PackBuilder(directory + "/tmp")
    for oid, kind, data in objects:
        builder.add(Oid(bytes(oid)), kind, pack.RAW, data, len(data))
    builder.finish()
    done = builder.result()
    publish_packs(directory, [done])
    write_segment(directory, list(blocks_of_rows([done])), _table([done]))
    store.refresh()
    return done.name
