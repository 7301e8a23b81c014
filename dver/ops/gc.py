"""Remove from the local store what no version needs any more."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dver.base.errors import CorruptError, FormatError, RefusedError
from dver.base.oid import Oid
from dver.base.reporter import Reporter
from dver.formats import pointer
from dver.git import pointers
from dver.git.repository import Git
from dver.repo import Repo
from dver.store import gc as collection
from dver.store.mark import Marks, Unreachable
from dver.store.users import other_users

_OID_TEXT = re.compile(rb"blake3:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class GcOptions:
    """``dry_run`` says what would go, and removes nothing."""

    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class GcResult:
    """What was removed, or would be. Sizes are in bytes.

    ``kept_objects`` counts stored objects and chunks that something refers to, ``removed_objects``
    those that nothing does; ``leftovers`` are files of interrupted commands.
    """

    dry_run: bool
    versions: int
    kept_objects: int
    removed_objects: int
    packs_deleted: int
    packs_rewritten: int
    leftovers: int
    freed_bytes: int


def gc(repo: Repo, options: GcOptions, reporter: Reporter) -> GcResult:
    """Remove what no pointer in any ref, HEAD, index, reflog, stash or work tree reaches.

    Refuses in a shallow clone, whose history would be taken for all there is, and when another
    repository that uses the same store cannot be asked. A damaged tree stops it before anything
    is removed: what lies below could not be told from garbage.
    """
    repo.require_init()
    gits = [repo.git, *_other_repositories(repo)]
    for git in gits:
        if git.is_shallow:
            raise RefusedError(
                f"{git.common_dir} is a shallow clone: older versions would be taken for garbage",
                hint="run 'git fetch --unshallow' first",
            )
    store = repo.store
    with store.hold(exclusive=True, timeout=60.0):
        store.refresh()
        marks = Marks(store)
        versions = 0
        with reporter.task("Marking", unit="objects") as task:
            for git in gits:
                for data in _pointer_contents(git):
                    versions += 1
                    before = marks.count
                    _mark(marks, data)
                    task.advance(marks.count - before)
        todo = collection.plan(store, marks)
        if not options.dry_run:
            collection.sweep(store, marks, todo)
    return GcResult(
        options.dry_run,
        versions,
        todo.live_objects,
        todo.dead_objects,
        len(todo.delete),
        len(todo.rewrite),
        len(todo.orphans),
        todo.freed_bytes,
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


def _pointer_contents(git: Git) -> Iterator[bytes]:
    """Yield the bytes of every distinct pointer that anything in a repository refers to."""
    blobs = pointers.read_blobs(git, pointers.reachable_blobs(git))
    yield from blobs.values()
    seen = set(blobs.values())
    for inside in _working_trees(git):
        for one in pointers.in_workspace(inside):
            try:
                with open(inside.root / os.fsdecode(one.path), "rb") as file:
                    data = file.read(pointer.MAX_SIZE * 16)
            except OSError:
                continue
            if data not in seen:
                seen.add(data)
                yield data


def _working_trees(git: Git) -> Iterator[Git]:
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
    try:
        one = pointer.decode(data)
    except FormatError:
        # A pointer in a merge conflict, or of a newer version: keep whatever it may mean.
        for text in _OID_TEXT.findall(data):
            oid = Oid(bytes.fromhex(text.decode()))
            for kind in ("file", "tree"):
                _ignore(marks.mark(oid, kind))
        return
    for problem in marks.mark(one.oid, one.kind):
        if isinstance(problem.error, CorruptError) or marks.store.has(problem.oid):
            raise problem.error


def _ignore(found: Iterable[Unreachable]) -> None:
    for _ in found:
        pass
