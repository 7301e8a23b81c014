"""Making a damaged local store sound again, by what is still good in it.

First every pack is read, and every object that no pack alone can vouch for: that is the plan. Packs
that are what their name says stay; of the others every frame that is still good is copied into new
packs, found by the footer or, without one, by a forward scan. Then one new segment is written from
the packs themselves, which also brings back an index that was lost, and what was damaged is moved
to ``quarantine/``: nothing is deleted that cannot be had again. What is lost is then plainly
missing, so that a fetch brings it.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterator

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, MissingContentError
from dver.base.oid import Oid
from dver.base.regular import open_regular
from dver.base.reporter import Task
from dver.formats import pack, segment
from dver.formats.pack import TOP_KINDS
from dver.store import layout
from dver.store.fsck import check_segments
from dver.store.index import Index, Segment
from dver.store.packcheck import PackChecker
from dver.store.packfile import FinishedPack, check_pack, read_footer, verify_frame
from dver.store.proofs import read_proofs
from dver.store.quarantine import set_aside
from dver.store.store import Store
from dver.store.strays import irregular
from dver.store.windows import windows
from dver.store.writer import PackSet, encode_rows, publish_packs, write_segment


@dataclass(frozen=True, slots=True)
class Plan:
    """What a repair will do, and why.

    ``aside`` are the keys of damaged packs and segments that will be moved, ``unindexed`` counts
    sound packs that no segment names, ``absent`` packs that one names and that are not there,
    ``misplaced`` packs of which a segment says other things than they do, and ``wrong`` chunked
    objects whose lists make up something else.
    """

    aside: tuple[str, ...]
    unindexed: int
    absent: int
    misplaced: int
    wrong: tuple[Oid, ...]
    sound: tuple[FinishedPack, ...]
    before: Index
    #: Objects and the names of their lists that are right together.
    right: frozenset[tuple[Oid, Oid]]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.aside or self.unindexed or self.absent or self.misplaced or self.wrong)


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did.

    ``quarantined`` are the files moved aside, by the keys that they had; ``salvaged`` counts good
    frames taken from damaged packs; ``lost`` are objects and chunks that the index named and that
    are gone.
    """

    quarantined: tuple[str, ...]
    salvaged: int
    lost: tuple[Oid, ...]


def survey(store: Store, task: Task) -> Plan:
    """Read a whole local store and say what a repair would do. ``task`` advances by bytes.

    Memory is bounded by the rows of all packs.
    """
    top = store.local_directory()
    before, problems = check_segments(store.storage)
    aside = {problem.key: None for problem in problems}
    aside.update((problem.key, None) for problem in irregular(store.storage))
    checker = PackChecker()
    sound: list[FinishedPack] = []
    misplaced = 0
    for name, path, size in _packs(top, task):
        if layout.pack_key(name) in aside:
            continue
        rows, agrees = _sound_rows(checker, name, path, before.segments)
        if rows is None:
            aside[layout.pack_key(name)] = None
        else:
            sound.append(FinishedPack("", name, size, rows))
            misplaced += not agrees
    named = {name for one in before.segments for name, _ in one.packs}
    there = {one.name for one in sound}
    gone = frozenset(named - there)
    judge = _Judge(Store(store.storage, store.info, Index(before.segments, gone)))
    tops = {
        oid
        for one in before.segments
        for oid, place in one.places()
        if place.kind in TOP_KINDS and place.pack in there
    }
    wrong = tuple(oid for oid in sorted(tops) if judge.is_right(oid) is False)
    return Plan(
        tuple(sorted(aside)),
        len(there - named),
        sum(layout.pack_key(name) not in aside for name in gone),
        misplaced,
        wrong,
        tuple(sound),
        before,
        frozenset(judge.right),
    )


def repair(store: Store, task: Task, plan: Plan | None = None) -> Repaired:
    """Repair a local store whose lock is held exclusively, by a plan made under the same lock.

    Does nothing to a sound store.
    """
    plan = plan or survey(store, task)
    if plan.is_empty:
        return Repaired((), 0, ())
    top = store.local_directory()
    copies = PackSet(store, os.path.join(top, "tmp"), ignore_index=True)
    try:
        for key in plan.aside:
            path = os.path.join(top, key)
            if key.startswith(layout.PACKS) and stat.S_ISREG(os.lstat(path).st_mode):
                for frame, stored in _salvaged(path):
                    copies.add_frame(frame, stored, tree=frame.kind in (pack.TREE, pack.TREE_LIST))
        salvaged = copies.finish()
    except BaseException:
        copies.abandon()
        raise
    salvaged = [one for one in salvaged if one.rows]
    publish_packs(top, salvaged)
    _write_index(store, [*plan.sound, *salvaged], plan)
    for key in plan.aside:
        set_aside(top, key)
    store.refresh()
    lost = [oid for one in plan.before.segments for oid in one.oids() if not store.has(oid)]
    count = sum(len(one.rows) // pack.ROW.size for one in salvaged)
    return Repaired(plan.aside, count, tuple(dict.fromkeys(lost)))


def _packs(top: str, task: Task) -> Iterator[tuple[bytes, str, int]]:
    for directory, _, files in sorted(os.walk(os.path.join(top, "packs"))):
        for text in sorted(files):
            name = layout.name_of(text)
            path = os.path.join(directory, text)
            if name is None or path != os.path.join(top, layout.pack_key(name)):
                continue
            with fsio.explained("read", path):
                size = os.lstat(path).st_size
            yield name, path, size
            task.advance(size)


def _sound_rows(
    checker: PackChecker, name: bytes, path: str, segments: list[Segment]
) -> tuple[bytes | None, bool]:
    """Return the footer rows of a pack that is what its name and all oids in it say, else None.

    And whether segments say of it what it says itself.
    """
    try:
        with fsio.explained("read", path):
            agrees = checker.is_sound(path, name, segments)
            if not agrees and not checker.is_sound(path, name, []):
                # What is right and merely unusual is told apart by the slower way.
                _check_slowly(path, name)
            return b"".join(pack.encode_row(frame) for frame in read_footer(path)), agrees
    except CorruptError:
        return None, False


def _check_slowly(path: str, name: bytes) -> None:
    check_pack(path, name)
    with open(open_regular(path), "rb", buffering=0) as file:
        for frame in read_footer(path):
            data = fsio.pread(file.fileno(), frame.end - frame.offset, frame.offset)
            found, _ = verify_frame(data, f"offset {frame.offset}")
            if found.oid != frame.oid:
                raise CorruptError("a frame is not what the footer says")


class _Judge:
    """Says which chunked objects are what their lists make up, and reads as few as it can."""

    def __init__(self, view: Store, right: frozenset[tuple[Oid, Oid]] = frozenset()) -> None:
        self._view = view
        self._proofs = read_proofs(view.local_directory())
        self.right = set(right)

    def is_right(self, oid: Oid) -> bool | None:
        """Say whether all of an object is there and right; None if something is missing.

        One that was proved to be right, or judged before, is not read again.
        """
        try:
            known = (oid, self._view.list_name(oid))
            if known in self.right or self._proofs.hold(*known):
                if not self._view.is_complete(oid):
                    return None
            else:
                for _ in windows(self._view, oid):
                    pass
        except CorruptError:
            return False
        except MissingContentError:
            return None
        self.right.add(known)
        return True


def _salvaged(path: str) -> Iterator[tuple[pack.Frame, bytes]]:
    with fsio.explained("read", path), open(open_regular(path), "rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            for frame, stored in good_frames(data):
                yield frame, bytes(stored)


def good_frames(data: bytes | mmap.mmap) -> Iterator[tuple[pack.Frame, memoryview]]:
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


def _write_index(store: Store, packs: list[FinishedPack], plan: Plan) -> None:
    """Write one segment for all packs, without the lists whose chunks are lost."""
    top = store.local_directory()
    rows = encode_rows(packs)
    table = sorted((one.name, one.size) for one in packs)
    old = [one.name for one in plan.before.segments] + plan.before.obsolete
    if rows:
        rows = _without_torn_lists(store, rows, table, plan)
        write_segment(top, [b"".join(rows)], table, superseded=old)
    for name in old:
        fsio.remove(os.path.join(top, layout.segment_key(name)))
    fsio.sync_dir(os.path.join(top, "index"))


def _without_torn_lists(
    store: Store, rows: list[bytes], table: list[tuple[bytes, int]], plan: Plan
) -> list[bytes]:
    """Leave out the lists of which something is missing, or that make up something else."""
    trial = Segment(b"", segment.encode(rows, table, bytes(16)))
    judge = _Judge(Store(store.storage, store.info, Index([trial])), plan.right)
    torn = {
        oid for oid, place in trial.places() if place.kind in TOP_KINDS and not judge.is_right(oid)
    }
    return [row for row in rows if row[:32] not in torn]
