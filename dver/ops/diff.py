"""What differs between two versions of the tracked data, file by file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ChangeWord = Literal["added", "removed", "modified", "renamed", "mode"]
KindWord = Literal["file", "executable", "symlink", "directory"]


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """What to compare.

    ``revisions`` holds none (the pointers in the work tree against the workspace), one (that
    revision against the workspace, or a range ``A..B``) or two (``A`` against ``B``). ``paths``
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
    change: ChangeWord
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
    that a pointer of equal content moved (from ``old_path``). ``listed`` is False when the trees
    that would tell which files differ are not here; the counts of files are then 0.
    """

    path: str
    change: ChangeWord
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
