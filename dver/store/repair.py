"""Making a damaged local store sound again, by what is still good in it.

Every pack is read. Those that are what their name says stay; of the others every frame that is
still good is copied into new packs, found by the footer or, without one, by a forward scan. Then
one new segment is written from the packs themselves, which also brings back an index that was
lost, and what was damaged is moved to ``quarantine/``: nothing is deleted that cannot be had
again. What is lost is then plainly missing, so that a fetch brings it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from dver.base import fsio
from dver.base.errors import CorruptError
from dver.base.oid import Oid
from dver.base.reporter import Task
from dver.formats import pack
from dver.store import layout
from dver.store.fsck import check_segments
from dver.store.index import Index, Segment
from dver.store.packfile import FinishedPack, check_pack, read_footer, verify_frame
from dver.store.store import Store
from dver.store.writer import PackSet, encode_rows, publish_packs, write_segment

QUARANTINE = "quarantine"
_TOPS = (pack.BLOB_LIST, pack.TREE_LIST)


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did.

    ``quarantined`` are the files moved aside, by their keys; ``salvaged`` counts good frames taken
    from damaged packs; ``lost`` are objects and chunks that the index named and that are gone.
    """

    quarantined: tuple[str, ...]
    salvaged: int
    lost: tuple[Oid, ...]


def repair(store: Store, task: Task) -> Repaired:
    """Repair a local store whose lock is held exclusively. ``task`` advances by bytes.

    Does nothing to a sound store. Memory is bounded by one pack and the rows of all.
    """
    top = store.local_directory()
    before, problems = check_segments(store.storage)
    bad_segments = [problem.key for problem in problems]
    copies = PackSet(store, os.path.join(top, "tmp"), ignore_index=True)
    sound: list[FinishedPack] = []
    damaged: list[bytes] = []
    try:
        for name, path, size in _packs(top, task):
            if (rows := _sound_rows(name, path)) is not None:
                sound.append(FinishedPack("", name, size, rows))
                continue
            damaged.append(name)
            with fsio.explained("read", path), open(path, "rb") as file:
                data = file.read()
            for frame, stored in good_frames(data):
                tree = frame.kind in (pack.TREE, pack.TREE_LIST)
                copies.add_frame(frame, stored, tree=tree)
        named = {name for one in before.segments for name, _ in one.packs}
        if not damaged and not bad_segments and named == {one.name for one in sound}:
            copies.abandon()
            return Repaired((), 0, ())
        salvaged = copies.finish()
    except BaseException:
        copies.abandon()
        raise
    publish_packs(top, salvaged)
    _write_index(store, [*sound, *salvaged], before)
    moved = [*bad_segments, *map(layout.pack_key, damaged)]
    for key in moved:
        _move_aside(top, key)
    store.refresh()
    lost = [oid for one in before.segments for oid in one.oids() if not store.has(oid)]
    count = sum(len(one.rows) // pack.ROW.size for one in salvaged)
    return Repaired(tuple(moved), count, tuple(dict.fromkeys(lost)))


def _packs(top: str, task: Task) -> Iterator[tuple[bytes, str, int]]:
    for directory, _, files in sorted(os.walk(os.path.join(top, "packs"))):
        for text in sorted(files):
            name = layout.name_of(text)
            if name is None:
                continue
            path = os.path.join(directory, text)
            with fsio.explained("read", path):
                size = os.stat(path).st_size
            yield name, path, size
            task.advance(size)


def _sound_rows(name: bytes, path: str) -> bytes | None:
    """Return the footer rows of a pack that is what its name says, else None."""
    try:
        with fsio.explained("read", path):
            check_pack(path, name)
            return b"".join(pack.encode_row(frame) for frame in read_footer(path))
    except CorruptError:
        return None


def good_frames(data: bytes) -> Iterator[tuple[pack.Frame, memoryview]]:
    """Yield (frame, stored bytes) of all that can be verified in a pack, however damaged.

    The top list of a chunked object is only checked against accidents here.
    """
    view = memoryview(data)
    at = data.find(pack.FRAME_MAGIC)
    while at >= 0:
        step = 1
        try:
            frame = pack.decode_frame(view[at : at + pack.FRAME.size], at)
            verify_frame(view[at : frame.end], "pack")
            yield frame, view[at + pack.FRAME.size : frame.end]
            step = frame.end - at
        except CorruptError:
            pass
        at = data.find(pack.FRAME_MAGIC, at + step)


def _write_index(store: Store, packs: list[FinishedPack], before: Index) -> None:
    """Write one segment for all packs, without the lists whose chunks are lost."""
    top = store.local_directory()
    rows = encode_rows(packs)
    table = sorted((one.name, one.size) for one in packs)
    old = [one.name for one in before.segments] + before.obsolete
    if rows:
        rows = _without_torn_lists(store, rows, table)
        write_segment(top, rows, table, superseded=old)
    for name in old:
        fsio.remove(os.path.join(top, layout.segment_key(name)))
    fsio.sync_dir(os.path.join(top, "index"))


def _without_torn_lists(
    store: Store, rows: list[bytes], table: list[tuple[bytes, int]]
) -> list[bytes]:
    from dver.formats import segment

    trial = Segment(b"", segment.encode(rows, table, bytes(16)))
    view = Store(store.storage, store.info, Index([trial]))
    torn = {oid for oid, place in trial.places() if place.kind in _TOPS and not _whole(view, oid)}
    return [row for row in rows if row[:32] not in torn]


def _whole(view: Store, oid: Oid) -> bool:
    try:
        return view.is_complete(oid)
    except CorruptError:
        return False


def _move_aside(top: str, key: str) -> None:
    target = os.path.join(top, QUARANTINE, key.replace("/", "-"))
    fsio.make_dirs(os.path.dirname(target))
    source = os.path.join(top, key)
    with fsio.explained("move aside", source):
        fsio.step("rename")
        os.replace(source, target)
    fsio.sync_dir(os.path.dirname(target))
    fsio.sync_dir(os.path.dirname(source))
