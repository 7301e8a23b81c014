"""Which versions of which targets ``push``, ``fetch`` and ``pull`` are about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from dver.base.dataclass import dataclass
from dver.base.errors import FormatError
from dver.formats.pointer import UNSEEN, Pointer, origin_lines
from dver.git.history import history
from dver.git.pointers import data_path, read_blobs
from dver.git.revisions import RevRange
from dver.ops.targets.scope import Scope
from dver.ops.targets.versions import decode_pointer, no_such_path, typed_path, version_at

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class Selected:
    """One version of one target, or with ``inside`` only of those paths below it.

    ``commit`` is the commit whose pointer it is; it is empty for the work tree's. ``required``
    tells a version that was asked for from one that comes along if it can. ``origin`` are the
    lines that say where it was imported from, b"" if it was not.
    """

    path: bytes
    pointer: Pointer
    inside: tuple[bytes, ...] = ()
    commit: str = ""
    required: bool = True
    origin: bytes = b""

    @property
    def is_import(self) -> bool:
        """Whether this very content was imported, so that its source may have it."""
        from dver.formats import origin as origins

        try:
            found = origins.decode(self.origin)
        except FormatError:
            return False
        return found is not None and found.oid == self.pointer.oid


@dataclass(slots=True)
class Selection:
    """Distinct versions, and the commits whose pointers are all among them.

    ``paths`` are the data paths that were typed, none for everything. ``broken`` says which
    pointers in history cannot be read; those of the work tree or a single revision raise.
    ``unseen`` are targets that were imported and never downloaded by anybody.
    """

    paths: tuple[bytes, ...] = ()
    versions: list[Selected] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    unseen: list[bytes] = field(default_factory=list)
    _seen: set[tuple[bytes, Pointer, tuple[bytes, ...]]] = field(default_factory=set)

    def add(self, version: Selected) -> None:
        """Take a version, unless the same was taken before; of content nobody saw, its path."""
        if version.pointer.oid == UNSEEN:
            self.unseen.append(version.path)
            return
        key = version.path, version.pointer, version.inside
        if key not in self._seen:
            self._seen.add(key)
            self.versions.append(version)


def select(
    repo: Repo,
    paths: Sequence[str],
    revisions: Sequence[str],
    *,
    every: bool,
    head: bool,
    commits: RevRange | None = None,
) -> Selection:
    """Return the versions that some typed paths and revisions ask for.

    Without revisions they are those of the work tree, and with ``head`` those of HEAD as well;
    ``every`` adds all that any ref reaches. ``commits`` takes what those changed instead. Raises
    NotFoundError for an unknown revision and for a path that none of the versions tracks,
    FormatError for a broken pointer.
    """
    typed = tuple(dict.fromkeys(typed_path(repo, path) for path in paths))
    scope = Scope(typed)
    selection = Selection(typed)
    if commits is not None:
        _add_history(repo, selection, scope, commits.args())
        return selection
    if every or not revisions:
        if not repo.git.is_bare:
            _add_version(repo, selection, scope, None)
        if (head or repo.git.is_bare) and repo.git.head() is not None:
            _add_version(repo, selection, scope, "HEAD", older=False)
    for revision in revisions:
        if ".." in revision:
            _add_history(repo, selection, scope, repo.git.resolve_range(revision).args())
        else:
            _add_version(repo, selection, scope, revision)
    if every:
        heads = ["HEAD"] if repo.git.head() is not None else []
        _add_history(repo, selection, scope, ["--all", *heads])
        if not typed:
            selection.commits += [ref.commit for ref in repo.git.refs() if ref.commit]
    unmatched = scope.unmatched()
    if unmatched:
        rev = revisions[0] if revisions and ".." not in revisions[0] else None
        raise no_such_path(repo, version_at(repo, rev), unmatched[0])
    return selection


def add_older(repo: Repo, selection: Selection, known: Iterable[str]) -> None:
    """Add the versions in HEAD's history, as not required; ``known`` commits need no look."""
    if repo.git.head() is not None:
        revs = ["--ignore-missing", "HEAD", *(f"^{commit}" for commit in known)]
        scope = Scope(selection.paths)
        _add_history(repo, selection, scope, revs, required=False)


def _add_version(
    repo: Repo, selection: Selection, scope: Scope, rev: str | None, *, older: bool = True
) -> None:
    version = version_at(repo, rev, scope, older=older)
    for path, pointer in sorted(version.pointers.items()):
        inside = _inside(scope, path, pointer)
        if inside is not None:
            lines = version.origins.get(path, b"")
            selection.add(Selected(path, pointer, inside, version.commit or "", origin=lines))
    if version.commit is not None and not selection.paths:
        selection.commits.append(version.commit)


def _add_history(
    repo: Repo, selection: Selection, scope: Scope, revs: Sequence[str], *, required: bool = True
) -> None:
    under = scope.paths or (b"",)
    changes = [
        change
        for change in history(repo.git, revs, under, ancestors=True)
        if change.blob is not None
    ]
    blobs = read_blobs(repo.git, (change.blob for change in changes if change.blob))
    for change in changes:
        path = data_path(change.path)
        where = f" at {change.commit.id[:10]}"
        try:
            pointer = decode_pointer(repo, change.path, blobs[change.blob or ""], where)
        except FormatError as error:
            selection.broken.append(error.message)
            continue
        inside = _inside(scope, path, pointer)
        if inside is not None:
            lines = origin_lines(blobs[change.blob or ""])
            selection.add(Selected(path, pointer, inside, change.commit.id, required, lines))


def _inside(scope: Scope, path: bytes, pointer: Pointer) -> tuple[bytes, ...] | None:
    """Return what of a target is selected: None for nothing, () for all of it."""
    inside = scope.inside(path)
    if not inside:
        return inside
    if pointer.kind != "tree":
        return None
    # Whether the tree has these paths is seen when it is read.
    scope.matched([path + b"/" + part for part in inside])
    return inside
