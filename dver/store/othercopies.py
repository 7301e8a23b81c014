"""Finding another copy of an object where one is damaged, or is not what its name says.

A checksum guards against accidents alone: whoever writes to a store or a remote can put other bytes
under a name, with a checksum that fits. If another pack has the same object, that one is taken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dver.base.errors import CorruptError, DverError, MissingContentError, ObjectNotFound
from dver.base.oid import Hasher, Oid, finish, format_oid
from dver.formats import chunklist
from dver.formats.pack import LIST_KINDS
from dver.formats.segment import Place
from dver.store.codec import Buffer
from dver.store.packfile import is_named_by

if TYPE_CHECKING:
    from dver.store.store import Store

_NOT_HERE = (CorruptError, MissingContentError, ObjectNotFound)


def open_sound(store: Store, oid: Oid, place: Place) -> Buffer:
    """Return a frame's content, hashed unless it is a top list; another copy of it will do.

    Raises what is wrong with the first, if all are damaged.
    """
    try:
        return _open(store, oid, place)
    except CorruptError:
        for other in store.index.copies(oid):
            if other.pack != place.pack and _alike(other, place):
                with contextlib.suppress(*_NOT_HERE):
                    return _open(store, oid, other)
        raise


def _open(store: Store, oid: Oid, place: Place) -> Buffer:
    data = store.open_at(oid, place)
    if not is_named_by(place.kind, data, oid):
        raise store.damaged(oid, place)
    return data


def _alike(one: Place, other: Place) -> bool:
    """Say whether two places hold the same bytes: a chunk may also be a file, and a list never."""
    if one.kind in LIST_KINDS or other.kind in LIST_KINDS:
        return one.kind == other.kind
    return True


def fitting(store: Store, oid: Oid, size: int, top: Oid) -> Place:
    """Return a place that may hold a chunk of so many bytes, of a list of ``top``."""
    for place in store.index.copies(oid):
        if place.kind not in LIST_KINDS and place.raw == size:
            return place
    raise CorruptError(f"the chunk list of {format_oid(top)} does not fit its chunks")


def sound_copy(store: Store, oid: Oid) -> Place | None:
    """Return the place that a whole object can be read from, if its places contradict each other.

    None if they do not, or all are wrong. Those that claim to be short are hashed first: what a lie
    costs is bounded by the object's real length, as long as it is there.
    """
    copies = list(store.index.copies(oid))
    if len(copies) < 2:
        return None
    claims = sorted(_claims(store, oid, copies), key=lambda one: one[:2])
    if len(claims) == len(copies) and len({(size, data) for size, _, data, _ in claims}) < 2:
        return None
    for _, _, _, place in claims:
        with contextlib.suppress(DverError):
            if is_sound(store, oid, place):
                return place
    return None


def _claims(store: Store, oid: Oid, copies: list[Place]) -> Iterator[tuple[int, int, bytes, Place]]:
    """Yield (bytes, number, list or nothing, place) for each place that can be opened."""
    for number, place in enumerate(copies):
        if place.kind not in LIST_KINDS:
            yield place.raw, number, b"", place
            continue
        with contextlib.suppress(*_NOT_HERE):
            data = bytes(store.open_at(oid, place))
            yield chunklist.decode(data).size, number, data, place


def is_sound(store: Store, oid: Oid, place: Place) -> bool:
    """Say whether what lies at a place, with all parts, hashes to an object's name."""
    if place.kind not in LIST_KINDS:
        return is_named_by(place.kind, store.open_at(oid, place), oid)
    whole = Hasher()
    for row, part in store.chunks_at(oid, place):
        whole.update(open_sound(store, row, part))
    return finish(whole) == oid
