"""From scanned directories to trees, and from a tree to one with some paths replaced."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping

from dver.base.dataclass import dataclass
from dver.base.errors import NotFoundError
from dver.base.oid import OID_SIZE, Oid, oid_of
from dver.base.quoting import show
from dver.formats import tree as trees
from dver.formats.pointer import Pointer
from dver.formats.statindex import STAT_FIELDS
from dver.formats.tree import DIRECTORY, EXECUTABLE, FILE, Entry, Tree
from dver.store.walk import TreeSource, join
from dver.workspace.editing import edit
from dver.workspace.state import DIR_ROW, DirState, FileState, Scan


def build_trees(
    scan: Scan, *, known: Callable[[Oid], bool] | None = None
) -> Iterator[tuple[Oid, bytes]]:
    """Yield the trees of a scan as (oid, bytes), children before parents, the top one last.

    All oids must have been filled in. Take every step: on the way each directory learns its
    ``tree``, ``size`` and ``files``. A directory that is as remembered is not encoded again and
    not yielded, unless ``known`` says that its oid is missing.
    """
    done: dict[bytes, DirState] = {}
    for state in reversed(scan.dirs):
        below = _take_in_children(state, done)
        if state.tree is None or (known is not None and not known(state.tree)):
            files = below + len(state.names) - state.kinds.count(DIRECTORY)
            size = sum(state.sizes)
            data = trees.encode(
                Tree(bytes(state.kinds), state.sizes, bytes(state.oids), state.names, size, files)
            )
            state.tree, state.size, state.files = oid_of(data), size, files
            yield state.tree, data
        done[state.path] = state


def finish_trees(scan: Scan) -> Pointer:
    """Build the trees without keeping them, and return the pointer for the scanned directory."""
    for _ in build_trees(scan):
        pass
    return pointer_of(scan)


def pointer_of(scan: Scan) -> Pointer:
    """Return the pointer for a scanned directory whose trees were built."""
    top = scan.top
    if top.tree is None:
        raise ValueError("the trees of the scan were not built")
    return Pointer("tree", top.tree, top.size, top.files)


def entry_of(pointer: Pointer, name: bytes = b"") -> Entry:
    """Return a pointer as the entry that a tree would have for the same data."""
    if pointer.kind == "tree":
        return Entry(DIRECTORY, name, pointer.size, pointer.oid)
    return Entry(EXECUTABLE if pointer.executable else FILE, name, pointer.size, pointer.oid)


def _take_in_children(state: DirState, done: dict[bytes, DirState]) -> int:
    """Fill in the entries of directories; return the files below them."""
    files = 0
    at = state.kinds.find(DIRECTORY)
    while at >= 0:
        child = done.pop(join(state.path, state.names[at]))
        if child.tree is None:
            raise ValueError("a directory was built before what is in it")
        span = slice(at * OID_SIZE, (at + 1) * OID_SIZE)
        if bytes(state.oids[span]) != child.tree or state.sizes[at] != child.size:
            state.oids[span] = child.tree
            state.sizes[at] = child.size
            state.tree = None
        files += child.files
        at = state.kinds.find(DIRECTORY, at + 1)
    return files


@dataclass(frozen=True, slots=True)
class Replacement:
    """What a path inside a directory becomes; ``files`` counts its files and symlinks."""

    kind: int
    size: int
    oid: Oid
    files: int = 1


class Splice:
    """Replaces some paths inside a directory, given by its pointer, and leaves the rest.

    ``changes`` maps paths inside the directory to what they become, None for removed; no path may
    lie below another. Directories on the way are made as needed, and stay when they get empty.
    Iterate over it to get the new trees as (oid, bytes), children before parents; then
    ``result`` is the new pointer.
    """

    def __init__(
        self, source: TreeSource, pointer: Pointer, changes: Mapping[bytes, Replacement | None]
    ) -> None:
        self._source = source
        self._pointer = pointer
        self._changes = changes
        self.result = pointer

    def __iter__(self) -> Iterator[tuple[Oid, bytes]]:
        changes = {tuple(path.split(b"/")): new for path, new in self._changes.items()}
        made: list[tuple[Oid, bytes]] = []
        top = self._rebuild(self._source.read_tree(self._pointer.oid), b"", changes, made)
        yield from made
        self.result = Pointer("tree", top.oid, top.size, top.files)

    def _rebuild(
        self,
        old: Tree,
        path: bytes,
        changes: Mapping[tuple[bytes, ...], Replacement | None],
        made: list[tuple[Oid, bytes]],
    ) -> Replacement:
        files = old.files
        edits: dict[bytes, FileState | None] = {}
        deeper: dict[bytes, dict[tuple[bytes, ...], Replacement | None]] = {}
        for parts, new in changes.items():
            if len(parts) > 1:
                deeper.setdefault(parts[0], {})[parts[1:]] = new
                continue
            files += (new.files if new is not None else 0) - self._files(old.find(parts[0]))
            edits[parts[0]] = _state_of(new)
        for name, inner in deeper.items():
            entry = old.find(name)
            below = trees.EMPTY
            if entry is not None:
                if entry.kind != DIRECTORY:
                    raise NotFoundError(f"{show(join(path, name))} is not a directory")
                below = self._source.read_tree(entry.oid)
            elif all(new is None for new in inner.values()):
                continue
            child = self._rebuild(below, join(path, name), inner, made)
            files += child.files - below.files
            edits[name] = _state_of(child)
        state = _columns(old)
        edit(state, edits)
        size = sum(state.sizes)
        data = trees.encode(
            Tree(bytes(state.kinds), state.sizes, bytes(state.oids), state.names, size, files)
        )
        made.append((oid_of(data), data))
        return Replacement(DIRECTORY, size, made[-1][0], files)

    def _files(self, entry: Entry | None) -> int:
        if entry is None:
            return 0
        return self._source.read_tree(entry.oid).files if entry.kind == DIRECTORY else 1


def _columns(tree: Tree) -> DirState:
    stats = array("Q", bytes(8 * STAT_FIELDS * len(tree)))
    return DirState(
        b"",
        list(tree.names),
        bytearray(tree.kinds),
        array("Q", tree.sizes),
        bytearray(tree.oids),
        stats,
    )


def _state_of(new: Replacement | None) -> FileState | None:
    return None if new is None else FileState(new.kind, new.size, DIR_ROW, new.oid)
