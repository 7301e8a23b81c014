"""The words of a checkout plan, and of what came of it.

:mod:`dver.workspace.planning` makes one and :mod:`dver.workspace.checkout` carries it out.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import field

from dver.base.dataclass import dataclass
from dver.base.oid import OID_SIZE, Oid
from dver.formats.tree import DIRECTORY, Entry
from dver.workspace.state import FileState, Row, Scan


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A path, relative to the repository, that stays as it is, and why."""

    path: bytes
    reason: str


@dataclass(slots=True)
class Batch:
    """What to write into one directory, by column like a tree.

    ``path`` is relative to the repository. ``replaces`` holds the stat row of what each one takes
    the place of, None for nothing. It is None as a whole in a directory that the checkout makes
    itself, where the columns are those of its tree, directories included.
    """

    path: bytes
    names: list[bytes]
    kinds: bytes | bytearray
    sizes: array[int]
    oids: bytes | bytearray
    replaces: list[Row | None] | None = None

    def oid(self, i: int) -> Oid:
        """Return the oid of the i-th entry."""
        return Oid(bytes(self.oids[i * OID_SIZE : (i + 1) * OID_SIZE]))

    def positions(self) -> range | list[int]:
        """Return which entries are files and symlinks."""
        if DIRECTORY not in self.kinds:
            return range(len(self.names))
        return [i for i, kind in enumerate(self.kinds) if kind != DIRECTORY]


@dataclass(slots=True)
class NewDirectory:
    """A directory that is not there yet: made whole beside its place, then renamed into it.

    ``path`` is relative to the repository; ``batches`` hold it and all below, parents first.
    ``replaced`` is the row of a file or symlink that stands in its place.
    """

    path: bytes
    batches: list[Batch]
    replaced: Row | None = None


@dataclass(slots=True)
class Removal:
    """Files to delete, with their stat rows, then directories that go if they are empty by then."""

    files: list[tuple[bytes, Row]] = field(default_factory=list)
    directories: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class CheckoutPlan:
    """All that brings one path in line. Paths are relative to the repository.

    ``before`` is removed to make room, ``after`` once everything was written. ``modes`` are
    (path, executable, row) of files where only that bit differs. ``unchanged`` counts files and
    symlinks that are right already. ``current`` is what was compared with; ``leftovers`` are
    temporary files of a checkout that was killed.
    """

    path: bytes
    current: Scan | FileState | None
    desired: Entry | None
    new: list[NewDirectory] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    before: Removal = field(default_factory=Removal)
    after: Removal = field(default_factory=Removal)
    modes: list[tuple[bytes, bool, Row]] = field(default_factory=list)
    conflicts: list[Obstacle] = field(default_factory=list)
    kept: list[Obstacle] = field(default_factory=list)
    leftovers: list[bytes] = field(default_factory=list)
    unchanged: int = 0

    def all_batches(self) -> Iterator[Batch]:
        """Yield every batch, those of new directories first."""
        for new in self.new:
            yield from new.batches
        yield from self.batches

    @property
    def files(self) -> int:
        """How many files and symlinks will be written."""
        return sum(len(batch.positions()) for batch in self.all_batches())

    @property
    def bytes(self) -> int:
        """How many bytes will be written."""
        return sum(
            sum(map(batch.sizes.__getitem__, batch.positions())) for batch in self.all_batches()
        )

    @property
    def deleted(self) -> int:
        """How many files and symlinks will be deleted without a successor of the same path."""
        return len(self.before.files) + len(self.after.files)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        removals = (*self.before.files, *self.after.files, *self.after.directories)
        return not (removals or self.new or self.batches or self.modes or self.leftovers)


@dataclass(frozen=True, slots=True)
class FailedPath:
    """A repository path that was left as it was, and why; ``kind`` names the class of an error."""

    path: bytes
    oid: Oid | None
    kind: str
    message: str


@dataclass(slots=True)
class Applied:
    """What a checkout did: files and symlinks written and deleted, bytes written.

    ``state`` is what is there now, None for nothing: a scan with its trees built, or the state of
    a file. It is to be remembered with ``moment``: what was there before and may have changed since
    it was read counts as unknown in it already.
    """

    written: int = 0
    deleted: int = 0
    bytes: int = 0
    failed: list[FailedPath] = field(default_factory=list)
    state: Scan | FileState | None = None
    moment: int = 0
