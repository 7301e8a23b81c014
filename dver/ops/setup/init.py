"""Set dver up in a git repository: the committed configuration file and the local store."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import RefusedError, RepositoryError
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats import storeinfo
from dver.repo.layout import COMMITTED_CONFIG

if TYPE_CHECKING:
    from dver.repo import Repo

CONFIG_TEXT = b"""\
# dver is set up in this repository: commit this file.
# It holds the settings that everybody shares; 'dver remote add' writes here.
"""


@dataclass(frozen=True, slots=True)
class InitOptions:
    """There is nothing to choose yet; the class keeps the shape of every other operation."""


@dataclass(frozen=True, slots=True)
class InitResult:
    """What was set up.

    ``root`` is the absolute path of the git work tree, which is set up as a whole;
    ``below_root`` says that the command was run in a sub-directory of it. ``config`` is the
    committed file, relative to where the user stands; ``store`` the absolute path of the local
    store. ``created`` is False when everything was there already.
    """

    root: str
    config: str
    store: str
    created: bool
    below_root: bool


# Every operation takes options.
def init(repo: Repo, options: InitOptions, reporter: Reporter) -> InitResult:  # noqa: ARG001
    """Write ``.dver/config.yaml`` and create the local store, whichever is missing.

    Nothing that exists is changed. Raises RepositoryError in a bare repository.
    """
    if repo.git.is_bare:
        raise RepositoryError(
            "a bare repository has no working tree that dver could be set up in",
            hint=f"git clone {show(repo.root)}, and run 'dver init' in the clone",
        )
    wrote_config = False
    if not repo.is_initialised:
        wrote_config = _write_config(repo, reporter)
    made_store = not os.path.lexists(os.path.join(repo.store_path, storeinfo.KEY))
    _ = repo.store
    return InitResult(
        root=str(repo.root),
        config=repo.display(COMMITTED_CONFIG),
        store=str(repo.store_path),
        created=wrote_config or made_store,
        below_root=repo.cwd != repo.root,
    )


def _write_config(repo: Repo, reporter: Reporter) -> bool:
    path = repo.layout.committed_config
    if os.path.lexists(path.parent) and (path.parent.is_symlink() or not path.parent.is_dir()):
        raise RefusedError(
            f"{show(path.parent)} is in the way: it is not a directory",
            hint="move it elsewhere and run 'dver init' again",
        )
    wrote = fsio.write_atomic(path, CONFIG_TEXT, replace=False)
    repo.config.reload()
    if repo.git.is_ignored([COMMITTED_CONFIG])[0]:
        reporter.warn(
            f"git ignores {show(repo.display(COMMITTED_CONFIG))}, so that it would not be shared",
            hint=f"git add --force {show(repo.display(COMMITTED_CONFIG))}",
        )
    return wrote
