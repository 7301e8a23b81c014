"""Fetching directories: whole in memory, since the way on is read from them at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dver.base.errors import CorruptError, MissingContentError
from dver.base.oid import Oid, oid_of
from dver.formats import chunklist, pack
from dver.formats.pack import LIST_KINDS, TOP_KINDS
from dver.store.packfile import verify_frame
from dver.store.store import READ_LIMIT, Store
from dver.transfer.closure import Reason
from dver.transfer.delivery import Got
from dver.transfer.receiver import Receiver
from dver.transfer.supply import Supply
from dver.transfer.wants import TreeFetcher


class RemoteTrees(TreeFetcher):
    """Trees from a remote; they are kept in ``receiver``, or nowhere if that is None."""

    def __init__(self, local: Store, supply: Supply, receiver: Receiver | None) -> None:
        self._local = local
        self._supply = supply
        self._receiver = receiver
        self.fetched = 0

    def fetch_trees(self, oids: Iterable[Oid], failed: dict[Oid, Reason]) -> Mapping[Oid, bytes]:
        """Return the verified bytes of those trees that the remote has."""
        oids = list(oids)
        got = self._bring(oids, failed)
        found: dict[Oid, bytes] = {}
        for oid in oids:
            if oid in got:
                try:
                    found[oid] = self._assemble(oid, got)
                except MissingContentError:
                    failed[oid] = "missing"
                except CorruptError:
                    failed[oid] = "damaged"
        self.fetched += len(found)
        if self._receiver is not None:
            for oid, one in got.items():
                if one.frame.kind not in TOP_KINDS or oid in found:
                    self._receiver.add(one, tree=True)
        return found

    def _bring(self, oids: Iterable[Oid], failed: dict[Oid, Reason]) -> dict[Oid, Got]:
        """Bring trees with all their parts, in as many rounds as their lists are deep."""
        got: dict[Oid, Got] = {}
        label = f"Reading directories from {self._supply.remote.name}"
        lost: dict[Oid, Reason] = failed
        for _ in range(chunklist.MAX_LEVEL + 2):
            parts: dict[Oid, None] = {}
            for batch in self._supply.bring(oids, lost, spool=None, label=label, contents=True):
                for one in batch.got:
                    got[one.frame.oid] = one
                    if one.frame.kind in LIST_KINDS:
                        parts.update(dict.fromkeys(_parts(one)))
            oids = [oid for oid in parts if oid not in got and not self._local.has(oid)]
            lost = {}
            if not oids:
                break
        return got

    def _assemble(self, oid: Oid, got: Mapping[Oid, Got]) -> bytes:
        top = got[oid]
        if top.frame.kind not in LIST_KINDS:
            return bytes(top.content)
        if chunklist.decode(bytes(top.content)).size > READ_LIMIT:
            raise CorruptError(f"the directory {oid.hex()} is longer than any directory")
        pieces: list[bytes] = []
        self._collect(top, got, pieces)
        data = b"".join(pieces)
        if oid_of(data) != oid:
            raise CorruptError(f"the directory {oid.hex()} has another hash")
        return data

    def _collect(self, one: Got, got: Mapping[Oid, Got], pieces: list[bytes]) -> None:
        chunks = chunklist.decode(bytes(one.content))
        for oid, size in chunks.rows:
            part = got.get(oid) or self._local_part(oid)
            if chunks.level:
                below = chunklist.decode(bytes(part.content))
                if below.level != chunks.level - 1 or below.size != size:
                    raise CorruptError(f"the chunk list {oid.hex()} does not fit its parent")
                self._collect(part, got, pieces)
            elif part.frame.raw != size:
                raise CorruptError(f"the chunk {oid.hex()} does not fit its list")
            else:
                pieces.append(bytes(part.content))

    def _local_part(self, oid: Oid) -> Got:
        place = self._local.place(oid)
        if place is None:
            raise MissingContentError(f"the part {oid.hex()} is missing")
        data = self._local.read_frame(place)
        frame, content = verify_frame(data, place.pack.hex())
        if frame.oid != oid:
            raise CorruptError(f"the part {oid.hex()} is damaged")
        return Got(frame, memoryview(data)[pack.FRAME.size :], content)


def _parts(one: Got) -> list[Oid]:
    try:
        return [oid for oid, _ in chunklist.decode(bytes(one.content)).rows]
    except CorruptError:
        return []
