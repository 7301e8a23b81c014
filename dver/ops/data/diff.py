"""What differs between two versions of the tracked data, file by file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from dver.base.dataclass import dataclass
from dver.base.errors import NotFoundError, UsageError
from dver.base.oid import format_oid
from dver.base.quoting import show
from dver.base.reporter import Reporter
from dver.formats.pointer import Pointer
from dver.formats.tree import Entry
from dver.ops.data.compare import Comparison, FileDelta, TargetDelta, Word, compare
from dver.ops.targets.kinds import KindWord, kind_word
from dver.ops.targets.scope import Scope
from dver.ops.targets.versions import no_such_path, typed_path, version_at
from dver.store.walk import Layered, TreeSource

if TYPE_CHECKING:
    from dver.repo import Repo


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """What to compare.

    ``revisions`` holds none (the pointers in the work tree against the workspace), one (that
    revision against the workspace, or ``A..B``, or ``A...B`` from where the two parted) or two
    (``A`` against ``B``). ``paths``
    are as the user typed them and restrict the answer, also to a part of a tracked directory.
    With ``renames`` a removed and an added file of equal content count as one renamed file.
    """

    revisions: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    renames: bool = True


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file (or symlink, or empty directory) that differs.

    ``path`` is where it is on the new side (on the old side if it was removed) and ``old_path``
    where it came from if it was renamed; ``target`` is the tracked file or directory it belongs
    to. Sizes are in bytes, oids in text form; the fields of a side that lacks the file are None.
    ``mode`` says that only the kind differs, for instance a file that became executable.
    """

    path: str
    target: str
    change: Word
    old_path: str | None = None
    old_kind: KindWord | None = None
    new_kind: KindWord | None = None
    old_size: int | None = None
    new_size: int | None = None
    old_oid: str | None = None
    new_oid: str | None = None


@dataclass(frozen=True, slots=True)
class TargetChange:
    """One tracked file or directory that differs as a whole, and how many files in it do.

    ``added`` means tracked on the new side only, ``removed`` on the old side only, ``renamed``
    that a pointer of equal content moved (from ``old_path``): then the files of a directory are
    counted and not listed. ``listed`` is False when the trees that would tell which files differ
    are not here; the counts of files are then 0.
    """

    path: str
    change: Word
    old_path: str | None = None
    kind: Literal["file", "tree"] = "file"
    old_oid: str | None = None
    new_oid: str | None = None
    old_size: int | None = None
    new_size: int | None = None
    old_files: int | None = None
    new_files: int | None = None
    files_added: int = 0
    files_removed: int = 0
    files_modified: int = 0
    files_renamed: int = 0
    files_mode: int = 0
    listed: bool = True


@dataclass(frozen=True, slots=True)
class DiffTotals:
    """Sums over all files that differ.

    ``added_bytes`` and ``removed_bytes`` are the sizes of added and removed files plus what
    modified files grew or shrank by.
    """

    targets: int = 0
    files: int = 0
    added: int = 0
    removed: int = 0
    modified: int = 0
    renamed: int = 0
    mode: int = 0
    added_bytes: int = 0
    removed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class DiffResult:
    """The answer: ``old`` and ``new`` say what was compared, for headings.

    ``files`` is in the order of targets and then of paths. ``missing`` names the targets whose
    files could not be listed, and ``hint`` the command that would bring what is missing.
    """

    old: str
    new: str
    targets: tuple[TargetChange, ...]
    files: tuple[FileChange, ...]
    totals: DiffTotals
    missing: tuple[str, ...] = ()
    hint: str | None = None

    @property
    def changed(self) -> bool:
        """Whether anything differs; the command's ``--exit-code`` is 1 then."""
        return bool(self.targets)


def diff(
    repo: Repo, options: DiffOptions, reporter: Reporter, *, source: TreeSource | None = None
) -> DiffResult:
    """Compare two versions of the tracked data. Nothing is fetched and nothing is written.

    ``source`` is where trees are read from, the local store if it is None.
    Raises NotFoundError for an unknown revision or path. Where trees are missing here, targets are
    compared as a whole, and the result says which and what would bring them.
    """
    scope = Scope([typed_path(repo, path) for path in options.paths])
    old_rev, new_rev, is_workspace = _sides(repo, options.revisions)
    old = version_at(repo, old_rev, scope)
    source = repo.store if source is None else source
    if is_workspace:
        from dver.ops.data.present import present_data

        tracked = old if old_rev is None else version_at(repo, None, scope)
        selected = {
            path: pointer
            for path, pointer in tracked.pointers.items()
            if scope.inside(path) is not None
        }
        new, trees = present_data(repo, selected, reporter)
        source = Layered([trees, source])
    else:
        new = dict(version_at(repo, new_rev, scope).pointers)
    comparison = compare(old.pointers, new, source, scope, renames=options.renames)
    for path in scope.unmatched():
        if not os.path.isdir(repo.absolute(path)):
            raise no_such_path(repo, old, path)
    return _result(repo, comparison, _labels(old_rev, new_rev, is_workspace), old_rev, new_rev)


def _sides(repo: Repo, revisions: Sequence[str]) -> tuple[str | None, str | None, bool]:
    """Return the old and the new revision, and whether the new side is the workspace instead."""
    if len(revisions) > 2:
        raise UsageError("diff compares two versions, not more", hint="dver diff A B")
    if not revisions:
        return None, None, True
    if len(revisions) == 2:
        return revisions[0], revisions[1], False
    left, dots, right = revisions[0].partition("...")
    if dots:
        span = repo.git.resolve_range(revisions[0])
        if not span.exclude:
            raise NotFoundError(f"{left or 'HEAD'} and {right or 'HEAD'} have no common history")
        return span.exclude[0], right or "HEAD", False
    left, dots, right = revisions[0].partition("..")
    if dots:
        return left or "HEAD", right or "HEAD", False
    return revisions[0], None, True


def _labels(old: str | None, new: str | None, is_workspace: bool) -> tuple[str, str]:
    return old or "pointers", "workspace" if is_workspace else new or "pointers"


def _result(
    repo: Repo,
    comparison: Comparison,
    labels: tuple[str, str],
    old_rev: str | None,
    new_rev: str | None,
) -> DiffResult:
    counts: dict[bytes, Counter[Word]] = {}
    for delta in comparison.files:
        counts.setdefault(delta.target, Counter())[delta.word] += 1
    for target in comparison.targets:
        if target.word == "renamed" and target.new is not None and target.new.kind == "tree":
            counts[target.path] = Counter({"renamed": target.new.files})
    missing = tuple(target for target in comparison.targets if not target.listed)
    return DiffResult(
        labels[0],
        labels[1],
        tuple(_target(repo, one, counts.get(one.path, {})) for one in comparison.targets),
        tuple(_file(repo, one) for one in comparison.files),
        _totals(comparison, counts),
        tuple(repo.display(one.path) for one in missing),
        _fetch_hint(repo, missing, old_rev, new_rev) if missing else None,
    )


def _target(repo: Repo, delta: TargetDelta, counts: Mapping[Word, int]) -> TargetChange:
    either = delta.new or delta.old
    return TargetChange(
        path=repo.display(delta.path),
        change=delta.word,
        old_path=None if delta.old_path is None else repo.display(delta.old_path),
        kind="file" if either is None else either.kind,
        old_oid=None if delta.old is None else format_oid(delta.old.oid),
        new_oid=None if delta.new is None else format_oid(delta.new.oid),
        old_size=None if delta.old is None else delta.old.size,
        new_size=None if delta.new is None else delta.new.size,
        old_files=None if delta.old is None else delta.old.files,
        new_files=None if delta.new is None else delta.new.files,
        files_added=counts.get("added", 0),
        files_removed=counts.get("removed", 0),
        files_modified=counts.get("modified", 0),
        files_renamed=counts.get("renamed", 0),
        files_mode=counts.get("mode", 0),
        listed=delta.listed,
    )


def _file(repo: Repo, delta: FileDelta) -> FileChange:
    old, new = delta.old, delta.new
    return FileChange(
        path=repo.display(delta.path),
        target=repo.display(delta.target),
        change=delta.word,
        old_path=None if delta.old_path is None else repo.display(delta.old_path),
        old_kind=None if old is None else kind_word(old.kind),
        new_kind=None if new is None else kind_word(new.kind),
        old_size=None if old is None else old.size,
        new_size=None if new is None else new.size,
        old_oid=None if old is None else format_oid(old.oid),
        new_oid=None if new is None else format_oid(new.oid),
    )


def _totals(comparison: Comparison, counts: Mapping[bytes, Mapping[Word, int]]) -> DiffTotals:
    words: Counter[Word] = Counter()
    for one in counts.values():
        words.update(one)
    growth = [_growth(delta.old, delta.new) for delta in comparison.files]
    return DiffTotals(
        targets=len(comparison.targets),
        files=words.total(),
        added=words["added"],
        removed=words["removed"],
        modified=words["modified"],
        renamed=words["renamed"],
        mode=words["mode"],
        added_bytes=sum(change for change in growth if change > 0),
        removed_bytes=-sum(change for change in growth if change < 0),
    )


def _growth(old: Entry | None, new: Entry | None) -> int:
    return (0 if new is None else new.size) - (0 if old is None else old.size)


def _fetch_hint(
    repo: Repo, missing: Sequence[TargetDelta], old_rev: str | None, new_rev: str | None
) -> str:
    """Return the command that brings the trees that are missing."""
    sides = [(old_rev, [one.old for one in missing]), (new_rev, [one.new for one in missing])]
    known = [(rev, pointers) for rev, pointers in sides if rev is not None]
    lacking = [rev for rev, pointers in known if any(_is_missing(repo, one) for one in pointers)]
    # It may also be a tree further below that is missing: then either side may be the one.
    revs = [f"--rev {rev}" for rev in lacking or [rev for rev, _ in known]]
    return " ".join(["dver fetch", *revs, *(show(repo.display(one.path)) for one in missing[:3])])


def _is_missing(repo: Repo, pointer: Pointer | None) -> bool:
    return (
        pointer is not None and pointer.kind == "tree" and not repo.store.is_complete(pointer.oid)
    )
