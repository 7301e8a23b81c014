"""Which objects a path, at some revisions, or an oid means."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, MissingContentError, NotFoundError, UsageError
from dver.base.oid import Oid, format_oid, parse_oid
from dver.base.quoting import show
from dver.formats import pack
from dver.formats.tree import DIRECTORY
from dver.ops.targets.select import select
from dver.ops.targets.sources import RemoteBehind
from dver.ops.upkeep.recorded import versions
from dver.store import walk

if TYPE_CHECKING:
    from dver.repo import Repo

_TREES = (pack.TREE, pack.TREE_LIST)


@dataclass(frozen=True, slots=True)
class Named:
    """One version of some content: "file" or "tree", its size in bytes if known, and a path.

    ``path`` is None for an oid that no version here names as a whole.
    """

    oid: Oid
    kind: str
    size: int | None
    path: str | None


def named_content(
    repo: Repo, what: Sequence[str], revisions: Sequence[str], *, every: bool
) -> list[Named]:
    """Return the distinct content that some words name.

    A word is an oid, with or without ``blake3:``, or a path, as for ``get``: at each of the
    revisions, with ``every`` in all of history, else as the workspace's pointers say.
    Raises NotFoundError for what no version has, and UsageError for an empty file.
    """
    found: dict[Oid, Named] = {}
    paths = []
    for word in what:
        try:
            oid = parse_oid(word)
        except ValueError:
            paths.append(word)
            continue
        found[oid] = _by_oid(repo, oid)
    if (revisions or every) and not paths:
        raise UsageError("revisions say which version of a path is meant, and no path was named")
    for path in paths:
        for one in _by_path(repo, path, revisions, every=every):
            found.setdefault(one.oid, one)
    for one in found.values():
        if one.size == 0 and one.kind == "file":
            raise UsageError(f"{_shown(one)} is empty: there is nothing in it")
    return list(found.values())


def _shown(one: Named) -> str:
    return format_oid(one.oid) if one.path is None else show(one.path)


def _by_oid(repo: Repo, oid: Oid) -> Named:
    for version in versions(repo)[0]:
        if version.pointer.oid == oid:
            pointer = version.pointer
            return Named(oid, pointer.kind, pointer.size, repo.display(version.path))
    place = repo.store.place(oid)
    if place is None:
        # Whoever names it by its oid knows it from elsewhere; a directory would have a pointer.
        return Named(oid, "file", None, None)
    size = None
    with suppress(CorruptError, MissingContentError):
        size = repo.store.size(oid)
    return Named(oid, "tree" if place.kind in _TREES else "file", size, None)


def _by_path(repo: Repo, path: str, revisions: Sequence[str], *, every: bool) -> list[Named]:
    found = []
    absent = True
    with RemoteBehind(repo) as source:
        for version in select(repo, (path,), revisions, every=every, head=False).versions:
            pointer = version.pointer
            if not version.inside:
                name = repo.display(version.path)
                found.append(Named(pointer.oid, pointer.kind, pointer.size, name))
                continue
            for part in version.inside:
                try:
                    entry = walk.find(source, pointer.oid, part)
                except MissingContentError:
                    if not every:
                        raise
                    continue
                if entry is not None:
                    kind = "tree" if entry.kind == DIRECTORY else "file"
                    name = repo.display(version.path + b"/" + part)
                    found.append(Named(entry.oid, kind, entry.size, name))
        absent = not found
    if absent:
        raise NotFoundError(f"no version that was asked for has {show(path)}", hint="dver log PATH")
    return found
