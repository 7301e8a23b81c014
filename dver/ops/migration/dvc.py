"""From DVC to dver: pointers beside those of DVC, the data read where it is, nothing deleted."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import (
    FormatError,
    NotFoundError,
    RepositoryError,
    UsageError,
)
from dver.base.oid import format_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.foreign.adopting import Adopter, Contents
from dver.foreign.dvcfiles import Origin, Out
from dver.foreign.known import Known
from dver.formats import origin as origins
from dver.formats.pointer import Pointer
from dver.git import ignorefile
from dver.git.history import is_record_path
from dver.git.pointers import pointer_path
from dver.ops.migration import othertools
from dver.ops.migration.choice import choose
from dver.ops.migration.othertools import Found, PlacesOf
from dver.ops.migration.result import Change, MigratedTarget, NotMigrated
from dver.ops.migration.translating import UNAVAILABLE, Translation, Translator, Untranslated
from dver.ops.migration.workspaceadoption import Seen, WorkspaceAdopter, pointer_of_workspace
from dver.ops.targets import worktree
from dver.ops.targets.placed import note_placed
from dver.ops.targets.target import write_pointers
from dver.repo.layout import COMMITTED_CONFIG

if TYPE_CHECKING:
    from dver.ops.migration.dvcpipeline import Pipeline
    from dver.repo import Repo

_IGNORE, _OURS = b".dvcignore", b".dverignore"


@dataclass(frozen=True, slots=True)
class MigrateDvcOptions:
    """What to take over: ``paths`` are data or ``.dvc`` files or directories of them, none for all.

    ``dry_run`` reads DVC's files and says what would be written. ``rewrite_history`` makes new
    branches ``dver/<branch>`` beside all that there are. ``stage`` and ``workers`` as for add.
    ``trust`` agrees to read from the remotes that DVC's committed settings lead to, now and later.
    """

    paths: tuple[str, ...] = ()
    dry_run: bool = False
    rewrite_history: bool = False
    stage: bool | None = None
    workers: int | None = None
    trust: bool = False


@dataclass(frozen=True, slots=True)
class MigrateDvcResult:
    """What came of it, paths relative to where the user stands.

    ``writes`` are all files that were, or in a dry run would be, written or changed; of records
    in a dry run only their directory. ``corrupt`` are files of DVC's that are not what they are
    called, and were not taken. ``notes`` say what of the pipelines has no equal. ``branches`` are
    those of ``--rewrite-history``. ``agreed`` are the remotes of DVC that may be read from now.
    """

    dry_run: bool
    targets: tuple[MigratedTarget, ...] = ()
    refused: tuple[NotMigrated, ...] = ()
    corrupt: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    records: int = 0
    notes: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    to_stage: tuple[str, ...] = ()
    staged: bool = False
    agreed: tuple[str, ...] = ()

    @property
    def lacking(self) -> bool:
        """Whether content of some target could not be had."""
        return any(one.missing for one in self.refused)


def migrate_dvc(repo: Repo, options: MigrateDvcOptions, reporter: Reporter) -> MigrateDvcResult:
    """Write pointers for what DVC versions in this work tree, and the pipeline and its records.

    The content is read from the workspace, DVC's cache or its remotes, compared with DVC's MD5 and
    stored. What is there already is left alone, so that it can be run again at any time. Raises
    NotFoundError where there is nothing of DVC, RepositoryError in a bare repository.
    """
    if repo.git.is_bare:
        raise RepositoryError("a bare repository has no working tree to migrate")
    if options.rewrite_history and options.paths:
        raise UsageError("--rewrite-history is about whole branches, and takes no PATH")
    found = othertools.in_work_tree(repo)
    agreed: tuple[str, ...] = ()
    if options.trust and not options.dry_run:
        agreed = _agree(repo, found)
    if not found.files and not found.stages and not found.broken:
        if agreed:
            return MigrateDvcResult(False, agreed=agreed)
        raise NotFoundError(
            "there is nothing of DVC here: no .dvc file and no dvc.lock",
            hint="run it in the repository whose data DVC versions",
        )
    if options.dry_run:
        return _Migration(repo, options, found, reporter).plan()
    with worktree.hold_worktree(repo):
        migration = _Migration(repo, options, found, reporter)
        return replace(migration.run(), agreed=agreed)


def _agree(repo: Repo, found: Found) -> tuple[str, ...]:
    """Agree to the remotes of the projects here, or else of the one that was here once."""
    if not found.configs and not (repo.root / ".dvc").is_dir():
        found = othertools.settings_of_history(repo)
    with PlacesOf(repo, found) as places:
        return tuple(places.agree())


class _Migration:
    """One run of the command, or a dry one, on what was found in the work tree."""

    def __init__(
        self, repo: Repo, options: MigrateDvcOptions, found: Found, reporter: Reporter
    ) -> None:
        self._repo = repo
        self._options = options
        self._found = found
        self._reporter = reporter
        self._chosen = choose(repo, found, options.paths)
        self._seen: dict[bytes, Seen] = {}

    # saying what would be done

    def plan(self) -> MigrateDvcResult:
        """Say what would be done; nothing is written."""
        from dver.ops.migration.dvcpipeline import unrecorded

        repo, chosen = self._repo, self._chosen
        writes = self._settings()
        writes += [pointer_path(path) for path in chosen.outs]
        writes += ignorefile.pending(repo.git, list(chosen.outs))
        pipeline = self._pipeline()
        claims = pipeline.claims
        if pipeline.is_there:
            claims = unrecorded(repo, claims)
        elif pipeline.text is not None:
            writes.append(b"dver.yaml")
        if claims:
            writes.append(b".dver/records/")
        targets = [
            MigratedTarget(
                repo.display(path),
                repo.display(pointer_path(path)),
                "tree" if out.is_directory else "file",
                "new",
                repo.display(self._found.named[path]),
                size=out.size,
                origin=self._origin(path),
            )
            for path, out in chosen.outs.items()
        ]
        return MigrateDvcResult(
            True,
            tuple(sorted([*targets, *self._unchanged()], key=lambda one: one.path)),
            tuple(chosen.refused),
            writes=tuple(repo.display(path) for path in sorted(set(writes))),
            steps=pipeline.steps,
            records=len(claims),
            notes=pipeline.notes,
            branches=self._branches(),
        )

    def _branches(self) -> tuple[str, ...]:
        if not self._options.rewrite_history:
            return ()
        from dver.ops.migration.rewriting import new_branches

        return tuple(new_branches(self._repo).values())

    def _settings(self) -> list[bytes]:
        """Return the files of dver's own settings that are to be written."""
        found = [] if self._repo.is_initialised else [COMMITTED_CONFIG]
        return found + list(self._ignores())

    def _ignores(self) -> dict[bytes, bytes]:
        """Return the ``.dverignore`` files to write: what stands in ``.dvcignore`` beside them."""
        found: dict[bytes, bytes] = {}
        args = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        out = self._repo.git.run(*args, "--", ":(top,glob)**/.dvcignore")
        for path in out.split(b"\0"):
            if path.rpartition(b"/")[2] != _IGNORE:
                continue
            ours = path[: -len(_IGNORE)] + _OURS
            if os.path.lexists(self._repo.absolute(ours)):
                continue
            data = othertools.read_limited(self._repo.absolute(path))
            if data is not None and any(
                line.strip() and not line.startswith(b"#") for line in data.splitlines()
            ):
                found[ours] = data
        return found

    def _pipeline(self, pointers: Mapping[bytes, Pointer] | None = None) -> Pipeline:
        from dver.ops.migration.dvcpipeline import EMPTY, convert

        if self._options.paths:
            return EMPTY
        return convert(self._repo, self._found, pointers)

    def _origin(self, path: bytes) -> str:
        file = self._found.files.get(self._found.named[path])
        if file is None or not file.origins:
            return ""
        return file.origins[0].shown

    def _origin_lines(self, pointers: Mapping[bytes, Pointer]) -> dict[bytes, bytes]:
        """Return the lines that say in a pointer where DVC imported it from."""
        found = {}
        for path, pointer in pointers.items():
            file = self._found.files.get(self._found.named[path])
            if file is None or not file.origins:
                continue
            try:
                found[path] = origins.encode(_origin(file.origins[0], pointer))
            except FormatError as error:
                self._reporter.note(
                    f"{show(self._repo.display(path))}: where it was imported from stays in"
                    f" {show(self._repo.display(file.path))} alone: {error.message}"
                )
        return found

    def _unchanged(self) -> list[MigratedTarget]:
        return [
            self._target(path, pointer, "unchanged")
            for path, pointer in self._chosen.before.items()
        ]

    def _target(self, path: bytes, pointer: Pointer, change: Change) -> MigratedTarget:
        repo = self._repo
        return MigratedTarget(
            repo.display(path),
            repo.display(pointer_path(path)),
            pointer.kind,
            change,
            repo.display(self._found.named[path]),
            format_oid(pointer.oid),
            pointer.size,
            pointer.files,
            self._origin(path),
            self._seen[path].links if path in self._seen else 0,
        )

    # doing it

    def run(self) -> MigrateDvcResult:
        """Take the data over, then write the pointers of what was taken, and the pipeline."""
        repo, chosen = self._repo, self._chosen
        written = self._write_settings()
        done = Translation()
        store = repo.store
        with store.hold():
            store.refresh()
            with (
                Known(repo.common_state_dir) as known,
                PlacesOf(repo, self._found) as places,
            ):
                workspace = self._read(done, known, places)
            outs = [path for path in chosen.outs if path in done.pointers]
            written += ignorefile.add(repo.git, outs)
            new = {path: done.pointers[path] for path in outs}
            written += write_pointers(repo, new, self._origin_lines(new))
            for path in outs:
                if path in self._seen:
                    workspace.remember(path, self._seen[path], done.pointers[path], store)
            workspace.index.save()
            note_placed(repo.state_dir, outs)
        pipeline = self._pipeline({**chosen.before, **done.pointers})
        written_for_pipeline = self._write_pipeline(pipeline)
        written += written_for_pipeline
        branches: tuple[str, ...] = ()
        if self._options.rewrite_history:
            from dver.ops.migration.rewriting import rewrite

            branches = rewrite(repo, self._reporter)
        staged = worktree.stage(repo, written, self._options.stage)
        shown = tuple(repo.display(path) for path in written)
        targets = [self._target(path, done.pointers[path], "new") for path in outs]
        return MigrateDvcResult(
            False,
            tuple(sorted([*targets, *self._unchanged()], key=lambda one: one.path)),
            (*chosen.refused, *(self._not_migrated(one) for one in done.failed)),
            tuple(dict.fromkeys(done.corrupt)),
            shown,
            pipeline.steps,
            sum(map(is_record_path, written_for_pipeline)),
            pipeline.notes,
            branches,
            () if staged else shown,
            staged,
        )

    def _write_settings(self) -> list[bytes]:
        from dver.ops.setup.init import InitOptions, init

        repo = self._repo
        written = []
        if not repo.is_initialised:
            init(repo, InitOptions(), self._reporter)
            written.append(COMMITTED_CONFIG)
        for path, data in self._ignores().items():
            fsio.write_atomic(repo.absolute(path), data, replace=False)
            written.append(path)
        return written

    def _read(self, done: Translation, known: Known, places: PlacesOf) -> WorkspaceAdopter:
        """Read what is to be taken over into the store."""
        repo, outs = self._repo, self._chosen.outs
        workers = self._options.workers or repo.config.number("core.workers")
        with (
            self._reporter.task("Taking over", unit="files") as task,
            repo.store.writer() as writer,
        ):
            adopter = Adopter(repo.store, writer, known, workers=workers, task=task)
            workspace = WorkspaceAdopter(repo, adopter)
            translator = Translator(repo, adopter, known, places, done)
            for path, out in outs.items():
                if out.is_directory:
                    try:
                        self._directory(path, out, adopter, workspace, translator, done)
                    except UNAVAILABLE as error:
                        done.failed.append(Untranslated(out, error.message, error.hint))
            for group in self._groups(places):
                contents = Contents(
                    outs[group[0]].algorithm, b"".join(outs[path].digest for path in group)
                )
                some = {path: outs[path] for path in group}
                self._seen |= workspace.files(some, contents)
                translator.finish_files(group, some, contents)
            writer.commit()
        adopter.remember()
        return workspace

    def _groups(self, places: PlacesOf) -> Sequence[list[bytes]]:
        groups: dict[tuple[int, str], list[bytes]] = {}
        for path, out in self._chosen.outs.items():
            if not out.is_directory:
                groups.setdefault((id(places.of(out)), out.algorithm), []).append(path)
        return list(groups.values())

    def _directory(
        self,
        path: bytes,
        out: Out,
        adopter: Adopter,
        workspace: WorkspaceAdopter,
        translator: Translator,
        done: Translation,
    ) -> None:
        try:
            paths, digests = translator.listing(out)
        except UNAVAILABLE as error:
            done.failed.append(Untranslated(out, error.message, error.hint))
            return
        contents = Contents(out.algorithm, digests)
        found = workspace.directory(path, paths, contents)
        if found is not None:
            seen, paths, contents = found
            self._seen[path] = seen
            pointer = pointer_of_workspace(seen, paths, adopter.writer)
            if pointer is not None:
                adopter.note(contents)
                adopter.note_tree(out, pointer)
                done.pointers[path] = pointer
                return
        translator.finish(path, out, paths, contents)

    def _write_pipeline(self, pipeline: Pipeline) -> list[bytes]:
        from dver.ops.migration.dvcpipeline import write

        return write(self._repo, pipeline)

    def _not_migrated(self, one: Untranslated) -> NotMigrated:
        return NotMigrated(self._repo.display(one.out.path), one.reason, one.hint, missing=True)


def _origin(told: Origin, pointer: Pointer) -> origins.Origin:
    """Return where something was imported from, as dver writes it down."""
    if told.commit:
        return origins.Origin(
            repository=told.url,
            path=os.fsencode(told.path.strip("/")),
            rev=told.rev,
            commit=told.commit,
            oid=pointer.oid,
        )
    return origins.Origin(
        url=told.url, etag=told.etag.strip('"'), version=told.version, oid=pointer.oid
    )
