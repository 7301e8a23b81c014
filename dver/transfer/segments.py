"""The index segments that a push writes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from operator import attrgetter, itemgetter, not_

from dver.base.oid import OID_SIZE
from dver.formats import pack, segment
from dver.store.index import Segment
from dver.store.packfile import FinishedPack

#: With more rows than this, directories get a segment of their own: it is short, so readers
#: download it as a whole and find their way through directories without further requests.
SPLIT_ROWS = 10_000
#: Segments up to this length (bytes) are merged into the next one that is written: each of them
#: costs a new clone one request, which is worth about so many bytes.
SHORT = 256 << 10
#: A longer one is merged into one of which it makes no more than so many times the rest, and
#: beyond the second length (bytes) into none.
_RATIO, _LONGEST = 2, 16 << 20
#: With more rows than this nothing older is merged: that takes more memory for each row.
_MANY_ROWS = 200_000
_OID = slice(0, OID_SIZE)
_TREE_KINDS = (pack.TREE, pack.TREE_LIST)


def build_segments(
    packs: Sequence[FinishedPack],
    live: Sequence[Segment],
    salt: bytes | None = None,
    worse: Sequence[frozenset[bytes]] = (),
) -> Iterator[bytes]:
    """Yield the bytes of the segments for some new packs.

    ``live`` are the segments that count now; short ones among them are merged into those yielded,
    each of which names as superseded what it holds itself, so that neither needs the other.
    ``salt`` is the session of who writes them, random by default. Of several rows for an object
    those in packs of ``worse`` give way to others, those in its last set to all.
    """
    salt = salt or os.urandom(16)
    kinds = [one.rows[44 :: pack.ROW.size] for one in packs]
    counts = list(map(len, kinds))
    trees = [any(kind in some for kind in _TREE_KINDS) for some in kinds]
    groups = [(packs, sum(counts))]
    if sum(counts) > SPLIT_ROWS and any(trees) and not all(trees):
        # Old segments that are short go with the directories: they may hold some themselves.
        groups = [
            (list(compress(packs, chosen)), sum(compress(counts, chosen)))
            for chosen in (trees, list(map(not_, trees)))
        ]
    for group, rows in groups:
        old = due(live, rows)
        yield _merged(group, old, salt, worse)
        live = [one for one in live if one not in old]


def due(live: Sequence[Segment], rows: int) -> list[Segment]:
    """Return the segments to be merged into one that has so many new rows.

    From the shortest on, each that is short, or at most _RATIO times as long as the new one has
    become by then. What is left is several times as long as all that is shorter, so there are few.
    """
    if rows > _MANY_ROWS:
        return []
    found: list[Segment] = []
    length = rows * segment.ROW.size
    for one in sorted(live, key=attrgetter("size")):
        if one.size > max(SHORT, min(_RATIO * length, _LONGEST)):
            break
        found.append(one)
        length += one.size
    return found


def _merged(
    packs: Sequence[FinishedPack],
    old: Sequence[Segment],
    salt: bytes,
    worse: Sequence[frozenset[bytes]],
) -> bytes:
    table = {one.name: one.size for one in packs}
    for short in old:
        table.update(short.packs)
    names = sorted(table)
    ordinals = {name: number for number, name in enumerate(names)}
    listed = [(name, table[name]) for name in names]
    new = segment.in_order(segment.rows_of_footer(one.rows, ordinals[one.name]) for one in packs)
    if not old:
        return b"".join(segment.pieces(list(new), listed, salt))
    # A new place goes before an old one: the old one may be the reason for the new.
    rows = [row for block in new for row in segment.split(block)]
    rows += _renumbered(old, ordinals, worse)
    rows.sort(key=itemgetter(_OID))
    rows = segment.distinct(rows)
    superseded = {name for one in old for name in (one.name, *one.superseded)}
    return segment.encode(rows, listed, salt, superseded)


def _renumbered(
    old: Sequence[Segment], ordinals: Mapping[bytes, int], worse: Sequence[frozenset[bytes]]
) -> Iterator[bytes]:
    """Yield the rows of segments by other ordinals, those in worse packs behind all others."""
    later: list[list[bytes]] = [[] for _ in worse]
    for one in old:
        numbers = [ordinals[name].to_bytes(4, "little") for name, _ in one.packs]
        grades = [grade(name, worse) for name, _ in one.packs]
        some_are_worse = any(grades)
        for row in one.rows():
            number = int.from_bytes(row[32:36], "little")
            renumbered = row[:32] + numbers[number] + row[36:]
            if some_are_worse and grades[number]:
                later[grades[number] - 1].append(renumbered)
            else:
                yield renumbered
    for rows in later:
        yield from rows


def grade(name: bytes, worse: Sequence[frozenset[bytes]]) -> int:
    """Return 0 for a good pack, else the number of the last of these sets that it is in, from 1."""
    return max((number for number, packs in enumerate(worse, 1) if name in packs), default=0)
