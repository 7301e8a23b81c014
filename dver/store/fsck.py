"""Checking a store, local or remote: is everything there, and is it what its name promises.

Quick: every segment matches its checksum, every pack it names is listed with the right size, and
every row lies inside its pack. Full: every pack is what its name and its checksums say, and every
object's content hashes to its oid.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from array import array
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from dver.base import fsio
from dver.base.errors import CorruptError, DverError, MissingContentError, ObjectNotFound
from dver.base.oid import Oid, oid_of
from dver.base.reporter import Task
from dver.formats import pack
from dver.formats.segment import Place
from dver.storage.base import Storage
from dver.store import layout
from dver.store.index import Index, Segment
from dver.store.packfile import check_pack, read_footer, verify_frame
from dver.store.store import Store

_ROW_BITS = 40


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. ``key`` is where, ``oids`` what is lost by it (may be empty)."""

    what: str
    key: str
    detail: str
    oids: tuple[Oid, ...] = ()


def check_segments(storage: Storage) -> tuple[Index, list[Problem]]:
    """Read every segment of a store and return those that are sound, and what is wrong."""
    sound, problems = [], []
    for entry in storage.list(layout.INDEX):
        name = layout.name_of(entry.key)
        if name is None:
            continue
        try:
            data = storage.get(entry.key)
            if oid_of(data) != name:
                raise CorruptError("its bytes do not hash to its name")
            one = Segment(name, data)
            one.check()
            sound.append(one)
        except ObjectNotFound:
            problems.append(Problem("segment-missing", entry.key, "it is listed but not there"))
        except CorruptError as error:
            problems.append(Problem("segment-damaged", entry.key, error.message))
    sound.sort(key=len, reverse=True)
    return Index(sound), problems


def check_packs(storage: Storage, index: Index) -> Iterator[Problem]:
    """Compare the packs that the index names with those the storage lists, by size."""
    listed = {
        name: entry.size
        for entry in storage.list(layout.PACKS)
        if (name := layout.name_of(entry.key)) is not None
    }
    bad: dict[bytes, tuple[str, str]] = {}
    for name, size in sorted(index.packs().items()):
        if name not in listed:
            bad[name] = ("pack-missing", "the index names it and it is not there")
        elif listed[name] != size:
            bad[name] = ("pack-damaged", f"it has {listed[name]} bytes instead of {size}")
    lost: dict[bytes, list[Oid]] = {name: [] for name in bad}
    sizes = index.packs()
    for one in index.segments:
        for oid, place in one.places():
            if place.pack in lost:
                lost[place.pack].append(oid)
            elif place.offset + pack.FRAME.size + place.stored > sizes[place.pack]:
                key = layout.segment_key(one.name)
                yield Problem("segment-damaged", key, "a row lies beyond its pack", (oid,))
    rest = Index(index.segments, frozenset(bad))
    for name, (what, detail) in bad.items():
        oids = tuple(oid for oid in lost[name] if oid not in rest)
        if oids or name in listed:
            yield Problem(what, layout.pack_key(name), detail, oids)


def check_contents(
    store: Store, task: Task, *, lost: Collection[Oid] = frozenset()
) -> Iterator[Problem]:
    """Read and hash every pack that the index names, and every object in them.

    ``task`` advances by bytes. Memory is bounded by the rows of one pack, a frame, and 8 bytes
    for each object. Packs that are not there are left to :func:`check_packs`. ``lost`` are objects
    that are known to be lost already: what needs one of them is no problem of its own.
    """
    bad = set(lost)
    numbers: dict[bytes, array[int]] = {name: array("Q") for name in store.index.packs()}
    lists: list[tuple[Oid, Place]] = []
    for which, one in enumerate(store.index.segments):
        for number, (oid, place) in enumerate(one.places()):
            numbers[place.pack].append(which << _ROW_BITS | number)
            if place.kind in (pack.BLOB_LIST, pack.TREE_LIST):
                lists.append((oid, place))
    for name, size in sorted(store.index.packs().items()):
        key = layout.pack_key(name)
        wanted = [
            store.index.segments[code >> _ROW_BITS].row(code & ((1 << _ROW_BITS) - 1))
            for code in numbers[name]
        ]
        wanted.sort(key=lambda row: row[1].offset)
        gone = (MissingContentError, ObjectNotFound, FileNotFoundError)
        with contextlib.suppress(*gone), _pack_at_hand(store.storage, key) as path:
            for problem in _check_pack(path, key, name, wanted):
                bad.update(problem.oids)
                yield problem
        task.advance(size)
    yield from _check_lists(store, lists, bad)


def by_cause(problems: Iterable[Problem]) -> list[Problem]:
    """Return one problem for each file that is wrong: the first told of it, with all it costs."""
    found: dict[str, Problem] = {}
    oids: dict[str, dict[Oid, None]] = {}
    for problem in problems:
        found.setdefault(problem.key, problem)
        oids.setdefault(problem.key, {}).update(dict.fromkeys(problem.oids))
    return [replace(problem, oids=tuple(oids[key])) for key, problem in found.items()]


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


def _check_pack(
    path: str, key: str, name: bytes, wanted: list[tuple[Oid, Place]]
) -> Iterator[Problem]:
    for check in (lambda: check_pack(path, name), lambda: read_footer(path)):
        try:
            check()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise fsio.failure(error, "read", path) from error
        except CorruptError as error:
            yield Problem("pack-damaged", key, error.message)
    with open(path, "rb", buffering=0) as file:
        for oid, place in wanted:
            offset = place.offset
            data = fsio.pread(file.fileno(), pack.FRAME.size + place.stored, offset)
            try:
                frame, _ = verify_frame(data, f"offset {offset}")
                if frame.oid != oid or frame.raw != place.raw or frame.kind != place.kind:
                    raise CorruptError(f"offset {offset}: the frame is not what the index says")
            except CorruptError as error:
                yield Problem("object-damaged", key, error.message, (oid,))


def _check_lists(store: Store, lists: list[tuple[Oid, Place]], bad: set[Oid]) -> Iterator[Problem]:
    """Assemble and hash every chunked object of which no part is known to be bad."""
    for oid, place in lists:
        try:
            # Parts come before what is below them is read.
            if bad and any(part in bad for part, _ in store.parts(oid)):
                continue
            for _ in store.stream(oid):
                pass
        except (CorruptError, MissingContentError) as error:
            key = layout.pack_key(place.pack)
            yield Problem("object-damaged", key, error.message, (oid,))
