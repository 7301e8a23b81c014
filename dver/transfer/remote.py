"""A named store that is shared: what it holds, and what this clone remembers of it.

What is immutable in a remote (segments, roots) is kept here once it was read. A listing tells each
time what is there *now*: a name that is not in the listing counts for nothing, whatever the
cache holds. A listing or request that fails is an error, and never means "empty" or "absent".

Docs: ``docs/format/remote.md``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dver.base import fsio
from dver.base.errors import (
    AlreadyExists,
    CorruptError,
    FormatError,
    MissingContentError,
    ObjectNotFound,
    RemoteError,
)
from dver.base.oid import Oid
from dver.base.osat import osat
from dver.formats import root as roots_format
from dver.formats import storeinfo
from dver.formats.root import Root
from dver.formats.segment import Place
from dver.formats.storeinfo import Chunker, StoreInfo
from dver.storage.base import Entry, Storage
from dver.store import layout
from dver.store.codec import Buffer
from dver.store.index import Index
from dver.store.store import Store
from dver.store.tombstones import Tombstones
from dver.transfer import memory
from dver.transfer.meter import Meter
from dver.transfer.notices import Notices, purges, retired_oids
from dver.transfer.remoteindex import RemoteIndex
from dver.transfer.workers import each

_LISTED = (
    *(layout.ROOTS, layout.CONDEMNED, layout.TRASH, layout.INDEX, layout.PACKS),
    storeinfo.KEY,
)
#: So often the index is listed again because garbage was collected while it was read.
_LOOKS = 5
#: What a listing said of format.json when that was read.
_TAG = "format.tag"


class RemoteStore(Store):
    """A remote as a store to read single objects from."""

    def refresh(self) -> None:
        """Do nothing: which segments count is decided by :meth:`Remote.refresh_index`."""

    def read_frame(self, place: Place) -> Buffer:
        """Return a frame as it lies in its pack. Raises MissingContentError if that is gone."""
        try:
            return super().read_frame(place)
        except ObjectNotFound as error:
            raise MissingContentError(
                f"the pack {place.pack.hex()} is gone from {self.storage.description}",
                hint="push again from a clone that has its content",
            ) from error


class Remote:
    """One remote. ``cache`` is the directory where this clone remembers what it saw of it.

    ``roots`` and ``index`` are as of the last refresh, or of the cache before the first; of the
    roots those in ``void_roots`` prove nothing, since a collection of garbage declared their
    pushes void. ``jobs`` is how many requests may be under way at once.
    """

    def __init__(
        self, name: str, storage: Storage, cache: Path, *, jobs: int | None = None
    ) -> None:
        self.name = name
        self.storage = Meter(storage)
        self.cache = cache
        self.jobs = max(1, jobs or storage.facts.connections)
        self.info: StoreInfo | None = None
        self.roots: dict[str, Root] = {}
        self.has_fresh_roots = False
        self.damaged_roots: list[str] = []
        self.void_roots: frozenset[str] = frozenset()
        self._root_sizes: dict[str, int] = {}
        self.index = RemoteIndex(self.storage, cache, self.jobs)
        self._snapshot: dict[str, dict[str, Entry]] = {}
        self._purged: Tombstones | None = None
        #: Whether one request may list everything; no listing has shown otherwise yet.
        self._is_short = True
        self._format_tag = ""
        self._load_cache()

    def set_jobs(self, jobs: int) -> None:
        """Let that many requests be under way at once from now on."""
        self.jobs = self.index.jobs = max(1, jobs)

    @property
    def description(self) -> str:
        """What to call the remote in messages."""
        return f"the remote '{self.name}' ({self.storage.description})"

    # identity

    def read_format(self) -> StoreInfo | None:
        """Read ``format.json`` and return it, or None where there is none.

        If the remote turns out to be another store than the one remembered, all that was
        remembered is forgotten.
        """
        told = self._snapshot.pop(storeinfo.KEY, None)
        tag = _tag(told.get(storeinfo.KEY)) if told is not None else ""
        if self.info is not None and tag and tag == self._format_tag:
            return self.info
        try:
            if told == {}:
                raise ObjectNotFound(f"{storeinfo.KEY} is not in {self.storage.description}")
            data = self.storage.get(storeinfo.KEY)
        except ObjectNotFound:
            if self.info is not None:
                self._forget()
                self.info = None
            return None
        try:
            info = storeinfo.decode(data)
        except FormatError as error:
            raise RemoteError(
                f"what {self.description} answers is not a dver store: {error.message}",
                hint=error.hint or "check its URL and endpoint with 'dver remote list'",
            ) from error
        if self.info is None or self.info.store_id != info.store_id:
            self._forget()
            fsio.write_atomic(self.cache / storeinfo.KEY, data, durable=False)
        self.info = info
        if tag != self._format_tag:
            self._format_tag = tag
            fsio.write_atomic(self.cache / _TAG, tag.encode(), durable=False)
        return info

    def require_format(self) -> StoreInfo:
        """Return the remote's identity, remembered or read now. Raises RemoteError if none."""
        info = self.info or self.read_format()
        if info is None:
            raise RemoteError(
                f"there is nothing at {self.description} yet",
                hint=f"push something first: 'dver push -r {self.name}'",
            )
        return info

    def initialise(self, chunker: Chunker) -> StoreInfo:
        """Make an empty location a store, and return what it is then, whoever won the race.

        The caller has listed it and found it empty.
        """
        data = storeinfo.encode(StoreInfo(os.urandom(16).hex(), chunker))
        with contextlib.suppress(AlreadyExists):
            self.storage.put(storeinfo.KEY, data, if_absent=self.storage.facts.conditional_create)
        info = self.read_format()
        if info is None:
            raise RemoteError(
                f"{self.description} said it stored {storeinfo.KEY}, and does not have it",
                hint="check its URL and endpoint with 'dver remote check'",
            )
        return info

    def is_new_directory(self) -> bool:
        """Say whether this is a local directory that does not exist, and never did for this clone.

        Anything else that cannot be listed is an error: it may be a disk that is not mounted.
        """
        path = self.storage.local_path(storeinfo.KEY)
        return self.info is None and path is not None and not os.path.lexists(os.path.dirname(path))

    # listing

    def look_around(self, *, anew: bool = False) -> bool:
        """List everything at once, where that takes one request, for the listings that follow.

        Returns whether it did. What it tells is used once: a listing asked for twice is made
        anew; with ``anew`` what was told before is not used either. One page is as good as
        three listings in the right order: packs come behind the segments in it, and whoever wrote
        a root in it had stored all that the root names.
        """
        if anew:
            self._snapshot = {}
        if self._snapshot or not self._is_short:
            return False
        entries = self.storage.list_short()
        self._is_short = entries is not None
        if entries is not None:
            self._snapshot = {
                prefix: {one.key: one for one in entries if one.key.startswith(prefix)}
                for prefix in _LISTED
            }
        return entries is not None

    def forget_listing(self) -> None:
        """Use nothing any more of what the last look around told."""
        self._snapshot = {}

    def refresh_roots(self) -> None:
        """List the roots, and read those not read before; ``has_fresh_roots`` is true then.

        ``damaged_roots`` tells of those that cannot be read. Nothing may be collected then.
        """
        self.damaged_roots.clear()
        keys = {
            key.removeprefix(layout.ROOTS): entry for key, entry in self._list(layout.ROOTS).items()
        }
        listed = {name: entry for name, entry in keys.items() if layout.is_session(name)}
        self.void_roots = frozenset(listed.keys() & {name[:32] for name in keys if "." in name})
        # A root that is no longer as long as it was is not what was read.
        known = {
            session: root
            for session, root in self.roots.items()
            if session in listed and listed[session].size == self._root_sizes[session]
        }
        new = [entry for session, entry in listed.items() if session not in known]
        for entry, data in each(self.jobs, new, self._get_root):
            if data is None:
                continue
            try:
                root = self._decode_root(entry.key, data)
            except CorruptError as error:
                self.damaged_roots.append(error.message)
                continue
            known[root.session] = root
            self._remember_root(root, data)
        for session in self.roots.keys() - known.keys():
            with contextlib.suppress(OSError):
                osat.unlink(self.cache / "roots" / session)
        self.roots = known
        self.has_fresh_roots = True

    def _get_root(self, entry: Entry) -> bytes | None:
        if entry.size > roots_format.MAX_SIZE:
            raise RemoteError(f"{entry.key} in {self.description} is longer than any root")
        try:
            return self.storage.get(entry.key)
        except ObjectNotFound:
            return None  # withdrawn since the listing

    def _decode_root(self, key: str, data: bytes) -> Root:
        try:
            root = roots_format.decode(data)
        except FormatError as error:
            raise CorruptError(
                f"{key} in {self.description} is damaged: {error.message}"
            ) from error
        if layout.root_key(root.session) != key:
            raise CorruptError(f"{key} in {self.description} is the root of another session")
        return root

    def refresh_index(self, *, whole: bool = False) -> None:
        """List the segments, and read what is needed of those not read before.

        With ``whole`` every segment is here and verified afterwards; without it, long ones
        stay in the remote but for their heads.
        """
        self._take_index(self._list(layout.INDEX), whole=whole)

    def _take_index(self, listed: Mapping[str, Entry], *, whole: bool) -> None:
        """Read the segments of a listing; of a new one, if garbage was collected meanwhile."""
        self.index.refresh(listed, whole=whole)
        for _ in range(_LOOKS):
            if not self.index.is_outdated:
                break
            self._snapshot.pop(layout.INDEX, None)
            self.index.refresh(self._list(layout.INDEX), whole=whole)

    def open_index(self) -> None:
        """Read the index for a fetch, and the identity if that was never read.

        Servers are asked for the listing first, which shows whether they are a storage at all.
        """
        first = self.info is None and not self.storage.facts.local
        listed = self._list(layout.INDEX) if first else None
        self.require_format()
        self._take_index(self._list(layout.INDEX) if listed is None else listed, whole=False)

    def list_packs(self) -> dict[bytes, int]:
        """List the packs that are there now: name to size in bytes."""
        packs = {}
        for key, entry in self._list(layout.PACKS).items():
            name = layout.name_of(key)
            if name is not None and key == layout.pack_key(name):
                packs[name] = entry.size
        return packs

    def list_segments(self) -> dict[str, Entry]:
        """List the segments that are there now, by their keys."""
        return self._list(layout.INDEX)

    def list_notices(self) -> Notices:
        """List what collections of garbage wrote here."""
        return Notices(self.storage, self._list(layout.CONDEMNED), self.cache / "notices")

    def retired(self) -> frozenset[Oid]:
        """Return what retention dropped: nobody need push it again unasked."""
        return retired_oids(self.storage, self._list_trash(), self.cache / "notices")

    def purged(self, *, anew: bool = False) -> Tombstones:
        """Return what was purged here; listed once, or with ``anew`` once more."""
        if anew or self._purged is None:
            self._list_trash()
        return self._purged or Tombstones()

    def _list_trash(self) -> dict[str, Entry]:
        listed = {} if self.is_new_directory() else self._list(layout.TRASH)
        self._purged = purges(self.storage, listed, self.cache / "notices")
        return listed

    def knows_notices(self) -> bool:
        """Say whether the last look around has told of notices, so that no request is needed."""
        return layout.CONDEMNED in self._snapshot

    def _list(self, prefix: str) -> dict[str, Entry]:
        told = self._snapshot.pop(prefix, None)
        if told is not None:
            return told
        return {entry.key: entry for entry in self.storage.list(prefix)}

    # reading

    def store(self) -> Store:
        """Return the remote as a store to read single objects from; takes the index whole."""
        info = self.info or StoreInfo("0" * 32)
        return RemoteStore(self.storage, info, Index(self.index.segments()))

    def locate(self, oids: Iterable[Oid]) -> Iterator[tuple[Oid, Place]]:
        """Yield (oid, place) of those objects that the index has."""
        return self.index.locate(oids)

    def kept(self) -> set[Oid]:
        """Return the objects that roots name: each was stored with all that it needs."""
        return {
            one.oid
            for session, root in self.roots.items()
            if session not in self.void_roots
            for one in root.objects
        }

    def bases(self) -> dict[str, Oid]:
        """Return for each path the directory that was pushed last for it."""
        found: dict[str, Oid] = {}
        for root in sorted(self.roots.values(), key=lambda root: root.created):
            for one in root.objects:
                if one.kind == "tree":
                    found[one.path] = one.oid
        return found

    # remembering

    def seen(self) -> set[Oid]:
        """Return the objects that were once fetched from here as a whole, for status only."""
        return memory.seen(self.cache)

    def remember_seen(self, oids: Iterable[Oid]) -> None:
        """Remember objects that were fetched from here as a whole."""
        memory.remember_seen(self.cache, oids)

    def covered(self) -> tuple[str, ...]:
        """Return commits whose whole history was found to be in the remote.

        They count only as long as every root that was there then is there now.
        """
        return memory.covered(self.cache, self.roots)

    def remember_covered(self, commit: str) -> None:
        """Note that all versions in a commit's history are in the remote."""
        memory.remember_covered(self.cache, commit, self.roots)

    def remember_root(self, root: Root) -> None:
        """Remember a root that this clone has just written."""
        self.roots[root.session] = root
        self._remember_root(root, roots_format.encode(root))

    def _remember_root(self, root: Root, data: bytes) -> None:
        self._root_sizes[root.session] = len(data)
        fsio.write_atomic(self.cache / "roots" / root.session, data, durable=False)

    def _load_cache(self) -> None:
        held = memory.recall(self.cache / storeinfo.KEY)
        if held is None:
            return
        try:
            self.info = storeinfo.decode(held)
            self._format_tag = (memory.recall(self.cache / _TAG) or b"").decode()
            names = os.listdir(self.cache / "roots")
        except (OSError, FormatError, UnicodeDecodeError):
            return
        for session in names:
            data = memory.recall(self.cache / "roots" / session)
            if data is None or not layout.is_session(session):
                continue
            # A damaged copy is read again from the remote.
            with contextlib.suppress(FormatError):
                root = roots_format.decode(data)
                if root.session == session:
                    self.roots[session] = root
                    self._root_sizes[session] = len(data)

    def _forget(self) -> None:
        if self.cache.exists():
            with fsio.explained("remove", self.cache):
                from dver.base.clearing import clear_away

                clear_away(self.cache)
        self.roots = {}
        self._format_tag = ""
        self.has_fresh_roots = False
        self.index = RemoteIndex(self.storage, self.cache, self.jobs)

    def close(self) -> None:
        """Release connections."""
        self.storage.close()


def _tag(entry: Entry | None) -> str:
    """Return what is the same in two listings if a key was not written between them, or ""."""
    if entry is None or entry.etag is None or entry.modified is None:
        return ""
    return f"{entry.etag} {entry.size} {entry.modified}"


def lost_packs(named: Mapping[bytes, int], listed: Mapping[bytes, int]) -> frozenset[bytes]:
    """Return the packs that segments name and that are not there, or not in their full size."""
    return frozenset(name for name, size in named.items() if listed.get(name) != size)
