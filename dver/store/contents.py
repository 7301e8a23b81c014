"""Reading all that a store has: packs as they were written, contents as their oids say.

The packs of a local store are read by several processes, since the interpreter's part per chunk is
not nothing beside hashing it. That the chunks which a list names make up the object that it is
stored under is shown once, by hashing the whole, and then remembered (:mod:`dver.store.proofs`):
later checks hash its chunks alone, which the same list names by their hashes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.errors import CorruptError, DverError, MissingContentError, ObjectNotFound
from dver.base.oid import OID_SIZE, Oid
from dver.base.regular import open_regular
from dver.base.reporter import Task
from dver.base.workers import run_jobs, usable_cores
from dver.formats import pack
from dver.formats.pack import LIST_KINDS, TOP_KINDS
from dver.formats.proofs import Proofs
from dver.formats.segment import ROW, Place
from dver.storage.base import Storage
from dver.store import layout
from dver.store.codec import Buffer
from dver.store.fsck import Problem
from dver.store.index import Index, Segment, SoundFirst
from dver.store.packcheck import PackChecker
from dver.store.packfile import check_pack, read_footer, verify_frame
from dver.store.proofs import add_proofs, read_proofs
from dver.store.store import Store
from dver.store.windows import windows

if TYPE_CHECKING:
    import tempfile

#: What a chunked object is of which a part is nowhere. The pack that has its list may be sound.
TORN = "object-torn"
#: How much of a damaged pack is read at once (bytes).
_WINDOW = 4 << 20
#: From so many bytes on workers are started.
_WORTH = 128 << 20
#: So many chunks of a list are looked for at once.
_MANY = 1 << 18
#: Where a row of a segment has the kind.
_KIND_AT = OID_SIZE + 16

#: One object: (oid, offset, stored length, raw length, kind), as the index has it.
_Row = tuple[bytes, int, int, int, int]
#: (what, key, detail, oids) of a problem, as it travels between processes.
_Told = tuple[str, str, str, tuple[bytes, ...]]
#: (number, whether it is a pack, its name or the oid of a chunked object); packs come first.
_Job = tuple[int, bool, bytes]
#: What was found, and for a chunked object that was hashed its oid and the name of its list.
_Answer = tuple[list[_Told], tuple[bytes, bytes] | None]


class AsFound(Store):
    """A store whose index stays as it was when the check began, lost packs included."""

    def refresh(self) -> None:
        """Keep the index: what rests on a lost pack is told with that pack."""

    def read_frame(self, place: Place) -> Buffer:
        """Return a frame as it lies in its pack. Raises MissingContentError if that is gone."""
        try:
            return super().read_frame(place)
        except ObjectNotFound as error:
            raise self._pack_gone(place.pack) from error


def check_contents(
    store: Store,
    task: Task,
    *,
    lost: Collection[Oid] = frozenset(),
    only: Collection[bytes] | None = None,
    is_read: Callable[[bytes, bool], None] | None = None,
    is_remote: bool = False,
    workers: int | None = None,
) -> Iterator[Problem]:
    """Read and hash every pack that the index names, and every object in them.

    ``task`` advances by bytes. Memory is bounded by the rows of one pack for each worker, a few
    MiB, and 8 bytes for each object. Packs that are not there are left to
    :func:`~dver.store.fsck.check_packs`. ``lost`` are objects that are known to be lost already:
    what needs one of them is no problem of its own. In a local store without any problem, what was
    hashed as a whole is remembered as proved; in a remote that is a directory nothing is written.

    With ``only`` just these packs are read: every frame is hashed, and that chunks make up what
    their lists are stored under is not asked. ``is_read`` is told of each pack, and whether it is
    sound, as soon as that is known.
    """
    sizes = store.index.packs()
    if only is not None:
        sizes = {name: size for name, size in sizes.items() if name in only}
    told: dict[int, list[_Told]] = {}
    proved: list[tuple[Oid, Oid]] = []

    def answered(job: _Job, answer: _Answer) -> None:
        number, is_pack, name = job
        if answer[0]:
            told[number] = answer[0]
        if answer[1] is not None:
            proved.append((Oid(answer[1][0]), Oid(answer[1][1])))
        if is_pack:
            task.advance(sizes[name])
            if is_read is not None:
                is_read(name, not answer[0])

    local = store.storage.facts.local
    checker = Checker(store)
    jobs = _jobs(store.index, sizes, with_lists=only is None)
    count = min(workers or usable_cores(), 16)
    if count > 1 and local and sum(sizes.values()) >= _WORTH:
        names = [one.name for one in store.index.segments]
        setup = (store.local_directory(), names, sorted(store.index.doubtful))
        # This process does its part as well, and has done much of it before others have started.
        run_jobs(
            "dver.store.contents:Worker",
            setup,
            jobs,
            workers=count - 1,
            answered=answered,
            here=checker,
        )
    else:
        for job in jobs:
            answered(job, checker(job))
    if local and not (told or lost or is_remote):
        # Only now is each chunk known to be what the list calls it.
        add_proofs(store.local_directory(), proved)
    yield from _distinct(store, told, len(sizes), set(lost))


def _distinct(
    store: Store, told: Mapping[int, list[_Told]], packs: int, bad: set[Oid]
) -> Iterator[Problem]:
    """Yield what was told, but for what only follows from ``bad`` objects or from other problems.

    The first ``packs`` numbers are those of packs.
    """
    for number in sorted(told):
        for what, key, detail, oids in told[number]:
            problem = Problem(what, key, detail, tuple(map(Oid, oids)))
            if number < packs:
                bad.update(problem.oids)
            elif any(_rests_on(store, oid, bad) for oid in problem.oids):
                continue
            yield problem


def _jobs(index: Index, packs: Collection[bytes], *, with_lists: bool) -> Iterator[_Job]:
    """Yield one job for each chunked object, then one for each pack.

    The longest jobs come first. Packs have the lower numbers: they are told of first.
    """
    number = len(packs)
    for one in index.segments if with_lists else ():
        for _, block in one.blocks():
            kinds = block[_KIND_AT :: ROW.size]
            if pack.BLOB_LIST not in kinds and pack.TREE_LIST not in kinds:
                continue
            for i, kind in enumerate(kinds):
                if kind in TOP_KINDS:
                    yield number, False, block[i * ROW.size :][:OID_SIZE]
                    number += 1
    for number, name in enumerate(sorted(packs)):
        yield number, True, name


class Checker:
    """Checks one pack or one chunked object after the other."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._packs = PackChecker()
        local = store.storage.facts.local
        self._proofs = read_proofs(store.local_directory()) if local else Proofs()

    def __call__(self, job: _Job) -> _Answer:
        """Return the problems of one job, and what it proves."""
        _, is_pack, name = job
        if is_pack:
            return list(self._check_pack(name)), None
        return self._check_whole(Oid(name))

    def _check_pack(self, name: bytes) -> Iterator[_Told]:
        storage, segments = self._store.storage, self._store.index.segments
        key = layout.pack_key(name)
        gone = (MissingContentError, ObjectNotFound, FileNotFoundError)
        with contextlib.suppress(*gone), _pack_at_hand(storage, key) as path:
            try:
                sound = self._packs.is_sound(path, name, segments)
            except FileNotFoundError:
                raise
            except OSError as error:
                raise fsio.failure(error, "read", path) from error
            except CorruptError as error:
                yield "pack-damaged", key, error.message, ()
                return
            if not sound:
                yield from _look_closely(path, key, name, _rows(segments, name))

    def _check_whole(self, oid: Oid) -> _Answer:
        """Hash a chunked object, unless that its list is right was proved before."""
        store = self._store
        try:
            name = store.list_name(oid)
            if self._proofs.hold(oid, name):
                _check_chunks_there(store, oid)
                return [], None
            for _ in windows(store, oid):
                pass
        except (CorruptError, MissingContentError) as error:
            place = store.index.find(oid)
            key = layout.pack_key(place.pack) if place is not None else ""
            what = "object-damaged" if isinstance(error, CorruptError) else TORN
            return [(what, key, error.message, (oid,))], None
        return [], (oid, name)


class Worker(Checker):
    """What a worker process runs, given a store's directory, its segments and doubtful packs."""

    def __init__(self, setup: tuple[str, list[bytes], list[bytes]]) -> None:
        from dver.storage.local import LocalStorage

        directory, names, doubtful = setup
        store = Store.open_unindexed(LocalStorage(directory))
        segments = []
        for name in names:
            path = os.path.join(directory, layout.segment_key(name))
            with fsio.explained("read", path):
                segments.append(Segment.map(path, name))
        super().__init__(
            AsFound(store.storage, store.info, SoundFirst(segments, frozenset(doubtful)))
        )

    def close(self) -> None:
        """Nothing is left to say."""


def _check_chunks_there(store: Store, oid: Oid) -> None:
    """Raise an error unless the index has each chunk that a list names, and of its length.

    What they hold is for the packs to show. Takes memory for some thousands of them.
    """
    wanted: dict[Oid, int] = {}
    for chunk, size in store.leaves(oid):
        if wanted.setdefault(chunk, size) != size:
            raise _unfit(oid)
        if len(wanted) == _MANY:
            _find_all(store, oid, wanted)
            wanted = {}
    _find_all(store, oid, wanted)


def _find_all(store: Store, oid: Oid, wanted: dict[Oid, int]) -> None:
    for segment in store.index.segments:
        packs = [name for name, _ in segment.packs]
        for block in segment.among(wanted.keys()):
            for chunk, ordinal, _, _, raw, kind, _, _ in ROW.iter_unpack(block):
                if packs[ordinal] in store.index.lost_packs:
                    continue
                if wanted.pop(chunk) != raw or kind in LIST_KINDS:
                    raise _unfit(oid)
    for chunk in wanted:
        raise MissingContentError(f"the object {chunk.hex()} is not in {store.storage.description}")


def _unfit(oid: Oid) -> CorruptError:
    return CorruptError(f"the chunk list of {oid.hex()} does not fit its chunks")


def _rows(segments: Sequence[Segment], name: bytes) -> list[_Row]:
    """Return all rows that the segments have for a pack, in its order."""
    rows: list[_Row] = []
    for one in segments:
        ordinals = [i for i, (found, _) in enumerate(one.packs) if found == name]
        for _, block in one.blocks() if ordinals else ():
            rows += [
                (oid, offset, stored, raw, kind)
                for oid, ordinal, offset, stored, raw, kind, _, _ in ROW.iter_unpack(block)
                if ordinal in ordinals
            ]
    rows.sort(key=_offset)
    return rows


def _offset(row: _Row) -> int:
    return row[1]


def _look_closely(path: str, key: str, name: bytes, rows: list[_Row]) -> Iterator[_Told]:
    """Say what is wrong with a pack."""
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
    with open(open_regular(path), "rb", buffering=0) as file, fsio.explained("read", path):
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
            import tempfile

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
