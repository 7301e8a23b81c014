"""Taking content over from another tool: read once, compared with its old name, stored.

Files go the way of ``dver add``: in batches over worker processes, large ones in windows. What is
not what its name promises is told and never stored.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path

from dver.base.clearing import clear_away
from dver.base.dataclass import dataclass
from dver.base.errors import FormatError, MissingContentError
from dver.base.fsio import TEMP_PREFIX, make_dirs
from dver.base.oid import OID_SIZE, Oid, oid_of
from dver.base.regular import read_regular
from dver.base.reporter import Task
from dver.foreign import dvcfiles
from dver.foreign.known import Columns, Known, Row
from dver.foreign.places import Places
from dver.formats import names
from dver.formats import tree as trees
from dver.formats.pointer import Pointer
from dver.formats.tree import DIRECTORY, FILE, MAX_DEPTH, Tree
from dver.store.ingest import Ingested, ingest_files
from dver.store.source import SIZE, STAT_FIELDS
from dver.store.store import Store
from dver.store.sums import LENGTHS, Algorithm, Sums, digest_of
from dver.store.writer import Writer

_NOTHING = bytes(OID_SIZE)
#: So many objects are fetched before they are read in and removed again.
_FETCHED = 1024
#: The longest listing of a directory that is read (bytes): about ten million files.
_LONGEST_LISTING = 1 << 30


@dataclass(slots=True)
class Contents:
    """Files by column: their old digests, and once they are adopted their oids and sizes.

    ``corrupt`` are the files on this machine that are not what their names say.
    """

    algorithm: Algorithm
    digests: bytes
    oids: bytearray = field(default_factory=bytearray)
    sizes: array[int] = field(default_factory=lambda: array("Q"))
    corrupt: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make room for the results."""
        self.oids = bytearray(OID_SIZE * len(self))
        self.sizes = array("Q", bytes(8 * len(self)))

    def __len__(self) -> int:
        return len(self.digests) // LENGTHS[self.algorithm]

    def digest(self, i: int) -> bytes:
        """Return the old digest of the i-th file."""
        length = LENGTHS[self.algorithm]
        return self.digests[i * length : (i + 1) * length]

    def oid(self, i: int) -> Oid:
        """Return the oid of the i-th file, zeros while it is not adopted."""
        return Oid(bytes(self.oids[i * OID_SIZE : (i + 1) * OID_SIZE]))

    def put(self, i: int, oid: bytes, size: int) -> None:
        """Note what the i-th file is."""
        self.oids[i * OID_SIZE : (i + 1) * OID_SIZE] = oid
        self.sizes[i] = size

    def put_all(self, got: Ingested, first: int = 0) -> None:
        """Note what neighbouring files are, from the ``first`` on."""
        end = first + len(got.oids) // OID_SIZE
        self.oids[first * OID_SIZE : end * OID_SIZE] = got.oids
        self.sizes[first:end] = got.stats[SIZE::STAT_FIELDS]

    def absent(self) -> list[int]:
        """Return the files that are not adopted."""
        if self.oids.find(_NOTHING) < 0:
            return []
        if not any(self.oids):
            return list(range(len(self)))
        return [
            i for i in range(len(self)) if self.oids[i * OID_SIZE : (i + 1) * OID_SIZE] == _NOTHING
        ]


class Adopter:
    """Takes files into a store. ``writer`` belongs to ``store``; the caller commits it.

    What is found is remembered in ``known`` by :meth:`remember`, once the writer is committed.
    """

    def __init__(
        self,
        store: Store,
        writer: Writer,
        known: Known,
        *,
        workers: int | None = None,
        task: Task | None = None,
    ) -> None:
        self._store = store
        self.writer = writer
        self._known = known
        self.workers = workers
        self.task = task or Task()
        self._found: list[Contents] = []
        self._trees: list[Row] = []

    def take_known(self, contents: Contents) -> None:
        """Fill in what was adopted before and is still stored."""
        places = _groups(contents, contents.absent())
        for row in self._known.files(contents.algorithm, places.keys()) if places else ():
            if not any(contents.oid(places[row.digest][0])) and self._store.is_complete(row.oid):
                for i in places[row.digest]:
                    contents.put(i, row.oid, row.size)

    def take_files(
        self,
        contents: Contents,
        indices: Sequence[int],
        paths: Sequence[bytes],
        sizes: Sequence[int],
    ) -> tuple[list[int], array[int]]:
        """Read files that should be some of the contents.

        Returns the positions in ``indices`` of those that are not, and the stat rows of all.
        """
        if not len(indices):
            return [], array("Q")
        sums = Sums(contents.algorithm, contents.digests).part(indices)
        got = ingest_files(
            self.writer, paths, sizes, task=self.task, workers=self.workers, sums=sums
        )
        wrong: list[int] = []
        if len(indices) == len(contents) and indices[0] == 0 and indices[-1] == len(contents) - 1:
            contents.put_all(got)
            if got.oids.find(_NOTHING) >= 0:
                wrong = contents.absent()
            return wrong, got.stats
        for n, i in enumerate(indices):
            oid = got.oid(n)
            if oid == _NOTHING:
                wrong.append(n)
            else:
                contents.put(i, oid, got.stats[n * STAT_FIELDS + SIZE])
        return wrong, got.stats

    def take_objects(self, contents: Contents, places: Places) -> list[int]:
        """Read what is not adopted yet from where the other tool keeps it; return what is nowhere.

        Files of this machine come first, and what they lack or spoilt is fetched.
        """
        groups = _groups(contents, contents.absent())
        first = [group[0] for group in groups.values()]
        left = self._take_local(contents, first, places)
        left = self._take_remote(contents, left, places)
        for group in groups.values():
            for i in group[1:]:
                contents.put(i, contents.oid(group[0]), contents.sizes[group[0]])
        self.note(contents)
        return [i for digest in (contents.digest(i) for i in left) for i in groups[digest]]

    def _take_local(self, contents: Contents, wanted: Sequence[int], places: Places) -> list[int]:
        here: list[int] = []
        left: list[int] = []
        paths: list[bytes] = []
        sizes: list[int] = []
        found_files = places.files([contents.digest(i) for i in wanted])
        for i, found in zip(wanted, found_files, strict=True):
            if found is None:
                left.append(i)
            else:
                here.append(i)
                paths.append(found[0])
                sizes.append(found[1])
        wrong, _ = self.take_files(contents, here, paths, sizes)
        contents.corrupt += [os.fsdecode(paths[n]) for n in wrong]
        return left + [here[n] for n in wrong]

    def _take_remote(self, contents: Contents, wanted: Sequence[int], places: Places) -> list[int]:
        left: list[int] = []
        for at in range(0, len(wanted), _FETCHED):
            some = wanted[at : at + _FETCHED]
            scratch = self._scratch()
            try:
                digests = [contents.digest(i) for i in some]
                got = list(places.fetch_all(digests, scratch))
                paths = [os.fsencode(scratch / str(n)) for n in got]
                sizes = [os.stat(path).st_size for path in paths]
                wrong, _ = self.take_files(contents, [some[n] for n in got], paths, sizes)
                where = places.looked_in[-1]
                contents.corrupt += [f"{where}: {digests[got[n]].hex()}" for n in wrong]
                good = set(got) - {got[n] for n in wrong}
                left += [i for n, i in enumerate(some) if n not in good]
            finally:
                clear_away(scratch, ignore_errors=True)
        return left

    def _scratch(self) -> Path:
        base = os.path.join(self._store.local_directory(), "tmp")
        make_dirs(base)
        return Path(tempfile.mkdtemp(prefix=TEMP_PREFIX, dir=base))

    # directories

    def listing(self, out: dvcfiles.Out, places: Places) -> tuple[list[bytes], bytes]:
        """Return the paths and joined digests of a directory of DVC.

        Raises MissingContentError if its listing is nowhere, and CorruptError's kin for damage.
        """
        what = f"the listing {out.digest.hex()}.dir"
        if out.listed is not None:
            if not all(digest for _, digest in out.listed):
                raise FormatError("its files have no MD5 in DVC's file")
            return dvcfiles.distinct(sorted(out.listed), "DVC's file")
        damaged = ""
        found = places.file(out.digest, directory=True)
        if found is not None:
            data = read_regular(found[0], limit=_LONGEST_LISTING)
            if digest_of("md5", data) == out.digest:
                return dvcfiles.read_listing(data, what)
            damaged = f"; {os.fsdecode(found[0])} is damaged"
        scratch = self._scratch()
        try:
            place = scratch / "listing"
            if places.fetch(out.digest, place, directory=True):
                data = read_regular(place, limit=_LONGEST_LISTING)
                if digest_of("md5", data) == out.digest:
                    return dvcfiles.read_listing(data, what)
                damaged = f"; what {places.looked_in[-1]} has under its name is damaged"
        finally:
            clear_away(scratch, ignore_errors=True)
        raise MissingContentError(
            f"{what} is not to be had from {places.described}{damaged}",
            hint=places.hints[0]
            if places.hints
            else "'dvc fetch' brings what DVC's remote has; then run it again",
        )

    def build(self, out: dvcfiles.Out, paths: Sequence[bytes], contents: Contents) -> Pointer:
        """Store the trees of a directory whose files are all adopted; return its pointer."""
        pointer = build_directory(paths, contents, self.writer)
        if out.digest:
            self.note_tree(out, pointer)
        return pointer

    def build_part(self, paths: Sequence[bytes], contents: Contents) -> Pointer:
        """Store the trees for some files of a directory; return the pointer for these alone."""
        return build_directory(paths, contents, self.writer)

    def note(self, contents: Contents) -> None:
        """Have what files were found to be remembered."""
        if len(contents) and not any(one is contents for one in self._found):
            self._found.append(contents)

    def note_tree(self, out: dvcfiles.Out, pointer: Pointer) -> None:
        """Note what a directory's listing was found to be."""
        self._trees.append(Row(out.algorithm, out.digest, pointer.oid, pointer.size, pointer.files))

    def remember(self) -> None:
        """Remember what was found. The writer is committed."""
        columns = [
            Columns(one.algorithm, one.digests, bytes(one.oids), one.sizes) for one in self._found
        ]
        self._known.add(self._trees, columns)
        self._found.clear()
        self._trees.clear()


def _groups(contents: Contents, indices: Sequence[int]) -> dict[bytes, list[int]]:
    """Return files by their digests: those of one digest are one content."""
    groups: dict[bytes, list[int]] = {}
    width, digests = LENGTHS[contents.algorithm], contents.digests
    for i in indices:
        groups.setdefault(digests[i * width : (i + 1) * width], []).append(i)
    return groups


def build_directory(paths: Sequence[bytes], contents: Contents, writer: Writer) -> Pointer:
    """Store the trees for files at paths, none executable, as DVC keeps them. Raises FormatError.

    A path that is refused anywhere in dver is refused here, before anything is stored.
    """
    from dver.formats import pack

    below: dict[bytes, list[tuple[bytes, int]]] = {b"": []}
    for i, path in enumerate(paths):
        directory, _, name = path.rpartition(b"/")
        if path.startswith(b"/"):
            raise FormatError("a listing of DVC names a path that is not relative")
        if directory not in below:
            _add_directories(below, directory)
        below[directory].append((name, i))
    made: dict[bytes, tuple[Oid, int, int]] = {}
    inner: dict[bytes, list[bytes]] = {}
    for directory in below:
        if directory:
            inner.setdefault(directory.rpartition(b"/")[0], []).append(directory)
    for directory in sorted(below, key=lambda one: -one.count(b"/") if one else 1):
        files, oids, sizes, kinds = 0, [], array("Q"), bytearray()
        entries: list[tuple[bytes, int, bytes]] = [(name, i, b"") for name, i in below[directory]]
        entries += [(one.rpartition(b"/")[2], -1, one) for one in inner.get(directory, ())]
        entries.sort()
        for _, i, child in entries:
            if i >= 0:
                oids.append(contents.oid(i))
                sizes.append(contents.sizes[i])
                kinds.append(FILE)
                files += 1
            else:
                oid, size, count = made.pop(child)
                oids.append(oid)
                sizes.append(size)
                kinds.append(DIRECTORY)
                files += count
        column = [name for name, _, _ in entries]
        if column:
            names.check_names(b"\0".join(column) + b"\0")
        if any(map(bytes.__ge__, column, column[1:])):
            raise FormatError("a path is both a file and a directory in a listing of DVC")
        tree = Tree(bytes(kinds), sizes, b"".join(oids), column, sum(sizes), files)
        data = trees.encode(tree)
        writer.add(data, pack.TREE)
        made[directory] = oid_of(data), tree.size, files
    oid, size, files = made[b""]
    return Pointer("tree", oid, size, files)


def _add_directories(below: dict[bytes, list[tuple[bytes, int]]], directory: bytes) -> None:
    parts = directory.split(b"/")
    if len(parts) >= MAX_DEPTH:
        raise FormatError(f"a directory is more than {MAX_DEPTH} levels deep")
    for count in range(1, len(parts) + 1):
        below.setdefault(b"/".join(parts[:count]), [])
