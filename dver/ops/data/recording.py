"""Reading the data of targets into the local store: scan, hash and store, build the trees.

Nothing that others see changes here. The caller keeps the writer open, and with it the store's
lock, until the pointers are written.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import MissingContentError, NotFoundError, RefusedError
from dver.base.oid import Oid
from dver.base.quoting import show
from dver.base.reporter import Reporter, Task
from dver.formats import pack
from dver.formats.pointer import Pointer
from dver.formats.statindex import KnownTree
from dver.formats.tree import DIRECTORY, EXECUTABLE, SYMLINK, Entry
from dver.ops.data.neverhere import refuse_dropping
from dver.ops.targets.selection import Job, refuse_symlink
from dver.store.walk import EncodedTrees, TreeSource
from dver.workspace.building import Replacement, Splice, build_trees, pointer_of
from dver.workspace.filescan import scan_file
from dver.workspace.hashing import fill_files, fill_scan
from dver.workspace.ignore import IgnoreRules, load_rules
from dver.workspace.links import LinkCache
from dver.workspace.scan import find_twins, scan_directory
from dver.workspace.state import FileState, Scan
from dver.workspace.statindex import StatIndex
from dver.workspace.stored import forget_unstored, is_stored

if TYPE_CHECKING:
    from dver.repo import Repo
    from dver.store.store import Store
    from dver.store.writer import Writer


@dataclass(slots=True)
class Recording:
    """One job on its way: what was found, and in the end the new pointer.

    ``scans`` and ``files`` are by path inside the target, b"" for the target itself; ``gone``
    are parts that are not there any more. ``moment`` is from before the first look.
    """

    job: Job
    moment: int
    known: KnownTree | None = None
    scans: dict[bytes, Scan] = field(default_factory=dict)
    files: dict[bytes, FileState] = field(default_factory=dict)
    gone: list[bytes] = field(default_factory=list)
    pointer: Pointer | None = None

    @property
    def result(self) -> Pointer:
        """The new pointer."""
        if self.pointer is None:
            raise ValueError("the recording is not finished")
        return self.pointer


class Recorder:
    """Records jobs into a store. ``writer`` belongs to ``store``; see :meth:`record`."""

    def __init__(self, repo: Repo, store: Store, writer: Writer, reporter: Reporter) -> None:
        self._repo = repo
        self._store = store
        self._writer = writer
        self._reporter = reporter
        self._links = LinkCache(store.local_directory())
        self.index = StatIndex(repo.state_dir)

    def record(self, jobs: Sequence[Job], workers: int | None) -> list[Recording]:
        """Find, read and store the data of all jobs; return them with their new pointers.

        Objects are added to the writer, which the caller commits. Raises the first problem, with
        nothing but the uncommitted writer changed.
        """
        with self._reporter.task("Scanning", unit="files") as task:
            found = [self._find(job, task) for job in jobs]
        unknown = sum(
            sum(end - first for scan in one.scans.values() for _, first, end in scan.unknown_runs())
            + sum(1 for state in one.files.values() if state.oid is None)
            for one in found
        )
        with self._reporter.task("Adding", unit="files", total=unknown) as task:
            for one in found:
                for scan in one.scans.values():
                    fill_scan(scan, self._writer, task=task, workers=workers)
            single = [
                (self._repo.absolute(_join(one.job.path, inner)), state)
                for one in found
                for inner, state in one.files.items()
            ]
            fill_files(single, self._writer, task=task, workers=workers)
        for one in found:
            self._finish(one)
        return found

    # finding

    def _find(self, job: Job, task: Task) -> Recording:
        absolute = self._repo.absolute(job.path)
        one = Recording(job, self.index.moment(absolute))
        for inner in job.parts or (b"",):
            mode = job.modes[inner]
            if mode is None:
                one.gone.append(inner)
            elif stat.S_ISDIR(mode):
                self._scan(one, inner, task)
            else:
                self._look(one, inner)
                task.advance()
        return one

    def _scan(self, one: Recording, inner: bytes, task: Task) -> None:
        if one.known is None:
            one.known = self.index.load_tree(one.job.path)
        scan = scan_directory(
            self._repo.absolute(one.job.path),
            one.known,
            self._rules(one.job.path, inner, is_dir=True),
            target=one.job.path,
            start=inner,
            links=self._links,
            task=task,
        )
        if one.known is not None and not is_stored(one.known, self._store):
            forget_unstored(scan, self._store)
        self._warn_of_twins(one.job.path, scan, one.known)
        one.scans[inner] = scan

    def _look(self, one: Recording, inner: bytes) -> None:
        path = self._repo.absolute(_join(one.job.path, inner))
        known = None if inner else self.index.load_file(one.job.path)
        if inner:
            self._rules(one.job.path, inner, is_dir=False)
        state = scan_file(path, known, links=self._links)
        if state is None:
            raise RefusedError(
                "a file vanished while it was being added, so nothing was recorded",
                paths=[self._repo.display(_join(one.job.path, inner))],
            )
        if not inner and state.kind == SYMLINK:
            refuse_symlink(self._repo, one.job.path, stat.S_IFLNK)
        if state.oid is not None and not self._store.is_complete(state.oid):
            state.oid = None
        one.files[inner] = state

    def _rules(self, target: bytes, inner: bytes, *, is_dir: bool) -> IgnoreRules:
        """Return the ignore rules for a path; refuse it if they leave it out."""
        root = self._repo.absolute(b"")
        if not inner:
            return load_rules(root, target)
        path = target
        for name in inner.split(b"/"):
            rules = load_rules(root, path + b"/" + name)
            path += b"/" + name
            if rules.ignored(path, is_dir=is_dir or path != target + b"/" + inner):
                raise RefusedError(
                    f"a .dverignore file leaves {show(self._repo.display(path))} out",
                    hint="change the rule, or add the path to git",
                )
        return rules

    def _warn_of_twins(self, target: bytes, scan: Scan, known: KnownTree | None) -> None:
        for state in scan.dirs:
            if state.remembered is not None:
                continue
            before = known.dirs.get(state.path) if known is not None else None
            if before is not None and bytes(before.names)[:-1] == b"\0".join(state.names):
                continue  # they were warned of when they were new
            for one, other in find_twins(state.names):
                where = [_join(_join(target, state.path), name) for name in (one, other)]
                shown = " and ".join(show(self._repo.display(path)) for path in where)
                self._reporter.warn(
                    f"{shown} are one file on some systems (macOS, Windows)",
                    hint="rename one of them, if the data is to be used there",
                )

    # finishing

    def _finish(self, one: Recording) -> None:
        old = one.job.old
        # Only a comparison with what was recorded reads them again before they are committed.
        compared = old is not None and old.kind == "tree" and not one.job.replaces
        built: dict[Oid, bytes] = {}
        for scan in one.scans.values():
            for oid, data in build_trees(scan, known=self._store.has):
                self._writer.add(data, pack.TREE)
                if compared and not one.job.parts:
                    built[oid] = data
        if one.job.parts:
            one.pointer = self._splice(one)
        elif one.scans:
            one.pointer = pointer_of(one.scans[b""])
            if old is not None and compared:
                shown = show(self._repo.display(one.job.path))
                source = EncodedTrees(built)
                refuse_dropping(self._store, old, one.pointer, one.known, source, shown)
        else:
            state = one.files[b""]
            oid = _known(state.oid)
            one.pointer = Pointer("file", oid, state.size, 1, state.kind == EXECUTABLE)

    def _splice(self, one: Recording) -> Pointer:
        old = one.job.old
        if old is None:
            raise ValueError("a part of a directory that is not tracked")
        changes: dict[bytes, Replacement | None] = dict.fromkeys(one.gone)
        for inner, state in one.files.items():
            changes[inner] = Replacement(state.kind, state.size, _known(state.oid))
        for inner, scan in one.scans.items():
            top = pointer_of(scan)
            changes[inner] = Replacement(DIRECTORY, top.size, top.oid, top.files)
        self._require_places(one, old)
        splice = Splice(self._store, old, changes)
        try:
            for _, data in splice:
                self._writer.add(data, pack.TREE)
        except MissingContentError as error:
            raise self._no_listing(one) from error
        return splice.result

    def _require_places(self, one: Recording, old: Pointer) -> None:
        """Raise unless every part can be replaced or taken out.

        What is gone must have been recorded, and no part may lie below a recorded file.
        """
        for inner in one.job.parts:
            try:
                entry, at = _deepest(self._store, old.oid, inner)
            except MissingContentError as error:
                raise self._no_listing(one) from error
            shown = show(self._repo.display(_join(one.job.path, inner)))
            if at != inner and entry is not None and entry.kind != DIRECTORY:
                above = show(self._repo.display(_join(one.job.path, at)))
                raise RefusedError(
                    f"{shown} cannot be added by itself: {above} is recorded as a file",
                    hint=f"dver add {above}",
                )
            if inner in one.gone and at != inner:
                raise NotFoundError(
                    f"{shown} is neither in the workspace nor recorded in the tracked directory",
                    hint=f"dver ls -R {show(self._repo.display(one.job.path))}",
                )

    def _no_listing(self, one: Recording) -> MissingContentError:
        shown = show(self._repo.display(one.job.path))
        return MissingContentError(
            f"the recorded listing of {shown} is not in the local store, so that no part of it"
            " can be changed",
            hint=f"dver fetch {shown}",
        )

    def was_moved(self, one: Recording) -> bool:
        """Say whether git moved a pointer since, and what is recorded is not what it names now.

        Not for what takes the place of all that was recorded, or is a part of a directory.
        """
        old = one.job.old
        if old is None or one.job.parts or one.job.replaces or one.result == old:
            return False
        return self.index.base(one.job.path) not in (None, old)

    # remembering

    def remember(self, recordings: Sequence[Recording]) -> None:
        """Remember what was recorded, once its pointers are written."""
        for one in recordings:
            path, pointer = one.job.path, one.result
            if one.job.parts:
                self._remember_parts(one, pointer)
            elif one.scans:
                if self.index.load_file(path) is not None:
                    self.index.remove(path)
                # All of it was found or written, and nothing is deleted while the lock is held.
                stored = self._store.index.state
                self.index.save_tree(
                    path, one.scans[b""], moment=one.moment, base=pointer, stored=stored
                )
            else:
                self.index.remove_tree(path)
                self.index.set_file(path, one.files[b""], moment=one.moment, base=pointer)
        self.index.save()

    def _remember_parts(self, one: Recording, pointer: Pointer) -> None:
        path = one.job.path
        base = self.index.base(path)
        # Elsewhere the workspace may still be at what was checked out before the pointer moved,
        # or may never have been whole.
        base = pointer if base == one.job.old else base
        for scan in one.scans.values():
            known = self.index.load_tree(path)
            self.index.save_tree(path, scan, moment=one.moment, base=base, known=known)
        for inner, state in one.files.items():
            self.index.save_entry(path, inner, state, moment=one.moment, base=base)
        for inner in one.gone:
            self.index.save_entry(path, inner, None, moment=one.moment, base=base)


def _deepest(source: TreeSource, top: Oid, inner: bytes) -> tuple[Entry | None, bytes]:
    """Return the last recorded entry on the way to a path inside a directory, and its path."""
    entry: Entry | None = None
    at = b""
    for name in inner.split(b"/"):
        if entry is not None and entry.kind != DIRECTORY:
            break
        below = source.read_tree(top if entry is None else entry.oid).find(name)
        if below is None:
            break
        entry, at = below, at + b"/" + name if at else name
    return entry, at


def _known(oid: Oid | None) -> Oid:
    if oid is None:
        raise ValueError("a file was not read")
    return oid


def _join(path: bytes, inner: bytes) -> bytes:
    return path + b"/" + inner if inner else path
