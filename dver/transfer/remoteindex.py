"""The index of a remote: which of its segments count, and finding objects in them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from dver.base import fsio
from dver.base.errors import CorruptError, FormatError, ObjectNotFound
from dver.base.oid import Oid, checksum
from dver.base.osat import osat
from dver.base.quoting import show
from dver.base.regular import open_regular
from dver.formats.pack import LIST_KINDS
from dver.formats.segment import Place, columns
from dver.storage.base import Entry, Storage
from dver.store import layout
from dver.store.index import Segment, Striking
from dver.transfer.distant import DistantSegment
from dver.transfer.ranges import Wanted
from dver.transfer.spool import hash_file
from dver.transfer.workers import each

#: Longer segments are not downloaded until enough of them is needed (bytes).
SMALL = 1 << 20
#: How long the checksum behind a head that is kept here is (bytes).
_CHECK = 8
#: Few enough oids for the lookup of one by one to be worth a thought.
_FEW = 4096


class RemoteIndex:
    """The live segments of a remote, each either here as a whole or there but for its head.

    Segments are immutable and named by their content, so a copy in ``cache`` whose hash is right
    is as good as the original; :meth:`refresh` decides which names count.
    """

    def __init__(self, storage: Storage, cache: Path, jobs: int) -> None:
        self._storage = storage
        self._directory = cache / "index"
        self._heads = cache / "heads"
        self.jobs = jobs
        self._whole: dict[bytes, Segment] = {}
        self._distant: dict[bytes, DistantSegment] = {}
        #: The names in the last listing, with their sizes in bytes.
        self.names: dict[bytes, int] = {}
        #: When those were written, by the storage's clock; 0 where it does not tell.
        self._times: dict[bytes, float] = {}
        #: Segments once seen here that are gone though nothing supersedes them.
        self.lost: frozenset[bytes] = frozenset()
        #: Segments in the last listing whose bytes are not what they should be; they are ignored.
        self.damaged: set[bytes] = set()
        #: Whether a listed segment was gone when it was to be read: what replaces it is not listed.
        self.is_outdated = False

    def refresh(self, listed: Mapping[str, Entry], *, whole: bool) -> None:
        """Take over a listing of ``index/`` and read the segments that are new in it."""
        self.names, self._times = {}, {}
        self.is_outdated = False
        self.damaged.clear()
        for key, entry in listed.items():
            name = layout.name_of(key)
            if name is not None and key == layout.segment_key(name):
                self.names[name] = entry.size
                self._times[name] = entry.modified or 0.0
        known = self._open_cached()
        # What is no longer as long as it was is not what was read.
        for name in [
            n for n, one in self._whole.items() if self.names.get(n, one.size) != one.size
        ]:
            self.damaged.add(name)
            del self.names[name]
        self._whole = {n: s for n, s in self._whole.items() if n in self.names}
        self._distant = {n: s for n, s in self._distant.items() if n in self.names}
        self._read_new(whole=whole)
        superseded = self.superseded()
        self.lost = frozenset(known - self.names.keys() - superseded)
        self._clean(superseded)

    def _known(self) -> list[Segment | DistantSegment]:
        return [*self._whole.values(), *self._distant.values()]

    def superseded(self) -> set[bytes]:
        """Return the names that some present segment replaces."""
        gone: set[bytes] = set()
        for one in self._known():
            gone.update(name for name in one.superseded if name != one.name)
        return gone

    def segments(self) -> list[Segment]:
        """Return the live segments, longest first, after downloading those not yet here."""
        for name in sorted(self._distant.keys() - self.superseded()):
            del self._distant[name]
            try:
                self._whole[name] = self._download(name)
            except CorruptError:
                self.damaged.add(name)
                del self.names[name]
        gone = self.superseded()
        live = [one for name, one in self._whole.items() if name not in gone]
        return sorted(live, key=len, reverse=True)

    def packs(self) -> dict[bytes, int]:
        """Return the packs that live segments name, with their sizes in bytes."""
        gone = self.superseded()
        found: dict[bytes, int] = {}
        for one in self._known():
            if one.name not in gone:
                found.update(one.packs)
        return found

    def locate(self, oids: Iterable[Oid]) -> Iterator[tuple[Oid, Place]]:
        """Yield (oid, place) for those oids that a live segment has, each at most once."""
        gone = self.superseded()
        whole = sorted((o for n, o in self._whole.items() if n not in gone), key=len, reverse=True)
        rest = []
        for oid in oids:
            for one in whole:
                place = one.find(oid)
                if place is not None:
                    yield oid, place
                    break
            else:
                rest.append(oid)
        for name in sorted(self._distant.keys() - gone, key=lambda n: -self.names[n]):
            if not rest:
                return
            found = set()
            for oid, place in self._find_in(name, rest):
                found.add(oid)
                yield oid, place
            rest = [oid for oid in rest if oid not in found]

    def _find_in(self, name: bytes, oids: Sequence[Oid]) -> Iterator[tuple[Oid, Place]]:
        distant = self._distant[name]
        if len(oids) <= _FEW and distant.is_worth(oids):
            yield from distant.find(oids)
            return
        segment = self._come_near(name)
        for oid in oids:
            place = segment.find(oid)
            if place is not None:
                yield oid, place

    def _come_near(self, name: bytes) -> Segment:
        segment = self._whole[name] = self._download(name)
        del self._distant[name]
        return segment

    def want(self, oids: set[bytes], sizes: Mapping[Oid, int] | None) -> Wanted:
        """Want all those objects that a live segment has, and take them out of the set.

        ``sizes`` of their contents, if given, tell how much the chunk lists among them stand for.
        """
        gone = self.superseded()
        wanted = Wanted()
        near = [one for name, one in self._whole.items() if name not in gone]
        for one in sorted(near, key=len, reverse=True):
            _want_rows(wanted, one, oids, sizes)
        for name in sorted(self._distant.keys() - gone, key=lambda n: -self.names[n]):
            asked = [Oid(oid) for oid in oids] if len(oids) <= _FEW else []
            distant = self._distant[name]
            if len(oids) > _FEW or not distant.is_worth(asked):
                _want_rows(wanted, self._come_near(name), oids, sizes)
                continue
            for oid, place in distant.find(asked):
                is_list = sizes is not None and place.kind in LIST_KINDS
                wanted.add(oid, place, sizes.get(oid, 0) if is_list and sizes else 0)
                oids.discard(oid)
        return wanted

    def copies(self, oid: Oid) -> list[Place]:
        """Return every place that a live segment gives for an object."""
        gone = self.superseded()
        places = [
            place
            for name, one in self._whole.items()
            if name not in gone and (place := one.find(oid)) is not None
        ]
        for name in sorted(self._distant.keys() - gone):
            places += [place for _, place in self._distant[name].find([oid])]
        return list(dict.fromkeys(places))

    def forget_lost(self) -> None:
        """Drop what is remembered of lost segments, once all they held was seen to."""
        for name in self.lost:
            with contextlib.suppress(OSError):
                osat.unlink(self._directory / name.hex())
        self.lost = frozenset()

    def put_aside(self, name: bytes, data: bytes) -> None:
        """Remember a segment that this clone has just written to the remote."""
        path = self._directory / name.hex()
        fsio.write_atomic(path, data, mode=0o444, durable=False, replace=False)
        self.names[name] = len(data)
        self._whole[name] = Segment.map(str(path), name)

    # reading

    def _read_new(self, *, whole: bool) -> None:
        """Read the new segments, the latest first, since those may supersede the others.

        With the first comes the longest: nothing has superseded that as a rule. While what is read
        spares others it is one at a time; else batches double in length.
        """
        new = self._unread()
        chosen = list(dict.fromkeys((*new[:1], *sorted(new, key=self.names.__getitem__)[-1:])))
        batch = 0
        while chosen:
            for name, segment in each(self.jobs, chosen, self._opener(whole=whole)):
                if segment is None:
                    del self.names[name]  # damaged, or merged into another since the listing
                elif isinstance(segment, Segment):
                    self._whole[name] = segment
                else:
                    self._distant[name] = segment
            left = len(new) - len(chosen)
            new = self._unread()
            batch = 1 if len(new) < left else max(1, batch * 2)
            chosen = new[:batch]
        if whole:
            self.segments()

    def _unread(self) -> list[bytes]:
        """Return the listed segments that count and were not read yet, the latest first.

        Of those written in the same second the longest, which cannot be part of another.
        """
        read = {*self._whole, *self._distant, *self.superseded()}
        new = [name for name in self.names if name not in read]
        return sorted(new, key=lambda name: (-self._times[name], -self.names[name], name))

    def _opener(self, *, whole: bool) -> Callable[[bytes], Segment | DistantSegment | None]:
        def open_one(name: bytes) -> Segment | DistantSegment | None:
            try:
                if whole or self.names[name] <= SMALL:
                    return self._download(name)
                return self._open_distant(name)
            except ObjectNotFound:
                self.is_outdated = True
                return None
            except CorruptError:
                self.damaged.add(name)
                return None

        return open_one

    def _download(self, name: bytes) -> Segment:
        path = self._directory / name.hex()
        fsio.make_dirs(self._directory)
        temp = self._directory / (fsio.TEMP_PREFIX + os.urandom(8).hex())
        try:
            self._storage.get_file(layout.segment_key(name), temp)
            if hash_file(temp) != name:
                raise CorruptError(
                    f"the index segment {name.hex()} of {self._storage.description} is damaged",
                    hint="run 'dver fsck' with '-r' and the remote's name",
                )
            fsio.publish(temp, path, replace=True)
        finally:
            with contextlib.suppress(OSError):
                osat.unlink(temp)
        return Segment.map(str(path), name)

    def _open_distant(self, name: bytes) -> DistantSegment:
        path = self._heads / name.hex()
        with contextlib.suppress(OSError, CorruptError):
            return DistantSegment(self._storage, name, self.names[name], _read_head(path))
        distant = DistantSegment.open(self._storage, name, self.names[name])
        check = checksum(distant.head).to_bytes(_CHECK, "little")
        fsio.write_atomic(path, distant.head + check, durable=False)
        return distant

    # the copies that are kept here

    def _open_cached(self) -> set[bytes]:
        """Map what the cache holds and the listing names; return all names in the cache."""
        try:
            texts = os.listdir(self._directory)
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise fsio.failure(error, "list", self._directory) from error
        known = set()
        for text in texts:
            name = layout.name_of(text)
            if name is None:
                continue
            known.add(name)
            path = self._directory / text
            if name in self.names and name not in self._whole:
                # A damaged copy is downloaded again.
                with contextlib.suppress(OSError, CorruptError, FormatError):
                    if hash_file(path) == name:
                        self._whole[name] = Segment.map(str(path), name)
        return known

    def _clean(self, superseded: set[bytes]) -> None:
        for directory in (self._directory, self._heads):
            with contextlib.suppress(FileNotFoundError):
                for text in os.listdir(directory):
                    name = layout.name_of(text)
                    gone = name is not None and (name not in self.names or name in superseded)
                    if gone and name not in self.lost:
                        with contextlib.suppress(OSError):
                            osat.unlink(directory / text)


def _read_head(path: Path) -> bytes:
    """Return a head that was kept, and is as it was. Raises OSError or CorruptError."""
    with open(open_regular(path), "rb") as file:
        data = file.read()
    head = data[:-_CHECK]
    if checksum(head).to_bytes(_CHECK, "little") != data[-_CHECK:]:
        raise CorruptError(f"{show(path)} does not match its checksum")
    return head


def _want_rows(
    wanted: Wanted, segment: Segment, oids: set[bytes], sizes: Mapping[Oid, int] | None
) -> None:
    packs = [name for name, _ in segment.packs]
    striking = Striking(oids)
    for rows in segment.among(oids):
        found = columns(rows)
        wanted.extend(packs, found, range(len(found.oids)))
        striking.add(found.oids)
        if sizes is not None and any(kind in found.kinds for kind in LIST_KINDS):
            for oid, ordinal, kind in zip(found.oids, found.ordinals, found.kinds, strict=True):
                if kind in LIST_KINDS:
                    wanted.packs[packs[ordinal]].to_come += sizes.get(Oid(oid), 0)
    striking.finish()
