"""Remove from the local store what no version needs any more."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from dver.base import clock, fsio
from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, FormatError, RefusedError
from dver.base.oid import Oid, oid_of
from dver.base.reporter import Reporter, Task
from dver.formats import pointer, record, tree
from dver.git import history, pointers
from dver.git.repository import Git
from dver.ops.targets.placed import load_placed
from dver.ops.targets.target import read_pointer
from dver.ops.upkeep.gcremote import RemoteGc, RemoteGcOptions, gc_remote
from dver.ops.upkeep.temporaries import stale_temporaries
from dver.repo import Repo
from dver.repo.layout import Layout
from dver.store import gc as collection
from dver.store.mark import Marks, Unreachable
from dver.store.store import Store
from dver.store.users import other_users
from dver.workspace.statindex import StatIndex

#: How much of a pointer with conflict markers, or of a record, is looked at (bytes).
_MOST_READ = 16 * pointer.MAX_SIZE
_MOST_READ_OF_RECORDS = record.MAX_SIZE
#: So many contents are read from git at once.
_AT_ONCE = 1000
#: What a run has stored is kept for so long without a record that names it (seconds).
_LONGEST_RUN = 60 * 86_400
_OID_TEXT = re.compile(rb"blake3:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class GcOptions:
    """``dry_run`` says what would go, and removes nothing. ``remote`` collects there instead."""

    dry_run: bool = False
    remote: RemoteGcOptions | None = None


@dataclass(frozen=True, slots=True)
class GcResult:
    """What was removed, or would be. Sizes are in bytes.

    ``kept_objects`` counts stored objects and chunks that something refers to, ``removed_objects``
    those that nothing does; ``leftovers`` are files of interrupted commands. ``remote`` is what
    was done in a remote, where one was named; then nothing was done here.
    """

    dry_run: bool
    versions: int
    kept_objects: int
    removed_objects: int
    packs_deleted: int
    packs_rewritten: int
    leftovers: int
    freed_bytes: int
    remote: RemoteGc | None = None


def gc(repo: Repo, options: GcOptions, reporter: Reporter) -> GcResult:
    """Remove what no pointer in any ref, HEAD, index, reflog, stash or work tree reaches.

    Refuses in a shallow clone, whose history would be taken for all there is, and when another
    repository that uses the same store cannot be asked. A damaged tree stops it before anything
    is removed: what lies below could not be told from garbage.
    """
    repo.require_init()
    if options.remote is not None:
        done = gc_remote(repo, options.remote, reporter)
        return GcResult(options.remote.dry_run, 0, 0, 0, 0, 0, 0, done.freed_bytes, done)
    store = repo.store
    with store.hold(exclusive=True, timeout=60.0):
        # Whoever joined in sharing the store joined before now, or waits for the lock.
        gits = all_repositories(repo)
        store.refresh()
        marks = Marks(store)
        with reporter.task("Marking", unit="objects") as task:
            versions = mark_versions(marks, gits, task)
        todo = collection.plan(store, marks)
        if not options.dry_run:
            collection.sweep(store, marks, todo)
        stale = dict(temporary for git in gits for temporary in stale_temporaries(git))
        for path in () if options.dry_run else stale:
            fsio.remove(path)
    return GcResult(
        options.dry_run,
        versions,
        todo.live_objects,
        todo.dead_objects,
        len(todo.delete),
        len(todo.rewrite),
        len(todo.orphans) + len(stale),
        todo.freed_bytes + sum(stale.values()),
    )


def all_repositories(repo: Repo) -> list[Git]:
    """Return this repository and all others that share its store, all of it to be seen from here.

    The caller holds the store's lock. Raises RefusedError if something cannot be seen.
    """
    gits = [repo.git, *_other_repositories(repo)]
    for git in gits:
        _require_whole(git)
    return gits


def mark_versions(marks: Marks, gits: Iterable[Git], task: Task) -> int:
    """Mark all that some repositories refer to; return how many pointers and records do."""
    versions = 0
    for git in gits:
        for data in pointer_contents(git):
            versions += 1
            before = marks.count
            _mark(marks, data)
            task.advance(marks.count - before)
    return versions


def _require_whole(git: Git) -> None:
    """Raise RefusedError unless all that a repository refers to can be seen from here."""
    if git.is_shallow:
        raise RefusedError(
            f"{git.common_dir} is a shallow clone: older versions would be taken for garbage",
            hint="run 'git fetch --unshallow' first",
        )
    absent = [str(one.path) for one in git.worktrees() if one.missing and not one.bare]
    if absent:
        raise RefusedError(
            "a working tree of this repository is not there, and what it holds that was never"
            " committed would be taken for garbage",
            hint="mount or move it back; if it is gone for good, 'git worktree prune' forgets it",
            paths=absent,
        )


def _other_repositories(repo: Repo) -> Iterator[Git]:
    for path in other_users(repo.store.local_directory(), repo.git.common_dir):
        if not path.is_dir():
            raise RefusedError(
                f"the store is shared with {path}, which cannot be read",
                hint=f"if that repository is gone for good, remove its file from"
                f" {repo.store.local_directory()}/users",
            )
        yield Git.open(path)


def pointer_contents(git: Git) -> Iterator[bytes]:
    """Yield the bytes of every distinct pointer and record that a repository refers to."""
    seen: set[bytes] = set()
    # A pointer may move from a work tree into git meanwhile ('git stash') or out of it ('git stash
    # pop'): whoever looks on both sides of the move sees it on one.
    for contents in (_of_runs, _in_working_trees, _in_git, _in_working_trees):
        for data in contents(git):
            if data not in seen:
                seen.add(data)
                yield data


def _in_git(git: Git) -> Iterator[bytes]:
    blobs = list(history.reachable_blobs(git).items())
    for is_record, limit in ((False, _MOST_READ), (True, _MOST_READ_OF_RECORDS)):
        some = [blob for blob, path in blobs if history.is_record_path(path) == is_record]
        for at in range(0, len(some), _AT_ONCE):
            yield from pointers.read_blobs(git, some[at : at + _AT_ONCE], limit=limit).values()


def _in_working_trees(git: Git) -> Iterator[bytes]:
    for inside in working_trees(git):
        names = {one.path for one in pointers.in_workspace(inside)}
        # An ignore rule that came later hides a pointer that was never committed from git.
        state_dir = Layout(inside.root, inside.git_dir, inside.common_dir).state_dir
        placed = load_placed(state_dir)
        names.update(map(pointers.pointer_path, placed))
        yield from _of_leftovers(inside, state_dir, placed)
        yield from _uncommitted_records(inside)
        for name in sorted(names):
            path = os.path.join(os.fsencode(inside.root), name)
            # What cannot be read stops the collection; what is no file names no data.
            with contextlib.suppress(FormatError):
                data = read_pointer(path, limit=_MOST_READ)
                if data is not None:
                    yield data


def _uncommitted_records(git: Git) -> Iterator[bytes]:
    for path in history.uncommitted_records(git):
        name = os.path.join(os.fsencode(git.root), path)
        with contextlib.suppress(FormatError):
            data = read_pointer(name, limit=_MOST_READ_OF_RECORDS)
            if data is not None:
                yield data


def _of_runs(git: Git) -> Iterator[bytes]:
    """Yield what runs that have not ended yet have stored; see dver.ops.making.run."""
    directory = Layout(git.root, git.git_dir, git.common_dir).runs_dir
    oldest = clock.now_ns() // 1_000_000_000 - _LONGEST_RUN
    for path in sorted(directory.iterdir()) if directory.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                fsio.remove(path)
            else:
                yield path.read_bytes()


def _of_leftovers(git: Git, state_dir: Path, placed: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the last pointers of data that is still there while its pointer is gone."""
    root = os.fsencode(git.root)
    index = StatIndex(state_dir)
    for path in sorted(placed):
        name = os.path.join(root, pointers.pointer_path(path))
        if os.path.lexists(os.path.join(root, path)) and not os.path.lexists(name):
            base = index.base(path)
            if base is not None:
                yield pointer.encode(base)


def working_trees(git: Git) -> Iterator[Git]:
    """Yield the working trees of a repository that are there, each as seen from inside."""
    if git.root != git.git_dir:
        yield git
    for worktree in git.worktrees():
        if worktree.path is None or worktree.path == git.root or not worktree.path.is_dir():
            continue
        # Not as seen from here: a hook may have set GIT_DIR.
        inside = Git.open(worktree.path)
        if inside.root != inside.git_dir:
            yield inside


def _mark(marks: Marks, data: bytes) -> None:
    if not data:
        return  # of a run that has stored nothing yet
    if data.startswith(b"{"):
        _mark_record(marks, data)
        return
    try:
        one = pointer.decode(data)
    except FormatError:
        _mark_all(marks, data)
        return
    _mark_pointer(marks, one)


def _mark_record(marks: Marks, data: bytes) -> None:
    # What a record names may never have been here: it is another clone's. So nothing is required.
    _ignore(marks.mark(oid_of(data), "file"))
    try:
        kept = record.decode(data).keep
    except FormatError:
        _mark_all(marks, data)
        return
    for problem in marks.mark(kept.oid, "tree"):
        if isinstance(problem.error, CorruptError) and not isinstance(problem.error, FormatError):
            raise _cannot_tell(problem) from problem.error


def _mark_all(marks: Marks, data: bytes) -> None:
    """Keep whatever a text may mean: it is in a merge conflict, or of a newer version."""
    for text in _OID_TEXT.findall(data):
        oid = Oid(bytes.fromhex(text.decode()))
        for kind in ("file", "tree"):
            _ignore(marks.mark(oid, kind))


def _cannot_tell(problem: Unreachable) -> CorruptError:
    return CorruptError(
        f"nothing was removed, since not all that must stay can be told: {problem.error.message}",
        hint="'dver fsck' names the versions that need it",
    )


def _mark_pointer(marks: Marks, one: pointer.Pointer) -> None:
    for problem in marks.mark(one.oid, one.kind):
        if isinstance(problem.error, FormatError) and _is_no_tree(marks.store, problem.oid):
            # Somebody wrote "tree" into the pointer of a file: nothing can lie below that.
            _ignore(marks.mark(problem.oid, "file"))
            continue
        if isinstance(problem.error, CorruptError) or marks.store.has(problem.oid):
            raise _cannot_tell(problem) from problem.error


def _is_no_tree(store: Store, oid: Oid) -> bool:
    """Say whether an object that is sound is not a tree of any version."""
    return not store.read(oid).startswith(tree.MAGIC)


def _ignore(found: Iterable[Unreachable]) -> None:
    for _ in found:
        pass
