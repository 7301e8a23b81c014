"""Working with data: what ``dver add``, ``status``, ``checkout`` and their like do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dver.python.sessions import PathLike
from dver.python.verbs.handle import Handle, texts

if TYPE_CHECKING:
    from dver.ops.data.add import AddResult
    from dver.ops.data.checkout import CheckoutResult
    from dver.ops.data.diff import DiffResult
    from dver.ops.data.mv import MvResult
    from dver.ops.data.rm import RmResult
    from dver.ops.data.status import StatusResult
    from dver.ops.githooks.resolve import ResolveResult
    from dver.ops.setup.init import InitResult
    from dver.store.treemerge import Choice


class DataVerbs(Handle):
    """Methods that work with data in the work tree."""

    def init(self) -> InitResult:
        """Set dver up in the git repository, as ``dver init``; again changes nothing."""
        from dver.ops.setup.init import InitOptions, init

        with self.opened(initialised=False) as repo:
            return init(repo, InitOptions(), self.reporter)

    def add(
        self,
        *paths: PathLike,
        update: bool = False,
        replace: bool = False,
        stage: bool | None = None,
        workers: int | None = None,
    ) -> AddResult:
        """Start tracking files and directories, or record their present state: ``dver add``.

        ``update`` takes all that is tracked already; ``replace`` drops from a directory what was
        never brought here; ``stage`` says whether to ``git add`` the pointers (None: as
        ``core.autostage`` says). Raises NotFoundError, RefusedError.
        """
        from dver.ops.data.add import AddOptions, add

        asked = AddOptions(
            texts(paths), update=update, replace=replace, stage=stage, workers=workers
        )
        with self.opened() as repo:
            return add(repo, asked, self.reporter)

    def status(
        self,
        *paths: PathLike,
        remote: str | None = None,
        no_remote: bool = False,
        details: int | None = None,
        steps: bool = False,
    ) -> StatusResult:
        """Return what has changed, what is missing here and what is not pushed: ``dver status``.

        ``details`` is how many changed files to name for each target, and ``steps`` asks for those
        of the pipeline that are stale.
        """
        from dver.ops.data.status import StatusOptions, status

        asked = StatusOptions(texts(paths), remote, no_remote, details, steps)
        with self.opened() as repo:
            return status(repo, asked, self.reporter)

    def diff(
        self,
        old: str | None = None,
        new: str | None = None,
        *,
        paths: tuple[PathLike, ...] = (),
        renames: bool = True,
    ) -> DiffResult:
        """Return which files differ between two versions: ``dver diff``.

        Without revisions the work tree is compared with its pointers, with ``old`` alone with that
        revision.
        """
        from dver.ops.data.diff import DiffOptions, diff

        revisions = tuple(one for one in (old, new) if one is not None)
        asked = DiffOptions(revisions, texts(paths), renames)
        with self.opened() as repo:
            return diff(repo, asked, self.reporter)

    def checkout(
        self,
        rev: str | None = None,
        *paths: PathLike,
        force: bool = False,
        link: str | None = None,
        keep_edited: bool = False,
    ) -> CheckoutResult:
        """Bring the workspace in line with the pointers, or with a revision: ``dver checkout``.

        ``rev`` None is the pointers of the work tree. ``link`` is a link mode. Data that is not in
        the store is never overwritten without ``force``: RefusedError, or with ``keep_edited`` it
        stays and the rest is done.
        """
        from dver.ops.data.checkout import CheckoutOptions, checkout

        asked = CheckoutOptions(rev, texts(paths), force, link, keep_edited)
        with self.opened() as repo:
            return checkout(repo, asked, self.reporter)

    def mv(self, *sources: PathLike, destination: PathLike, stage: bool | None = None) -> MvResult:
        """Move or rename tracked data: ``dver mv``."""
        from dver.ops.data.mv import MvOptions, mv

        asked = MvOptions(texts(sources), os.fspath(destination), stage)
        with self.opened() as repo:
            return mv(repo, asked, self.reporter)

    def rm(
        self,
        *paths: PathLike,
        keep_data: bool = False,
        force: bool = False,
        stage: bool | None = None,
    ) -> RmResult:
        """Stop tracking data and remove it from the workspace: ``dver rm``.

        ``keep_data`` leaves the files; ``force`` removes what is not in the store as well.
        """
        from dver.ops.data.rm import RmOptions, rm

        with self.opened() as repo:
            return rm(repo, RmOptions(texts(paths), keep_data, force, stage), self.reporter)

    def resolve(
        self,
        *paths: PathLike,
        choice: Choice | None = None,
        remote: str | None = None,
        stage: bool | None = None,
    ) -> ResolveResult:
        """Settle pointers that a merge left in conflict: ``dver resolve``."""
        from dver.ops.githooks.resolve import ResolveOptions, resolve

        asked = ResolveOptions(texts(paths), choice, remote, stage)
        with self.opened() as repo:
            return resolve(repo, asked, self.reporter)
