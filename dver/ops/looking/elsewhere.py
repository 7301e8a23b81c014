"""Another repository, by its URL or its path, opened only to read pointers and find its remote."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dver.base.clearing import clear_away
from dver.base.dataclass import dataclass
from dver.base.errors import RemoteError
from dver.git.clone import clone_bare
from dver.repo import Repo
from dver.store.store import Store

#: The name under which a remote is known that was given by its URL alone.
GIVEN = "given"
#: What ties git to the repository that we stand in.
_TIES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
)
#: What no branch or tag is called: abbreviated or full ids may be, and are tried as such first.
_EXPRESSION = re.compile(r"[~^:@{}\s]|\.\.|^-")


def given_remote(url: str, cwd: Path) -> tuple[str, str]:
    """Return the setting of a remote that was given by its URL; a path is as seen from ``cwd``."""
    typed = url if "://" in url else os.path.abspath(os.path.join(cwd, url))
    return f"remote.{GIVEN}.url", typed


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another repository and the full id of the commit that was asked for.

    ``store`` is its local store, to be read only, if it is on this machine and has one.
    """

    repo: Repo
    commit: str
    store: Store | None


@contextlib.contextmanager
def open_elsewhere(
    url: str,
    rev: str | None,
    scratch: Path,
    environ: Mapping[str, str],
    *,
    overrides: Sequence[tuple[str, str]] = (),
) -> Iterator[Elsewhere]:
    """Open the repository at a git URL or a local path, at a revision or its HEAD.

    A URL is cloned without a working tree into ``scratch``, with as little history and as few
    files as the server can be made to send. ``overrides`` are settings that beat those of the
    other repository, as (key, value). Raises RemoteError if that fails, and NotFoundError for an
    unknown revision.
    """
    env = {name: value for name, value in environ.items() if name not in _TIES}
    local = _local_path(url)
    where = local or scratch / "clone.git"
    if local is None:
        _clone(url, rev, where, env)
    with contextlib.ExitStack() as stack:
        repo = _open(where, env, overrides)
        stack.callback(repo.close)
        commit = _resolve(repo, rev)
        if local is None:
            # The settings of the clone are those of the commit that was asked for.
            repo.git.run("update-ref", "--no-deref", "HEAD", commit)
        yield Elsewhere(repo, commit, _store_of(repo, stack))


def _local_path(url: str) -> Path | None:
    path = url.removeprefix("file://")
    return Path(path).resolve() if os.path.isdir(path) else None


def _open(path: Path, env: Mapping[str, str], overrides: Sequence[tuple[str, str]]) -> Repo:
    repo = Repo.open(path, overrides=overrides, environ=env)
    if repo.root == path:
        return repo
    root = repo.root
    repo.close()
    return Repo.open(root, overrides=overrides, environ=env)


def _resolve(repo: Repo, rev: str | None) -> str:
    # A shallow clone of one branch has it under its full name only where it is HEAD.
    if rev is not None and repo.git.is_shallow:
        return repo.git.resolve("HEAD")
    return repo.git.resolve(rev or "HEAD")


def _store_of(repo: Repo, stack: contextlib.ExitStack) -> Store | None:
    """Open the local store of a repository if there is one; never make one."""
    from dver.storage.local import LocalStorage

    if not (repo.store_path / "format.json").exists():
        return None
    store = Store.open(LocalStorage(repo.store_path))
    stack.callback(store.close)
    return store


def _clone(url: str, rev: str | None, where: Path, env: Mapping[str, str]) -> None:
    """Make a bare clone with the commit that a revision names."""
    # One commit is enough if the server knows the revision by name.
    if rev is None or not _EXPRESSION.search(rev):
        try:
            clone_bare(url, where, ref=rev, newest=True, environ=env)
        except RemoteError:
            if rev is None:
                raise
            clear_away(where, ignore_errors=True)
        else:
            return
    clone_bare(url, where, environ=env)
