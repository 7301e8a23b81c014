"""What git says about refs, commits and working trees, as values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dver.base.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Ref:
    """A branch, tag or other ref.

    ``target`` is the object it names, ``commit`` that peeled, or None when it is no commit.
    """

    name: str
    target: str
    commit: str | None


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit's id, parents, author, subject and times (seconds since the epoch)."""

    id: str
    parents: tuple[str, ...]
    author_name: str
    author_email: str
    author_time: int
    commit_time: int
    subject: str


@dataclass(frozen=True, slots=True)
class Worktree:
    """One working tree of a repository.

    ``path`` is gone when ``missing``; ``git_dir`` is its own git directory; ``head`` is None
    before the first commit, and ``branch`` (``refs/heads/...``) is None when HEAD is detached.
    """

    path: Path
    git_dir: Path
    head: str | None
    branch: str | None
    bare: bool
    missing: bool


@dataclass(frozen=True, slots=True)
class RevRange:
    """A set of commits: those reachable from ``include`` and not from ``exclude`` (full ids)."""

    include: tuple[str, ...]
    exclude: tuple[str, ...] = ()

    def args(self) -> list[str]:
        """Return the spelling for ``git rev-list`` and ``git log``."""
        return [*self.include, *(f"^{commit}" for commit in self.exclude)]


#: ``--format`` for ``git log -z``: the fields, each ended by NUL.
COMMIT_FORMAT = "%H%x00%P%x00%an%x00%ae%x00%at%x00%ct%x00%s"
COMMIT_FIELDS = 7


def parse_commit(fields: Sequence[bytes]) -> Commit:
    """Return the commit of the fields that COMMIT_FORMAT makes git print."""
    text = [field.decode("utf-8", "replace") for field in fields]
    return Commit(
        id=text[0],
        parents=tuple(text[1].split()),
        author_name=text[2],
        author_email=text[3],
        author_time=int(text[4] or 0),
        commit_time=int(text[5] or 0),
        subject=text[6],
    )


def short_ref(name: str) -> str:
    """Return a ref's name as people type it."""
    for prefix in ("refs/heads/", "refs/tags/", "refs/remotes/", "refs/"):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name
