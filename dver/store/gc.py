"""Removing what nothing refers to from a local store.

The caller holds the store's lock exclusively, so nobody is adding, and has marked everything that
must stay. The order is the reverse of adding: first a new segment that no longer names what goes
and supersedes all others, then the old segments, then the packs. A crash in between leaves
garbage, never a name without its bytes. Packs with much garbage are copied, and the copy is
durable before its source is given up.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from itertools import compress

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError
from dver.base.oid import OID_SIZE
from dver.formats import pack
from dver.formats.segment import columns
from dver.store import layout
from dver.store.mark import Marks
from dver.store.packfile import FinishedPack, open_frame
from dver.store.proofs import DIRECTORY as PROOFS
from dver.store.proofs import drop_proofs
from dver.store.store import Store
from dver.store.writer import PackSet, encode_rows, publish_packs, write_segment

#: A pack is copied without its garbage once less than this part of it is in use.
_KEEP_ABOVE = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """What a collection would do. Sizes are in bytes.

    ``delete`` are packs without anything in use, ``rewrite`` packs mostly garbage, ``orphans``
    files that no segment names: left by a crash, or temporary.
    """

    delete: tuple[bytes, ...]
    rewrite: tuple[bytes, ...]
    orphans: tuple[str, ...]
    live_objects: int
    dead_objects: int
    dead_bytes: int
    freed_bytes: int


@dataclass(slots=True)
class Use:
    """How much of a pack is marked: bytes and rows, of how many."""

    size: int
    live: int = 0
    live_count: int = 0
    rows: int = 0


def plan(store: Store, marks: Marks) -> Plan:
    """Decide what to remove. Reads the index and the names of files, hardly anything else.

    Raises CorruptError if something is missing that a pack without a segment has: the index must
    have been lost, and by it alone nearly everything would be garbage.
    """
    require_index(store, marks)
    uses = uses_of(marks)
    delete, rewrite = [], []
    freed = dead = dead_bytes = 0
    for name, use in sorted(uses.items()):
        dead += use.rows - use.live_count
        waste = max(use.size - use.live, 0)
        dead_bytes += waste if use.live_count < use.rows else 0
        if use.live_count == 0:
            delete.append(name)
            freed += use.size
        elif use.live < use.size * _KEEP_ABOVE and use.live_count < use.rows:
            rewrite.append(name)
            freed += waste
    orphans = tuple(orphans_of(store, uses))
    freed += sum(os.lstat(path).st_size for path in orphans)
    return Plan(tuple(delete), tuple(rewrite), orphans, marks.count, dead, dead_bytes, freed)


def require_index(store: Store, marks: Marks) -> None:
    """Raise CorruptError if something is missing that a pack without a segment has."""
    from dver.store.strays import in_unindexed_packs

    if marks.missing and not marks.missing.isdisjoint(
        in_unindexed_packs(store.storage, store.index)
    ):
        raise CorruptError(
            "nothing was removed, since index segments are lost that named what is needed",
            hint="run 'dver fsck --repair', which takes it from the packs, then this again",
        )


def uses_of(marks: Marks) -> dict[bytes, Use]:
    """Return what is marked of each pack that the index names."""
    uses: dict[bytes, Use] = {}
    for one in marks.segments:
        for name, size in one.packs:
            uses.setdefault(name, Use(size))
        bits = marks.bits(one)
        ours = [uses[name] for name, _ in one.packs]
        for first, block in one.blocks():
            _, ordinals, _, lengths, _ = columns(block)
            live = bits[first : first + len(ordinals)]
            for ordinal, count in Counter(ordinals).items():
                ours[ordinal].rows += count
            for ordinal, count in Counter(compress(ordinals, live)).items():
                ours[ordinal].live_count += count
                ours[ordinal].live += count * (pack.FRAME.size + pack.ROW.size)
            for ordinal, length in zip(
                compress(ordinals, live), compress(lengths, live), strict=True
            ):
                ours[ordinal].live += length
    return uses


def orphans_of(store: Store, named: dict[bytes, Use]) -> Iterator[str]:
    """Yield the paths of packs that no segment names, and of temporary files."""
    top = store.local_directory()
    for directory, _, files in os.walk(os.path.join(top, "packs")):
        for text in files:
            if layout.name_of(text) not in named:
                yield os.path.join(directory, text)
    places = [os.path.join(top, name) for name in ("tmp", "index", PROOFS)]
    for directory in (*places, top):
        for text in os.listdir(directory) if os.path.isdir(directory) else ():
            if text.startswith(fsio.TEMP_PREFIX):
                yield os.path.join(directory, text)


def sweep(store: Store, marks: Marks, todo: Plan) -> None:
    """Carry a plan out.

    Raises CorruptError, with nothing removed, if a copy would be damaged, or the plan was made by
    an index that is.
    """
    top = store.local_directory()
    for one in marks.segments:
        if not one.is_intact():
            raise CorruptError(
                f"nothing was removed, since {layout.segment_key(one.name)} is damaged",
                hint="run 'dver fsck --repair', then this again",
            )
    old = [one.name for one in store.index.segments] + store.index.obsolete
    if todo.delete or todo.rewrite or len(old) > 1:
        copies = _copy_live(store, marks, set(todo.rewrite))
        publish_packs(top, copies)
        rows, table = _surviving(marks, set(todo.delete) | set(todo.rewrite), copies)
        if rows:
            write_segment(top, [b"".join(rows)], table, superseded=old)
        for name in old:
            fsio.remove(os.path.join(top, layout.segment_key(name)))
        fsio.sync_dir(os.path.join(top, "index"))
        for name in (*todo.delete, *todo.rewrite):
            fsio.remove(os.path.join(top, layout.pack_key(name)))
    for path in todo.orphans:
        fsio.remove(path)
    store.refresh()
    drop_proofs(top, store.index)


def _copy_live(store: Store, marks: Marks, sources: set[bytes]) -> list[FinishedPack]:
    if not sources:
        return []
    copies = PackSet(store, os.path.join(store.local_directory(), "tmp"), ignore_index=True)
    try:
        for one in marks.segments:
            bits = marks.bits(one)
            for number, (oid, place) in enumerate(one.places()):
                if not bits[number] or place.pack not in sources:
                    continue
                data = store.read_frame(place)
                where = f"pack {place.pack.hex()} at {place.offset}"
                frame, _ = open_frame(data, where, oid=oid)
                tree = frame.kind in (pack.TREE, pack.TREE_LIST)
                copies.add_frame(frame, memoryview(data)[pack.FRAME.size :], tree=tree)
        return copies.finish()
    except BaseException:
        copies.abandon()
        raise


def _surviving(
    marks: Marks, gone: set[bytes], copies: list[FinishedPack]
) -> tuple[list[bytes], list[tuple[bytes, int]]]:
    """Return the rows and the pack table of the one segment that is to remain."""
    kept = {name: size for one in marks.segments for name, size in one.packs if name not in gone}
    table = sorted([*kept.items(), *((one.name, one.size) for one in copies)])
    ordinal = {name: number.to_bytes(4, "little") for number, (name, _) in enumerate(table)}
    rows: list[bytes] = []
    for one in marks.segments:
        numbers = [ordinal.get(name) for name, _ in one.packs]
        bits = marks.bits(one)
        for at, row in enumerate(one.rows()):
            if bits[at]:
                number = numbers[int.from_bytes(row[OID_SIZE : OID_SIZE + 4], "little")]
                if number is not None:
                    rows.append(row[:OID_SIZE] + number + row[OID_SIZE + 4 :])
    names = [name for name, _ in sorted((one.name, one.size) for one in copies)]
    for row in encode_rows(copies):
        name = names[int.from_bytes(row[OID_SIZE : OID_SIZE + 4], "little")]
        rows.append(row[:OID_SIZE] + ordinal[name] + row[OID_SIZE + 4 :])
    rows.sort()
    return rows, table
