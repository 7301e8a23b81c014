"""The index segments that a push writes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise

from dver.formats import pack, segment
from dver.store.index import Segment
from dver.store.packfile import FinishedPack
from dver.store.writer import encode_rows

#: With more rows than this, directories get a segment of their own: it is short, so readers
#: download it as a whole and find their way through directories without further requests.
SPLIT_ROWS = 10_000
#: When this many segments are no longer than one of these limits (bytes), they are merged.
MERGE_COUNT = 16
_MERGE_LIMITS = (8 << 20, 512 << 10)
_TREE_KINDS = (pack.TREE, pack.TREE_LIST)


def build_segments(packs: Sequence[FinishedPack], live: Sequence[Segment]) -> Iterator[bytes]:
    """Yield the bytes of the segments for some new packs.

    ``live`` are the segments that count now; when too many of them are short, they are merged into
    the last one yielded, which names them as superseded.
    """
    rows = sum(len(one.rows) for one in packs) // pack.ROW.size
    trees = [one for one in packs if _has_trees(one)]
    if rows > SPLIT_ROWS and 0 < len(trees) < len(packs):
        yield segment.encode(encode_rows(trees), _table(trees), os.urandom(16))
        packs = [one for one in packs if not _has_trees(one)]
    yield _merged(packs, short_ones(live))


def short_ones(live: Sequence[Segment]) -> list[Segment]:
    """Return the segments that are due to be merged: none, or at least MERGE_COUNT."""
    for limit in _MERGE_LIMITS:
        short = [one for one in live if one.layout.size <= limit]
        if len(short) >= MERGE_COUNT:
            return short
    return []


def _has_trees(one: FinishedPack) -> bool:
    kinds = one.rows[44 :: pack.ROW.size]
    return any(kind in kinds for kind in _TREE_KINDS)


def _table(packs: Sequence[FinishedPack]) -> list[tuple[bytes, int]]:
    return sorted((one.name, one.size) for one in packs)


def _merged(packs: Sequence[FinishedPack], old: Sequence[Segment]) -> bytes:
    table = dict(_table(packs))
    for one in old:
        table.update(one.packs)
    names = sorted(table)
    ordinals = {name: number.to_bytes(4, "little") for number, name in enumerate(names)}
    new_names = sorted(one.name for one in packs)
    # A new place goes before an old one: the old one may be the reason for the new.
    rows = list(_renumbered(encode_rows(packs), [ordinals[name] for name in new_names]))
    for one in old:
        rows += _renumbered(one.rows(), [ordinals[name] for name, _ in one.packs])
    rows.sort(key=_oid)
    if any(a[:32] == b[:32] for a, b in pairwise(rows)):
        rows = [row for i, row in enumerate(rows) if i == 0 or row[:32] != rows[i - 1][:32]]
    superseded = {name for one in old for name in (one.name, *one.superseded)}
    return segment.encode(rows, [(name, table[name]) for name in names], os.urandom(16), superseded)


def _oid(row: bytes) -> bytes:
    return row[:32]


def _renumbered(rows: Iterator[bytes] | list[bytes], ordinals: list[bytes]) -> Iterator[bytes]:
    for row in rows:
        number = int.from_bytes(row[32:36], "little")
        yield row[:32] + ordinals[number] + row[36:]
