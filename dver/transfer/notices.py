"""What collections of garbage wrote in a remote, for pushes and other collections to see.

Docs: ``docs/format/remote.md``, section "Notices"; why it is enough: ``docs/design/gc.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from dver.base import fsio
from dver.base.errors import CorruptError, FormatError, ObjectNotFound
from dver.base.oid import Oid
from dver.base.regular import read_regular
from dver.formats import notice as notice_format
from dver.formats import purged as purged_format
from dver.formats import root as roots
from dver.formats.notice import Kind, Notice
from dver.formats.purged import Purged
from dver.storage.base import Entry, Storage
from dver.store import layout
from dver.store.tombstones import Tombstones

_ENDS: dict[str, Kind] = {"": "condemned", layout.DOOMED: "doomed", layout.SWEPT: "swept"}


def read_notice(storage: Storage, key: str, kinds: Iterable[Kind], session: str) -> Notice:
    """Read a notice and check that it is what its key says.

    Raises ObjectNotFound if it is gone, CorruptError for anything else that is not right.
    """
    data = storage.get(key)
    try:
        notice = notice_format.decode(data)
    except FormatError as error:
        raise CorruptError(
            f"{key} in {storage.description} is damaged: {error.message}", hint=error.hint
        ) from error
    if notice.kind not in kinds or (session and notice.session != session):
        raise CorruptError(f"{key} in {storage.description} is the notice of another")
    return notice


def remembered(path: Path, size: int) -> Notice | None:
    """Return a notice that was read before and kept, if it is as long as it is now."""
    try:
        data = read_regular(path, limit=notice_format.MAX_SIZE)
        return notice_format.decode(data) if len(data) == size else None
    except (OSError, CorruptError):
        return None


def retired_oids(storage: Storage, listed: Mapping[str, Entry], cache: Path) -> frozenset[Oid]:
    """Return the objects that a listing of ``trash/`` says retention dropped."""
    found: set[Oid] = set()
    for key, entry in listed.items():
        name = key.removeprefix(layout.TRASH)
        if not (layout.is_session(name[:32]) and name[32:] == layout.RETIRED):
            continue
        notice = remembered(cache / name, entry.size)
        if notice is None:
            try:
                notice = read_notice(storage, key, ("retired",), name[:32])
            except ObjectNotFound:
                continue  # a newer one holds what this held
            fsio.write_atomic(cache / name, notice_format.encode(notice), durable=False)
        found.update(one.oid for one in roots.decode(notice.root).objects)
    return frozenset(found)


def purges(storage: Storage, listed: Mapping[str, Entry], cache: Path) -> Tombstones:
    """Return what a listing of ``trash/`` says was purged. Raises CorruptError for damage."""
    found = []
    for key, entry in sorted(listed.items()):
        name = key.removeprefix(layout.TRASH)
        if not (layout.is_session(name[:32]) and name[32:] == layout.PURGED):
            continue
        one = _remembered_purge(cache / name, entry.size)
        if one is None:
            try:
                data = storage.get(key)
                one = purged_format.decode(data)
            except ObjectNotFound:
                continue  # lifted since the listing
            except FormatError as error:
                raise CorruptError(
                    f"{key} in {storage.description} is damaged: {error.message}",
                    hint="a clone that knows of that purge can run it again; if none does, look"
                    " what it says, and delete that file",
                ) from error
            fsio.write_atomic(cache / name, data, durable=False)
        if one.id == name[:32]:
            found.append(one)
    return Tombstones(found)


def _remembered_purge(path: Path, size: int) -> Purged | None:
    try:
        data = read_regular(path, limit=purged_format.MAX_SIZE)
        return purged_format.decode(data) if len(data) == size else None
    except (OSError, CorruptError):
        return None


class Notices:
    """The notices under ``condemned/``, as a listing showed them.

    ``condemned``, ``doomed`` and ``swept`` are the sessions of collections that have such a notice.
    A notice is read when it is asked for, and kept in the directory ``cache``: it never changes.
    """

    def __init__(self, storage: Storage, listed: Mapping[str, Entry], cache: Path) -> None:
        self._storage = storage
        self._cache = cache
        self._known: dict[str, Notice] = {}
        found: dict[Kind, dict[str, Entry]] = {"condemned": {}, "doomed": {}, "swept": {}}
        for key, entry in listed.items():
            name = key.removeprefix(layout.CONDEMNED)
            session, end = name[:32], name[32:]
            if layout.is_session(session) and end in _ENDS:
                found[_ENDS[end]][session] = entry
        self.condemned = found["condemned"]
        self.doomed = found["doomed"]
        self.swept = found["swept"]

    def _read(self, entry: Entry, kind: Kind) -> Notice:
        notice = self._known.get(entry.key)
        if notice is None:
            notice = remembered(self._path(entry), entry.size) or self._fetch(entry, kind)
            self._known[entry.key] = notice
        return notice

    def _path(self, entry: Entry) -> Path:
        return self._cache / entry.key.removeprefix(layout.CONDEMNED)

    def _fetch(self, entry: Entry, kind: Kind) -> Notice:
        session = entry.key.removeprefix(layout.CONDEMNED)[:32]
        notice = read_notice(self._storage, entry.key, (kind,), session)
        if kind != "condemned":
            data = notice_format.encode(notice)
            fsio.write_atomic(self._path(entry), data, durable=False)
        return notice

    def doomed_packs(self, *, but: str = "") -> frozenset[bytes]:
        """Return the packs that collections other than ``but`` may delete at any moment.

        Raises ObjectNotFound if a notice is gone since the listing: that collection has ended.
        """
        return frozenset(
            one.name
            for session, entry in self.doomed.items()
            if session != but
            for one in self._read(entry, "doomed").packs
        )

    def swept_packs(self) -> frozenset[bytes]:
        """Return the packs that collections deleted, as far as they are remembered."""
        found: set[bytes] = set()
        for entry in self.swept.values():
            try:
                found.update(one.name for one in self._read(entry, "swept").packs)
            except ObjectNotFound:
                continue  # an older one that a newer collection has removed
        return frozenset(found)

    def newest(self) -> Notice | None:
        """Return the notice that was written last, by its own word, or None if there is none."""
        found = None
        for entry in self.condemned.values():
            try:
                one = self._read(entry, "condemned")
            except ObjectNotFound:
                continue
            if found is None or (one.moment, one.session) > (found.moment, found.session):
                found = one
        return found
