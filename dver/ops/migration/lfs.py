"""From git-lfs to dver: pointers of dver in place of those of git-lfs, in the next commit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import NotFoundError, RepositoryError
from dver.base.oid import format_oid
from dver.base.reporter import Reporter
from dver.foreign import lfsfiles
from dver.foreign.adopting import Adopter, Contents
from dver.foreign.dvcfiles import Out
from dver.foreign.known import Known
from dver.formats.pointer import Pointer
from dver.git import attributes, ignorefile
from dver.git.pointers import pointer_path, read_blobs
from dver.ops.migration import othertools
from dver.ops.migration.choice import Chosen, choose_from
from dver.ops.migration.othertools import Found, PlacesOf
from dver.ops.migration.result import Change, MigratedTarget, NotMigrated
from dver.ops.migration.translating import Translation, Translator
from dver.ops.migration.workspaceadoption import WorkspaceAdopter
from dver.ops.targets import naming, worktree
from dver.ops.targets.placed import note_placed
from dver.ops.targets.target import write_pointers
from dver.repo.layout import COMMITTED_CONFIG

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class MigrateLfsOptions:
    """What to take over: ``paths`` are files or directories of them, none for all.

    ``dry_run`` only says what would change. ``stage`` False leaves git's index as it is. ``fetch``
    has git-lfs bring what is not here first.
    """

    paths: tuple[str, ...] = ()
    dry_run: bool = False
    stage: bool = True
    workers: int | None = None
    fetch: bool = False


@dataclass(frozen=True, slots=True)
class MigrateLfsResult:
    """What came of it, paths relative to where the user stands.

    ``writes`` are the files that were, or in a dry run would be, written or changed. ``untracked``
    are the files that git has no longer in its index. ``kept`` are ``.gitattributes`` files that
    still name git-lfs, since it has other files there. ``corrupt`` as for ``migrate dvc``.
    """

    dry_run: bool
    targets: tuple[MigratedTarget, ...] = ()
    refused: tuple[NotMigrated, ...] = ()
    corrupt: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    staged: bool = False

    @property
    def lacking(self) -> bool:
        """Whether content of some target could not be had."""
        return any(one.missing for one in self.refused)


def migrate_lfs(repo: Repo, options: MigrateLfsOptions, reporter: Reporter) -> MigrateLfsResult:
    """Write pointers for the files that git-lfs has, and take these out of git's index.

    The content is read from the work tree or ``.git/lfs``, compared with its SHA-256 and stored.
    Nothing is committed, and no server is asked but by git-lfs, with ``fetch``. Raises
    NotFoundError if git-lfs has no files here.
    """
    if repo.git.is_bare:
        raise RepositoryError("a bare repository has no working tree to migrate")
    if options.dry_run:
        return _Migration(repo, options, reporter).plan()
    if options.fetch:
        _Migration(repo, options, reporter).fetch()
    with worktree.hold_worktree(repo):
        return _Migration(repo, options, reporter).run()


class _Migration:
    """One run of the command, or a dry one."""

    def __init__(self, repo: Repo, options: MigrateLfsOptions, reporter: Reporter) -> None:
        self._repo = repo
        self._options = options
        self._reporter = reporter
        self._attributes = self._attribute_files()
        self._all = self._pointers()
        if not self._all and not self._attributes:
            raise NotFoundError(
                "git-lfs has no files here",
                hint="files count that a .gitattributes file gives to 'filter=lfs'",
            )
        self._chosen: Chosen = choose_from(repo, self._selected())

    def _pointers(self) -> dict[bytes, Out]:
        listed = attributes.lfs_paths(self._repo.git)
        blobs = read_blobs(self._repo.git, (blob for _, blob, _ in listed))
        found = {}
        for path, blob, executable in listed:
            out = lfsfiles.read_pointer(path, blobs[blob], executable=executable)
            if out is not None:
                found[path] = out
        return found

    def _selected(self) -> dict[bytes, Out]:
        if not self._options.paths:
            return self._all
        selected: dict[bytes, Out] = {}
        for typed in self._options.paths:
            path = self._repo.locate(typed)
            below = {
                one: out
                for one, out in self._all.items()
                if not path or one == path or one.startswith(path + b"/")
            }
            if not below:
                raise naming.not_found(
                    "git-lfs does not have",
                    path,
                    os.devnull,
                    self._all,
                    self._repo.display,
                    otherwise="'git lfs ls-files' lists what it has",
                )
            selected |= below
        return selected

    def _attribute_files(self) -> dict[bytes, bytes]:
        """Return the ``.gitattributes`` files that name git-lfs, with what they hold."""
        found = {}
        for path in attributes.attribute_files(self._repo.git):
            data = othertools.read_limited(self._repo.absolute(path)) or b""
            if attributes.without_lfs(data) != data:
                found[path] = data
        return found

    def _edited(self, done: Sequence[bytes]) -> tuple[dict[bytes, bytes], list[bytes]]:
        """Return the ``.gitattributes`` files to write, and those that must keep their lines."""
        left = [path for path in self._all if path not in set(done)]
        edits, kept = {}, []
        for path, data in self._attributes.items():
            below = path[: -len(attributes.NAME)]
            if any(one.startswith(below) for one in left):
                kept.append(path)
            else:
                edits[path] = attributes.without_lfs(data)
        # What stays may be given to git-lfs by a pattern that fits the pointers as well.
        beside = {path.rpartition(b"/")[0] for path in done}
        ours = [pointer_path(path) for path in done]
        ours += [one + b"/" + ignorefile.NAME if one else ignorefile.NAME for one in beside]
        hidden = attributes.filtered(self._repo.git, ours)
        for path in kept:
            below = path[: -len(attributes.NAME)]
            if any(one.startswith(below) for one in hidden):
                edits[path] = attributes.with_plain_pointers(self._attributes[path])
        return edits, kept

    # saying, and doing

    def plan(self) -> MigrateLfsResult:
        """Say what would be done; nothing is written."""
        repo, chosen = self._repo, self._chosen
        paths = [*chosen.outs, *chosen.before]
        edits, kept = self._edited(paths)
        writes = [] if repo.is_initialised else [COMMITTED_CONFIG]
        writes += [pointer_path(path) for path in chosen.outs]
        writes += [*ignorefile.pending(repo.git, paths), *edits]
        targets = [
            MigratedTarget(
                repo.display(path),
                repo.display(pointer_path(path)),
                "file",
                "new",
                repo.display(path),
                size=out.size,
            )
            for path, out in chosen.outs.items()
        ]
        return MigrateLfsResult(
            True,
            (*targets, *self._targets(chosen.before, "unchanged")),
            tuple(chosen.refused),
            writes=tuple(repo.display(path) for path in sorted(set(writes))),
            untracked=tuple(repo.display(path) for path in sorted(paths)),
            kept=tuple(repo.display(path) for path in kept),
        )

    def fetch(self) -> None:
        """Have git-lfs bring what is neither in the work tree nor among its objects."""
        from dver.ops.migration import lfsfetch

        outs = self._chosen.outs
        with PlacesOf(self._repo, Found(outs=dict(outs))) as places:
            missing = lfsfetch.missing(self._repo, outs, places)
        if not missing:
            return
        with self._reporter.task("Fetching with git-lfs", unit="files", total=len(missing)):
            problem = lfsfetch.fetch(self._repo, missing)
        if problem:
            self._reporter.warn(problem)

    def run(self) -> MigrateLfsResult:
        """Take the files over, write their pointers, and take them out of git's index."""
        from dver.ops.setup.init import InitOptions, init

        repo, chosen = self._repo, self._chosen
        written: list[bytes] = []
        if not repo.is_initialised:
            init(repo, InitOptions(), self._reporter)
            written.append(COMMITTED_CONFIG)
        done = Translation()
        with repo.store.hold():
            repo.store.refresh()
            self._read(done)
            ready = {**chosen.before, **done.pointers}
            written += ignorefile.add(repo.git, ready)
            written += write_pointers(repo, done.pointers)
            note_placed(repo.state_dir, done.pointers)
        gone = sorted(ready)
        if self._options.stage:
            # First what the lines of .gitattributes find, so that a second run can go on.
            self._untrack(gone)
        edits, kept = self._edited(gone)
        for path, data in edits.items():
            fsio.write_atomic(repo.absolute(path), data)
            written.append(path)
        staged = worktree.stage(repo, [*map(pointer_path, gone), *written], self._options.stage)
        return MigrateLfsResult(
            False,
            (
                *self._targets(done.pointers, "new"),
                *self._targets(chosen.before, "unchanged"),
            ),
            (
                *chosen.refused,
                *self._lacking(done),
            ),
            tuple(dict.fromkeys(done.corrupt)),
            tuple(repo.display(path) for path in written),
            tuple(repo.display(path) for path in gone),
            tuple(repo.display(path) for path in kept),
            staged,
        )

    def _lacking(self, done: Translation) -> list[NotMigrated]:
        from dver.ops.migration import lfsfetch

        if not done.failed:
            return []
        hint: str | None = lfsfetch.advice(self._repo)
        if self._options.fetch:
            hint = "'git lfs fetch --all' says what the server has"
        return [
            NotMigrated(self._repo.display(one.out.path), one.reason, hint, missing=True)
            for one in done.failed
        ]

    def _targets(self, pointers: Mapping[bytes, Pointer], change: Change) -> list[MigratedTarget]:
        return [
            MigratedTarget(
                self._repo.display(path),
                self._repo.display(pointer_path(path)),
                pointer.kind,
                change,
                self._repo.display(path),
                format_oid(pointer.oid),
                pointer.size,
                pointer.files,
            )
            for path, pointer in sorted(pointers.items())
        ]

    def _read(self, done: Translation) -> None:
        repo, outs = self._repo, self._chosen.outs
        if not outs:
            return
        workers = self._options.workers or repo.config.number("core.workers")
        found = Found(outs=dict(outs))
        with (
            Known(repo.common_state_dir) as known,
            PlacesOf(repo, found) as places,
            self._reporter.task("Taking over", unit="files") as task,
        ):
            with repo.store.writer() as writer:
                adopter = Adopter(repo.store, writer, known, workers=workers, task=task)
                workspace = WorkspaceAdopter(repo, adopter)
                contents = Contents("sha256", b"".join(out.digest for out in outs.values()))
                seen = workspace.files(outs, contents)
                translator = Translator(repo, adopter, known, places, done)
                translator.finish_files(list(outs), outs, contents)
                writer.commit()
            adopter.remember()
            for path, one in seen.items():
                if path in done.pointers:
                    workspace.remember(path, one, done.pointers[path], repo.store)
            workspace.index.save()

    def _untrack(self, paths: Sequence[bytes]) -> None:
        """Take files out of git's index; they stay in the work tree."""
        self._repo.git.run(
            *("update-index", "--force-remove", "-z", "--stdin"),
            stdin=b"".join(path + b"\0" for path in paths),
        )
