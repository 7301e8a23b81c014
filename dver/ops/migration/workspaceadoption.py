"""Taking over data of another tool that lies in the workspace: read once, as ``dver add`` does.

The old names decide, not the workspace: a file that is not what its name says is left alone, and
its content is looked for in the other tool's cache. So the pointers are of what was versioned, and
changes that nobody recorded stay changes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.oid import OID_SIZE, Oid
from dver.foreign.adopting import Adopter, Contents
from dver.foreign.dvcfiles import Out
from dver.formats import pack
from dver.formats.pointer import Pointer
from dver.formats.statindex import NO_OID, STAT_FIELDS
from dver.formats.tree import DIRECTORY, EXECUTABLE, FILE, SYMLINK
from dver.store.sums import Sums
from dver.workspace.building import build_trees, pointer_of
from dver.workspace.filescan import scan_file
from dver.workspace.hashing import Run, fill_compared
from dver.workspace.ignore import load_rules
from dver.workspace.scan import scan_directory
from dver.workspace.state import FileState, Scan, kind_of_mode
from dver.workspace.statindex import StatIndex

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.store.store import Store
    from dver.store.writer import Writer


@dataclass(slots=True)
class Seen:
    """What was found at a target in the workspace, to be remembered. ``moment`` is from before.

    ``links`` counts the symlinks in it: DVC can put such in place of data.
    """

    moment: int
    scan: Scan | None = None
    file: FileState | None = None
    links: int = 0


class WorkspaceAdopter:
    """Reads the targets of a work tree into a store, by the names that another tool gave them."""

    def __init__(self, repo: Repo, adopter: Adopter) -> None:
        self._repo = repo
        self._adopter = adopter
        self.index = StatIndex(repo.state_dir)

    def directory(
        self, path: bytes, paths: Sequence[bytes], contents: Contents
    ) -> tuple[Seen, list[bytes], Contents] | None:
        """Read those files of a directory that are there; None without such a directory.

        ``paths`` are those of the contents. Both are returned in another order, files that are
        there first, as the directory has them.
        """
        absolute = self._repo.absolute(path)
        if not _is(absolute, stat.S_ISDIR):
            return None
        seen = Seen(self.index.moment(absolute))
        rules = load_rules(self._repo.absolute(b""), path)
        seen.scan = scan_directory(absolute, None, rules, target=path, lenient=True)
        seen.links = sum(state.kinds.count(SYMLINK) for state in seen.scan.dirs)
        runs, order = _matching(seen.scan, {name: i for i, name in enumerate(paths)})
        there = len(order)
        if there < len(paths):
            rest = bytearray(b"\1") * len(paths)
            for i in order:
                rest[i] = 0
            order += [i for i, is_absent in enumerate(rest) if is_absent]
        digests = Sums(contents.algorithm, contents.digests).part(order) if order else None
        ordered = Contents(contents.algorithm, digests.digests if digests else b"")
        if there and digests is not None:
            adopter = self._adopter
            sums = digests.part(range(there))
            got = fill_compared(
                seen.scan, runs, adopter.writer, sums, task=adopter.task, workers=adopter.workers
            )
            ordered.put_all(got)
        return seen, [paths[i] for i in order], ordered

    def files(self, outs: Mapping[bytes, Out], contents: Contents) -> dict[bytes, Seen]:
        """Read the single files that are there; the contents are those of ``outs``, in order."""
        found: dict[bytes, Seen] = {}
        indices: list[int] = []
        states: list[FileState] = []
        for i, path in enumerate(outs):
            absolute = self._repo.absolute(path)
            moment = self.index.moment(os.path.dirname(absolute)) if not found else None
            if _is(absolute, stat.S_ISLNK):
                found[path] = Seen(moment or next(iter(found.values())).moment, links=1)
            elif _is(absolute, stat.S_ISREG):
                state = scan_file(absolute)
                if state is not None:
                    first = next(iter(found.values())).moment if found else moment or 0
                    found[path] = Seen(first, file=state)
                    indices.append(i)
                    states.append(state)
        names = list(outs)
        wrong, rows = self._adopter.take_files(
            contents,
            indices,
            [self._repo.absolute(names[i]) for i in indices],
            [state.size for state in states],
        )
        bad = frozenset(wrong)
        for n, state in enumerate(states):
            row = tuple(rows[n * STAT_FIELDS : (n + 1) * STAT_FIELDS])
            state.row, state.size, state.kind = row, row[2], kind_of_mode(row[0])
            state.oid = None if n in bad else contents.oid(indices[n])
        return found

    def remember(self, path: bytes, seen: Seen, pointer: Pointer, store: Store) -> None:
        """Remember what was found at a target, once its pointer is written."""
        if seen.scan is not None:
            whole = seen.scan.top.tree == pointer.oid
            stored = store.index.state if whole else 0
            self.index.save_tree(path, seen.scan, moment=seen.moment, base=pointer, stored=stored)
        elif seen.file is not None:
            self.index.set_file(path, seen.file, moment=seen.moment, base=pointer)


def _matching(scan: Scan, numbers: Mapping[bytes, int]) -> tuple[list[Run], list[int]]:
    """Return the runs of a scan's files that have a number by their path, and these numbers."""
    runs: list[Run] = []
    order: list[int] = []
    for d, state in enumerate(scan.dirs):
        prefix = state.path + b"/" if state.path else b""
        found: list[int | None] = [numbers.get(prefix + name) for name in state.names]
        for kind in (DIRECTORY, SYMLINK):
            at = state.kinds.find(kind)
            while at >= 0:
                found[at] = None
                at = state.kinds.find(kind, at + 1)
        first = 0
        for end in [i for i, number in enumerate(found) if number is None] + [len(found)]:
            if end > first:
                runs.append((d, first, end))
            first = end + 1
        order += [number for number in found if number is not None]
    return runs, order


def pointer_of_workspace(seen: Seen, paths: Sequence[bytes], writer: Writer) -> Pointer | None:
    """Store the trees of a directory that is just as it was versioned; return its pointer.

    None if anything in it differs: then the trees are to be built from the listing.
    """
    scan = seen.scan
    if scan is None or seen.links or scan.problems:
        return None
    files = 0
    for state in scan.dirs:
        if EXECUTABLE in state.kinds or (not state.names and len(scan.dirs) > 1):
            return None
        if state.oids and _has_unknown(state.oids, state.kinds):
            return None
        files += state.kinds.count(FILE)
    if files != len(paths):
        return None
    for _, data in build_trees(scan):
        writer.add(data, pack.TREE)
    return pointer_of(scan)


def _has_unknown(oids: bytearray, kinds: bytearray) -> bool:
    if oids.find(NO_OID) < 0:
        return False
    return any(
        kind != DIRECTORY and Oid(bytes(oids[i * OID_SIZE : (i + 1) * OID_SIZE])) == NO_OID
        for i, kind in enumerate(kinds)
    )


def _is(path: bytes, test: Callable[[int], bool]) -> bool:
    try:
        return test(os.lstat(path).st_mode)
    except OSError:
        return False
