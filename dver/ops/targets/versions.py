"""The pointers of one version: of the work tree, or of any revision."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import DverError, FormatError, NotFoundError
from dver.base.quoting import show
from dver.formats.pointer import Pointer, origin_lines
from dver.formats.tree import DIRECTORY, Entry
from dver.git.pointers import (
    at_revision,
    data_path,
    in_workspace,
    is_pointer_path,
    read_blobs,
)
from dver.ops.targets import naming
from dver.ops.targets.scope import Scope
from dver.ops.targets.target import broken_hint, decode_at, read_pointer
from dver.store import walk
from dver.store.walk import TreeSource
from dver.workspace.building import entry_of

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class Version:
    """Pointers by the path of their data; ``commit`` is None for those in the work tree.

    ``origins`` are the lines that say where imported data came from.
    """

    rev: str | None
    commit: str | None
    pointers: Mapping[bytes, Pointer]
    origins: Mapping[bytes, bytes] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What to call this version in a message."""
        return "the work tree" if self.rev is None else self.rev


@dataclass(frozen=True, slots=True)
class Located:
    """A path of a version: its target and pointer, and where it lies inside (b"" = the target)."""

    path: bytes
    target: bytes
    pointer: Pointer
    inside: bytes


def version_at(
    repo: Repo, rev: str | None, scope: Scope | None = None, *, older: bool = True
) -> Version:
    """Read the pointers of a revision, or with None of the work tree, that a scope selects.

    In a bare repository, which has no work tree, None means HEAD.
    Raises NotFoundError for an unknown revision and FormatError for a broken pointer.
    """
    under = (b"",) if scope is None or not scope.paths else scope.paths
    if rev is None and repo.git.is_bare:
        rev = "HEAD"
    if rev is None:
        return Version(None, None, *_in_work_tree(repo, under))
    return version_of(repo, rev, repo.git.resolve(rev), under, older=older)


def version_of(
    repo: Repo, rev: str, commit: str, under: Sequence[bytes], *, older: bool = True
) -> Version:
    """Read the pointers of a commit at, below and above some paths; ``rev`` is what to call it.

    A commit from before dver has those that what DVC or git-lfs versioned translates to, which can
    mean to read it; not with ``older`` off.
    """
    files = at_revision(repo.git, commit, under, ancestors=True)
    blobs = read_blobs(repo.git, (blob for _, blob in files))
    found = {
        data_path(path): decode_pointer(repo, path, blobs[blob], f" at {rev}")
        for path, blob in files
    }
    if not found and older:
        from dver.ops.migration.translating import pointers_at

        found = pointers_at(repo, rev, commit, under)
    lines = {data_path(path): origin_lines(blobs[blob]) for path, blob in files}
    return Version(rev, commit, found, {path: one for path, one in lines.items() if one})


def _in_work_tree(
    repo: Repo, under: tuple[bytes, ...]
) -> tuple[dict[bytes, Pointer], dict[bytes, bytes]]:
    """Return the pointers, and the origin lines of those that have any."""
    root = os.fsencode(repo.root)
    found = {}
    lines = {}
    for file in in_workspace(repo.git, under, ancestors=True):
        with _named(repo, file.path):
            data = read_pointer(os.path.join(root, file.path))
        if data is not None:
            found[data_path(file.path)] = decode_pointer(repo, file.path, data)
            if own := origin_lines(data):
                lines[data_path(file.path)] = own
    return found, lines


def decode_pointer(repo: Repo, path: bytes, data: bytes, where: str = "") -> Pointer:
    """Parse a pointer file's content. The error says which file, and ``where`` it was read."""
    with _named(repo, path, where):
        return decode_at(data_path(path), data)


@contextlib.contextmanager
def _named(repo: Repo, path: bytes, where: str = "") -> Iterator[None]:
    try:
        yield
    except FormatError as error:
        shown = show(repo.display(path))
        raise FormatError(
            f"the pointer {shown}{where} is broken: {error.message}",
            hint=error.hint or broken_hint(shown),
        ) from error


def typed_path(repo: Repo, arg: str) -> bytes:
    """Return the data path that a typed path means; a pointer file means its data."""
    path: bytes = repo.locate(arg)
    return data_path(path) if is_pointer_path(path) else path


def find_located(version: Version, path: bytes) -> Located | None:
    """Return the target that a path is or lies in, or None."""
    target = naming.holder(version.pointers.keys(), path)
    if target is None:
        return None
    return Located(path, target, version.pointers[target], path[len(target) + 1 :])


def locate(repo: Repo, version: Version, path: bytes) -> Located:
    """Return the target that a path is or lies in. Raises NotFoundError if there is none."""
    found = find_located(version, path)
    if found is None:
        raise no_such_path(repo, version, path)
    return found


def no_such_path(repo: Repo, version: Version, path: bytes) -> NotFoundError:
    """Return the error for a path that a version does not have."""
    targets = version.pointers or version_at(repo, version.rev).pointers
    error = naming.not_found(
        f"{version.label} does not track", path, str(repo.root), targets, repo.display
    )
    error.hint = _meant_version(repo, version, path) or error.hint
    return error


def entry_at(repo: Repo, version: Version, located: Located, source: TreeSource) -> Entry:
    """Return the entry at a located path. Raises NotFoundError if its target lacks that path."""
    entry = entry_of(located.pointer, located.target.rpartition(b"/")[2])
    if not located.inside:
        return entry
    found = None
    if entry.kind == DIRECTORY:
        found = walk.find(source, entry.oid, located.inside)
    if found is None:
        raise NotFoundError(
            f"{version.label} does not have {show(repo.display(located.path))}",
            hint=_meant_version(repo, version, located.path)
            or f"dver ls{_rev_option(version)} -R {show(repo.display(located.target))}",
        )
    return found


def _meant_version(repo: Repo, version: Version, path: bytes) -> str | None:
    """Return the hint for a path that was typed as PATH@REV, or as REV alone, for ``--rev``."""
    name, at, rev = path.rpartition(b"@")
    if version.rev is None and path and repo.git.is_revision(os.fsdecode(path)):
        return f"'--rev {show(path)}' names that version"
    if version.rev is not None or not at or not name or not rev:
        return None
    try:
        repo.git.resolve(os.fsdecode(rev))
    except DverError:
        return None
    return f"'--rev {show(rev)} {show(repo.display(name))}' names that version"


def _rev_option(version: Version) -> str:
    return "" if version.rev is None else f" --rev {version.rev}"
