"""Reading single objects of a remote where they lie, without fetching them into a store."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from dver.base.errors import CorruptError
from dver.base.oid import Oid
from dver.formats.segment import Place
from dver.storage.base import Entry, Storage
from dver.store import layout
from dver.store.index import Index
from dver.store.store import Store
from dver.transfer.remote import Remote, RemoteStore

#: What is read at first around a frame, and at most when reading goes on forwards (bytes).
FIRST_WINDOW = 64 << 10
LAST_WINDOW = 8 << 20
#: How many windows are kept, and how many places of objects.
_WINDOWS = 4
_MAX_KNOWN = 100_000


def reader(remote: Remote) -> Store | None:
    """Return a remote as a store to read a few objects from, or None if nothing is in it yet.

    The index is asked by ranged reads where it is long. Frames that lie one behind the other come
    in one request, of growing length; memory holds four windows of at most 8 MiB. Use it in one
    thread.
    """
    info = remote.info or remote.read_format()
    if info is None:
        return None
    remote.refresh_index()
    return RemoteStore(ReadAhead(remote.storage, remote.index.packs()), info, _Lookup(remote))


class _Lookup(Index):
    """The index of a remote, asked one object at a time."""

    def __init__(self, remote: Remote) -> None:
        super().__init__()
        self._remote = remote
        self._known: dict[Oid, Place | None] = {}

    def find(self, oid: Oid) -> Place | None:
        """Return an object's place in the remote, or None."""
        if oid not in self._known:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[oid] = next((place for _, place in self._remote.locate([oid])), None)
        return self._known[oid]

    def __contains__(self, oid: object) -> bool:
        return isinstance(oid, bytes) and self.find(Oid(oid)) is not None


class _Window:
    __slots__ = ("data", "start")

    def __init__(self, start: int, data: bytes) -> None:
        self.start = start
        self.data = data

    @property
    def end(self) -> int:
        return self.start + len(self.data)


class ReadAhead(Storage):
    """A storage whose packs are read in windows that double while reading goes forwards.

    ``packs`` are the packs it may be asked for, with their sizes. Read-only.
    """

    def __init__(self, inner: Storage, packs: dict[bytes, int]) -> None:
        self._inner = inner
        self._sizes = {layout.pack_key(name): size for name, size in packs.items()}
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self.description = inner.description
        # Packs that are files of this machine shall be read through the windows as well.
        self.facts = inner.facts._replace(local=False)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a range of a key's bytes, reading ahead in packs."""
        size = self._sizes.get(key)
        if size is None or length is None:
            return self._inner.get(key, start, length)
        end = start + length
        if end > size:
            raise CorruptError(f"the index of {self.description} points beyond the pack {key}")
        window = self._windows.get(key)
        if window is None or not window.start <= start <= end <= window.end:
            window = self._read(key, start, end, size, window)
        self._windows.move_to_end(key)
        return window.data[start - window.start : end - window.start]

    def _read(self, key: str, start: int, end: int, size: int, last: _Window | None) -> _Window:
        span = FIRST_WINDOW
        kept = b""
        if last is not None and last.start <= start <= last.end + FIRST_WINDOW:
            span = min(2 * len(last.data), LAST_WINDOW)
            kept = last.data[start - last.start :]
        stop = min(max(end, start + span), size)
        data = kept + self._inner.get(key, start + len(kept), stop - start - len(kept))
        window = self._windows[key] = _Window(start, data)
        while len(self._windows) > _WINDOWS:
            self._windows.popitem(last=False)
        return window

    def head(self, key: str) -> Entry | None:
        """Return a key's entry, or None."""
        return self._inner.head(key)

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield every key that begins with ``prefix``."""
        return self._inner.list(prefix)

    def put(
        self,
        key: str,
        data: bytes | memoryview,  # noqa: ARG002 - as a storage has it
        *,
        if_absent: bool = False,  # noqa: ARG002 - the same
    ) -> None:
        """Raise TypeError: this view is for reading."""
        raise TypeError(f"{key} cannot be written through a view for reading")

    def delete(self, key: str) -> None:
        """Raise TypeError: this view is for reading."""
        raise TypeError(f"{key} cannot be deleted through a view for reading")

    def close(self) -> None:
        """Let go of the windows; the storage behind is its owner's to close."""
        self._windows.clear()
