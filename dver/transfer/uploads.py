"""Which packs to send for the frames that a remote lacks, and making those that are not there yet.

A local pack that is wanted nearly whole is sent as it is. Of other packs the wanted frames are
copied, without compressing them again, into new packs in the spool. Every frame that is copied
is decoded and hashed, and every pack is hashed, before a byte of it leaves: what is damaged here
stays here.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError
from dver.base.oid import OID_SIZE, Oid, split_oids
from dver.base.regular import open_regular
from dver.formats import pack
from dver.store.index import Index
from dver.store.packfile import FinishedPack, PackBuilder, check_pack, read_rows, verify_frame
from dver.store.store import Store
from dver.transfer.closure import Reason
from dver.transfer.ranges import Frames, Wanted
from dver.transfer.spool import Spool

#: New packs are closed once they are this long (bytes).
PACK_TARGET = 64 << 20
#: Shorter packs (bytes) are merged on their way when there are more than a few of them.
SMALL_PACK = 16 << 20
_FEW = 4
#: The rows of more packs, taken together, are read from the packs again when they are needed.
_HELD_ROWS = 300_000
_TREE_KINDS = (pack.TREE, pack.TREE_LIST)


@dataclass(frozen=True, slots=True)
class Upload:
    """A finished pack on this disk: its name, its size in bytes, its path and its footer rows.

    Rows that are not ``held`` are all those in the file, and are read from it.
    """

    name: bytes
    size: int
    path: str
    held: bytes | None
    spooled: bool = False

    @property
    def rows(self) -> bytes:
        """The footer rows. Raises CorruptError or SystemFailure if they cannot be read."""
        return self.finished.rows

    @property
    def finished(self) -> FinishedPack:
        """The same without what is of no use once it was sent."""
        return FinishedPack(self.path, self.name, self.size, self.held)


@dataclass(slots=True)
class Choice:
    """What to do about the packs that hold wanted frames, each by name and size in bytes.

    ``whole`` are sent as they are; ``arrived`` are in the remote already, from a push that did not
    come to its end; of all others the frames ``copied`` are sent in new packs.
    """

    whole: list[tuple[bytes, int]] = field(default_factory=list)
    arrived: list[tuple[bytes, int]] = field(default_factory=list)
    copied: Wanted = field(default_factory=Wanted)

    @property
    def size(self) -> int:
        """The bytes to be sent, but for the footers of the packs still to be made."""
        return sum(size for _, size in self.whole) + self.copied.size

    @property
    def packs(self) -> int:
        """How many packs will be sent, about."""
        copied = self.copied.size
        return len(self.whole) + (max(1, -(-copied // PACK_TARGET)) if copied else 0)


def choose(
    store: Store,
    wanted: Wanted,
    listed: Mapping[bytes, int],
    taken: frozenset[bytes] = frozenset(),
) -> Choice:
    """Decide for each pack of a local store whether to send it whole or to copy from it.

    ``listed`` are the packs that the remote has, with their sizes; by names that are ``taken``
    nothing may be sent.
    """
    choice = Choice()
    small: list[tuple[bytes, int]] = []
    for name, found in wanted.packs.items():
        frames = found if found.is_distinct() else found.ordered()
        path = store.pack_path(name)
        try:
            size = os.stat(path).st_size
            content = _content_size(path, size)
        except (OSError, CorruptError):
            choice.copied.packs[name] = frames
            continue
        if listed.get(name) == size:
            choice.arrived.append((name, size))
        elif name in taken or 10 * frames.size < 9 * content:
            choice.copied.packs[name] = frames
        elif size < SMALL_PACK:
            small.append((name, size))
        else:
            choice.whole.append((name, size))
    if len(small) <= _FEW and not choice.copied.packs:
        choice.whole += small
    else:
        for name, _ in small:
            choice.copied.packs[name] = wanted.packs[name]
    return choice


def _content_size(path: str, size: int) -> int:
    return size - pack.HEADER.size - pack.TRAILER.size - len(read_rows(path))


def whole_uploads(
    store: Store, packs: Sequence[tuple[bytes, int]], wanted: Wanted
) -> Iterator[Upload]:
    """Yield local packs, given by name and size, as uploads; ``wanted`` is all that is to be sent.

    A pack may hold frames that this store found to be unsound, or chunk lists that it never
    verified, and so does not index; they are left out of the rows.
    """
    few = sum(len(wanted.packs[name]) for name, _ in packs) <= _HELD_ROWS
    for name, size in packs:
        path = store.pack_path(name)
        rows = read_rows(path)
        indexed = _indexed_rows(store.index, rows, wanted.packs[name])
        yield Upload(name, size, path, None if indexed is rows and not few else indexed)


def _indexed_rows(index: Index, rows: bytes, wanted: Frames) -> bytes:
    if set(wanted.offsets).issuperset(pack.offsets_of(rows)):
        return rows  # the index knows all of its frames
    absent = index.absent(set(pack.oids_of(rows)).difference(split_oids(wanted.oids)))
    if not absent:
        return rows
    parts = [rows[at : at + pack.ROW.size] for at in range(0, len(rows), pack.ROW.size)]
    return b"".join([part for part in parts if part[:OID_SIZE] not in absent])


def spooled_uploads(spool: Spool, listed: Mapping[bytes, int]) -> Iterator[Upload]:
    """Yield what an interrupted push left: packs to send, and rows of packs that have arrived.

    What is damaged is removed.
    """
    for one in spool.packs():
        if one.path is None:
            if listed.get(one.name) == one.size:
                yield Upload(one.name, one.size, "", spool.rows(one), spooled=True)
            continue
        try:
            rows = check_pack(one.path, one.name)
            yield Upload(one.name, one.size, one.path, rows, spooled=True)
            continue
        except (OSError, CorruptError):
            pass
        spool.drop(one.name)


def copy_frames(
    store: Store, wanted: Wanted, spool: Spool, damaged: dict[Oid, Reason]
) -> Iterator[Upload]:
    """Yield new packs of the wanted frames, one as soon as it is full.

    What is missing or does not verify is put into ``damaged`` instead.
    """
    builders: dict[bool, PackBuilder] = {}
    try:
        for name, frames in wanted.packs.items():
            for frame, stored in _verified(store, name, frames.ordered(), damaged):
                tree = frame.kind in _TREE_KINDS
                builder = builders.get(tree)
                if builder is None:
                    builder = builders[tree] = PackBuilder(str(spool.directory))
                builder.add(frame.oid, frame.kind, frame.codec, stored, frame.raw)
                if builder.size >= PACK_TARGET:
                    yield finish_pack(builders.pop(tree), spool)
        for tree in sorted(builders):
            yield finish_pack(builders.pop(tree), spool)
    finally:
        for builder in builders.values():
            builder.abandon()


def finish_pack(builder: PackBuilder, spool: Spool) -> Upload:
    """Put a pack that was built into the spool, from where it can be sent."""
    builder.finish()
    done = builder.result()
    path = spool.pack_path(done.name)
    fsio.publish(done.temp, path, replace=True)
    return Upload(done.name, done.size, str(path), done.rows, spooled=True)


def _verified(
    store: Store, name: bytes, frames: Frames, damaged: dict[Oid, Reason]
) -> Iterator[tuple[pack.Frame, bytes]]:
    try:
        with open(open_regular(store.pack_path(name)), "rb", buffering=0) as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError, CorruptError) as error:
        reason: Reason = "missing" if isinstance(error, FileNotFoundError) else "damaged"
        damaged.update((frames.oid(i), reason) for i in range(len(frames)))
        return
    with data:
        for i in range(len(frames)):
            oid = frames.oid(i)
            start = frames.offsets[i]
            whole = data[start : start + frames.lengths[i]]
            try:
                frame, _ = verify_frame(whole, f"pack {name.hex()} at {start}")
            except CorruptError:
                damaged[oid] = "damaged"
                continue
            if frame.oid != oid:
                damaged[oid] = "damaged"
                continue
            yield frame, whole[pack.FRAME.size :]
