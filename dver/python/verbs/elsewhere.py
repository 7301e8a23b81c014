"""Data of elsewhere: ``dver import``, ``update``, ``migrate`` and ``export``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dver.python.sessions import PathLike
from dver.python.verbs.handle import Group, Handle, texts

if TYPE_CHECKING:
    from dver.ops.migration.dvc import MigrateDvcResult
    from dver.ops.migration.exportdvc import ExportDvcResult
    from dver.ops.migration.lfs import MigrateLfsResult
    from dver.ops.sharing.importing import ImportResult
    from dver.ops.sharing.sourcerepo import Access
    from dver.ops.sharing.update import UpdateResult


class ElsewhereVerbs(Handle):
    """Methods that bring data from elsewhere and note where it came from."""

    def import_(
        self,
        source: PathLike,
        path: str | None = None,
        *,
        rev: str | None = None,
        output: PathLike | None = None,
        download: bool = True,
        endpoint: str = "",
        access: Access | None = None,
        stage: bool | None = None,
    ) -> ImportResult:
        """Bring data from elsewhere, and note where it came from: ``dver import``.

        ``source`` is a git repository with ``path`` in it, or alone the URL of plain data.
        """
        from dver.ops.sharing.importing import ImportOptions, import_data
        from dver.ops.sharing.sourcerepo import DEFAULT

        where = None if output is None else os.fspath(output)
        asked = ImportOptions(
            os.fspath(source), path, rev, where, download, endpoint, access or DEFAULT, stage
        )
        with self.opened() as repo:
            return import_data(repo, asked, self.reporter)

    def update(
        self,
        *paths: PathLike,
        all: bool = False,  # noqa: A002 - as the option is called
        rev: str | None = None,
        check: bool = False,
        dry_run: bool = False,
        download: bool = True,
        force: bool = False,
        trust: bool = False,
        access: Access | None = None,
        stage: bool | None = None,
    ) -> UpdateResult:
        """Move imported data to a newer version of its source: ``dver update``."""
        from dver.ops.sharing.sourcerepo import DEFAULT
        from dver.ops.sharing.update import UpdateOptions, update

        asked = UpdateOptions(
            texts(paths), all, rev, check, dry_run, download, force, trust, access or DEFAULT, stage
        )
        with self.opened() as repo:
            return update(repo, asked, self.reporter)

    @property
    def migrate(self) -> MigrateGroup:
        """Take over the data of other tools: ``dver migrate``."""
        return MigrateGroup(self)

    @property
    def export(self) -> ExportGroup:
        """Give data back to other tools: ``dver export``."""
        return ExportGroup(self)


class ExportGroup(Group):
    """The verbs of ``dver export``."""

    def dvc(
        self,
        directory: PathLike | None = None,
        *paths: PathLike,
        rev: str | None = None,
        remote: str | None = None,
        lossy: bool = False,
    ) -> ExportDvcResult:
        """Write data as DVC tracks it, into ``directory`` or beside dver's own pointers.

        ``lossy`` leaves out what DVC cannot say.
        """
        from dver.ops.migration.exportdvc import ExportDvcOptions, export_dvc

        where = None if directory is None else os.fspath(directory)
        asked = ExportDvcOptions(where, texts(paths), rev, remote, lossy)
        with self._handle.opened() as repo:
            return export_dvc(repo, asked, self._handle.reporter)


class MigrateGroup(Group):
    """The verbs of ``dver migrate``."""

    def dvc(
        self,
        *paths: PathLike,
        dry_run: bool = False,
        rewrite_history: bool = False,
        stage: bool | None = None,
        workers: int | None = None,
        trust: bool = False,
    ) -> MigrateDvcResult:
        """Take over data that DVC tracks; nothing of DVC's is deleted.

        ``trust`` agrees to read from the remotes that DVC's committed settings lead to.
        """
        from dver.ops.migration.dvc import MigrateDvcOptions, migrate_dvc

        asked = MigrateDvcOptions(texts(paths), dry_run, rewrite_history, stage, workers, trust)
        with self._handle.opened(initialised=False) as repo:
            return migrate_dvc(repo, asked, self._handle.reporter)

    def lfs(
        self,
        *paths: PathLike,
        dry_run: bool = False,
        stage: bool = True,
        workers: int | None = None,
        fetch: bool = False,
    ) -> MigrateLfsResult:
        """Take over data that git-lfs tracks; nothing of git-lfs's is deleted.

        ``fetch`` has git-lfs bring what is not here first.
        """
        from dver.ops.migration.lfs import MigrateLfsOptions, migrate_lfs

        asked = MigrateLfsOptions(texts(paths), dry_run, stage, workers, fetch)
        with self._handle.opened(initialised=False) as repo:
            return migrate_lfs(repo, asked, self._handle.reporter)
