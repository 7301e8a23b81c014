"""Who still refers to some content: versions, branches, records, stashes, other repositories."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.base.oid import Oid, format_oid
from dver.formats import pointer as pointers
from dver.formats import record, recordpath
from dver.git.history import history
from dver.git.pointers import data_path, in_workspace, read_blobs
from dver.git.repository import Git
from dver.lineage.finding import all_revisions, record_files
from dver.ops.targets.target import read_pointer
from dver.ops.upkeep.gc import pointer_contents
from dver.store.affected import Affected
from dver.store.store import Store

if TYPE_CHECKING:
    from dver.repo import Repo

What = Literal["workspace", "commit", "record", "repository"]
#: So many commits are asked about at once when it is found out which branches have them.
_MOST_COMMITS = 500
#: So many paths inside a directory are named.
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Reference:
    """One thing that refers to the content.

    ``path`` is the tracked path (of a ``workspace`` pointer, or of the pointer that a ``commit``
    set to this version), the path of a ``record``, or the git directory of another ``repository``
    that shares the store. ``inside`` are paths below it, () if it is the very content; ``more``
    counts those that are not named. ``commit`` is in full hex.
    """

    what: What
    path: str
    commit: str | None = None
    inside: tuple[str, ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class Referring:
    """All that refers to the content.

    ``branches`` are the branches, remote branches, tags and other refs whose history has such a
    commit. ``reflog_only`` counts commits that no ref reaches: of reflogs and older stashes.
    """

    references: tuple[Reference, ...]
    branches: tuple[str, ...]
    reflog_only: int = 0


def referring(
    repo: Repo, store: Store, named: Sequence[Oid], others: Sequence[Git] = ()
) -> Referring:
    """Find what refers to some objects; ``others`` are repositories that share the store.

    A directory whose listing is not in the local store cannot be looked into, and counts only if
    it is named itself.
    """
    tracer = Affected(store, [named], shown=_SHOWN)
    found = [*_in_workspace(repo, tracer), *_in_commits(repo, tracer)]
    commits = list(dict.fromkeys(one.commit for one in found if one.commit is not None))
    branches, reached = _branches(repo.git, commits)
    found += _in_records(repo, tracer, named)
    for git in others:
        if any(_touches(tracer, data) for data in pointer_contents(git)):
            found.append(Reference("repository", os.fspath(git.common_dir)))
    return Referring(tuple(found), branches, len(commits) - reached)


def _reference(
    repo: Repo, tracer: Affected, what: What, path: bytes, data: bytes, commit: str | None
) -> Reference | None:
    try:
        one = pointers.decode(data)
    except FormatError:
        return None
    harm = tracer.of(one.oid, one.kind).get(0)
    if harm is None:
        return None
    inside = tuple(repo.display(path + b"/" + part.rstrip(b"/")) for part in harm.paths if part)
    more = harm.count - len(inside) if inside else 0
    return Reference(what, repo.display(path), commit, inside, more)


def _in_workspace(repo: Repo, tracer: Affected) -> Iterator[Reference]:
    for file in in_workspace(repo.git):
        try:
            data = read_pointer(repo.absolute(file.path))
        except FormatError:
            continue
        path = data_path(file.path)
        found = data and _reference(repo, tracer, "workspace", path, data, None)
        if found:
            yield found


def _in_commits(repo: Repo, tracer: Affected) -> Iterator[Reference]:
    revs = [*all_revisions(repo), "--reflog"]
    changes = [change for change in history(repo.git, revs) if change.blob is not None]
    contents = read_blobs(repo.git, (change.blob or "" for change in changes))
    for change in changes:
        data = contents[change.blob or ""]
        path = data_path(change.path)
        found = _reference(repo, tracer, "commit", path, data, change.commit.id)
        if found is not None:
            yield found


def _branches(git: Git, commits: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """Return the refs whose history has any of some commits, and how many of these any ref has."""
    if not commits:
        return (), 0
    asked = [arg for one in commits[:_MOST_COMMITS] for arg in ("--contains", one)]
    out = git.run("for-each-ref", "--format=%(refname)", *asked)
    names = tuple(
        name.removeprefix("refs/heads/").removeprefix("refs/")
        for name in os.fsdecode(out).splitlines()
        # What 'HEAD' of a remote stands for is told by that branch.
        if not name.endswith("/HEAD")
    )
    unreached = git.run("rev-list", "--stdin", "--not", "--all", stdin=_lines(commits))
    return names, len(set(commits).difference(unreached.decode().split()))


def _lines(words: Sequence[str]) -> bytes:
    return "".join(f"{word}\n" for word in words).encode()


def _in_records(repo: Repo, tracer: Affected, named: Sequence[Oid]) -> Iterator[Reference]:
    texts = [format_oid(oid).encode() for oid in named]
    for path, data, commit in record_files(repo, all_revisions(repo)):
        touched = any(text in data for text in texts)
        if not touched and recordpath.id_of(path) is not None:
            try:
                kept = record.decode(data).keep
            except FormatError:
                continue
            touched = bool(tracer.of(kept.oid, "tree"))
        if touched:
            yield Reference("record", repo.display(path), commit or None)


def _touches(tracer: Affected, data: bytes) -> bool:
    try:
        one = pointers.decode(data)
    except FormatError:
        return False
    return bool(tracer.of(one.oid, one.kind))
