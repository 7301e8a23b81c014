"""From lost objects back to the files that need them, over any number of versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, MissingContentError
from dver.base.oid import Oid
from dver.formats.pack import LIST_KINDS
from dver.formats.tree import DIRECTORY, MAX_DEPTH
from dver.store.store import Store
from dver.store.walk import join


@dataclass(slots=True)
class Harm:
    """Files of one version that something took away: how many, and the first of their paths.

    Paths are below what was asked for, b"" for itself; a directory's ends with a slash, and
    counts as one, whatever lies below it.
    """

    count: int = 0
    paths: list[bytes] = field(default_factory=list)


class Affected:
    """Finds what versions lose, each distinct directory being looked at once.

    ``causes`` are sets of lost objects and chunks. Memory is bounded by the directories with
    something lost below them, and 100 bytes for each other one.
    """

    def __init__(self, store: Store, causes: Sequence[Sequence[Oid]], *, shown: int) -> None:
        self._store = store
        self._shown = shown
        self._lost: dict[Oid, set[int]] = {}
        for number, oids in enumerate(causes):
            for oid in oids:
                self._lost.setdefault(oid, set()).add(number)
        self._known: dict[Oid, Mapping[int, Harm]] = {}
        self._sound: set[Oid] = set()
        self._sound_lists: set[Oid] = set()

    def of(self, oid: Oid, kind: str) -> Mapping[int, Harm]:
        """Return for each cause, by its number, what a "file" or "tree" loses by it."""
        if not self._lost:
            return {}
        return self._tree(oid, 0) if kind == "tree" else self._file(oid)

    def _tree(self, oid: Oid, depth: int) -> Mapping[int, Harm]:
        if oid in self._sound or depth > MAX_DEPTH:
            return {}
        if oid in self._known:
            return self._known[oid]
        found = self._own(oid)
        try:
            for entry in self._store.read_tree(oid):
                is_tree = entry.kind == DIRECTORY
                below = self._tree(entry.oid, depth + 1) if is_tree else self._file(entry.oid)
                for number, harm in below.items():
                    self._add(found.setdefault(number, Harm()), harm, entry.name, is_tree=is_tree)
        except (CorruptError, MissingContentError):
            pass  # it is lost itself, or below a part that is
        if found:
            self._known[oid] = found
        else:
            self._sound.add(oid)
        return found

    def _add(self, to: Harm, harm: Harm, name: bytes, *, is_tree: bool) -> None:
        to.count += harm.count
        for path in harm.paths[: self._shown - len(to.paths)]:
            end = b"/" if is_tree and not path else b""
            to.paths.append((join(name, path) if path else name) + end)

    def _file(self, oid: Oid) -> Mapping[int, Harm]:
        """Return what is lost of an object itself: b"" for each cause of it."""
        return {} if oid in self._sound_lists else self._own(oid)

    def _own(self, oid: Oid) -> dict[int, Harm]:
        causes = set(self._lost.get(oid, ()))
        place = self._store.place(oid)
        if place is not None and place.kind in LIST_KINDS:
            for part in self._parts(oid):
                causes |= self._lost.get(part, set())
            if not causes:
                self._sound_lists.add(oid)
        return {number: Harm(1, [b""]) for number in causes}

    def _parts(self, oid: Oid) -> Iterator[Oid]:
        try:
            for part, _ in self._store.parts(oid):
                yield part
        except (CorruptError, MissingContentError):
            return
