"""Compare HEAD, the pointers, the workspace, the local store and the default remote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PointerState = Literal["unchanged", "new", "modified", "deleted", "conflict", "broken"]
DataState = Literal["unchanged", "modified", "deleted", "retyped", "stale", "leftover", "unknown"]


@dataclass(frozen=True, slots=True)
class StatusOptions:
    """What to look at.

    ``paths`` restrict to targets at, below or above them; none means all. ``remote`` names the
    remote to compare with, None the default one; ``no_remote`` leaves that comparison out.
    ``details`` is how many changed files are listed per target; None lists all.
    """

    paths: tuple[str, ...] = ()
    remote: str | None = None
    no_remote: bool = False
    details: int | None = None


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

    ``pointer_state`` compares the pointer in the work tree with HEAD: new, modified, deleted, in a
    merge conflict, or broken; ``staged`` says that git's index already holds exactly the work
    tree's pointer. ``data_state`` compares the data in the workspace with the pointer:

    - modified: somebody changed the data; ``counts`` and ``changes`` say how
    - deleted: it is not there; ``dver checkout`` (or ``pull``, if ``missing``) brings it
    - retyped: a file stands where a directory is tracked, or the other way round
    - stale: the pointer moved (by git) and the data is still what the last pointer said
    - leftover: the pointer went away (by git) and its unchanged data is still there
    - unknown: the pointer cannot be read, or the content needed to tell is missing

    ``missing`` counts objects the pointer needs that are not in the local store, ``missing_oids``
    lists some of them in text form. ``unpushed`` tells whether the remote is known not to have
    the content; None when there is no remote to ask. ``problem`` says what is wrong with the
    pointer, and ``hint`` what to do. ``size`` and ``files`` are the pointer's; oid its text form.
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

    @property
    def is_clean(self) -> bool:
        """Whether HEAD, pointer, workspace and local store agree; being unpushed is no dirt."""
        return (
            self.pointer_state == "unchanged"
            and self.data_state == "unchanged"
            and not self.missing
        )


@dataclass(frozen=True, slots=True)
class StatusResult:
    """The state of every target that was asked for, in path order.

    ``branch`` is None with a detached HEAD, ``head`` the commit in full hex or None before the
    first commit. ``remote`` is the remote compared with, or None. ``targets`` holds clean ones too.
    """

    branch: str | None
    head: str | None
    remote: str | None
    targets: tuple[TargetStatus, ...]

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to say about any target; being unpushed is no dirt."""
        return all(target.is_clean for target in self.targets)
