"""Reading all that a store has: packs as they were written, contents as their oids say.

The packs of a local store are read by several worker processes, since the interpreter's part per
chunk is as long as hashing it. A chunked object is read twice: in its chunks, pack by pack, and as
a whole, which tells that its list names the right ones.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from array import array
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from dver.base import fsio
from dver.base.errors import CorruptError, DverError, MissingContentError, ObjectNotFound
from dver.base.oid import Oid
from dver.base.reporter import Task
from dver.base.workers import run_jobs, usable_cores
from dver.formats import pack
from dver.storage.base import Storage
from dver.store import layout
from dver.store.fsck import Problem
from dver.store.index import Index, Segment
from dver.store.packfile import check_pack, read_footer, verify_frame
from dver.store.store import LIST_KINDS, Store
from dver.store.windows import windows

_ROW_BITS = 40
#: How much of a pack is read at once (bytes).
_WINDOW = 4 << 20
#: From so many bytes on workers are started.
_WORTH = 128 << 20

#: One object: (oid, offset, stored length, raw length, kind), as the index has it.
_Row = tuple[bytes, int, int, int, int]
#: (what, key, detail, oids) of a problem, as it travels between processes.
_Told = tuple[str, str, str, tuple[bytes, ...]]


class AsFound(Store):
    """A store whose index stays as it was when the check began, lost packs included."""

    def refresh(self) -> None:
        """Keep the index: what rests on a lost pack is told with that pack."""


def check_contents(
    store: Store,
    task: Task,
    *,
    lost: Collection[Oid] = frozenset(),
    workers: int | None = None,
) -> Iterator[Problem]:
    """Read and hash every pack that the index names, and every object in them.

    ``task`` advances by bytes. Memory is bounded by the rows of one pack for each worker, a few
    MiB, and 8 bytes for each object. Packs that are not there are left to
    :func:`~dver.store.fsck.check_packs`. ``lost`` are objects that are known to be lost already:
    what needs one of them is no problem of its own.
    """
    sizes = store.index.packs()
    jobs = _Jobs(store.index)
    told: dict[int, list[_Told]] = {}

    def answered(job: tuple[int, Any], answer: list[_Told]) -> None:
        told[job[0]] = answer
        if isinstance(job[1], tuple):
            task.advance(sizes[job[1][0]])

    count = min(workers or usable_cores(), 16)
    if count > 1 and store.storage.facts.local and sum(sizes.values()) >= _WORTH:
        names = [one.name for one in store.index.segments]
        setup = (store.local_directory(), names)
        run_jobs("dver.store.contents:Checker", setup, jobs, workers=count, answered=answered)
    else:
        for job in jobs:
            answered(job, _check(store, job))
    bad = set(lost)
    for number in sorted(told):
        for what, key, detail, oids in told[number]:
            problem = Problem(what, key, detail, tuple(map(Oid, oids)))
            if number < len(sizes):
                bad.update(problem.oids)
            elif any(_rests_on(store, oid, bad) for oid in problem.oids):
                continue
            yield problem


class _Jobs:
    """One job for each chunked object and for each pack.

    A job is (number, (pack's name, rows)) or (number, oid); packs have the lower numbers.
    """

    def __init__(self, index: Index) -> None:
        self._index = index

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        index = self._index
        places: dict[bytes, array[int]] = {name: array("Q") for name in index.packs()}
        lists: list[Oid] = []
        for which, one in enumerate(index.segments):
            for number, (oid, place) in enumerate(one.places()):
                places[place.pack].append(which << _ROW_BITS | number)
                if place.kind in LIST_KINDS and place.kind != pack.LIST:
                    lists.append(oid)
        # The longest jobs first; their answers are told last.
        for number, oid in enumerate(lists, start=len(places)):
            yield number, oid
        for number, name in enumerate(sorted(places)):
            rows = []
            for code in places.pop(name):
                oid, place = index.segments[code >> _ROW_BITS].row(code & ((1 << _ROW_BITS) - 1))
                rows.append((oid, place.offset, place.stored, place.raw, place.kind))
            rows.sort(key=_offset)
            yield number, (name, rows)


def _offset(row: _Row) -> int:
    return row[1]


class Checker:
    """What a worker process runs: checks one pack or one chunked object after the other."""

    def __init__(self, setup: tuple[str, list[bytes]]) -> None:
        from dver.storage.local import LocalStorage

        directory, names = setup
        store = Store.open_unindexed(LocalStorage(directory))
        segments = []
        for name in names:
            path = os.path.join(directory, layout.segment_key(name))
            with fsio.explained("read", path):
                segments.append(Segment.map(path, name))
        self._store = AsFound(store.storage, store.info, Index(segments))

    def __call__(self, job: tuple[int, Any]) -> list[_Told]:
        """Return the problems of one job."""
        return _check(self._store, job)

    def close(self) -> None:
        """Nothing is left to say."""


def _check(store: Store, job: tuple[int, Any]) -> list[_Told]:
    if isinstance(job[1], tuple):
        return list(_check_pack(store.storage, *job[1]))
    return list(_check_whole(store, Oid(job[1])))


def _check_pack(storage: Storage, name: bytes, rows: list[_Row]) -> Iterator[_Told]:
    key = layout.pack_key(name)
    gone = (MissingContentError, ObjectNotFound, FileNotFoundError)
    with contextlib.suppress(*gone), _pack_at_hand(storage, key) as path:
        checks: tuple[Callable[[], object], ...] = (
            lambda: check_pack(path, name),
            lambda: read_footer(path),
        )
        for check in checks:
            try:
                check()
            except FileNotFoundError:
                raise
            except OSError as error:
                raise fsio.failure(error, "read", path) from error
            except CorruptError as error:
                yield "pack-damaged", key, error.message, ()
        with open(path, "rb", buffering=0) as file, fsio.explained("read", path):
            for row, data in _frames(file.fileno(), rows):
                oid, offset, _, raw, kind = row
                try:
                    frame, _ = verify_frame(data, f"offset {offset}")
                    if frame.oid != oid or frame.raw != raw or frame.kind != kind:
                        raise CorruptError(f"offset {offset}: the frame is not what the index says")
                except CorruptError as error:
                    yield "object-damaged", key, error.message, (oid,)


def _frames(fd: int, rows: list[_Row]) -> Iterator[tuple[_Row, memoryview]]:
    """Yield each row with its frame, reading neighbours at once."""
    start, window = 0, memoryview(b"")
    for row in rows:
        offset, end = row[1], row[1] + pack.FRAME.size + row[2]
        if offset < start or end > start + len(window):
            start = offset
            window = memoryview(fsio.pread(fd, max(_WINDOW, end - start), start))
        yield row, window[offset - start : end - start]


def _check_whole(store: Store, oid: Oid) -> Iterator[_Told]:
    """Assemble and hash a chunked object."""
    try:
        for _ in windows(store, oid):
            pass
    except (CorruptError, MissingContentError) as error:
        place = store.index.find(oid)
        key = layout.pack_key(place.pack) if place is not None else ""
        yield "object-damaged", key, error.message, (oid,)


def _rests_on(store: Store, oid: Oid, bad: Collection[Oid]) -> bool:
    """Say whether a part of a chunked object is known to be bad."""
    try:
        # Parts come before what is below them is read.
        return any(part in bad for part, _ in store.parts(oid))
    except (CorruptError, MissingContentError):
        return False


class _pack_at_hand:  # noqa: N801 - used like a function
    """The path of a pack: where it lies, or a temporary copy of a remote one."""

    def __init__(self, storage: Storage, key: str) -> None:
        self._storage = storage
        self._key = key
        self._temp: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> str:
        path = self._storage.local_path(self._key) if self._storage.facts.local else None
        if path is None:
            self._temp = tempfile.TemporaryDirectory(prefix="dver-fsck-")
            path = os.path.join(self._temp.name, "pack")
            try:
                self._storage.get_file(self._key, Path(path))
            except DverError:
                self._temp.cleanup()
                raise
        return path

    def __exit__(self, *exc: object) -> None:
        if self._temp is not None:
            self._temp.cleanup()
