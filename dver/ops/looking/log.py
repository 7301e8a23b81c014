"""Every version of some data across git history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Literal

from dver.base import clock
from dver.base.dataclass import dataclass
from dver.base.errors import (
    CorruptError,
    DverError,
    FormatError,
    MissingContentError,
    NotFoundError,
)
from dver.base.oid import format_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter, Task
from dver.formats import pointer as pointers
from dver.formats.tree import DIRECTORY, Entry
from dver.git.history import PointerChange, file_history, history
from dver.git.pointers import data_path, read_blobs
from dver.git.renames import origins
from dver.ops.targets import naming
from dver.ops.targets.kinds import KindWord, kind_word
from dver.ops.targets.scope import Scope
from dver.ops.targets.versions import entry_at, find_located, typed_path, version_at
from dver.store import walk
from dver.workspace.building import entry_of

if TYPE_CHECKING:
    from dver.ops.migration.foreignlog import ForeignLog
    from dver.repo import Repo

ChangeWord = Literal["added", "modified", "removed", "renamed"]


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Whose versions to list, and from where.

    ``path`` is a target, its pointer, a path inside a tracked directory, or a directory that holds
    targets; it may be gone by now, and None is all there is. ``revisions`` are as for ``git log``
    (ranges too), HEAD if there are none; ``all`` starts from every ref. ``max_count`` stops after
    that many versions. ``follow`` goes on under the old name where a pointer was renamed.
    """

    path: str | None = None
    revisions: tuple[str, ...] = ()
    all: bool = False
    max_count: int | None = None
    follow: bool = True


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One commit that changed the data.

    ``date`` is the author date in UTC, ISO 8601. ``path`` is the data's path at that commit and
    ``old_path`` the one before, if it was renamed. ``oid`` (text form), ``kind``, ``size`` (bytes)
    and ``files`` are None after a removal and where ``problem`` says why they cannot be known (a
    broken pointer, a tree that is missing here). The deltas are against the version in the
    commit's first parent, None if there is none to compare with.
    """

    commit: str
    date: str
    author: str
    email: str
    subject: str
    path: str
    change: ChangeWord
    kind: KindWord | None
    oid: str | None
    size: int | None
    files: int | None
    old_path: str | None = None
    size_delta: int | None = None
    files_delta: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class LogResult:
    """The versions, newest first. ``shallow`` warns that older history is not in this clone."""

    path: str
    entries: tuple[LogEntry, ...]
    shallow: bool = False


@dataclass(frozen=True, slots=True)
class _Step:
    """One change of one pointer, with where the asked-for path lies inside its data."""

    change: PointerChange
    inside: bytes
    old_path: bytes | None = None


def log(repo: Repo, options: LogOptions, reporter: Reporter) -> LogResult:
    """List every version of some data. Raises NotFoundError if it was never tracked."""
    path = b"" if options.path is None else typed_path(repo, options.path)
    revisions = _revisions(repo, options)
    steps = _steps(repo, revisions, path, follow=options.follow)
    older = _older(repo, revisions, path)
    if older is not None:
        steps = _with_older(steps, older, path)
    with reporter.task("Reading versions", unit="objects", total=len(steps)) as task:
        entries = tuple(islice(_entries(repo, steps, older, task), options.max_count))
    if options.path is None and not entries:
        return LogResult(repo.display(path), (), repo.git.is_shallow)
    if not entries and not _is_there_now(repo, path):
        _refuse_version(repo, options)
        raise naming.not_found(
            "this history has no version of",
            path,
            str(repo.root),
            version_at(repo, None).pointers,
            repo.display,
            otherwise="--all looks at every branch and tag; 'dver ls -R' lists what is tracked",
        )
    return LogResult(repo.display(path), entries, repo.git.is_shallow)


def _refuse_version(repo: Repo, options: LogOptions) -> None:
    """Raise NotFoundError with the right words for a path that was typed as PATH@REV, or REV."""
    typed = options.path or ""
    name, at, rev = typed.rpartition("@")
    if typed and repo.git.is_revision(typed):
        raise NotFoundError(
            f"this history has no version of {show(typed)}", hint=f"dver log --rev {show(typed)}"
        )
    if not (name and at and rev):
        return
    try:
        repo.git.resolve(rev)
    except DverError:
        return
    raise NotFoundError(
        f"this history has no version of {show(options.path or '')}",
        hint=f"dver log --rev {show(rev)} {show(name)}",
    )


def _is_there_now(repo: Repo, path: bytes) -> bool:
    """Say whether the pointers in the work tree have a path, or may have it."""
    version = version_at(repo, None, Scope([path]))
    located = find_located(version, path)
    if located is None:
        return bool(version.pointers)
    try:
        entry_at(repo, version, located, repo.store)
    except NotFoundError:
        return False
    except MissingContentError:
        return True
    return True


def _revisions(repo: Repo, options: LogOptions) -> list[str]:
    """Return arguments for git rev-list."""
    found = []
    if options.all:
        found.append("--all")
        # A detached HEAD may be on no branch.
        if repo.git.head() is not None:
            found.append("HEAD")
    for revision in options.revisions:
        if revision.startswith("^"):
            found.append("^" + repo.git.resolve(revision[1:]))
        else:
            found += repo.git.resolve_range(revision).args()
    return found or [repo.git.resolve("HEAD")]


def _steps(repo: Repo, revisions: Sequence[str], path: bytes, *, follow: bool) -> list[_Step]:
    steps = [
        _Step(change, inside)
        for change in history(repo.git, revisions, [path], ancestors=True)
        if (inside := _inside(data_path(change.path), path)) is not None
    ]
    if not follow:
        return steps
    excluded = [revision for revision in revisions if revision.startswith("^")]
    seen: set[tuple[str, bytes]] = set()
    parts = [steps]
    while parts[-1]:
        parts.append(_renamed_from(repo, parts[-1], path, excluded, seen))
    if len(parts) == 2:
        return steps
    # Stable, and each part is in order by itself: only the parts are put in order here.
    return sorted(
        (step for part in parts for step in part), key=lambda step: -step.change.commit.commit_time
    )


def _older(repo: Repo, revisions: Sequence[str], path: bytes) -> ForeignLog | None:
    """Return what DVC and git-lfs had at, above or below a path; None if they had nothing."""
    specs = [b":(top,glob)**/*.dvc", b":(top,glob)**/dvc.lock"]
    if path:
        specs.append(b":(top,literal)" + path)
    raw = list(file_history(repo.git, revisions, specs))
    if not raw:
        return None
    from dver.ops.migration.foreignlog import ForeignLog

    return ForeignLog(repo, raw, path)


def _with_older(steps: list[_Step], older: ForeignLog, path: bytes) -> list[_Step]:
    """Return the steps with those from before dver, newest first."""
    found = [_Step(older.continued(one.change), one.inside, one.old_path) for one in steps]
    found += [
        _Step(change, inside)
        for change in older.changes
        if (inside := _inside(data_path(change.path), path)) is not None
    ]
    # Stable, and what is of dver is newer than what is not.
    return sorted(found, key=lambda step: -step.change.commit.commit_time)


def _inside(data: bytes, path: bytes) -> bytes | None:
    """Return where a path lies inside some data; b"" also if the data lies at or below it."""
    if data == path or not path or data.startswith(path + b"/"):
        return b""
    return path[len(data) + 1 :] if path.startswith(data + b"/") else None


def _renamed_from(
    repo: Repo,
    steps: list[_Step],
    path: bytes,
    excluded: list[str],
    seen: set[tuple[str, bytes]],
) -> list[_Step]:
    """Mark the additions among ``steps`` that were renames, and return what came before them."""
    added = {
        (step.change.commit.id, step.change.path): (i, step)
        for i, step in enumerate(steps)
        if step.change.previous is None and step.change.blob is not None
    }
    found = origins(
        repo.git,
        [(commit, at, step.change.blob or "") for (commit, at), (_, step) in added.items()],
    )
    before: list[_Step] = []
    for key, old in found.items():
        i, step = added[key]
        steps[i] = _Step(step.change, step.inside, data_path(old))
        below = data_path(step.change.path).startswith(path + b"/") or not path
        if key in seen or below:
            continue
        seen.add(key)
        before += [
            _Step(change, step.inside)
            for change in history(
                repo.git, [*step.change.commit.parents, *excluded], [data_path(old)]
            )
            if change.path == old
        ]
    return before


class _Contents:
    """What pointers say and, for a path inside tracked directories, what their trees say."""

    def __init__(self, repo: Repo, steps: Sequence[_Step], older: ForeignLog | None) -> None:
        self._store = repo.store if any(step.inside for step in steps) else None
        blobs = {blob for s in steps for blob in (s.change.blob, s.change.previous) if blob}
        self._blobs = read_blobs(repo.git, (blob for blob in blobs if ":" not in blob))
        self._older = older
        self._known: dict[tuple[str, bytes], _State] = {}

    def state(self, blob: str | None, inside: bytes) -> _State:
        """Return what a pointer of that git blob holds at a path inside its data."""
        if blob is None:
            return _State()
        known = self._known.get((blob, inside))
        if known is None:
            known = self._known[blob, inside] = self._read(blob, inside)
        return known

    def _read(self, blob: str, inside: bytes) -> _State:
        try:
            pointer = None if self._older is None else self._older.pointer(blob)
            pointer = pointer or pointers.decode(self._blobs[blob])
        except FormatError as error:
            return _State(problem=f"the pointer is broken: {error.message}")
        if isinstance(pointer, str):
            return _State(problem=pointer)
        if not inside:
            return _State(entry_of(pointer), pointer.files)
        if pointer.kind != "tree" or self._store is None:
            return _State()
        try:
            entry = walk.find(self._store, pointer.oid, inside)
            if entry is None:
                return _State()
            files = 1
            if entry.kind == DIRECTORY:
                files = self._store.read_tree(entry.oid).files
        except MissingContentError:
            return _State(problem="the directory's listing is not here; dver fetch brings it")
        except CorruptError as error:
            return _State(problem=error.message)
        return _State(entry, files)


@dataclass(frozen=True, slots=True)
class _State:
    """What one version holds: nothing, an entry with its number of files, or a problem."""

    entry: Entry | None = None
    files: int = 0
    problem: str | None = None


def _entries(
    repo: Repo, steps: Sequence[_Step], older: ForeignLog | None, task: Task
) -> Iterator[LogEntry]:
    contents = _Contents(repo, steps, older)
    for step in steps:
        task.advance()
        change = step.change
        after = contents.state(change.blob, step.inside)
        before = contents.state(change.previous, step.inside)
        if step.old_path is not None:
            before = after
        elif after == before and after.problem is None:
            continue
        if step.old_path is None or after.entry is not None or after.problem is not None:
            yield _entry(repo, step, before, after)


def _entry(repo: Repo, step: _Step, before: _State, after: _State) -> LogEntry:
    commit = step.change.commit
    entry = after.entry
    both = entry is not None and before.entry is not None
    path = data_path(step.change.path)
    return LogEntry(
        commit=commit.id,
        date=clock.utc_text(commit.author_time * 1_000_000_000),
        author=commit.author_name,
        email=commit.author_email,
        subject=commit.subject,
        path=repo.display(walk.join(path, step.inside) if step.inside else path),
        change=_word(step, before, after),
        kind=None if entry is None else kind_word(entry.kind),
        oid=None if entry is None else format_oid(entry.oid),
        size=None if entry is None else entry.size,
        files=None if entry is None else after.files,
        old_path=None
        if step.old_path is None
        else repo.display(walk.join(step.old_path, step.inside) if step.inside else step.old_path),
        size_delta=after.entry.size - before.entry.size if after.entry and before.entry else None,
        files_delta=after.files - before.files if both else None,
        problem=after.problem,
    )


def _word(step: _Step, before: _State, after: _State) -> ChangeWord:
    if step.old_path is not None:
        return "renamed"
    if after.entry is None and after.problem is None:
        return "removed"
    if before.entry is None and before.problem is None:
        return "added"
    return "modified"
