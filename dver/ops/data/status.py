"""Compare HEAD, the pointers, the workspace, the local store and the default remote."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Literal

from dver.base.dataclass import dataclass
from dver.base.errors import CorruptError, DverError, RepositoryError
from dver.base.oid import Oid, format_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats.pointer import Pointer, origin_lines
from dver.git.pointers import asked_at_revision, data_path, is_pointer_path, pointer_path
from dver.ops.data.completeness import Pushed, missing_objects
from dver.ops.data.inspection import Finding, Inspector
from dver.ops.targets import naming
from dver.ops.targets.placed import left_behind
from dver.ops.targets.pointerstate import PointerState, moved_pointers, pointer_state
from dver.ops.targets.scope import Scope
from dver.ops.targets.target import Target, broken_hint, load_targets
from dver.store import layout

if TYPE_CHECKING:
    from dver.formats.purged import Purged
    from dver.ops.data.compare import FileDelta
    from dver.ops.data.pipelinestatus import PipelineStatus
    from dver.repo import Repo
    from dver.store.tombstones import Tombstones

DataState = Literal[
    "unchanged", "modified", "deleted", "absent", "retyped", "stale", "leftover", "unknown"
]

#: The commit and the full name of the branch, a line each; see _head.
_ASK_HEAD = ("rev-parse", "HEAD", "--symbolic-full-name", "HEAD")
_DAMAGED = "'dver fsck --full' tells what is damaged, 'dver fsck --repair' puts it aside"


@dataclass(frozen=True, slots=True)
class StatusOptions:
    """What to look at.

    ``paths`` restrict to targets at, below or above them; none means all. ``remote`` names the
    remote to compare with, None the default one; ``no_remote`` leaves that comparison out.
    ``details`` is how many changed files are listed per target; None lists all. ``steps`` asks
    for the state of the pipeline too, if there is one, and for records that git does not know.
    """

    paths: tuple[str, ...] = ()
    remote: str | None = None
    no_remote: bool = False
    details: int | None = None
    steps: bool = False


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file or symlink inside a tracked directory that is not as recorded.

    ``path`` is relative to where the user stands, ``old_path`` is set for renames. Sizes are in
    bytes, None on the side where the file does not exist.
    """

    change: Literal["new", "modified", "deleted", "renamed"]
    path: str
    old_path: str | None
    size: int | None
    old_size: int | None


@dataclass(frozen=True, slots=True)
class ChangeCounts:
    """How many files inside a target changed in which way."""

    new: int = 0
    modified: int = 0
    deleted: int = 0
    renamed: int = 0

    @property
    def total(self) -> int:
        """The number of changed files."""
        return self.new + self.modified + self.deleted + self.renamed


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """The state of one target, by the questions a person asks.

    ``pointer_state`` compares the pointer in the work tree with HEAD: new, modified, deleted,
    renamed (from ``old_path``, its content equal), in a merge conflict, or broken; ``staged`` says
    that git's index already holds exactly the work tree's pointer. ``data_state`` compares the data
    in the workspace with the pointer:

    - modified: somebody changed the data; ``counts`` and ``changes`` say how
    - deleted: it was here and is not any more
    - absent: it is not here and, as far as is known, never was; ``dver checkout`` (or ``pull``, if
      ``missing``) brings it, and deleted data as well
    - retyped: a file stands where a directory is tracked, or the other way round
    - stale: the pointer moved (by git) and the data is still what the last pointer said
    - leftover: the pointer is gone, and there still is data
    - unknown: the pointer cannot be read, or the content needed to tell is missing

    ``absent`` counts files in a tracked directory that were never brought here, after a checkout of
    only a part; they are no change. ``missing`` counts objects the pointer needs that are not in
    the local store, ``missing_oids`` lists some of them in text form; ``purged`` counts those that
    nobody has since they were purged, and ``purged_words`` tells when and by whom. ``unpushed``
    tells whether the content is all here and, as far as is known here, not in the remote; None when
    there is no remote. ``problem`` says what is wrong with the pointer or a listing, and ``hint``
    what to do. ``size`` and ``files`` are the pointer's; oid its text form.
    """

    path: str
    pointer: str
    kind: Literal["file", "tree"] | None
    oid: str | None
    size: int
    files: int
    pointer_state: PointerState
    staged: bool
    data_state: DataState
    counts: ChangeCounts = ChangeCounts()
    changes: tuple[FileChange, ...] = ()
    missing: int = 0
    missing_oids: tuple[str, ...] = ()
    unpushed: bool | None = None
    problem: str | None = None
    hint: str | None = None
    old_path: str | None = None
    absent: int = 0
    purged: int = 0
    purged_words: str | None = None

    @property
    def is_clean(self) -> bool:
        """Whether HEAD, pointer, workspace and local store agree; being unpushed is no dirt."""
        return (
            self.pointer_state == "unchanged"
            and self.data_state == "unchanged"
            and not self.missing
            and not self.purged
            and not self.absent
        )


@dataclass(frozen=True, slots=True)
class StatusResult:
    """The state of every target that was asked for, in path order.

    ``branch`` is None with a detached HEAD, ``head`` the commit in full hex or None before the
    first commit. ``remote`` is the remote compared with, or None. ``targets`` holds clean ones too.
    ``pipeline`` tells which steps of ``dver.yaml`` are not up to date; None if there is none, or
    it was not asked for. ``records`` counts the records of runs that git has not been told of, 0
    if that was not asked for.
    """

    branch: str | None
    head: str | None
    remote: str | None
    targets: tuple[TargetStatus, ...]
    pipeline: PipelineStatus | None = None
    records: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to say about any target; being unpushed is no dirt."""
        return all(target.is_clean for target in self.targets)


def status(repo: Repo, options: StatusOptions, reporter: Reporter) -> StatusResult:
    """Compare HEAD, pointers, workspace and local store; no remote is asked.

    Raises NotFoundError for a path that selects nothing.
    """
    repo.require_init()
    if repo.git.is_bare:
        raise RepositoryError("a bare repository has no working tree to compare")
    paths = [data_path(p) if is_pointer_path(p) else p for p in map(repo.locate, options.paths)]
    scope = Scope(paths)
    under = scope.paths or (b"",)
    with (
        repo.git.asked(*_ASK_HEAD) as asked,
        asked_at_revision(repo.git, "HEAD", under, ancestors=True) as pointers,
    ):
        targets = load_targets(repo, under)
        head, branch = _head(repo, asked.answer((0, 128))[1])
        found = pointers() if head is not None else []
    committed = {data_path(path): blob for path, blob in found}
    remote = None if options.no_remote else _remote_name(repo, options.remote)
    with reporter.task("Comparing", unit="files") as task:
        checker = _Checker(repo, options, Inspector(repo, task), scope, remote)
        known = sorted(targets.keys() | committed.keys())
        moved = moved_pointers(targets, committed)
        origins = set(moved.values())
        told = []
        for path in known:
            if scope.inside(path) is None or _is_sparse(targets.get(path)):
                continue
            if path in moved:
                told.append(checker.check_moved(path, targets[path], moved[path], targets))
            elif path not in origins:
                told.append(checker.check(path, targets.get(path), committed.get(path)))
            elif os.path.lexists(repo.absolute(path)):
                told.append(checker.check(path, None, None))
        told += [checker.check(path, None, None) for path in left_behind(repo, scope, known)]
    _refuse_unmatched(repo, scope, [path for path in targets if scope.inside(path) is not None])
    checker.inspector.remember()
    pipeline = None
    if options.steps and os.path.lexists(repo.root / "dver.yaml"):
        from dver.ops.making.stalesteps import stale_steps

        pipeline = stale_steps(repo)
    records = _records_unknown_to_git(repo) if options.steps and not options.paths else 0
    return StatusResult(branch, head, remote, tuple(told), pipeline, records)


def _records_unknown_to_git(repo: Repo) -> int:
    """Count records that are neither in git's index nor ignored: 'commit -a' leaves them out."""
    from dver.formats.recordpath import DIRECTORY

    where = os.fsdecode(DIRECTORY)
    if not os.path.isdir(repo.root / where):
        return 0
    out: bytes = repo.git.run("ls-files", "-z", "--others", "--exclude-standard", "--", where)
    return sum(name.endswith(b".json") for name in out.split(b"\0"))


def _head(repo: Repo, out: bytes) -> tuple[str | None, str | None]:
    """Return HEAD's commit and branch as one run of git says, unless there is no commit yet."""
    lines = os.fsdecode(out).splitlines()
    if len(lines) != 2 or lines[0] == "HEAD":
        return repo.git.head(), repo.git.branch()
    return lines[0], lines[1].removeprefix("refs/heads/") if lines[1] != "HEAD" else None


def _remote_name(repo: Repo, chosen: str | None) -> str | None:
    if chosen is not None:
        return repo.remote_settings(chosen).name
    return repo.config.default_remote()


def _is_sparse(target: Target | None) -> bool:
    return target is not None and target.file.skipped and not target.present


def _refuse_unmatched(repo: Repo, scope: Scope, targets: list[bytes]) -> None:
    """Raise NotFoundError for paths that are no target, hold none and lie in none."""
    for path in scope.unmatched():
        holder = naming.holder(targets, path)
        if holder is None and not os.path.isdir(repo.absolute(path)):
            raise naming.not_found(
                "nothing is tracked at", path, str(repo.root), targets, repo.display
            )


class _Checker:
    """Tells the state of one target after the other."""

    def __init__(
        self,
        repo: Repo,
        options: StatusOptions,
        inspector: Inspector,
        scope: Scope,
        remote: str | None,
    ) -> None:
        self._repo = repo
        self._options = options
        self._scope = scope
        self._push_no_imports = repo.config.get("import.push") is False
        self._pushed = None if remote is None else Pushed(repo.layout.remote_cache(remote))
        self.inspector = inspector
        self._tombstones: Tombstones | None = None
        self._has_holes: bool | None = None

    def check_moved(
        self, path: bytes, target: Target, old: bytes, targets: Mapping[bytes, Target]
    ) -> TargetStatus:
        """Tell the state of a target whose pointer was renamed since HEAD."""
        told = self.check(path, target, None)
        return replace(
            told,
            pointer_state="renamed",
            staged=told.staged and old not in targets,
            old_path=self._repo.display(old),
        )

    def check(self, path: bytes, target: Target | None, committed: str | None) -> TargetStatus:
        """Tell the state of a path; ``committed`` is git's id of its pointer in HEAD, if any."""
        pointer = target.pointer if target is not None else None
        state, staged = pointer_state(target, committed)
        if pointer is None:
            problem = target.problem if target is not None else None
            return self._without_pointer(path, state, staged=staged, problem=problem)
        damage: CorruptError | None = None
        try:
            finding = self.inspector.inspect(path, pointer, self._scope)
            missing = self._missing(path, pointer, finding)
        except CorruptError as error:
            finding, missing, damage = Finding("unknown", []), [], error
        purged = self._purged_of(missing)
        if purged:
            missing = [oid for oid in missing if oid not in purged]
        kept_there = self._push_no_imports and origin_lines(target.raw if target else b"") != b""
        counts = _counts(finding, pointer)
        changes = islice(_changes(self._repo, finding), self._options.details)
        return TargetStatus(
            path=self._repo.display(path),
            pointer=self._repo.display(pointer_path(path)),
            kind=pointer.kind,
            oid=format_oid(pointer.oid),
            size=pointer.size,
            files=pointer.files,
            pointer_state=state,
            staged=staged,
            data_state=finding.state,
            counts=counts,
            changes=tuple(changes),
            missing=len(missing),
            missing_oids=tuple(format_oid(oid) for oid in missing[: self._options.details]),
            unpushed=None if damage or kept_there else self._unpushed(pointer, missing),
            problem=None if damage is None else damage.message,
            hint=None if damage is None else _DAMAGED,
            absent=finding.absent,
            purged=len(purged),
            purged_words=next((one.words for one in purged.values()), None),
        )

    def _without_pointer(
        self, path: bytes, state: PointerState, *, staged: bool, problem: DverError | None
    ) -> TargetStatus:
        """Tell the state of a path whose pointer is gone, or cannot be read for a problem."""
        there = os.path.lexists(self._repo.absolute(path))
        gone: DataState = "leftover" if there else "deleted"
        pointer_at = self._repo.display(pointer_path(path))
        return TargetStatus(
            path=self._repo.display(path),
            pointer=pointer_at,
            kind=None,
            oid=None,
            size=0,
            files=0,
            pointer_state=state,
            staged=staged,
            data_state=gone if problem is None else "unknown",
            problem=None if problem is None else problem.message,
            hint=None if problem is None else problem.hint or broken_hint(show(pointer_at)),
        )

    def _purged_of(self, missing: list[Oid]) -> dict[Oid, Purged]:
        """Return those of some missing objects that were purged."""
        if not missing:
            return {}
        if self._tombstones is None:
            from dver.store.tombstones import read_tombstones

            self._tombstones = read_tombstones(self._repo.store.local_directory())
        return {oid: self._tombstones[oid] for oid in missing if oid in self._tombstones}

    def _unpushed(self, pointer: Pointer, missing: list[Oid]) -> bool | None:
        if self._pushed is None:
            return None
        # What is not all here came from somebody else, and is not for this clone to push.
        return not missing and pointer.oid not in self._pushed

    def _missing(self, path: bytes, pointer: Pointer, finding: Finding) -> list[Oid]:
        """Return the objects of a pointer that the local store lacks.

        What was added or checked out whole here was complete then, and nothing is collected that
        a pointer of the work tree names; so only the top is looked up, unless something was ever
        dropped or purged.
        """
        store = self._repo.store
        if self._has_holes is None:
            holes = os.path.join(store.local_directory(), layout.HOLES)
            self._has_holes = os.path.lexists(holes)
        whole = not finding.absent and self.inspector.index.base(path) == pointer
        if whole and not self._has_holes and store.has(pointer.oid):
            return []
        return missing_objects(store, pointer)


def _counts(finding: Finding, pointer: Pointer) -> ChangeCounts:
    if pointer.kind == "file":
        return ChangeCounts(modified=int(finding.state == "modified"))
    words = [delta.word for delta in finding.deltas]
    return ChangeCounts(
        new=words.count("added"),
        modified=words.count("modified") + words.count("mode"),
        deleted=words.count("removed"),
        renamed=words.count("renamed"),
    )


_WORDS: dict[str, Literal["new", "modified", "deleted", "renamed"]] = {
    "added": "new",
    "removed": "deleted",
    "modified": "modified",
    "mode": "modified",
    "renamed": "renamed",
}


def _changes(repo: Repo, finding: Finding) -> Iterator[FileChange]:
    for delta in finding.deltas:
        yield _change(repo, delta)


def _change(repo: Repo, delta: FileDelta) -> FileChange:
    return FileChange(
        change=_WORDS[delta.word],
        path=repo.display(delta.path),
        old_path=None if delta.old_path is None else repo.display(delta.old_path),
        size=None if delta.new is None else delta.new.size,
        old_size=None if delta.old is None else delta.old.size,
    )
