"""Put files and directories under dver, or record their present state again."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from dver.base.dataclass import dataclass
from dver.base.errors import DverError, RefusedError, RepositoryError, UsageError
from dver.base.oid import format_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.git import ignorefile
from dver.git.pointers import pointer_path
from dver.ops.data.recording import Recorder, Recording
from dver.ops.targets import naming, worktree
from dver.ops.targets.placed import note_placed
from dver.ops.targets.selection import Job, select, select_tracked
from dver.ops.targets.target import write_pointers
from dver.store import layout, walk
from dver.workspace.scan import find_twins

if TYPE_CHECKING:
    from dver.repo import Repo

Change = Literal["new", "updated", "unchanged"]


@dataclass(frozen=True, slots=True)
class AddOptions:
    """What to add, and how.

    ``paths`` are as typed, relative to where the user stands. ``paths_from`` holds a list of more
    of them as raw bytes, each ended by NUL if there is any NUL in it, else by a line feed.
    ``update`` adds again every tracked target at or below ``paths`` (everywhere without any) whose
    data is there, and starts tracking nothing, as ``git add -u`` does.
    ``replace`` records what is here as all of a directory, also if more of it was recorded that was
    never brought here, or if git moved the pointer since. ``stage`` runs ``git add`` on the
    pointers and .gitignore files; None leaves that to the setting ``core.autostage``. ``workers``
    is how many processes read files; None decides by the amount of work.
    """

    paths: tuple[str, ...] = ()
    paths_from: bytes | None = None
    update: bool = False
    replace: bool = False
    stage: bool | None = None
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class AddedTarget:
    """One tracked target after the command.

    ``oid`` is the text form. ``size`` is in bytes and ``files`` counts files and symlinks, both of
    the whole target. ``parts`` names the paths inside a tracked directory that were asked for,
    when it was not the directory itself; everything else in it stayed as recorded before.
    """

    path: str
    pointer: str
    kind: Literal["file", "tree"]
    oid: str
    size: int
    files: int
    change: Change
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AddResult:
    """All targets in path order.

    ``new_objects`` and ``stored_bytes`` are what the local store grew by, after compression and
    without what it had. ``ignores`` are the .gitignore files that changed. ``to_stage`` are the
    pointers and .gitignore files that ``git add`` should be run on; empty when ``staged``.
    """

    targets: tuple[AddedTarget, ...]
    new_objects: int
    stored_bytes: int
    ignores: tuple[str, ...]
    to_stage: tuple[str, ...]
    staged: bool


def add(repo: Repo, options: AddOptions, reporter: Reporter) -> AddResult:
    """Store the data of targets and write their pointers and .gitignore lines.

    Everything is read and stored first; pointers are written only if all of that succeeded, after
    the content is durable, so that one failing path changes nothing. A path inside a tracked
    directory changes that path in its recorded state and nothing else; one that is gone from the
    workspace is removed from it.

    Raises UsageError for an empty list, the repository root, a pointer file or a refused name;
    NotFoundError for a path that does not exist; RefusedError for what git tracks already, for
    overlapping targets, symlinks, special files, files that change meanwhile, and data that did not
    change since git moved its pointer.
    """
    repo.require_init()
    if repo.git.is_bare:
        raise RepositoryError("a bare repository has no working tree to add from")
    typed = (*options.paths, *naming.read_list(options.paths_from or b""))
    if not typed and not options.update:
        raise UsageError(
            "nothing to add: no path was given"
            if options.paths_from is None
            else "nothing to add: the list of paths is empty",
            hint="dver add PATH...",
        )
    with worktree.hold_worktree(repo):
        jobs = select_tracked(repo, typed) if options.update else select(repo, typed)
        for job in jobs:
            job.replaces = options.replace
        workers = options.workers or repo.config.number("core.workers")
        result = record(repo, jobs, reporter, stage=options.stage, workers=workers)
    _consolidate(repo, reporter)
    if result.new_objects and os.path.lexists(repo.store_path / layout.HOLES):
        from dver.ops.data.purgedhere import warn_of_purged

        warn_of_purged(repo.store, reporter)
    return result


def _consolidate(repo: Repo, reporter: Reporter) -> None:
    """Merge small packs if there are many; that it fails is no failure of what was asked for."""
    from dver.store.consolidate import consolidate

    try:
        consolidate(repo.store)
    except DverError as error:
        reporter.warn(f"small packs could not be merged: {error.message}", hint=error.hint)


def record(
    repo: Repo,
    jobs: Sequence[Job],
    reporter: Reporter,
    *,
    stage: bool | None = None,
    workers: int | None = None,
    made: bool = False,
) -> AddResult:
    """Record some jobs: the part of :func:`add` after the paths were understood.

    ``made`` says that a command has just made the data: it takes the place of what was recorded
    before, if nothing of that is known here. The caller holds the work tree's lock.
    """
    store = repo.store
    with store.hold():
        # Another process may have collected garbage since the store was opened.
        store.refresh()
        for job in jobs if made else ():
            job.replaces |= job.old is not None and not store.has(job.old.oid)
        with store.writer() as writer:
            recorder = Recorder(repo, store, writer, reporter)
            recordings = recorder.record(jobs, workers)
            moved = [] if made else [one for one in recordings if recorder.was_moved(one)]
            if moved:
                from dver.ops.data.moved import refuse_going_back

                refuse_going_back(repo, moved, recorder.index, reporter)
            writer.commit()
        ignores = _ignore(repo, recordings)
        changed = [one for one in recordings if one.result != one.job.old]
        _warn_of_twins(repo, [one.job.path for one in recordings if not one.job.tracked], reporter)
        try:
            pointers = write_pointers(repo, {one.job.path: one.result for one in changed})
        except BaseException:
            _show_again(repo, recordings, ignores)
            raise
        recorder.remember(recordings)
        note_placed(repo.state_dir, [one.job.path for one in recordings])
    to_stage = [*pointers, *ignores]
    staged = worktree.stage(repo, to_stage, stage)
    return AddResult(
        targets=tuple(_describe(repo, one) for one in recordings),
        new_objects=writer.new_objects,
        stored_bytes=writer.stored_bytes,
        ignores=tuple(repo.display(path) for path in ignores),
        to_stage=() if staged else tuple(repo.display(path) for path in to_stage),
        staged=staged,
    )


def _warn_of_twins(repo: Repo, new: Sequence[bytes], reporter: Reporter) -> None:
    """Warn of new targets that differ only by case or accents from what is beside them."""
    names: dict[bytes, set[bytes]] = {}
    for path in new:
        directory, _, name = path.rpartition(b"/")
        names.setdefault(directory, set()).add(name)
    for directory, added in names.items():
        with contextlib.suppress(OSError):
            beside = sorted({*os.listdir(repo.absolute(directory)), *added})
            for pair in find_twins(beside):
                if added.isdisjoint(pair):
                    continue
                shown = [show(repo.display(walk.join(directory, name))) for name in pair]
                reporter.warn(
                    f"{' and '.join(shown)} are one file on some systems (macOS, Windows)",
                    hint="rename one of them, if the data is to be used there",
                )


def _ignore(repo: Repo, recordings: Sequence[Recording]) -> list[bytes]:
    """Make git ignore the data; if it would not, leave every .gitignore as it was."""
    paths = [one.job.path for one in recordings]
    try:
        return ignorefile.add(repo.git, paths)
    except RefusedError:
        ignorefile.remove(repo.git, [one.job.path for one in recordings if not one.job.tracked])
        raise


def _show_again(repo: Repo, recordings: Sequence[Recording], ignores: Sequence[bytes]) -> None:
    """Let git see data again that got no pointer, as far as that can be written."""
    left = [
        one.job.path
        for one in recordings
        if not one.job.tracked
        and one.job.path.rpartition(b"/")[0] in {path.rpartition(b"/")[0] for path in ignores}
        and not os.path.isfile(repo.absolute(pointer_path(one.job.path)))
    ]
    with contextlib.suppress(DverError):
        ignorefile.remove(repo.git, left)


def _describe(repo: Repo, one: Recording) -> AddedTarget:
    pointer = one.result
    change: Change = "updated"
    if not one.job.tracked:
        change = "new"
    elif pointer == one.job.old:
        change = "unchanged"
    return AddedTarget(
        path=repo.display(one.job.path),
        pointer=repo.display(pointer_path(one.job.path)),
        kind=pointer.kind,
        oid=format_oid(pointer.oid),
        size=pointer.size,
        files=pointer.files,
        change=change,
        parts=tuple(repo.display(one.job.path + b"/" + part) for part in one.job.parts),
    )
