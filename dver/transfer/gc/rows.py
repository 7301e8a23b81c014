"""The segments that a collection writes in place of those that name packs which go."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence

from dver.base.dataclass import dataclass
from dver.base.oid import OID_SIZE
from dver.formats import pack, segment
from dver.store.index import Segment
from dver.transfer.segments import SPLIT_ROWS, grade

_OID = slice(0, OID_SIZE)
_ORDINAL = slice(OID_SIZE, OID_SIZE + 4)
_KIND_AT = OID_SIZE + 16
_TREES = (pack.TREE, pack.TREE_LIST)


@dataclass(frozen=True, slots=True)
class Replacement:
    """New segments, the one that supersedes others last, and the names of those they replace."""

    segments: tuple[bytes, ...]
    replaced: tuple[bytes, ...]


def replace_segments(
    live: Sequence[Segment],
    gone: frozenset[bytes],
    worse: Sequence[frozenset[bytes]],
    obsolete: Iterable[bytes],
    salt: bytes,
) -> Replacement:
    """Return what takes the place of segments that name packs in ``gone``.

    All their rows are kept but for those in such packs. For each object of these, a row is
    written that says where else it lies, even if another segment says so, too: whoever merges that
    one at the same time may keep the row that is of no use. Rows in packs of ``worse`` give way to
    others, those in its last set to all. ``obsolete`` segments are superseded as well.
    """
    touched = [one for one in live if any(name in gone for name, _ in one.packs)]
    if not touched:
        return Replacement((), ())
    sizes = {name: size for one in live for name, size in one.packs}
    # (row, pack), the best first.
    later: list[list[tuple[bytes, bytes]]] = [[], *([] for _ in worse)]
    homeless: set[bytes] = set()
    for one in touched:
        names = [name for name, _ in one.packs]
        grades = [grade(name, worse) for name in names]
        for row in one.rows():
            number = int.from_bytes(row[_ORDINAL], "little")
            if names[number] in gone:
                homeless.add(row[_OID])
            else:
                later[grades[number]].append((row, names[number]))
    rest = [one for one in live if one not in touched]
    later[0] += _elsewhere(rest, homeless, gone.union(*worse))
    rows = _distinct([row for rows in later for row in rows])
    superseded = {name for one in touched for name in (one.name, *one.superseded)}
    superseded.update(obsolete)
    trees = [row for row in rows if row[0][_KIND_AT] in _TREES]
    if len(rows) > SPLIT_ROWS and 0 < len(trees) < len(rows):
        others = [row for row in rows if row[0][_KIND_AT] not in _TREES]
        made = [_encode(trees, sizes, salt, ()), _encode(others, sizes, salt, superseded)]
    else:
        made = [_encode(rows, sizes, salt, superseded)]
    return Replacement(tuple(made), tuple(one.name for one in touched))


def _elsewhere(
    segments: Sequence[Segment], oids: set[bytes], avoid: frozenset[bytes]
) -> Iterator[tuple[bytes, bytes]]:
    """Yield a row, with its pack, for each object that segments have outside of some packs."""
    left = set(oids)
    size = segment.ROW.size
    for one in segments:
        names = [name for name, _ in one.packs]
        found: set[bytes] = set()
        for block in one.among(left) if left else ():
            for at in range(0, len(block), size):
                row = block[at : at + size]
                name = names[int.from_bytes(row[_ORDINAL], "little")]
                if name not in avoid:
                    found.add(row[_OID])
                    yield row, name
        left -= found


def _distinct(rows: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return rows in ascending order, the first of those with the same oid."""
    rows.sort(key=lambda row: row[0][_OID])
    kept = rows[:1]
    for row in rows[1:]:
        if row[0][_OID] != kept[-1][0][_OID]:
            kept.append(row)
    return kept


def _encode(
    rows: list[tuple[bytes, bytes]], sizes: dict[bytes, int], salt: bytes, old: Iterable[bytes]
) -> bytes:
    names = sorted(set(map(operator.itemgetter(1), rows)))
    ordinals = {name: number.to_bytes(4, "little") for number, name in enumerate(names)}
    encoded = [row[_OID] + ordinals[name] + row[OID_SIZE + 4 :] for row, name in rows]
    return segment.encode(encoded, [(name, sizes[name]) for name in names], salt, old)
