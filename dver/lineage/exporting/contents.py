"""What standards ask of content besides its oid: other hashes, and the files of a directory."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Protocol

from dver.base.dataclass import dataclass
from dver.base.errors import MissingContentError
from dver.base.oid import Oid
from dver.formats.kinds import DIRECTORY, SYMLINK
from dver.formats.record import Item

if TYPE_CHECKING:
    from dver.store.store import Store

#: A directory's files are named one by one up to so many.
MAX_FILES = 1000


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a directory: its path in it."""

    path: str
    oid: Oid
    size: int


class Contents(Protocol):
    """Where bytes may be read from. What is not there is None, and never made up."""

    def sha256(self, oid: Oid) -> str | None:
        """Return the SHA-256 of a file's bytes as hex digits."""

    def read(self, oid: Oid) -> bytes | None:
        """Return a small file's bytes."""

    def members(self, oid: Oid) -> list[Member] | None:
        """Return the files of a directory, None also if there are more than MAX_FILES."""


class StoreContents:
    """The bytes of a store, each read once, in pieces, and checked against its oid on the way."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sha256: dict[Oid, str | None] = {}

    def sha256(self, oid: Oid) -> str | None:
        """Return the SHA-256 of a file's bytes. Raises CorruptError if they are damaged."""
        if oid not in self._sha256:
            self._sha256[oid] = self._hash(oid)
        return self._sha256[oid]

    def read(self, oid: Oid) -> bytes | None:
        """Return a small file's bytes. Raises CorruptError if they are damaged."""
        return self._store.read(oid) if self._store.is_complete(oid) else None

    def members(self, oid: Oid) -> list[Member] | None:
        """Return the files of a directory in the order of their paths; symlinks are left out."""
        from dver.store.walk import join, walk

        found: list[Member] = []
        try:
            for path, _, tree in walk(self._store, oid):
                for entry in tree:
                    if entry.kind not in (DIRECTORY, SYMLINK):
                        name = os.fsdecode(join(path, entry.name))
                        found.append(Member(name, entry.oid, entry.size))
                if len(found) > MAX_FILES:
                    return None
        except MissingContentError:
            return None
        return sorted(found, key=lambda one: one.path)

    def _hash(self, oid: Oid) -> str | None:
        if not self._store.is_complete(oid):
            return None
        hasher = hashlib.sha256()
        for piece in self._store.stream(oid):
            hasher.update(piece)
        return hasher.hexdigest()


def digests(contents: Contents, oid: Oid, kind: str = "file") -> dict[str, str]:
    """Return what is known of some content, by the name of the algorithm.

    ``blake3`` always; of a directory that is the hash of its listing, see ``docs/format/tree.md``.
    ``sha256`` of a file whose bytes are there.
    """
    found = {"blake3": oid.hex()}
    sha256 = contents.sha256(oid) if kind == "file" else None
    return found if sha256 is None else {"sha256": sha256, **found}


def main_output(outputs: tuple[Item, ...], wanted: Oid | None = None) -> Item | None:
    """Return the output that a record is chiefly about.

    That is the wanted one, else the first model, else the first that is not metrics.
    """

    def rank(one: Item) -> int:
        if one.oid == wanted:
            return 0
        return 1 if one.role == "model" else 3 if one.role == "metrics" else 2

    return min(outputs, key=rank, default=None)
