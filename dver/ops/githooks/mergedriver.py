"""What git runs to merge a pointer that both sides changed (``merge=dver`` in gitattributes)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dver.base import fsio
from dver.base.dataclass import dataclass
from dver.base.errors import ConfigError, DverError, FormatError, MissingContentError
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats import conflict, pointer
from dver.git.pointers import data_path, is_pointer_path
from dver.ops.githooks.merging import merge_origins, merge_pointers, store_trees
from dver.ops.targets.sources import RemoteBehind
from dver.ops.targets.target import decode_at, read_pointer

if TYPE_CHECKING:
    from dver.repo import Repo

#: How many paths in conflict are named.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class DriverOptions:
    """The files that git gives: the ancestor's version, ours, which the result goes to, and theirs.

    ``path`` is where the pointer lies in the repository.
    """

    base: str
    ours: str
    theirs: str
    path: str


@dataclass(frozen=True, slots=True)
class DriverResult:
    """Whether the pointer could be merged; else it holds both sides between conflict markers."""

    merged: bool
    conflicts: tuple[str, ...] = ()


def merge_driver(repo: Repo, options: DriverOptions, reporter: Reporter) -> DriverResult:
    """Merge one pointer; write the merged one, or both sides between conflict markers, to ours.

    Lists of files that are not here are read from the default remote, if the user has agreed to
    it. Raises FormatError for what is no pointer: git's own merge is for that.
    """
    where = repo.root
    base, ours, theirs = (
        read_pointer(os.path.join(os.fsencode(where), os.fsencode(name))) or b""
        for name in (options.base, options.ours, options.theirs)
    )
    path = os.fsencode(options.path)
    target = data_path(path) if is_pointer_path(path) else path
    left, right = decode_at(target, ours), decode_at(target, theirs)
    try:
        before = decode_at(target, base) if base else None
    except FormatError:
        before = None
    names: tuple[str, ...] = ()
    try:
        with repo.store.hold(), _source(repo) as source:
            repo.store.refresh()
            merge = merge_pointers(source, before, left, right)
            origin = merge_origins(base, ours, theirs, None)
            if not merge.conflicts and origin is not None:
                store_trees(repo.store, [merge])
                _write(repo, options.ours, pointer.encode(merge.pointer) + origin)
                return DriverResult(True)
            shown = [target + b"/" + one.path if one.path else target for one in merge.conflicts]
            names = tuple(repo.display(one) for one in shown)
            what = _listed(names) if names else "where it was imported from"
            reason = f"both sides changed {what}"
    except DverError as error:
        reason = f"the two sides could not be compared: {error.message}"
        if isinstance(error, MissingContentError):
            reason = "the list of files of a side is not here"
    _write(repo, options.ours, conflict.put_together(ours, base, theirs))
    name = show(repo.display(target))
    reporter.warn(f"{name}: {reason}", hint=f"dver resolve [--ours|--theirs|--both] {name}")
    return DriverResult(False, names)


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(show(name) for name in names[:_NAMED]) + more


def _source(repo: Repo) -> RemoteBehind:
    """Return the local store, and behind it the default remote if the user has agreed to it."""
    from dver.config.remotes import require_trusted

    trusted = repo.config.default_remote() is not None
    if trusted:
        try:
            require_trusted(repo.config, repo.remote_settings())
        except ConfigError:
            trusted = False
    return RemoteBehind(repo, local_only=not trusted)


def _write(repo: Repo, name: str, data: bytes) -> None:
    # git reads the file that it gave, by its name, as soon as this process has ended.
    fsio.write_atomic(os.path.join(repo.root, name), data, durable=False)
